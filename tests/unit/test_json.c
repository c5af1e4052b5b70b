/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <openssl/evp.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/json.h"

static json_t *load(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 100000, "test", &json, &err), &err);
    return json;
}

static char *canonical_of(const char *text)
{
    struct err err = ERR_INIT;
    auto_json *json = load(text);
    char *canonical = NULL;
    assert_done(json_canonical(json, &canonical, &err), &err);
    return canonical;
}

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/json");
    assert_non_null(dir);
    int checked = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        struct err err = ERR_INIT;
        auto_buf text = BUF_INIT(1000000);
        json_t *json = NULL;
        assert_done(file_read_at(dirfd(dir), entry->d_name, 1000000, &text, &err), &err);
        if (json_load_strict(buf_bytes(&text), 1000000, entry->d_name, &json, &err))
            fail_msg("%s was taken", entry->d_name);
        assert_int_equal(err.code, ERR_FORMAT);
        assert_null(json);
        checked++;
    }
    closedir(dir);
    assert_true(checked > 40);
}

static void refusals_say_where_but_not_what(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_refused(
        json_load_strict(bytes_str("{\"a\":1,\n \"a\":2}"), 100, "/attest request", &json, &err),
        &err, ERR_FORMAT,
        "/attest request: not the JSON that is taken: duplicate object key (line 2");
    assert_refused(json_load_strict(bytes_str("{\"token\": hunter2}"), 100, "x", &json, &err), &err,
        ERR_FORMAT, "line 1");
    assert_null(strstr(err.message, "hunter"));
    assert_refused(json_load_strict(bytes_str("[1]"), 2, "x", &json, &err), &err, ERR_FORMAT,
        "3 bytes of JSON; at most 2");
    assert_refused(json_load_strict(BYTES_EMPTY, 2, "x", &json, &err), &err, ERR_FORMAT, "empty");
    assert_null(json);
}

static void depth_limit_is_exact(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    auto_json *json = NULL;
    assert_done(
        json_load_strict(bytes_of(text, (size_t)2 * JSON_DEPTH_MAX), 1000, "x", &json, &err), &err);
    auto_free char *canonical = NULL;
    assert_done(json_canonical(json, &canonical, &err), &err);
    assert_memory_equal(canonical, text, (size_t)2 * JSON_DEPTH_MAX);

    memset(text, '[', JSON_DEPTH_MAX + 1);
    memset(text + JSON_DEPTH_MAX + 1, ']', JSON_DEPTH_MAX + 1);
    json_t *none = NULL;
    assert_refused(json_load_strict(bytes_of(text, sizeof text), 1000, "x", &none, &err), &err,
        ERR_FORMAT, "deeper than 32");
    auto_json *built = json_array();
    for (int i = 0; i < JSON_DEPTH_MAX; i++) {
        json_t *outer = json_array();
        json_array_append_new(outer, built);
        built = outer;
    }
    char *no_text = NULL;
    assert_refused(json_canonical(built, &no_text, &err), &err, ERR_FORMAT, "deeper than 32");
    auto_json *brackets_in_text = load("[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[\"]");
    assert_int_equal(json_array_size(brackets_in_text), 1);
}

/* protocol.md section B, the worked example. */
#define RUNTIME_MEMBERS                                                                   \
    "\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\",\"tee-pubkey\":{\"alg\":" \
    "\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":"                          \
    "\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\",\"y\":"                              \
    "\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\"}}"
#define RUNTIME_SHUFFLED                                                                        \
    "\"tee-pubkey\" : {\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\", \"kty\":\"EC\", " \
    "\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\", \"crv\":\"P-256\", \"alg\":"        \
    "\"ECDH-ES+A256KW\"},\n\"nonce\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"}"

static void assert_canonical(const char *text, const char *canonical, const char *sha384)
{
    auto_free char *got = canonical_of(text);
    uint8_t digest[48];
    assert_string_equal(got, canonical);
    assert_int_equal(EVP_Digest(got, strlen(got), digest, NULL, EVP_sha384(), NULL), 1);
    auto_free char *hex = hex_encode_dup(bytes_of(digest, sizeof digest));
    assert_string_equal(hex, sha384);
}

