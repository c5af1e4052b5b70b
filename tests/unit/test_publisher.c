/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/publisher.h"
#include "tests/unit/kbs_fixture.h"

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/jws.h"

static struct jwk *key, *stranger;
static char path[128];

static int setup(void **state)
{
    auto_json *json = NULL;
    if (kbs_setup(state) != 0)
        return -1;
    assert_done(jwk_generate(JWK_EC_P256, "pub", &key, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, "pub", &stranger, &err), &err);
    assert_done(jwk_public_json(key, NULL, &json, &err), &err);
    auto_free char *text = json_text(json);
    snprintf(path, sizeof path, "%s/publisher.jwk", kbs.root);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    static char *items[1];
    items[0] = path;
    kbs.conf.reference_values.publishers = (struct conf_list){.items = items, .count = 1};
    assert_done(publishers_new(&kbs.conf, &kbs.server.publishers, &err), &err);
    kbs.conf.reference_values.publishers = (struct conf_list){0};
    return 0;
}

static int teardown(void **state)
{
    jwk_unref(key);
    jwk_unref(stranger);
    publishers_free(kbs.server.publishers);
    return kbs_teardown(state);
}

static bool publish(const struct jwk *by, const char *operation, const char *values, int64_t iat)
{
    char message[1024], id[PUBLISHER_ID_SIZE], when[64] = "";
    auto_refvalue_change change = {0};
    auto_free char *payload = b64_encode(B64_STD, bytes_str(values)), *text = NULL;
    if (iat)
        snprintf(when, sizeof when, ",\"iat\":%lld", (long long)iat);
    snprintf(message, sizeof message,
        "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"%s\",\"operation\":\"%s\"%s}",
        payload, operation, when);
    assert_done(jws_sign(by, NULL, bytes_str(message), &text, &err), &err);
    assert_true(publisher_is_signed(bytes_str(text)));
    if (!publishers_open(kbs.server.publishers, bytes_str(text), &change, id, &err))
        return false;
    const struct refvalue_setter setter = {.by = "ann", .publisher = id, .now = kbs.now};
    return publisher_apply(kbs.server.store, &change, &setter, &err);
}

static void assert_value(const char *name, const char *wanted)
{
    auto_json *value = NULL;
    assert_done(refvalue_get(kbs.server.store, name, kbs.now, &value, &err), &err);
    auto_free char *text = json_text(value);
    assert_string_equal(text, wanted);
}

static void only_publishers_are_taken(void **state)
{
    (void)state;
    auto_json *list = NULL;
    char thumb[44];
    assert_done(publish(key, "set", "{\"a\":[\"1\"]}", kbs.now), &err);
    assert_value("a", "[\"1\"]");
    assert_done(refvalue_describe(kbs.server.store, kbs.now, &list, &err), &err);
    assert_done(jwk_thumbprint(key, thumb, &err), &err);
    const json_t *item = json_array_get(json_object_get(json_array_get(list, 0), "values"), 0);
    assert_string_equal(json_member_text(item, "publisher"), thumb);
    assert_refused(publish(stranger, "set", "{\"a\":[\"2\"]}", kbs.now + 1), &err, ERR_CRYPTO,
        "configured publishers");
    assert_refused(publish(key, "set", "{\"a\":[\"2\"]}", 0), &err, ERR_FORMAT, "iat");
    assert_refused(
        publish(key, "set", "{\"a\":[\"2\"]}", kbs.now + 1000), &err, ERR_DENIED_LOCAL, "future");
    assert_value("a", "[\"1\"]");
}

