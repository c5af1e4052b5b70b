/* SPDX-License-Identifier: Apache-2.0 */
/* What can be refused before anything is mounted; the rest is tests/it/fs_*.sh. */
#include "fs/mounted.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char root[] = "/tmp/sealed-unit.XXXXXX";
static char source[64], mountpoint[64], file[64], link_to[64];

static int start(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(source, sizeof source, "%s/src", root);
    snprintf(mountpoint, sizeof mountpoint, "%s/mnt", root);
    snprintf(file, sizeof file, "%s/file", root);
    snprintf(link_to, sizeof link_to, "%s/link", root);
    assert_int_equal(mkdir(source, 0700), 0);
    assert_int_equal(mkdir(mountpoint, 0700), 0);
    assert_int_equal(symlink("mnt", link_to), 0);
    int fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unlink(file);
    unlink(link_to);
    rmdir(source);
    rmdir(mountpoint);
    rmdir(root);
    return 0;
}

/* One mount with one source, at its root. */
static bool prepare(
    struct mounted *ret_mounted, char *directory, char *path, char *at, struct err *err)
{
    struct conf_mount mount = {.path = path};
    struct conf_source mirror = {.directory = directory, .at = at};
    struct sealedfs_conf conf = {.mounts = {&mount, 1}, .sources = {&mirror, 1}};
    return mounted_prepare(ret_mounted, &conf, 0, err);
}

static void test_prepare(void **state)
{
    struct mounted mounted;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(prepare(&mounted, source, link_to, NULL, &err), &err);
    assert_string_equal(mounted.mountpoint, mountpoint);
    assert_string_equal(mounted.source, source);
    assert_false(mounted_is_on(&mounted));
    assert_done(mounted_end(&mounted, true, &err), &err);
    mounted_done(&mounted);
    mounted_done(&mounted);
}

static void test_refused(void **state)
{
    struct mounted mounted = MOUNTED_INIT;
    struct err err = ERR_INIT;
    (void)state;
    char nothing[] = "/nonexistent";
    assert_refused(prepare(&mounted, nothing, mountpoint, NULL, &err), &err, ERR_CONFIG, "source");
    assert_refused(prepare(&mounted, file, mountpoint, NULL, &err), &err, ERR_CONFIG, "source");
    assert_refused(prepare(&mounted, source, file, NULL, &err), &err, ERR_CONFIG, "directory");
    assert_refused(prepare(&mounted, source, nothing, NULL, &err), &err, ERR_CONFIG, "mount point");
    assert_null(mounted.mountpoint);
}

/* An upgrade that would have to read what another version wrote is refused by its trial, and changes nothing. */
static void test_trial_refuses_another_table(void **state)
{
    struct conf_mount mount = {.path = mountpoint};
    struct conf_source mirror = {.directory = source};
    struct sealedfs_conf conf = {.mounts = {&mount, 1}, .sources = {&mirror, 1}};
    struct mounted mounted = MOUNTED_INIT;
    struct state resumed;
    struct err err = ERR_INIT;
    (void)state;
    int table_fd = memfd_create("other", MFD_CLOEXEC);
    assert_int_equal(ftruncate(table_fd, 4096), 0);
    struct state_mount left = {.path = mountpoint, .fuse_fd = 0, .table_fd = table_fd, -1, -1, 0};
    state_init(&resumed);
    resumed.purpose = STATE_TRIAL;
    resumed.mounts = &left;
    resumed.mount_count = 1;
    assert_refused(
        mounted_resume(&mounted, &conf, 0, &resumed, &err), &err, ERR_CONFIG, "start this one");
    assert_int_equal(left.table_fd, table_fd);
    assert_null(mounted.mountpoint);
    close(table_fd);
}

/* The worker of the one would be asked for the way to the other before it is there. */
static void test_nested(void **state)
{
    char outer[] = "/a", inner[] = "/a/b", beside[] = "/ab";
    struct mounted mounts[] = {MOUNTED_INIT, MOUNTED_INIT};
    struct err err = ERR_INIT;
    (void)state;
    mounts[0].mountpoint = outer;
    mounts[1].mountpoint = beside;
    assert_done(mounted_check(mounts, 2, &err), &err);
    mounts[1].mountpoint = inner;
    assert_refused(mounted_check(mounts, 2, &err), &err, ERR_CONFIG, "/a/b lies on or below");
    mounts[1].mountpoint = outer;
    assert_refused(mounted_check(mounts, 2, &err), &err, ERR_CONFIG, "lies on or below");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_prepare),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_nested),
        cmocka_unit_test(test_trial_refuses_another_table)};
    return cmocka_run_group_tests(tests, start, end);
}
