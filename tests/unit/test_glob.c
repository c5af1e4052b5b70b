/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/glob.h"

#include "tests/unit/unit.h"

static bool matches(const char *pattern, const char *text)
{
    struct err err = ERR_INIT;
    AUTO(glob_free) struct glob *glob = NULL;
    assert_done(glob_new(pattern, &glob, &err), &err);
    return glob_matches(glob, text);
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool wanted;
    } cases[] = {
        {"/sealed/db/password", "/sealed/db/password", true},
        {"/sealed/db/password", "/sealed/db/password2", false},
        {"/sealed/db/password", "/sealed/db/passwor", false},
        {"/sealed/*", "/sealed/db", true},
        {"/sealed/*", "/sealed/", true},
        {"/sealed/*", "/sealed/db/password", false},
        {"/sealed/**", "/sealed/db/password", true},
        {"/sealed/**", "/sealedx", false},
        {"/sealed/**/tls", "/sealed/a/b/tls", true},
        {"/sealed/**/tls", "/sealed/tls", false},
        {"**", "", true},
        {"***", "/a/b", true},
        {"*", "a/b", false},
        {"/s*/d?/x", "/sealed/db/x", true},
        {"/s*/d?/x", "/sealed/d//x", false},
        {"/a?b", "/a/b", false},
        {"a[0-9]c", "a5c", true},
        {"a[0-9]c", "axc", false},
        {"a[!0-9]c", "axc", true},
        {"a[!0-9]c", "a/c", false},
        {"a[.-0]c", "a/c", false},
        {"[]]", "]", true},
        {"[a-]", "-", true},
        {"\\*", "*", true},
        {"\\*", "x", false},
        {"*a*b", "xaxxab", true},
        {"/x/*a*/b", "/x/aa/c/b", false},
        {"/**/x*y/z", "/a/xqy/b/xy/z", true},
        {"\xc3\xa4*", "\xc3\xa4\xff", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (matches(cases[i].pattern, cases[i].text) != cases[i].wanted)
            fail_msg("%s against %s: not %d", cases[i].pattern, cases[i].text, cases[i].wanted);
}

static void test_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct glob *glob = NULL;
    char longest[GLOB_TOKENS_MAX + 2];
    static const char *const bad[] = {"a[", "a[b", "a[!", "a[]", "[z-a]", "end\\"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(glob_new(bad[i], &glob, &err), &err, ERR_CONFIG, bad[i]);
    assert_refused(glob_new("", &glob, &err), &err, ERR_CONFIG, "1 to 255");
    memset(longest, '*', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_refused(glob_new(longest, &glob, &err), &err, ERR_CONFIG, "1 to 255");
    assert_null(glob);
}

/* What makes a matcher that goes back and forth take for ever. */
static void test_bounded(void **state)
{
    (void)state;
    static char text[64 * 1024];
    char pattern[GLOB_TOKENS_MAX + 1] = "";
    for (int i = 0; i < 60; i++)
        strcat(pattern, i % 2 ? "**a" : "*a");
    strcat(pattern, "b");
    memset(text, 'a', sizeof text - 1);
    assert_false(matches(pattern, text));
    text[sizeof text - 2] = 'b';
    assert_true(matches(pattern, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
