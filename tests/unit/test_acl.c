/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/acl.h"

#include "tests/unit/unit.h"

#define HEAD             2, 0, 0, 0
#define NAMED(tag, perm) tag, 0, perm, 0, 0xe8, 3, 0, 0
#define ENTRY(tag, perm) tag, 0, perm, 0, 0xff, 0xff, 0xff, 0xff
enum { USER_OBJ = 1, USER = 2, GROUP_OBJ = 4, GROUP = 8, MASK = 16, OTHER = 32 };

#define ALLOWED(...) \
    acl_allowed(bytes_of((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})))

static void test_group_is_no_mask(void **state)
{
    (void)state;
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 6), NAMED(USER, 4), ENTRY(GROUP_OBJ, 0),
                         ENTRY(MASK, 4), ENTRY(OTHER, 0)),
        0700);
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 6), ENTRY(GROUP_OBJ, 6), NAMED(GROUP, 7),
                         ENTRY(MASK, 4), ENTRY(OTHER, 4)),
        0744);
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 6), ENTRY(GROUP_OBJ, 4), ENTRY(OTHER, 5)), 0745);
}

static void test_whom_an_entry_keeps_out(void **state)
{
    (void)state;
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 7), NAMED(USER, 0), ENTRY(GROUP_OBJ, 5),
                         ENTRY(MASK, 7), ENTRY(OTHER, 5)),
        0700);
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 7), ENTRY(GROUP_OBJ, 5), NAMED(GROUP, 1),
                         ENTRY(MASK, 7), ENTRY(OTHER, 5)),
        0751);
    assert_int_equal(ALLOWED(HEAD, ENTRY(USER_OBJ, 7), ENTRY(GROUP_OBJ, 5), NAMED(GROUP, 7),
                         ENTRY(MASK, 1), ENTRY(OTHER, 5)),
        0711);
}

static void test_unreadable(void **state)
{
    (void)state;
    assert_int_equal(acl_allowed(bytes_of(NULL, 0)), 0700);
    assert_int_equal(ALLOWED(3, 0, 0, 0, ENTRY(GROUP_OBJ, 7), ENTRY(OTHER, 7)), 0700);
    assert_int_equal(ALLOWED(HEAD, ENTRY(GROUP_OBJ, 7), ENTRY(OTHER, 7), 0), 0700);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_group_is_no_mask),
        cmocka_unit_test(test_whom_an_entry_keeps_out), cmocka_unit_test(test_unreadable)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
