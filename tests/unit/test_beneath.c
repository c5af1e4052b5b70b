/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_monitor.c has what a worker could try; here is what only a mount can show, and the links that the monitor follows itself. */
#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

static char root[] = "/tmp/sealed-unit.XXXXXX";
static char path[128];
static int dir;

static const char *at(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void write_file(const char *name, const char *text)
{
    int fd = open(at(name), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdir(at("sub"), 0700), 0);
    write_file("sub/file", "below");
    assert_int_equal(symlink("sub/file", at("link")), 0);
    assert_int_equal(symlink("/etc/passwd", at("out")), 0);
    assert_int_equal(symlink("../..", at("up")), 0);
    return 0;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    close(dir);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

static int follow(const char *name)
{
    int fd = beneath_follow_file(dir, name);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static void test_follow(void **state)
{
    (void)state;
    assert_int_equal(follow("sub/file"), 0);
    assert_int_equal(follow("link"), 0);
    assert_int_equal(follow("out"), EXDEV);
    assert_int_equal(follow("up/etc/passwd"), EXDEV);
    assert_int_equal(follow("sub"), EINVAL);
    assert_int_equal(follow("nothing"), ENOENT);
}

static dev_t own_device;

static bool is_own(const void *arg, dev_t device)
{
    (void)arg;
    return device == own_device;
}

/* A file system that is mounted below is entered, one that is our own is not, nor what is below that. */
static void test_mounts(void **state)
{
    struct beneath_own own = {.is_own = is_own};
    struct stat st;
    (void)state;
    if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("unit", at("sub"), "tmpfs", 0, NULL) < 0)
        skip();
    /* In the new namespace. */
    close(dir);
    dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    write_file("sub/file", "mounted");
    int fd = beneath_open_file(&own, dir, "sub/file");
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    close(fd);
    assert_int_equal(st.st_size, 7);
    own_device = st.st_dev;
    assert_int_equal(beneath_open_file(&own, dir, "sub/file"), -1);
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(beneath_open_dir(&own, dir, "sub"), -1);
    assert_int_equal(errno, EDEADLK);
    assert_int_equal(follow("sub/file"), EXDEV);
    assert_int_equal(umount(at("sub")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_follow), cmocka_unit_test(test_mounts)};
    return cmocka_run_group_tests(tests, start, end);
}
