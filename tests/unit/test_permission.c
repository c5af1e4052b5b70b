/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/permission.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

#define ALL "         0          0 4294967295\n"

static const struct {
    struct permission asked;
    bool plain;
} plain[] = {
    /* The owner's bits are the owner's, also when they are fewer. */
    {{1, 1, 1, 1, 0400, PERMISSION_READ}, true},
    {{1, 1, 1, 1, 0077, PERMISSION_READ}, false},
    {{0, 0, 0, 0, 0700, PERMISSION_SEARCH}, true},
    /* The group's are the group's. */
    {{2, 1, 1, 1, 0040, PERMISSION_READ}, true},
    {{2, 1, 1, 1, 0704, PERMISSION_READ}, false},
    /* The others': but who knows whether he is in the group? */
    {{2, 2, 1, 1, 0044, PERMISSION_READ}, true},
    {{2, 2, 1, 1, 0004, PERMISSION_READ}, false},
    {{2, 2, 1, 1, 0040, PERMISSION_READ}, false},
    {{2, 2, 1, 1, 0744, PERMISSION_SEARCH}, false},
    {{2, 2, 1, 1, 0711, PERMISSION_SEARCH}, true},
    /* Root is nobody by his number. */
    {{0, 0, 1, 1, 0600, PERMISSION_READ}, false},
};

static void test_plain(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (permission_is_plain(&plain[i].asked) != plain[i].plain)
            fail_msg("row %zu", i);
}

#define IDS "Name:\tx\nUid:\t9\t9\t9\t2\nGid:\t9\t9\t9\t2\n"

static const struct {
    const char *name, *status, *uid_map, *gid_map;
    bool same, held;
    mode_t mode;
} threads[] = {
    {"a member", IDS "Groups:\t7 5 \nCapEff:\t0\n", ALL, ALL, true, true, 0040},
    {"no member", IDS "Groups:\t7 50 \nCapEff:\t0\n", ALL, ALL, true, false, 0040},
    {"no groups", IDS "Groups:\t\nCapEff:\t0000000000000000\n", ALL, ALL, true, false, 0040},
    {"others alone, no member", IDS "Groups:\t \nCapEff:\t0\n", ALL, ALL, true, true, 0004},
    {"others alone, a member", IDS "Groups:\t5\nCapEff:\t0\n", ALL, ALL, true, false, 0004},
    {"CAP_DAC_OVERRIDE", IDS "Groups:\t\nCapEff:\t0000000000000002\n", ALL, ALL, true, true, 0},
    {"CAP_DAC_READ_SEARCH", IDS "Groups:\t\nCapEff:\t0000000000000004\n", ALL, ALL, true, true, 0},
    {"others", IDS "Groups:\t\nCapEff:\tfffffffffffffff9\n", ALL, ALL, true, false, 0},
    {"a namespace that knows both", IDS "CapEff:\t2\n", "0 1 1\n5 100 9\n", "0 5 1\n", false, true,
        0},
    {"not the owner", IDS "CapEff:\t2\n", "1 2 9\n", "0 5 1\n", false, false, 0},
    {"not the group", IDS "CapEff:\t2\n", "0 1 1\n", "5 6 100\n", false, false, 0},
    {"our own, seen from inside", IDS "CapEff:\t2\n", "0 100 5\n", "0 100 6\n", true, true, 0},
    {"no map", IDS "CapEff:\t2\n", "", "", false, false, 0},
    {"another's user", "Name:\tx\nUid:\t2\t2\t2\t3\nGid:\t2\t2\t2\t2\nGroups:\t5\nCapEff:\t2\n",
        ALL, ALL, true, false, 0040},
    {"another's group", "Name:\tx\nUid:\t2\t2\t2\t2\nGid:\t2\t2\t2\t3\nGroups:\t5\nCapEff:\t2\n",
        ALL, ALL, true, false, 0040},
    {"a name like a field", "Name:\tUid: 2 2 2 2\nGid:\t2\t2\t2\t2\nCapEff:\t2\n", ALL, ALL, true,
        false, 0},
    {"nothing", "", ALL, ALL, true, false, 0777 & ~0004},
};

static void test_held(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        const struct permission asked = {2, 2, 1, 5, threads[i].mode, PERMISSION_READ};
        const struct permission_thread thread = {
            threads[i].status, threads[i].uid_map, threads[i].gid_map, threads[i].same};
        if (permission_is_held(&asked, &thread) != threads[i].held)
            fail_msg("%s", threads[i].name);
    }
}

/* Of a child that is somebody else: a member of group 5 without a capability, or who has kept them. */
static void expect_child(bool member, bool root, const struct permission *asked, bool held)
{
    int ready[2], go[2];
    char byte;
    const gid_t group = 5;
    struct err err = ERR_INIT;
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid_t child = fork();
    if (child == 0) {
        bool done = setgroups(member, &group) == 0 &&
                    (root || (setresgid(2, 2, 2) == 0 && setresuid(2, 2, 2) == 0));
        _exit(write(ready[1], "x", done) != 1 || close(go[1]) < 0 || read(go[0], &byte, 1) < 0);
    }
    close(ready[1]);
    close(go[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(permission_check(asked, child, &err), held);
    assert_true(held || err.code == ERR_DENIED_LOCAL);
    close(go[1]);
    close(ready[0]);
    waitpid(child, NULL, 0);
    err_clear(&err);
    assert_refused(permission_check(asked, child, &err), &err, ERR_NOTFOUND, "/proc/");
}

static void test_processes(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    const struct permission users = {2, 2, 1, 5, 0640, PERMISSION_READ},
                            roots = {0, 0, 1, 5, 0600, PERMISSION_READ};
    expect_child(true, false, &users, true);
    expect_child(false, false, &users, false);
    expect_child(false, true, &roots, true);
    /* Who asks with other ids than the thread has. */
    expect_child(true, true, &users, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_held),
        cmocka_unit_test(test_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
