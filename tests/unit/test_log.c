/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/log.h"

#include "tests/unit/unit.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char printed[16384];
static int saved_stderr = -1, capture = -1;

/* stderr goes to a temporary file until captured() is called. */
static void begin_capture(void)
{
    fflush(stderr);
    saved_stderr = dup(STDERR_FILENO);
    capture = memfd_create("stderr", MFD_CLOEXEC);
    dup2(capture, STDERR_FILENO);
}

static const char *captured(void)
{
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t len = pread(capture, printed, sizeof printed - 1, 0);
    printed[len > 0 ? len : 0] = '\0';
    close(capture);
    return printed;
}

static void lines_have_name_level_text_and_fields(void **state)
{
    (void)state;
    const struct log_field fields[] = {
        {"PATH", "/a"}, {"NONE", NULL}, {"WHO", "a \"b\""}, {"EMPTY", ""}};
    log_init("prog", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    begin_capture();
    log_text(LOG_LEVEL_NOTICE, fields, ARRAY_LEN(fields), "number %d", 7);
    log_debug("not shown");
    assert_string_equal(
        captured(), "prog: notice: number 7 PATH=/a WHO=\"a \\\"b\\\"\" EMPTY=\"\"\n");
}

static void strangers_cannot_fake_lines(void **state)
{
    static const struct {
        const char *text, *shown;
    } rows[] = {
        {"a\nprog: error: b", "a\\nprog: error: b"},
        {"\x1b[2Jx", "\\x1b[2Jx"},
        {"tab\there\r", "tab\\there\\x0d"},
        {"del\x7f", "del\\x7f"},
        {"csi\xc2\x9bm", "csi\\xc2\\x9bm"},
        {"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91",
            "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x94\x91"},
        {"bad \xff\xc3(\xe2\x82", "bad \\xff\\xc3(\\xe2\\x82"},
        {"over \xc0\xaf\xe0\x80\xaf", "over \\xc0\\xaf\\xe0\\x80\\xaf"},
        {"half \xed\xa0\x80", "half \\xed\\xa0\\x80"},
    };
    (void)state;
    log_init("prog", LOG_TARGET_STDERR, LOG_LEVEL_INFO);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char want[256];
        snprintf(want, sizeof want, "prog: error: %s\n", rows[i].shown);
        begin_capture();
        log_error("%s", rows[i].text);
        assert_string_equal(captured(), want);
    }
}

static void long_lines_are_cut_and_stay_lines(void **state)
{
    (void)state;
    static char text[10000];
    memset(text, '\n', sizeof text - 1);
    const struct log_field fields[] = {{"LONG", text}};
    begin_capture();
    log_text(LOG_LEVEL_ERROR, fields, 1, "%s", text);
    const char *line = captured();
    assert_int_equal(strlen(line), 4096);
    assert_ptr_equal(strchr(line, '\n'), line + 4095);
}

static void errors_tell_code_place_and_ref(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_DENIED_POLICY, "no");
    snprintf(err.ref, sizeof err.ref, "R-1");
    int line = err.line;
    char want[256];
    snprintf(want, sizeof want, "prog: warning: open /x: no ERROR=denied-policy AT=%s:%d REF=R-1\n",
        err.file, line);
    begin_capture();
    errno = ENOTTY;
    log_err(LOG_LEVEL_WARNING, &err, "open %s", "/x");
    assert_int_equal(errno, ENOTTY);
    assert_string_equal(captured(), want);
}

static void levels_have_names(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_ERROR;
    assert_true(log_level_parse("debug", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_false(log_level_parse("Debug", &level));
    assert_false(log_level_parse("", &level));
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

/* -- datagrams -- */

static int bind_datagram(const char *name, socklen_t name_len)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    memcpy(address.sun_path, name, name_len);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address,
                      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len)) < 0)
        return -1;
    return fd;
}

