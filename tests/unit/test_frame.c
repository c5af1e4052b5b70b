/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/frame.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

#define TEXT(literal) ((char[]){literal})

static struct conf_mount mount = {
    .by_name = true, .by_name_mode = 0440, .by_name_owner = TEXT("1"), .by_name_group = TEXT("2")};
static struct conf_file files[] = {{.name = TEXT("one"),
                                       .path = TEXT("a/one"),
                                       .mode = 0400,
                                       .owner = TEXT("root"),
                                       .group = TEXT("3")},
    {.name = TEXT("two"),
        .path = TEXT("b/c/two"),
        .mode = 0444,
        .owner = TEXT("4"),
        .group = TEXT("0")}};
static struct sealedfs_conf conf = {.mounts = {&mount, 1}, .files = {files, 2}};

static void sync_frame(struct frame *frame)
{
    struct catalogue catalogue;
    struct err err = ERR_INIT;
    assert_done(catalogue_make(&conf, 0, &catalogue, &err), &err);
    assert_done(frame_sync(frame, &catalogue, &conf, 0, &err), &err);
    catalogue_done(&catalogue);
}

static struct frame *make(void)
{
    struct frame *frame;
    struct err err = ERR_INIT;
    if (geteuid() != 0)
        skip();
    assert_done(frame_new(-1, &frame, &err), &err);
    sync_frame(frame);
    return frame;
}

