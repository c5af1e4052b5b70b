/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/b64.h"
#include "kbs/server/init_data.h"

static struct err err;

static void assert_digest(const char *text, const char *wanted)
{
    struct hash digest;
    char hex[2 * HASH_SIZE_MAX + 1];
    assert_done(init_data_digest(text, &digest, &err), &err);
    hex_encode(hash_view(&digest), hex);
    assert_string_equal(hex, wanted);
}

/* protocol.md B, the worked example */
static void test_example(void **state)
{
    (void)state;
    assert_digest("version = \"0.1.0\"\nalgorithm = \"sha256\"\n\n[data]\nkey1 = \"value1\"\n",
        "3dfe0c93666c78046a54550e246873b7f5d8ec9e25bdaa42f707d12cdfd6d2cc");
}

static void assert_len(const char *text, size_t len)
{
    struct hash digest;
    assert_done(init_data_digest(text, &digest, &err), &err);
    assert_int_equal(digest.len, len);
}

static void test_forms(void **state)
{
    (void)state;
    assert_len("algorithm=\"sha384\"", 48);
    assert_len(" \talgorithm\t=  \"sha512\" # strong\r\n[data]", 64);
    assert_len("# algorithm = \"sha512\"\nalgorithm = \"sha256\"\r\n", 32);
    assert_len(
        "algorithm = \"sha256\"\n[data]\nalgorithm = \"sha512\"\nx = '''\nalgorithm = 1'''", 32);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "no line algorithm"},
        {"version = \"0.1.0\"\n", "no line algorithm"},
        {"[data]\nalgorithm = \"sha256\"\n", "no line algorithm"},
        {"algorithms = \"sha256\"", "no line algorithm"},
        {"\"algorithm\" = \"sha256\"", "no line algorithm"},
        {"algorithm = \"sha256\"\nalgorithm = \"sha256\"", "given twice"},
        {"algorithm \"sha256\"", "no '='"},
        {"algorithm = sha256", "must be"},
        {"algorithm = \"sha-256\"", "must be"},
        {"algorithm = \"SHA256\"", "must be"},
        {"algorithm = \"sm3\"", "must be"},
        {"algorithm = \"md5\"", "must be"},
        {"algorithm = \"sha256\" x", "must be"},
        {"algorithm = \"sha256", "must be"},
        {"x = \"\"\"\nalgorithm = \"sha256\"\n\"\"\"\n", "multi-line string"},
        {"x = '''\nalgorithm = \"sha256\"\n'''\n", "multi-line string"},
        {"algorithm = \"sha256\"\nx = '''\nalgorithm = \"sha512\"'''", "multi-line string"},
    };
    struct hash digest;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_refused(
            init_data_digest(cases[i].text, &digest, &err), &err, ERR_FORMAT, cases[i].words);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_example),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
