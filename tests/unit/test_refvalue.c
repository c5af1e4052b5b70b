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
    {"name-empty.json", ERR_FORMAT, "name"},
    {"name-too-long.json", ERR_FORMAT, "name"},
    {"no-payload.json", ERR_FORMAT, "payload"},
    {"no-type.json", ERR_FORMAT, "type"},
    {"name-trailing-slash.json", ERR_FORMAT, "rvps:///a/"},
    {"name-with-space.json", ERR_FORMAT, "a b"},
    {"add-object.json", ERR_FORMAT, "can be added"},
    {"add-empty-list.json", ERR_FORMAT, "can be added"},
    {"expires-words.json", ERR_FORMAT, "expires"},
    {"iat-text.json", ERR_FORMAT, "iat"},
    {"iat-negative.json", ERR_FORMAT, "iat"},
    {"operation-unknown.json", ERR_FORMAT, "set, add and remove"},
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
    auto_refvalue_change change = {0};
    return refvalue_decode(secret_bytes(input), &change, cause);
}

static void bad_messages_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/reference_value", bad, ARRAY_LEN(bad), refuse);
}

static bool send(const char *operation, const char *values, const char *expires, int64_t now)
{
    char message[1024];
    auto_refvalue_change change = {0};
    auto_free char *payload = b64_encode(B64_STD, bytes_str(values));
    snprintf(message, sizeof message,
        "{\"version\":\"0.1.0\",\"type\":\"sample\",\"payload\":\"%s\",\"operation\":\"%s\","
        "\"expires\":%s%s%s}",
        payload, operation, expires ? "\"" : "", expires ? expires : "null", expires ? "\"" : "");
    const struct refvalue_setter setter = {.by = "admin/ann", .now = now};
    return refvalue_decode(bytes_str(message), &change, &err) &&
           refvalue_apply(store, &change, &setter, &err);
}

static void enrol(const char *values, int64_t now)
{
    assert_done(send("set", values, NULL, now), &err);
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
    static const char trustees[] = "{\"version\":\"0.1.0\",\"name\":\"svn\",\"expiration\":"
                                   "\"2028-01-15T08:00:00Z\",\"value\":1,"; /* ours comes after */
    assert_memory_equal(buf_text(&text), trustees, strlen(trustees));
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
        "[{\"name\":\"new\",\"expiration\":\"2028-01-15T08:00:01Z\",\"value\":2,\"expired\":false,"
        "\"values\":[{\"value\":2,\"expiration\":\"2028-01-15T08:00:01Z\",\"expired\":false,"
        "\"by\":\"admin/ann\",\"set\":\"2027-01-15T08:00:01Z\",\"publisher\":null}]},"
        "{\"name\":\"old\",\"expiration\":\"2028-01-15T08:00:00Z\",\"value\":1,\"expired\":true,"
        "\"values\":[{\"value\":1,\"expiration\":\"2028-01-15T08:00:00Z\",\"expired\":true,"
        "\"by\":\"admin/ann\",\"set\":\"2027-01-15T08:00:00Z\",\"publisher\":null}]}]");
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

static void assert_value(const char *name, int64_t now, const char *wanted)
{
    json_t *value = NULL;
    assert_done(refvalue_get(store, name, now, &value, &err), &err);
    assert_json(value, wanted);
}

static void values_come_and_go_one_by_one(void **state)
{
    (void)state;
    enrol("{\"pcr\":[\"aa\",\"bb\"]}", NOW);
    assert_done(send("add", "{\"pcr\":\"cc\"}", NULL, NOW), &err);
    assert_value("pcr", NOW, "[\"aa\",\"bb\",\"cc\"]");
    assert_done(send("remove", "{\"pcr\":[\"aa\"]}", NULL, NOW), &err);
    assert_done(send("remove", "{\"pcr\":[\"cc\"]}", NULL, NOW), &err);
    assert_value("pcr", NOW, "[\"bb\"]");
    assert_refused(send("remove", "{\"pcr\":[\"cc\"]}", NULL, NOW), &err, ERR_NOTFOUND, "\"cc\"");
    assert_refused(send("remove", "{\"pcr\":\"aa\"}", NULL, NOW), &err, ERR_NOTFOUND, "\"aa\"");
    assert_done(send("add", "{\"pcr\":[\"aa\"]}", NULL, NOW), &err); /* and back */
    assert_value("pcr", NOW, "[\"aa\",\"bb\"]");
    enrol("{\"pcr\":[\"aa\"]}", NOW); /* whole: what was added is gone, what was removed is there */
    assert_value("pcr", NOW, "[\"aa\"]");
    assert_done(send("remove", "{\"pcr\":\"aa\"}", NULL, NOW), &err);
    assert_value("pcr", NOW, "[]"); /* compared still: nothing is good */
    enrol("{\"pcr\":[\"aa\"]}", NOW);
    assert_value("pcr", NOW, "[\"aa\"]");
}

