/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/xattr.h"

#include "tests/unit/unit.h"

#define NOON INT64_C(1769860800) /* 2026-01-31T12:00:00Z */

static const struct cache_state kept = {
    .result = CACHE_AGED, .version = "0011223344556677", .left_ms = 90500};

static const char *value(const struct cache_state *state, const char *name)
{
    static char out[XATTR_VALUE_SIZE];
    return xattr_value(state, NOON, name, out) ? out : NULL;
}

static void test_status(void **state)
{
    static const struct {
        struct cache_state state;
        const char *word;
    } cases[] = {{{.result = CACHE_MISS}, "absent"}, {{.result = CACHE_HIT}, "fresh"},
        {{.result = CACHE_AGED}, "aged"}, {{.result = CACHE_STALE}, "stale"},
        {{.result = CACHE_REFUSED, .code = ERR_REVOKED}, "revoked"},
        {{.result = CACHE_REFUSED, .code = ERR_DENIED_POLICY}, "denied-policy"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(value(&cases[i].state, "user.sealed.status"), cases[i].word);
}

static void test_values(void **state)
{
    (void)state;
    assert_string_equal(value(&kept, "user.sealed.version"), "0011223344556677");
    assert_string_equal(value(&kept, "user.sealed.expires"), "2026-01-31T12:01:30Z");
    assert_null(value(&kept, "user.sealed"));
    assert_null(value(&kept, "user.sealed.statusx"));
    assert_null(value(&kept, "security.selinux"));
}

static void test_only_what_there_is(void **state)
{
    static const char all[] = "user.sealed.status\0user.sealed.version\0user.sealed.expires";
    static const struct cache_state nothing = {.result = CACHE_MISS};
    char names[XATTR_NAMES_SIZE];
    (void)state;
    assert_int_equal(xattr_names(&kept, names, sizeof names), sizeof all);
    assert_memory_equal(names, all, sizeof all);
    assert_int_equal(xattr_names(&nothing, names, sizeof names), sizeof "user.sealed.status");
    assert_null(value(&nothing, "user.sealed.version"));
    assert_null(value(&nothing, "user.sealed.expires"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_status), cmocka_unit_test(test_values),
        cmocka_unit_test(test_only_what_there_is)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
