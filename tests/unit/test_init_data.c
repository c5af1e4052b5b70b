/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/b64.h"
#include "kbs/server/verifier/init_data.h"

#define HEAD "version = \"0.1.0\"\nalgorithm = \"sha256\"\n"

static struct err err;

static json_t *read_claims(const char *text, struct hash *ret_digest)
{
    json_t *claims = NULL;
    if (!init_data_read(text, ret_digest, &claims, &err))
        fail_msg("%s\n%s", err.message, text);
    return claims;
}

static void assert_claims(const char *text, const char *wanted)
{
    struct hash digest;
    auto_json *claims = read_claims(text, &digest);
    auto_free char *got = json_text(claims);
    assert_string_equal(got, wanted);
}

/* protocol.md B, the worked example */
static void the_digest_is_of_the_raw_text(void **state)
{
    (void)state;
    struct hash digest;
    char hex[2 * HASH_SIZE_MAX + 1];
    auto_json *claims = read_claims(HEAD "\n[data]\nkey1 = \"value1\"\n", &digest);
    hex_encode(hash_view(&digest), hex);
    assert_string_equal(hex, "3dfe0c93666c78046a54550e246873b7f5d8ec9e25bdaa42f707d12cdfd6d2cc");
    assert_string_equal(json_member_text(claims, "key1"), "value1");
}

static void the_algorithm_chooses_the_hash(void **state)
{
    static const struct {
        const char *name;
        size_t len;
    } cases[] = {{"sha256", 32}, {"sha384", 48}, {"sha512", 64}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200];
        struct hash digest;
        snprintf(text, sizeof text, "algorithm = '%s' # strong\r\nversion='x'\ndata = {}\n",
            cases[i].name);
        auto_json *claims = read_claims(text, &digest);
        assert_int_equal(digest.len, cases[i].len);
        assert_int_equal(json_object_size(claims), 0);
    }
}

/* As such files are in use: TOML and Rego in multi-line literal strings. */
static void configuration_files_become_objects(void **state)
{
    (void)state;
    assert_claims(HEAD "[data]\n"
                       "\"aa.toml\" = '''\n[token_configs]\n[token_configs.kbs]\n"
                       "url = \"http://127.0.0.1:8080\"\n'''\n"
                       "\"cdh.toml\" = \"\"\"\nsocket = 'unix:///run/cdh.sock'\n"
                       "[[credentials]]\npath = \\\"x\\\"\n\"\"\"\n"
                       "\"other.toml\" = 'a = 1'\n",
        "{\"aa.toml\":{\"token_configs\":{\"kbs\":{\"url\":\"http://127.0.0.1:8080\"}}},"
        "\"cdh.toml\":{\"socket\":\"unix:///run/cdh.sock\",\"credentials\":[{\"path\":\"x\"}]},"
        "\"other.toml\":\"a = 1\"}");
}

static void policy_data_becomes_claims(void **state)
{
    (void)state;
    assert_claims(HEAD "[data]\n\"policy.rego\" = '''\npackage agent_policy\n"
                       "default AllowRequests := true\n"
                       "policy_data := {\n \"containers\": [{\"OCI\": {}}]\n}\n'''\n",
        "{\"agent_policy_claims\":{\"containers\":[{\"OCI\":{}}]}}");
}

/* What is no JSON to the end, is there twice or within a line stays the text that it is. */
static void other_policies_stay_text(void **state)
{
    static const char *const policies[] = {
        "package p\nallow := true",
        "policy_data := {\"a\": [1,],}",
        "policy_data := {\"a\": 1}\nallow := true",
        "# policy_data := {\"a\": 1}",
        "policy_data := {\"a\": 1}\npolicy_data := {\"a\": 2}",
        "policy_data := {\"a\": 1, \"a\": 2}",
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(policies); i++) {
        char text[400];
        struct hash digest;
        snprintf(text, sizeof text, HEAD "[data]\n\"policy.rego\" = '''%s'''", policies[i]);
        auto_json *claims = read_claims(text, &digest);
        assert_string_equal(json_member_text(claims, "policy.rego"), policies[i]);
        assert_int_equal(json_object_size(claims), 1);
    }
}

static void what_is_no_init_data_is_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "version"},
        {"version = \"0.1.0\"\n[data]\n", "algorithm"},
        {HEAD, "data"},
        {HEAD "data = 'x'", "data"},
        {HEAD "[data]\na = 1", "no text"},
        {HEAD "[data]\na.b = 'x'", "no text"},
        {"algorithm = 'sha256'\n[data]\n", "version"},
        {"version = 1\nalgorithm = 'sha256'\n[data]\n", "version"},
        {"version = ''\nalgorithm = 'sm3'\n[data]", "sm3"},
        {"version = ''\nalgorithm = 'SHA256'\n[data]", "must be"},
        {"version = ''\nalgorithm = 'sha-256'\n[data]", "must be"},
        {"version = ''\nalgorithm = 'md5'\n[data]", "must be"},
        {HEAD "algorithm = \"sha512\"\n[data]", "twice"},
        {HEAD "[data]\nx = 'a'\nx = 'b'", "twice"},
        {HEAD "[data]\n\"aa.toml\" = 'not toml'", "aa.toml: line 1"},
        {HEAD "[data]\n\"cdh.toml\" = 'a = 1\\na = 2'", "cdh.toml: line 1"},
        {HEAD "[data]\nagent_policy_claims = 'mine'", "agent_policy_claims"},
        {HEAD "[data]\nx = 'open", "line 4"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct hash digest;
        json_t *claims = NULL;
        assert_refused(init_data_read(cases[i].text, &digest, &claims, &err), &err, ERR_FORMAT,
            cases[i].words);
        assert_null(claims);
    }
}

static void claims_fit_a_token(void **state)
{
    (void)state;
    struct hash digest;
    json_t *claims = NULL;
    auto_buf text = BUF_INIT(1000000);
    assert_done(buf_append_str(&text, HEAD "[data]\nx = '", &err), &err);
    for (size_t i = 0; i < INIT_DATA_CLAIMS_MAX; i++)
        assert_done(buf_append_str(&text, "x", &err), &err);
    assert_done(buf_append_str(&text, "'", &err), &err);
    assert_refused(init_data_read(buf_text(&text), &digest, &claims, &err), &err, ERR_FORMAT,
        "a token holds at most");
    buf_truncate(&text, 0);
    assert_done(
        buf_append_str(&text, HEAD "[data]\n\"policy.rego\"='''policy_data := {\"a\":", &err),
        &err);
    for (size_t i = 0; i < 25; i++)
        assert_done(buf_append_str(&text, "[", &err), &err);
    for (size_t i = 0; i < 25; i++)
        assert_done(buf_append_str(&text, "]", &err), &err);
    assert_done(buf_append_str(&text, "}'''", &err), &err);
    assert_refused(
        init_data_read(buf_text(&text), &digest, &claims, &err), &err, ERR_FORMAT, "nested deeper");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_digest_is_of_the_raw_text),
        cmocka_unit_test(the_algorithm_chooses_the_hash),
        cmocka_unit_test(configuration_files_become_objects),
        cmocka_unit_test(policy_data_becomes_claims),
        cmocka_unit_test(other_policies_stay_text),
        cmocka_unit_test(what_is_no_init_data_is_refused),
        cmocka_unit_test(claims_fit_a_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
