/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/binary.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char dir[64], program[96];

static void write_file(const char *path, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
    assert_true(fd >= 0 && write(fd, "#!", 2) == 2);
    close(fd);
    assert_int_equal(chmod(path, mode), 0);
}

static int make_dir(void **state)
{
    (void)state;
    if (geteuid() != 0) { /* what root owns only root can make */
        print_message("skipped: needs root\n");
        exit(77);
    }
    snprintf(dir, sizeof dir, "/tmp/test-binary.XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(chmod(dir, 0755), 0);
    snprintf(program, sizeof program, "%s/program", dir);
    write_file(program, 0755);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(program);
    rmdir(dir);
    return 0;
}

static void refuse(enum err_code code, const char *text)
{
    struct err err = ERR_INIT;
    int fd = -1;
    assert_refused(binary_open(program, &fd, &err), &err, code, text);
    assert_int_equal(fd, -1);
}

static void test_roots_program(void **state)
{
    struct err err = ERR_INIT;
    int fd;
    char link[128];
    (void)state;
    assert_done(binary_open(program, &fd, &err), &err);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    close(fd);
    snprintf(link, sizeof link, "%s.link", program);
    assert_int_equal(symlink(program, link), 0);
    bool opened = binary_open(link, &fd, &err);
    unlink(link);
    assert_done(opened, &err);
    close(fd);
}

static void test_writable_by_others(void **state)
{
    (void)state;
    assert_int_equal(chmod(program, 0775), 0);
    refuse(ERR_DENIED_LOCAL, "may be written by others than root");
    assert_int_equal(chmod(program, 0757), 0);
    refuse(ERR_DENIED_LOCAL, "chmod go-w");
}

static void test_of_somebody_else(void **state)
{
    (void)state;
    assert_int_equal(chown(program, 1, 0), 0);
    refuse(ERR_DENIED_LOCAL, "belongs to user 1");
}

static void test_directory_of_others(void **state)
{
    (void)state;
    assert_int_equal(chmod(dir, 0777), 0);
    refuse(ERR_DENIED_LOCAL, dir);
    assert_int_equal(chmod(dir, 0755), 0);
    assert_int_equal(chown(dir, 1, 0), 0);
    refuse(ERR_DENIED_LOCAL, "belongs to user 1");
}

static void test_no_program(void **state)
{
    struct err err = ERR_INIT;
    int fd;
    (void)state;
    assert_int_equal(chmod(program, 0644), 0);
    refuse(ERR_CONFIG, "is not a program");
    assert_int_equal(unlink(program), 0);
    refuse(ERR_CONFIG, "No such file");
    assert_refused(binary_open(dir, &fd, &err), &err, ERR_CONFIG, "is not a program");
}

static void test_this_program(void **state)
{
    struct err err = ERR_INIT;
    struct stat started, self;
    int fd;
    auto_free char *path = NULL;
    (void)state;
    assert_done(binary_started_by(&path, &err), &err);
    assert_int_equal(path[0], '/');
    assert_int_equal(stat(path, &started), 0);
    assert_done(binary_self(&fd, &err), &err);
    assert_int_equal(fstat(fd, &self), 0);
    assert_int_equal(started.st_ino, self.st_ino);
    close(fd);
}

/* `true` ends with 0, whatever it is called. */
static void test_exec(void **state)
{
    char name[] = "yes-this";
    char *argv[] = {name, NULL};
    struct err err = ERR_INIT;
    int fd, status;
    (void)state;
    assert_done(binary_open("/bin/true", &fd, &err), &err);
    pid_t child = fork();
    if (child == 0) {
        (void)!binary_exec(fd, argv, &err);
        _exit(9);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(fd);
    assert_refused(binary_exec(-1, argv, &err), &err, ERR_CONFIG, "start the program");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_roots_program, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_writable_by_others, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_of_somebody_else, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_directory_of_others, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_no_program, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_this_program, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(test_exec, make_dir, remove_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