static void protocol_examples(void **state)
{
    (void)state;
    assert_int_equal(strlen("{\"additional-evidence\":\"\"," RUNTIME_MEMBERS), 244);
    assert_canonical("{\"additional-evidence\":\"\",\n" RUNTIME_SHUFFLED,
        "{\"additional-evidence\":\"\"," RUNTIME_MEMBERS,
        "24d7b8634a25cc74ab1ce3c78b8cd9ec5a23e33f3a66ce3a04cf6b9a48f11d56986edb023749150a64850073a9"
        "c2e043");
    assert_canonical("{" RUNTIME_SHUFFLED, "{" RUNTIME_MEMBERS,
        "9bd28a38af92c4acfeb69a010a4cd777c546a6d9939fb0f3dd57e2535cddf4d6d96991b185c3570a4725da7d22"
        "3270f3");

    auto_free char *upstream = canonical_of("{\"b\":1,\"a\":\"test\",\"c\":{\"d\":\"e\"}}");
    uint8_t digest[48];
    assert_string_equal(upstream, "{\"a\":\"test\",\"b\":1,\"c\":{\"d\":\"e\"}}");
    assert_int_equal(EVP_Digest(upstream, strlen(upstream), digest, NULL, EVP_sha384(), NULL), 1);
    assert_memory_equal(digest, "\xe7\x1c\xe8\xe7", 4);
    assert_memory_equal(digest + 44, "\xa7\x88\x70\xc3", 4);
}

static void rfc8785_rules(void **state)
{
    (void)state;
    /* Section 3.2.3: the order of UTF-16 units, with the emoji before U+FB33. */
    auto_free char *order =
        canonical_of("{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,"
                     "\"\\u0080\":6,\"\\u00f6\":7}");
    assert_string_equal(order,
        "{\"\\r\":2,\"1\":4,\"\xc2\x80\":6,\"\xc3\xb6\":7,\"\xe2\x82\xac\":1,"
        "\"\xf0\x9f\x98\x80\":5,\"\xef\xac\xb3\":3}");
    /* Section 3.2.2.2. */
    auto_free char *escapes = canonical_of(
        "[\"\\u20ac$\\u000F\\u000aA'\\u0042\\u0022\\u005c\\\\\\\"\\/\\u007f\\b\\t\\f\\r\"]");
    assert_string_equal(
        escapes, "[\"\xe2\x82\xac$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\x7f\\b\\t\\f\\r\"]");
    auto_free char *rest = canonical_of(" { \"b\" : [ true , false , null , -0 , -7 , "
                                        "9007199254740992 ] , \"\" : { } , \"a\":[] ,\"ab\":0 } ");
    assert_string_equal(
        rest, "{\"\":{},\"a\":[],\"ab\":0,\"b\":[true,false,null,0,-7,9007199254740992]}");
}

static void numbers_without_canonical_form_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[1.5]", "[1e2]", "[1.0]", "[9007199254740993]", "[-9007199254740993]"};
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        auto_json *json = load(texts[i]);
        char *text = NULL;
        assert_refused(json_canonical(json, &text, &err), &err, ERR_FORMAT, "canonical");
        assert_null(text);
    }
}

static void text_keeps_the_order(void **state)
{
    (void)state;
    auto_json *json = load("{ \"z\": 1, \"a\": [ 1.5, \"\\u00e9/\" ] }");
    auto_free char *text = json_text(json);
    assert_string_equal(text, "{\"z\":1,\"a\":[1.5,\"\xc3\xa9/\"]}");
    assert_string_equal(
        json_member_text(json_object_get(json, "none"), "x") ? "found" : "none", "none");
    assert_null(json_member_text(json, "z"));
}

struct sample {
    const char *name;
    int64_t count;
    bool flag;
    json_t *any, *object, *array;
};

static const struct json_field sample_fields[] = {
    {"name", JSON_FIELD_TEXT, offsetof(struct sample, name), .min = 1, .max = 4, .required = true},
    {"count", JSON_FIELD_INT, offsetof(struct sample, count), .min = -1, .max = 10},
    {"flag", JSON_FIELD_BOOL, offsetof(struct sample, flag)},
    {"any", JSON_FIELD_ANY, offsetof(struct sample, any)},
    {"object", JSON_FIELD_OBJECT, offsetof(struct sample, object)},
    {"array", JSON_FIELD_ARRAY, offsetof(struct sample, array)},
};

