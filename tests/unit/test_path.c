/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/path.h"

#include "tests/unit/unit.h"

static void test_valid(void **state)
{
    static const char *const good[] = {"", "a", "a/b", "..data/x", "...", "a b", "..2026_01/x"};
    static const char *const bad[] = {
        "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "./a"};
    char longest[PATH_SIZE + 2], name[258];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!path_valid(good[i]))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (path_valid(bad[i]))
            fail_msg("taken: %s", bad[i]);
    memset(name, 'x', sizeof name);
    name[255] = '\0';
    assert_true(path_valid(name));
    name[255] = 'x';
    name[256] = '\0';
    assert_false(path_valid(name));
    for (size_t i = 0; i < sizeof longest; i++)
        longest[i] = i % 2 ? '/' : 'x';
    longest[PATH_SIZE - 1] = '\0';
    assert_true(path_valid(longest));
    longest[PATH_SIZE - 1] = '/';
    longest[PATH_SIZE + 1] = '\0';
    assert_false(path_valid(longest));
}

static void test_names(void **state)
{
    (void)state;
    assert_true(path_name_valid("..data", 6));
    assert_false(path_name_valid("a\0b", 3));
    assert_false(path_name_valid("a/b", 3));
    assert_false(path_name_valid("..", 2));
    assert_false(path_name_valid("", 0));
}

static void test_normal(void **state)
{
    static const char *const pairs[][2] = {{"", ""}, {"db/password", "db/password"},
        {"..data/password", "password"}, {"..2026_01_31_10_11_12.123/db/x", "db/x"},
        {"vol/..data/x", "vol/x"}, {"..data", ""}, {"..datax/y", "..datax/y"}, {"..x/y", "..x/y"},
        {"...", "..."}, {".hidden/x", ".hidden/x"}, {"a/..2026_1/..data/b", "a/b"}};
    char out[PATH_SIZE];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
        path_normal(pairs[i][0], out);
        assert_string_equal(out, pairs[i][1]);
    }
}

static void test_join(void **state)
{
    char out[PATH_SIZE], longest[PATH_SIZE];
    (void)state;
    assert_true(path_join("", "a", out));
    assert_string_equal(out, "a");
    assert_true(path_join("a/b", "c", out));
    assert_string_equal(out, "a/b/c");
    memset(longest, 'x', sizeof longest);
    longest[PATH_SIZE - 2] = '\0';
    assert_false(path_join(longest, "yz", out));
}

static void test_full(void **state)
{
    char out[PATH_FULL_SIZE];
    (void)state;
    path_full("/sealed", "..data/db/x", out);
    assert_string_equal(out, "/sealed/db/x");
    path_full("/", "db", out);
    assert_string_equal(out, "/db");
    assert_int_equal(path_below("/sealed", "/sealed/db/x"), 8);
    assert_int_equal(path_below("/sealed", "/sealed/"), 8);
    assert_int_equal(path_below("/sealed", "/sealed"), 0);
    assert_int_equal(path_below("/sealed", "/sealedx/db"), 0);
    assert_int_equal(path_below("/sealed", "/other/db"), 0);
    assert_int_equal(path_below("/", "/db"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_valid), cmocka_unit_test(test_names),
        cmocka_unit_test(test_normal), cmocka_unit_test(test_join), cmocka_unit_test(test_full)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
