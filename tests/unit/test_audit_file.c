/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/audit_file.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>

#include "crypt/base/file.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/sealed-audit-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][128];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

static int begin(void **state)
{
    (void)state;
    memcpy(dir + strlen(dir) - 6, "XXXXXX", 6);
    return mkdtemp(dir) ? 0 : -1;
}

static int end(void **state)
{
    static const char *const names[] = {"log", "log.1", "log.2", "log.3", "mine"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlink(at(names[i]));
    return rmdir(dir);
}

static void expect(const char *name, const char *wanted)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(4096);
    assert_done(file_read(at(name), 4096, &text, &err), &err);
    assert_string_equal(buf_text(&text), wanted);
}

static void append(struct audit_file *file, const char *line)
{
    struct err err = ERR_INIT;
    assert_done(audit_file_append(file, bytes_str(line), &err), &err);
}

static void test_append(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct stat st;
    const struct audit_file_conf conf = {at("log"), 1000, 2};
    AUTO(audit_file_close) struct audit_file *file = NULL;
    assert_done(audit_file_open(&conf, &file, &err), &err);
    append(file, "one\n");
    audit_file_close(take_ptr(file));
    assert_done(audit_file_open(&conf, &file, &err), &err);
    append(file, "two\n");
    expect("log", "one\ntwo\n");
    assert_int_equal(stat(at("log"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_rotation(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct audit_file_conf conf = {at("log"), 8, 2};
    AUTO(audit_file_close) struct audit_file *file = NULL;
    assert_done(audit_file_open(&conf, &file, &err), &err);
    append(file, "1234567\n");
    append(file, "2\n");
    expect("log.1", "1234567\n");
    expect("log", "2\n");
    append(file, "this one is longer than a whole file may be\n");
    append(file, "4\n");
    expect("log", "4\n");
    expect("log.1", "this one is longer than a whole file may be\n");
    expect("log.2", "2\n");
    append(file, "1234567\n");
    expect("log.2", "this one is longer than a whole file may be\n");
    assert_int_equal(access(at("log.3"), F_OK), -1);
}

static void test_put_aside(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct audit_file_conf conf = {at("log"), 1000, 2};
    AUTO(audit_file_close) struct audit_file *file = NULL;
    assert_done(audit_file_open(&conf, &file, &err), &err);
    append(file, "one\n");
    assert_int_equal(rename(at("log"), at("mine")), 0);
    append(file, "two\n");
    expect("mine", "one\n");
    expect("log", "two\n");
    assert_int_equal(unlink(at("log")), 0);
    append(file, "three\n");
    expect("log", "three\n");
}

/* A limit on the size of files cuts a write just as a full file system does. */
static void test_full(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct rlimit old, small;
    const struct audit_file_conf conf = {at("log"), 1000, 2};
    AUTO(audit_file_close) struct audit_file *file = NULL;
    assert_done(audit_file_open(&conf, &file, &err), &err);
    append(file, "first\n");
    getrlimit(RLIMIT_FSIZE, &old);
    small = (struct rlimit){10, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    bool done = audit_file_append(file, bytes_str("second\n"), &err);
    setrlimit(RLIMIT_FSIZE, &old);
    assert_false(done);
    assert_int_equal(err.sys_errno, ENOSPC);
    expect("log", "first\n");
    append(file, "third\n");
    expect("log", "first\nthird\n");
}

static void test_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct audit_file *file = NULL;
    const struct audit_file_conf conf = {at("log"), 1000, 2};
    assert_int_equal(symlink("/etc/passwd", at("log")), 0);
    assert_refused(audit_file_open(&conf, &file, &err), &err, ERR_IO, "/log");
    unlink(at("log"));
    assert_int_equal(mkfifo(at("log"), 0600), 0);
    if (audit_file_open(&conf, &file, &err))
        fail();
    unlink(at("log"));
    auto_fd int fd = open(at("log"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_int_equal(fchmod(fd, 0666), 0);
    assert_refused(audit_file_open(&conf, &file, &err), &err, ERR_CONFIG, "chmod go-w");
    unlink(at("log"));
    assert_int_equal(chmod(dir, 0777), 0);
    assert_refused(audit_file_open(&conf, &file, &err), &err, ERR_CONFIG, "the directory");
    const struct audit_file_conf nowhere = {at("none/log"), 1000, 2};
    assert_refused(audit_file_open(&nowhere, &file, &err), &err, ERR_CONFIG, "/none");
    assert_null(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_append, begin, end),
        cmocka_unit_test_setup_teardown(test_rotation, begin, end),
        cmocka_unit_test_setup_teardown(test_put_aside, begin, end),
        cmocka_unit_test_setup_teardown(test_full, begin, end),
        cmocka_unit_test_setup_teardown(test_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