static void an_older_message_brings_nothing_back(void **state)
{
    (void)state;
    assert_done(publish(key, "set", "{\"a\":[\"1\"],\"b\":1}", kbs.now), &err);
    assert_done(publish(key, "set", "{\"a\":[\"2\"]}", kbs.now + 2), &err);
    assert_refused(
        publish(key, "set", "{\"a\":[\"1\"]}", kbs.now), &err, ERR_DENIED_LOCAL, "as new or newer");
    assert_refused(
        publish(key, "set", "{\"a\":[\"2\"]}", kbs.now + 2), &err, ERR_DENIED_LOCAL, "a: this");
    /* One name of a message that is too old: nothing of it is done. */
    assert_refused(publish(key, "set", "{\"b\":2,\"a\":[\"1\"]}", kbs.now + 1), &err,
        ERR_DENIED_LOCAL, "a: this");
    assert_value("a", "[\"2\"]");
    assert_value("b", "1");
    assert_done(publish(key, "add", "{\"a\":\"3\"}", kbs.now + 3), &err);
    assert_value("a", "[\"2\",\"3\"]");
    assert_refused(
        publish(key, "remove", "{\"a\":\"3\"}", kbs.now + 3), &err, ERR_DENIED_LOCAL, "a:");
    assert_done(refvalue_delete(kbs.server.store, "a", &err), &err);
    assert_refused(
        publish(key, "set", "{\"a\":[\"2\"]}", kbs.now + 2), &err, ERR_DENIED_LOCAL, "a: this");
    assert_done(publish(key, "set", "{\"a\":[\"4\"]}", kbs.now + 4), &err);
    assert_value("a", "[\"4\"]");
}

static const struct store_ops *real_ops;
static char serial[STORE_KEY_MAX + 1], *newer;

/* A newer message is accepted and its value written by another replica, just before our older one's is. */
static bool put_late(struct store *store, enum store_space space, const char *name,
    struct bytes value, bool only_new, bool *ret_created, struct err *cause)
{
    if (newer && strcmp(name, "a") == 0) {
        auto_free char *record = newer;
        newer = NULL;
        assert_done(
            real_ops->put(store, space, serial, bytes_str(record), false, ret_created, cause),
            cause);
        assert_done(
            real_ops->put(store, space, "a", bytes_str(record), false, ret_created, cause), cause);
    }
    return real_ops->put(store, space, name, value, only_new, ret_created, cause);
}

static void a_race_with_a_newer_message_ends_with_the_newer(void **state)
{
    (void)state;
    char hash[REFVALUE_HASH_SIZE], thumb[44];
    auto_json *value = json_string("new");
    assert_done(jwk_thumbprint(key, thumb, &err), &err);
    assert_done(refvalue_name_hash("a", hash, &err), &err);
    const struct refvalue_setter setter = {.by = "bob", .publisher = thumb, .now = kbs.now};
    assert_done(refvalue_record("a", value, 0, &setter, &newer, &err), &err);
    snprintf(serial, sizeof serial, "_serial/%s/%s/%016llx", thumb, hash,
        (unsigned long long)kbs.now + 5);
    real_ops = kbs.server.store->ops;
    struct store_ops late = *real_ops;
    late.put = put_late;
    kbs.server.store->ops = &late;
    bool done = publish(key, "set", "{\"a\":\"old\"}", kbs.now);
    kbs.server.store->ops = real_ops;
    assert_done(done, &err);
    assert_null(newer);
    assert_value("a", "\"new\"");
    assert_refused(
        publish(key, "set", "{\"a\":\"old\"}", kbs.now), &err, ERR_DENIED_LOCAL, "as new or newer");
}

static void a_body_is_told_apart(void **state)
{
    (void)state;
    assert_false(publisher_is_signed(bytes_str(" {\"a\":1}")));
    assert_false(publisher_is_signed(bytes_str("")));
    assert_true(publisher_is_signed(bytes_str("eyJ.a.b\n")));
    static const char *const bad[] = {"eyJ", "a.b.c", "....", "\"x\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_refvalue_change change = {0};
        char id[PUBLISHER_ID_SIZE];
        err_clear(&err);
        assert_false(publishers_open(kbs.server.publishers, bytes_str(bad[i]), &change, id, &err));
        assert_non_null(strstr(err.message, "signed reference value message"));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(only_publishers_are_taken),
        TEST(an_older_message_brings_nothing_back),
        TEST(a_race_with_a_newer_message_ends_with_the_newer),
        TEST(a_body_is_told_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
