/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/refvalue.h"
#include "tests/unit/inputs.h"

#include <ftw.h>
#include <unistd.h>

#include "crypt/base/b64.h"

#define NOW   1800000000
#define LATER (NOW + REFVALUE_LIFETIME_S)

static struct err err;
static char root[64];
static struct store *store;

static const struct bad_input bad[] = {
    {"array.json", ERR_FORMAT, "message"},
    {"duplicate-member.json", ERR_FORMAT, "message"},
    {"name-absolute.json", ERR_FORMAT, "/a"},
    {"name-backslash.json", ERR_FORMAT, "name"},
    {"name-dotdot.json", ERR_FORMAT, "../a"},
    {"name-double-slash.json", ERR_FORMAT, "a//b"},
    {"name-empty.json", ERR_FORMAT, "name"},
    {"name-hidden.json", ERR_FORMAT, ".a"},
    {"name-too-long.json", ERR_FORMAT, "name"},
    {"name-with-colon.json", ERR_FORMAT, "rvps:"},
    {"no-payload.json", ERR_FORMAT, "payload"},
    {"no-type.json", ERR_FORMAT, "type"},
    {"not-json.json", ERR_FORMAT, "message"},
    {"payload-array.json", ERR_FORMAT, "payload"},
    {"payload-base64url.json", ERR_FORMAT, "payload"},
    {"payload-duplicate-name.json", ERR_FORMAT, "payload"},
    {"payload-empty.json", ERR_FORMAT, "payload"},
    {"payload-empty-object.json", ERR_FORMAT, "payload"},
    {"payload-not-base64.json", ERR_FORMAT, "payload"},
    {"payload-not-json.json", ERR_FORMAT, "payload"},
    {"payload-object.json", ERR_FORMAT, "payload"},
    {"payload-trailing.json", ERR_FORMAT, "payload"},
    {"too-many-names.json", ERR_FORMAT, "at most 256"},
    {"type-corim.json", ERR_FORMAT, "corim"},
    {"type-swid.json", ERR_FORMAT, "swid"},
    {"type-unknown.json", ERR_FORMAT, "unknown type"},
    {"value-null.json", ERR_FORMAT, "delete it"},
    {"version-number.json", ERR_FORMAT, "version"},
    {"version-other.json", ERR_FORMAT, "0.2.0"},
};

static int make_store(void **state)
{
    (void)state;
    strcpy(root, "/tmp/sealed-refvalue.XXXXXX");
    return mkdtemp(root) && store_dir_open(root, &store, &err) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int drop_store(void **state)
{
    (void)state;
    store_free(store);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static bool refuse(const struct secret *input, struct err *cause)
{
    auto_json *values = NULL;
    return refvalue_decode(secret_bytes(input), &values, cause);
}

static void bad_messages_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/reference_value", bad, ARRAY_LEN(bad), refuse);
}

static void enrol(const char *values, int64_t now)
{
    char message[1024];
    auto_free char *payload = b64_encode(B64_STD, bytes_str(values));
    snprintf(message, sizeof message,
        "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"%s\"}", payload);
    assert_done(refvalue_register(store, bytes_str(message), now, &err), &err);
}

static void assert_json(json_t *json, const char *wanted)
{
    auto_free char *text = json_text(json);
    assert_string_equal(text, wanted);
    json_unref(json);
}

static void set_and_read(void **state)
{
    (void)state;
    json_t *value = NULL;
    enrol("{\"tpm_pcr07\":[\"aa\"],\"group/svn\":3}", NOW);
    enrol("{\"tpm_pcr07\":[\"bb\",\"cc\"]}", NOW); /* a set replaces the whole value */
    assert_done(refvalue_get(store, "tpm_pcr07", NOW, &value, &err), &err);
    assert_json(value, "[\"bb\",\"cc\"]");
    assert_done(refvalue_get(store, "group/svn", NOW, &value, &err), &err);
    assert_json(value, "3");
    assert_refused(refvalue_get(store, "none", NOW, &value, &err), &err, ERR_NOTFOUND, "none");
    assert_refused(refvalue_get(store, "../x", NOW, &value, &err), &err, ERR_FORMAT, "../x");
    assert_done(refvalue_all(store, NOW, &value, &err), &err);
    assert_json(value, "{\"group/svn\":3,\"tpm_pcr07\":[\"bb\",\"cc\"]}");
}

static void the_stored_form_is_trustees(void **state)
{
    (void)state;
    auto_buf text = BUF_INIT(1000);
    enrol("{\"svn\":1}", NOW);
    assert_done(store_get(store, STORE_REFERENCE, "svn", &text, &err), &err);
    assert_string_equal(buf_text(&text), "{\"version\":\"0.1.0\",\"name\":\"svn\",\"expiration\":"
                                         "\"2028-01-15T08:00:00Z\",\"value\":1}");
}

static void an_expired_value_counts_no_more(void **state)
{
    (void)state;
    json_t *value = NULL;
    enrol("{\"old\":1}", NOW);
    enrol("{\"new\":2}", NOW + 1);
    assert_done(refvalue_get(store, "old", LATER - 1, &value, &err), &err);
    assert_json(value, "1");
    assert_refused(refvalue_get(store, "old", LATER, &value, &err), &err, ERR_NOTFOUND, "expired");
    assert_done(refvalue_all(store, LATER, &value, &err), &err);
    assert_json(value, "{\"new\":2,\"old\":null}"); /* compared still, and never equal */
    assert_done(refvalue_describe(store, LATER, &value, &err), &err);
    assert_json(value,
        "[{\"name\":\"new\",\"expiration\":\"2028-01-15T08:00:01Z\",\"value\":2,\"expired\":false},"
        "{\"name\":\"old\",\"expiration\":\"2028-01-15T08:00:00Z\",\"value\":1,\"expired\":true}]");
    enrol("{\"old\":3}", LATER);
    assert_done(refvalue_get(store, "old", LATER, &value, &err), &err);
    assert_json(value, "3");
}

/* A broken file must not count as "no reference value": a rule on it would then mean something else. */
static void a_broken_file_is_an_error(void **state)
{
    (void)state;
    json_t *value = NULL;
    static const char *const texts[] = {"", "{", "[]", "{\"value\":1}",
        "{\"expiration\":\"2028-01-15T08:00:00Z\"}", "{\"expiration\":\"soon\",\"value\":1}"};
    enrol("{\"fine\":1}", NOW);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        assert_done(store_put(store, STORE_REFERENCE, "broken", bytes_str(texts[i]), &err), &err);
        assert_refused(refvalue_all(store, NOW, &value, &err), &err, ERR_FORMAT, "broken");
        assert_refused(
            refvalue_get(store, "broken", NOW, &value, &err), &err, ERR_FORMAT, "broken");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, drop_store)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_messages_are_refused),
        TEST(set_and_read),
        TEST(the_stored_form_is_trustees),
        TEST(an_expired_value_counts_no_more),
        TEST(a_broken_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