static struct stat look(const struct frame *frame, const char *path)
{
    struct stat st = {0};
    if (fstatat(frame_fd(frame), path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        st.st_nlink = 0;
    return st;
}

static void assert_access(
    const struct frame *frame, const char *path, mode_t mode, uid_t uid, gid_t gid)
{
    struct stat st = look(frame, path);
    assert_int_equal(st.st_mode, mode);
    assert_int_equal(st.st_uid, uid);
    assert_int_equal(st.st_gid, gid);
}

static void test_files(void **state)
{
    AUTO(frame_free) struct frame *frame = make();
    (void)state;
    assert_access(frame, "a", S_IFDIR | 0755, 0, 0);
    assert_access(frame, "a/one", S_IFREG | 0400, 0, 3);
    assert_access(frame, "b/c/two", S_IFREG | 0444, 4, 0);
    assert_access(frame, ".kbs", S_IFDIR | 0755, 0, 0);
}

/* What a new configuration says the same of stays the same, to the nanosecond; the rest goes or becomes what it says. */
static void test_sync(void **state)
{
    AUTO(frame_free) struct frame *frame = make();
    struct conf_file kept = files[1];
    (void)state;
    struct stat one = look(frame, "a/one"), two = look(frame, "b/c/two");
    sync_frame(frame);
    struct stat after = look(frame, "a/one");
    assert_true(after.st_ino == one.st_ino && after.st_ctim.tv_sec == one.st_ctim.tv_sec &&
                after.st_ctim.tv_nsec == one.st_ctim.tv_nsec);
    files[1].mode = 0640;
    files[1].owner = TEXT("5");
    sync_frame(frame);
    assert_access(frame, "b/c/two", S_IFREG | 0640, 5, 0);
    assert_true(look(frame, "b/c/two").st_ino == two.st_ino);
    files[1].name = TEXT("other");
    sync_frame(frame);
    assert_false(look(frame, "b/c/two").st_ino == two.st_ino);
    files[1].path = TEXT("b/c");
    sync_frame(frame);
    assert_true(S_ISREG(look(frame, "b/c").st_mode));
    conf.files.count = 1;
    sync_frame(frame);
    assert_int_equal(look(frame, "b").st_nlink, 0);
    assert_true(look(frame, "a/one").st_ino == one.st_ino);
    conf.files.count = 2;
    files[1] = kept;
}

static void test_names(void **state)
{
    static const char *const good[] = {".kbs", ".kbs/a", ".kbs/a/b", ".kbs/default/key/1.2_3-4"};
    static const char *const bad[] = {"", ".kb", ".kbsx", ".kbs/", ".kbs//b", ".kbs/.a",
        ".kbs/a/b/c/d", ".kbs/a b", ".kbs/a/\xc3\xa4", "x/.kbs"};
    AUTO(frame_free) struct frame *frame = make();
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        assert_true(frame_is_name(good[i]));
        assert_int_equal(frame_add_name(frame, good[i]), 0);
        assert_true(look(frame, good[i]).st_nlink > 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(frame_is_name(bad[i]));
        assert_int_equal(frame_add_name(frame, bad[i]), ENOENT);
    }
    assert_access(frame, ".kbs/default/key/1.2_3-4", S_IFREG | 0440, 1, 2);
    struct stat before = look(frame, ".kbs/default/key/1.2_3-4");
    assert_int_equal(frame_add_name(frame, ".kbs/default/key/1.2_3-4"), 0);
    assert_true(look(frame, ".kbs/default/key/1.2_3-4").st_ino == before.st_ino);
    assert_access(frame, ".kbs/default", S_IFDIR | 0755, 0, 0);
}

/* The first that were made go, and their directories with the last of them; what is made anew is there. */
static void test_names_bounded(void **state)
{
    char path[64];
    AUTO(frame_free) struct frame *frame = make();
    (void)state;
    assert_int_equal(frame_add_name(frame, ".kbs/old/key/1"), 0);
    for (unsigned i = 0; i < FRAME_NAMES_MAX; i++) {
        snprintf(path, sizeof path, ".kbs/new/key/%u", i);
        assert_int_equal(frame_add_name(frame, path), 0);
        assert_true(look(frame, path).st_nlink > 0);
    }
    assert_int_equal(look(frame, ".kbs/old").st_nlink, 0);
    assert_int_equal(frame_add_name(frame, ".kbs/old/key/1"), 0);
    assert_true(look(frame, ".kbs/old/key/1").st_nlink > 0);
}

/* What goes may be the last in the directory of what comes, and take that with it. */
static void test_names_make_room_for_a_neighbour(void **state)
{
    char path[64];
    AUTO(frame_free) struct frame *frame = make();
    (void)state;
    assert_int_equal(frame_add_name(frame, ".kbs/old/key/1"), 0); /* three places of the ring */
    for (unsigned i = 0; i < FRAME_NAMES_MAX - 3; i++) {          /* and two directories */
        snprintf(path, sizeof path, ".kbs/new/key/%u", i);
        assert_int_equal(frame_add_name(frame, path), 0);
    }
    assert_int_equal(frame_add_name(frame, ".kbs/old/key/2"), 0);
    assert_true(look(frame, ".kbs/old/key/2").st_nlink > 0);
    assert_int_equal(look(frame, ".kbs/old/key/1").st_nlink, 0);
}

/* A successor keeps the names that are there, unless there are to be none. */
static void test_names_taken_over(void **state)
{
    struct frame *first = make();
    AUTO(frame_free) struct frame *next = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_int_equal(frame_add_name(first, ".kbs/a/b/c"), 0);
    struct stat before = look(first, ".kbs/a/b/c");
    int fd = dup(frame_fd(first));
    frame_free(first);
    assert_done(frame_new(fd, &next, &err), &err);
    sync_frame(next);
    assert_true(look(next, ".kbs/a/b/c").st_ino == before.st_ino);
    /* But who may read them is what the configuration says now. */
    mount.by_name_mode = 0400;
    mount.by_name_owner = TEXT("6");
    sync_frame(next);
    assert_access(next, ".kbs/a/b/c", S_IFREG | 0400, 6, 2);
    mount.by_name_mode = 0440;
    mount.by_name_owner = TEXT("1");
    mount.by_name = false;
    sync_frame(next);
    assert_int_equal(look(next, ".kbs").st_nlink, 0);
    assert_false(frame_has_names(next));
    mount.by_name = true;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files), cmocka_unit_test(test_sync),
        cmocka_unit_test(test_names), cmocka_unit_test(test_names_bounded),
        cmocka_unit_test(test_names_make_room_for_a_neighbour),
        cmocka_unit_test(test_names_taken_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