static bool decode(const json_t *json, bool unknown_ok, struct sample *ret_sample, struct err *err)
{
    return json_decode(
        json, sample_fields, ARRAY_LEN(sample_fields), unknown_ok, "sample", ret_sample, err);
}

static void fields_are_decoded(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct sample sample = {.count = 5};
    auto_json *all = load(
        "{\"name\":\"n\",\"count\":-1,\"flag\":true,\"any\":null,\"object\":{},\"array\":[1]}");
    assert_done(decode(all, false, &sample, &err), &err);
    assert_string_equal(sample.name, "n");
    assert_int_equal(sample.count, -1);
    assert_true(sample.flag);
    assert_true(json_is_null(sample.any));
    assert_non_null(sample.object);
    assert_int_equal(json_array_size(sample.array), 1);

    struct sample kept = {.count = 5, .flag = true};
    auto_json *least = load("{\"name\":\"four\",\"count\":null,\"more\":1}");
    assert_done(decode(least, true, &kept, &err), &err);
    assert_int_equal(kept.count, 5);
    assert_true(kept.flag);
}

static void wrong_fields_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
        bool unknown_ok;
    } cases[] = {
        {"[]", "must be a JSON object", true},
        {"{}", "\"name\" is missing", true},
        {"{\"name\":null}", "\"name\" must be text", true},
        {"{\"name\":1}", "\"name\" must be text", true},
        {"{\"name\":\"\"}", "at least 1", true},
        {"{\"name\":\"fives\"}", "has 5 bytes; at most 4", true},
        {"{\"name\":\"n\",\"count\":11}", "\"count\" must be within -1..10", true},
        {"{\"name\":\"n\",\"count\":-2}", "within -1..10", true},
        {"{\"name\":\"n\",\"count\":1.0}", "\"count\" must be an integer", true},
        {"{\"name\":\"n\",\"count\":\"1\"}", "must be an integer", true},
        {"{\"name\":\"n\",\"flag\":1}", "\"flag\" must be true or false", true},
        {"{\"name\":\"n\",\"object\":[]}", "\"object\" must be an object", true},
        {"{\"name\":\"n\",\"array\":{}}", "\"array\" must be an array", true},
        {"{\"name\":\"n\",\"more\":1}", "member 2 has a name that is not known", false},
        {"{\"name\":\"n\",\"count\":null}", "\"count\" must be an integer", false},
    };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_json *json = load(cases[i].text);
        struct sample sample = {.count = 5};
        assert_refused(
            decode(json, cases[i].unknown_ok, &sample, &err), &err, ERR_FORMAT, cases[i].said);
        assert_null(sample.name);
        assert_int_equal(sample.count, 5);
    }
}

static void building(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *json = NULL;
    assert_done(json_build(&json, &err, "{s:s,s:[i,b]}", "a", "x", "b", 1, 1), &err);
    auto_free char *text = json_text(json);
    assert_string_equal(text, "{\"a\":\"x\",\"b\":[1,true]}");
    json_t *none = NULL;
    assert_refused(json_build(&none, &err, "{s:s}", "a", "\xff"), &err, ERR_FORMAT, "UTF-8");
    assert_refused(json_build(&none, &err, "{s:!}", "a"), &err, ERR_INTERNAL, "format");
    assert_null(none);
}

/* What a freed string leaves in memory, seen through jansson's own allocator hooks. */
static void freed_memory_is_wiped(void **state)
{
    (void)state;
    json_malloc_t get;
    json_free_t put;
    json_get_alloc_funcs(&get, &put);
    assert_true(put != free);
    /* A large piece comes from mmap, so a second look would fault: small, and read back through a
     * new one. */
    char *piece = get(64);
    memset(piece, 'k', 64);
    put(piece);
    char *again = get(64);
    if (again == piece)
        for (int i = 16; i < 64; i++)
            assert_int_not_equal(again[i], 'k');
    put(again);
    put(NULL);
}

int main(void)
{
    json_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_inputs_are_refused),
        cmocka_unit_test(refusals_say_where_but_not_what),
        cmocka_unit_test(depth_limit_is_exact),
        cmocka_unit_test(protocol_examples),
        cmocka_unit_test(rfc8785_rules),
        cmocka_unit_test(numbers_without_canonical_form_are_refused),
        cmocka_unit_test(text_keeps_the_order),
        cmocka_unit_test(fields_are_decoded),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(building),
        cmocka_unit_test(freed_memory_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