static void notify_reaches_path_and_abstract_name(void **state)
{
    (void)state;
    char path[] = "/tmp/test_log.XXXXXX", name[64], abstract[64], got[64];
    assert_non_null(mkdtemp(path));
    snprintf(name, sizeof name, "%s/n", path);
    snprintf(abstract, sizeof abstract, "@test-log-%d", (int)getpid());
    const char *names[] = {name, abstract};
    for (int i = 0; i < 2; i++) {
        char raw[64];
        size_t len = strlen(names[i]);
        memcpy(raw, names[i], len);
        raw[0] = i ? '\0' : raw[0];
        int fd = bind_datagram(raw, (socklen_t)len);
        assert_true(fd >= 0);
        setenv("NOTIFY_SOCKET", names[i], 1);
        errno = ENOTTY;
        log_notify("READY=1");
        assert_int_equal(errno, ENOTTY);
        assert_int_equal(recv(fd, got, sizeof got, 0), 7);
        assert_memory_equal(got, "READY=1", 7);
        close(fd);
    }
    setenv("NOTIFY_SOCKET", "relative", 1);
    log_notify("READY=1");
    setenv("NOTIFY_SOCKET", name, 1); /* the file is there, nobody listens */
    log_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
    log_notify("READY=1");
    unlink(name);
    rmdir(path);
}

/* The value of a field in the journal's binary form, which the walk must meet exactly. */
static bool journal_value(const char *data, size_t len, const char *key, char *out)
{
    while (len > 0) {
        const char *end = memchr(data, '\n', len);
        uint64_t value_len;
        if (!end || (size_t)(end - data) + 1 + sizeof value_len > len)
            return false;
        memcpy(&value_len, end + 1, sizeof value_len);
        value_len = le64toh(value_len);
        const char *value = end + 1 + sizeof value_len;
        size_t used = (size_t)(value - data) + value_len + 1;
        if (used > len || data[used - 1] != '\n')
            return false;
        if ((size_t)(end - data) == strlen(key) && memcmp(data, key, strlen(key)) == 0) {
            memcpy(out, value, value_len);
            out[value_len] = '\0';
            return true;
        }
        data += used;
        len -= used;
    }
    return false;
}

/* 0: passed, 77: this machine does not let us, else the failed step. */
static int journal_child(void)
{
    static const char path[] = "/run/systemd/journal/socket";
    static char got[8192], value[8192];
    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", "/run", "tmpfs", 0, NULL) < 0)
        return 77;
    if (mkdir("/run/systemd", 0755) < 0 || mkdir("/run/systemd/journal", 0755) < 0)
        return 1;
    int fd = bind_datagram(path, sizeof path);
    char stream[64];
    struct stat info;
    if (fd < 0 || fstat(STDERR_FILENO, &info) < 0)
        return 2;
    /* The stream of another file: stderr was redirected, so it is not the journal. */
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
        (unsigned long long)info.st_ino + 1);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("prog", LOG_TARGET_AUTO, LOG_LEVEL_INFO);
    log_info("to stderr");
    if (recv(fd, got, sizeof got, 0) >= 0)
        return 3;
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)info.st_dev,
        (unsigned long long)info.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init("prog", LOG_TARGET_AUTO, LOG_LEVEL_INFO);
    const struct log_field fields[] = {{"PATH", "/a\nPRIORITY=0"}, {"NONE", NULL}};
    log_text(LOG_LEVEL_WARNING, fields, 2, "text");
    ssize_t len = recv(fd, got, sizeof got, 0);
    if (len <= 0)
        return 4;
    if (!journal_value(got, (size_t)len, "PRIORITY", value) || strcmp(value, "4") != 0)
        return 5;
    if (!journal_value(got, (size_t)len, "SYSLOG_IDENTIFIER", value) || strcmp(value, "prog") != 0)
        return 6;
    if (!journal_value(got, (size_t)len, "MESSAGE", value) || strcmp(value, "text") != 0)
        return 7;
    if (!journal_value(got, (size_t)len, "SEALED_PATH", value) ||
        strcmp(value, "/a\\nPRIORITY=0") != 0)
        return 8;
    if (journal_value(got, (size_t)len, "SEALED_NONE", value))
        return 9;
    /* A dead journal: the line goes to stderr instead of nowhere. */
    close(fd);
    begin_capture();
    log_info("kept");
    return strcmp(captured(), "prog: info: kept\n") == 0 ? 0 : 10;
}

static void journal_gets_fields_and_stderr_is_the_fallback(void **state)
{
    (void)state;
    int status;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0)
        _exit(journal_child());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77)
        skip(); /* a private /run needs root and mount namespaces */
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_have_name_level_text_and_fields),
        cmocka_unit_test(strangers_cannot_fake_lines),
        cmocka_unit_test(long_lines_are_cut_and_stay_lines),
        cmocka_unit_test(errors_tell_code_place_and_ref),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(notify_reaches_path_and_abstract_name),
        cmocka_unit_test(journal_gets_fields_and_stderr_is_the_fallback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
