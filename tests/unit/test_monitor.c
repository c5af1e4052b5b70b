/* SPDX-License-Identifier: Apache-2.0 */
/* Both halves: the monitor that opens and the client that asks. */
#include "fs/monitor_client.h"

#include <dirent.h>
#include <errno.h>
#include <unistd.h>

#include "tests/unit/fs_fixture.h"

static struct fixture fixture;

static int start(void **state)
{
    (void)state;
    fixture_start(&fixture);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static int open_mode(const char *path, mode_t *ret_mode)
{
    struct stat st;
    struct err err = ERR_INIT;
    struct monitor_file file;
    if (!monitor_open(&fixture.client, 0, path, &file, &err))
        return err.sys_errno ? err.sys_errno : -1;
    int fd = file.fd;
    assert_int_equal(file.origin.kind, ORIGIN_SOURCE);
    assert_int_equal(fstat(fd, &st), 0);
    *ret_mode = (mode_t)fcntl(fd, F_GETFL);
    assert_int_equal(*ret_mode & O_ACCMODE, O_RDONLY);
    close(fd);
    return 0;
}

static void test_kinds(void **state)
{
    mode_t flags;
    (void)state;
    fixture_write(&fixture, "file", "content");
    assert_int_equal(mkdir(fixture_path(&fixture, "dir"), 0700), 0);
    assert_int_equal(symlink("file", fixture_path(&fixture, "link")), 0);
    assert_int_equal(mkfifo(fixture_path(&fixture, "fifo"), 0600), 0);
    assert_int_equal(open_mode("file", &flags), 0);
    assert_false(flags & O_PATH);
    static const char *const by_name[] = {"", "dir", "link", "fifo"};
    for (size_t i = 0; i < ARRAY_LEN(by_name); i++) {
        assert_int_equal(open_mode(by_name[i], &flags), 0);
        assert_true(flags & O_PATH);
    }
}

static void test_nothing_outside(void **state)
{
    mode_t flags;
    (void)state;
    assert_int_equal(symlink("/etc", fixture_path(&fixture, "etc")), 0);
    assert_int_equal(symlink("..", fixture_path(&fixture, "up")), 0);
    assert_int_equal(symlink("/proc/self/fd", fixture_path(&fixture, "magic")), 0);
    assert_int_equal(open_mode("etc/passwd", &flags), ELOOP);
    assert_int_equal(open_mode("up/x", &flags), ELOOP);
    assert_int_equal(open_mode("magic/0", &flags), ELOOP);
    assert_int_equal(open_mode("nothing", &flags), ENOENT);
    assert_int_equal(open_mode("file/x", &flags), ENOTDIR);
}

static void test_list(void **state)
{
    char name[32];
    uint64_t cookie = 0;
    size_t seen = 0, messages = 0;
    struct monitor_answer answer;
    (void)state;
    assert_int_equal(mkdir(fixture_path(&fixture, "many"), 0700), 0);
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, "many/file-%04d", i);
        fixture_write(&fixture, name, "");
    }
    do {
        struct monitor_entry entry;
        auto_buf message = BUF_INIT(65536);
        struct err err = ERR_INIT;
        assert_done(
            monitor_list(&fixture.client, 0, "many", cookie, &message, &answer, &err), &err);
        while (monitor_entry_next(&answer.entries, &entry)) {
            cookie = entry.cookie;
            seen++;
        }
        messages++;
    } while (answer.more);
    assert_int_equal(seen, 2002);
    assert_true(messages > 1);
}

static void test_list_refusals(void **state)
{
    auto_buf message = BUF_INIT(65536);
    struct monitor_answer answer;
    struct err err = ERR_INIT;
    (void)state;
    assert_false(monitor_list(&fixture.client, 0, "file", 0, &message, &answer, &err));
    assert_int_equal(err.sys_errno, ENOTDIR);
    assert_false(monitor_list(&fixture.client, 0, "nothing", 0, &message, &answer, &err));
    assert_int_equal(err.sys_errno, ENOENT);
}

/* A worker that breaks the protocol is an error of monitor_serve, and gets no answer. */
static void test_broken_worker(void **state)
{
    int fds[2];
    struct err err = ERR_INIT;
    struct mounted mount = {.space = fixture.space};
    struct monitor monitor = {&mount, 1};
    bool closed = false;
    static const uint8_t rubbish[] = {1, 9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    static const uint8_t no_mount[] = {1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    (void)state;
    assert_done(ipc_pair(fds, &err), &err);
    assert_done(ipc_send(fds[0], bytes_of(rubbish, sizeof rubbish), NULL, 0, &err), &err);
    assert_refused(monitor_serve(&monitor, fds[1], &closed, &err), &err, ERR_FORMAT, "operation 9");
    assert_done(ipc_send(fds[0], bytes_of(no_mount, sizeof no_mount), NULL, 0, &err), &err);
    assert_refused(monitor_serve(&monitor, fds[1], &closed, &err), &err, ERR_FORMAT, "for mount 1");
    int passed = dup(0);
    assert_done(ipc_send(fds[0], bytes_of(rubbish, sizeof rubbish), &passed, 1, &err), &err);
    assert_refused(monitor_serve(&monitor, fds[1], &closed, &err), &err, ERR_FORMAT, "descriptor");
    close(passed);
    close(fds[0]);
    assert_done(monitor_serve(&monitor, fds[1], &closed, &err), &err);
    assert_true(closed);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_nothing_outside), cmocka_unit_test(test_list),
        cmocka_unit_test(test_list_refusals), cmocka_unit_test(test_broken_worker)};
    return cmocka_run_group_tests(tests, start, end);
}