static void a_name_may_begin_with_an_added_value(void **state)
{
    (void)state;
    json_t *value = NULL;
    assert_done(send("add", "{\"svn\":[3,true,\"x\"]}", NULL, NOW), &err);
    assert_done(refvalue_get(store, "svn", NOW, &value, &err), &err);
    assert_int_equal(json_array_size(value), 3);
    json_unref(value);
    assert_done(refvalue_delete(store, "svn", &err), &err);
    assert_refused(refvalue_get(store, "svn", NOW, &value, &err), &err, ERR_NOTFOUND, "svn");
    assert_refused(refvalue_delete(store, "svn", &err), &err, ERR_NOTFOUND, "svn");
    assert_done(refvalue_all(store, NOW, &value, &err), &err);
    assert_json(value, "{}");
}

/* Two administrators on two replicas: whoever came second has not read what the first wrote. */
static void changes_at_the_same_time_are_both_kept(void **state)
{
    (void)state;
    enrol("{\"pcr\":[\"aa\",\"bb\",\"cc\"]}", NOW);
    struct store *other = NULL, *mine = store;
    assert_done(store_dir_open(root, &other, &err), &err);
    for (int i = 0; i < 2; i++) {
        store = i ? other : mine;
        assert_done(send("remove", i ? "{\"pcr\":\"aa\"}" : "{\"pcr\":\"bb\"}", NULL, NOW), &err);
        assert_done(send("add", i ? "{\"pcr\":\"dd\"}" : "{\"pcr\":\"ee\"}", NULL, NOW), &err);
    }
    store = mine;
    store_free(other);
    json_t *value = NULL;
    assert_done(refvalue_get(store, "pcr", NOW, &value, &err), &err);
    assert_int_equal(json_array_size(value), 3);
    auto_free char *text = json_text(value);
    assert_non_null(strstr(text, "\"cc\""));
    assert_non_null(strstr(text, "\"dd\""));
    assert_non_null(strstr(text, "\"ee\""));
    json_unref(value);
}

static void each_value_has_its_own_end(void **state)
{
    (void)state;
    json_t *value = NULL;
    assert_done(send("set", "{\"pcr\":[\"aa\"]}", "2027-02-01T00:00:00Z", NOW), &err);
    assert_done(send("add", "{\"pcr\":[\"bb\"]}", "2027-03-01T00:00:00+01:00", NOW), &err);
    assert_value("pcr", NOW, "[\"aa\",\"bb\"]");
    assert_value("pcr", 1801526400, "[\"bb\"]");
    assert_refused(refvalue_get(store, "pcr", 1804000000, &value, &err), &err, ERR_NOTFOUND,
        "expired on 2027-02-28T23:00:00Z");
    assert_done(refvalue_all(store, 1804000000, &value, &err), &err);
    assert_json(value, "{\"pcr\":null}");
    assert_refused(send("set", "{\"pcr\":[\"aa\"]}", "2026-01-01T00:00:00Z", NOW), &err, ERR_FORMAT,
        "expired already");
}

static void names_may_be_uris(void **state)
{
    (void)state;
    json_t *value = NULL;
    enrol("{\"rvps:///a/b:tag\":[\"x\"],\"_value/a\":1,\"_serial\":2,\".a\":3}", NOW);
    assert_value("rvps:///a/b:tag", NOW, "[\"x\"]");
    assert_value("rvps:/a/b:tag", NOW, "[\"x\"]"); /* as a URL's path brings it */
    assert_value("_value/a", NOW, "1");
    assert_value("_serial", NOW, "2");
    assert_value(".a", NOW, "3");
    assert_done(send("add", "{\"rvps:/a/b:tag\":\"y\"}", NULL, NOW), &err);
    assert_done(refvalue_all(store, NOW, &value, &err), &err);
    assert_int_equal(json_object_size(value), 4);
    assert_int_equal(json_array_size(json_object_get(value, "rvps:///a/b:tag")), 2);
    json_unref(value);
    assert_done(refvalue_delete(store, "rvps:/a/b:tag", &err), &err);
    assert_refused(
        refvalue_get(store, "rvps:///a/b:tag", NOW, &value, &err), &err, ERR_NOTFOUND, "rvps");
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
        TEST(values_come_and_go_one_by_one),
        TEST(a_name_may_begin_with_an_added_value),
        TEST(changes_at_the_same_time_are_both_kept),
        TEST(each_value_has_its_own_end),
        TEST(names_may_be_uris),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
