/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/base/file.h"

static char scratch[] = "/tmp/sealed-test-file-XXXXXX";

static int make_scratch(void **state)
{
    (void)state;
    return mkdtemp(scratch) && chdir(scratch) == 0 ? 0 : -1;
}

static int drop_scratch(void **state)
{
    (void)state;
    static const char *const files[] = {"one", "fifo", "large", "kept", "link"};
    static const char *const dirs[] = {"a/b/c", "a/b", "a", "full/x", "full"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        unlink(files[i]);
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++)
        rmdir(dirs[i]);
    return chdir("/") == 0 ? rmdir(scratch) : -1;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static int entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(dir);
    return count;
}

static void assert_content(const char *path, const char *wanted)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(100);
    assert_done(file_read(path, 100, &text, &err), &err);
    assert_string_equal(buf_text(&text), wanted);
}

static void written_whole_with_its_mode(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char path[64];
    mode_t old = umask(077);
    snprintf(path, sizeof path, "%s/one", scratch);
    assert_done(file_write(path, bytes_str("first"), 0644, &err), &err);
    assert_content("one", "first");
    assert_int_equal(mode_of("one"), 0644);
    assert_done(file_write("one", bytes_str("the second"), 0600, &err), &err);
    assert_content(path, "the second");
    assert_int_equal(mode_of("one"), 0600);
    assert_done(file_write("one", BYTES_EMPTY, 0400, &err), &err);
    assert_content("one", "");
    auto_fd int dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_done(file_write_at(dir, "one", bytes_str("by descriptor"), 0600, &err), &err);
    assert_content("one", "by descriptor");
    assert_int_equal(entries("."), 1);
    umask(old);
}

/* The link itself is replaced; what it points to stays. */
static void symlink_is_not_followed(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_done(file_write("kept", bytes_str("kept"), 0600, &err), &err);
    assert_int_equal(symlink("kept", "link"), 0);
    assert_done(file_write("link", bytes_str("new"), 0600, &err), &err);
    assert_content("kept", "kept");
    assert_content("link", "new");
}

static void failed_write_leaves_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    assert_done(file_make_dirs("full/x", 0700, &err), &err);
    auto_fd int dir = open("full", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_refused(
        file_write_at(dir, "x", bytes_str("text"), 0600, &err), &err, ERR_IO, "x into place");
    assert_int_equal(entries("full"), 1);
    assert_refused(file_write("none/x", bytes_str("text"), 0600, &err), &err, ERR_NOTFOUND, "none");
    assert_refused(
        file_write("full/", bytes_str("text"), 0600, &err), &err, ERR_INTERNAL, "not the name");
    assert_refused(file_write_at(dir, "../y", bytes_str("text"), 0600, &err), &err, ERR_INTERNAL,
        "not the name");
    assert_refused(file_write_at(dir, "..", bytes_str("text"), 0600, &err), &err, ERR_INTERNAL,
        "not the name");
}

static void reading_is_limited(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static uint8_t data[20000];
    memset(data, 'z', sizeof data);
    assert_done(file_write("large", bytes_of(data, sizeof data), 0600, &err), &err);
    auto_buf out = BUF_INIT(100000);
    assert_done(buf_append_str(&out, "before", &err), &err);
    assert_refused(file_read("large", sizeof data - 1, &out, &err), &err, ERR_FORMAT,
        "larger than the 19999 bytes");
    assert_string_equal(buf_text(&out), "before");
    assert_done(file_read("large", sizeof data, &out, &err), &err);
    assert_int_equal(out.len, 6 + sizeof data);
    auto_buf small = BUF_INIT(10);
    assert_refused(file_read("large", 100000, &small, &err), &err, ERR_FORMAT, "large: ");
    assert_int_equal(small.len, 0);
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(100);
    assert_refused(file_read("absent", 10, &out, &err), &err, ERR_NOTFOUND, "absent: No such file");
    assert_refused(file_read(".", 10, &out, &err), &err, ERR_IO, "not a regular file");
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_refused(file_read("fifo", 10, &out, &err), &err, ERR_IO, "not a regular file");
    assert_refused(file_read("/dev/zero", 10, &out, &err), &err, ERR_IO, "not a regular file");
}

static void directories_are_made(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    mode_t old = umask(077);
    assert_done(file_make_dirs("a//b/", 0755, &err), &err);
    assert_done(file_make_dirs("a/b/c", 0700, &err), &err);
    assert_done(file_make_dirs("/", 0700, &err), &err);
    umask(old);
    assert_int_equal(mode_of("a"), 0755);
    assert_int_equal(mode_of("a/b"), 0755);
    assert_int_equal(mode_of("a/b/c"), 0700);
    assert_refused(file_make_dirs("kept/x", 0700, &err), &err, ERR_IO, "kept");
    assert_refused(file_make_dirs("", 0700, &err), &err, ERR_IO, "path");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(written_whole_with_its_mode),
        cmocka_unit_test(symlink_is_not_followed),
        cmocka_unit_test(failed_write_leaves_nothing),
        cmocka_unit_test(reading_is_limited),
        cmocka_unit_test(only_regular_files_are_read),
        cmocka_unit_test(directories_are_made),
    };
    return cmocka_run_group_tests(tests, make_scratch, drop_scratch);
}
