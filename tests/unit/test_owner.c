/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/owner.h"

#include "tests/unit/unit.h"

static void test_ids(void **state)
{
    uid_t uid = 7;
    gid_t gid = 7;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(owner_user("root", &uid, &err), &err);
    assert_int_equal(uid, 0);
    assert_done(owner_group("root", &gid, &err), &err);
    assert_int_equal(gid, 0);
    assert_done(owner_user("4294967294", &uid, &err), &err);
    assert_int_equal(uid, 4294967294u);
    assert_done(owner_group("0", &gid, &err), &err);
    assert_int_equal(gid, 0);
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "4294967295", "99999999999999999999", "no-such-name-here", "", "-1", "1x"};
    uid_t uid = 7;
    gid_t gid = 7;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_refused(owner_user(bad[i], &uid, &err), &err, ERR_CONFIG, "user");
        assert_refused(owner_group(bad[i], &gid, &err), &err, ERR_CONFIG, "group");
    }
    assert_int_equal(uid, 7);
    assert_int_equal(gid, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ids), cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
