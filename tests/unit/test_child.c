/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "tests/unit/unit.h"

static void test_death(void **state)
{
    char text[96];
    (void)state;
    child_death(W_EXITCODE(3, 0), text, sizeof text);
    assert_string_equal(text, "exited with status 3");
    child_death(W_EXITCODE(0, SIGKILL), text, sizeof text);
    assert_string_equal(text, "was killed by signal 9 (Killed)");
}

/* What a descriptor's number means is agreed on by both processes; none of two mounts may be the same. */
static void test_numbers(void **state)
{
    (void)state;
    assert_true(WORKER_MOUNTS > WORKER_EVENTS);
    for (size_t i = 0; i < MOUNTS_MAX; i++) {
        assert_int_equal(worker_table_fd(i), worker_fuse_fd(i) + 1);
        assert_int_equal(worker_fuse_fd(i + 1), worker_table_fd(i) + 1);
    }
}

/* The program that it executes is this test, which must not run twice: it sees how it was called and ends as the test says. */
static void test_life(void **state)
{
    char word[] = "--dies";
    char name[] = "test_child";
    char *argv[] = {name, word, NULL};
    struct child_conf conf = {.argv = argv, .conf_fd = -1, .predecessor_fd = -1, .listeners = {-1}};
    struct child child = CHILD_INIT;
    struct err err = ERR_INIT;
    int status;
    (void)state;
    assert_done(child_start(&conf, &child, &err), &err);
    assert_int_equal(waitpid(child.pid, &status, 0), child.pid);
    assert_int_equal(WEXITSTATUS(status), 42);
    child_forget(&child);
    assert_int_equal(child.requests, -1);
    child_end(&child); /* none: nothing to do */
}

int main(int argc, char **argv)
{
    if (argc == 3 && strncmp(argv[1], "--worker=", 9) == 0 && strcmp(argv[2], "--dies") == 0)
        return fcntl(WORKER_REQUESTS, F_GETFD) >= 0 && fcntl(WORKER_EVENTS, F_GETFD) >= 0 ? 42 : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_death), cmocka_unit_test(test_numbers), cmocka_unit_test(test_life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
