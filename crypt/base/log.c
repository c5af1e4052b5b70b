/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/log.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* A line this long is written to a pipe in one piece (PIPE_BUF), so lines of several threads do not
 * mix. */
#define LINE_SIZE 4096
#define TEXT_SIZE 2048
/* How long a reader of stderr may make us wait before a line is dropped. */
#define STDERR_WAIT_MS 100
#define NOTIFY_WAIT_S  1

static const struct {
    const char *name;
    char priority; /* syslog(3) severity, for the journal */
} levels[] = {
    [LOG_LEVEL_ERROR] = {"error", '3'},
    [LOG_LEVEL_WARNING] = {"warning", '4'},
    [LOG_LEVEL_NOTICE] = {"notice", '5'},
    [LOG_LEVEL_INFO] = {"info", '6'},
    [LOG_LEVEL_DEBUG] = {"debug", '7'},
};

/* Set by log_init() before threads are made, constant afterwards. */
static char log_program[32];
static enum log_level log_threshold = LOG_LEVEL_INFO;
/* Datagram socket for the journal and for notifications; opened early, since a sandbox may forbid
 * socket(2) later. */
static int log_socket = -1;
static bool log_journal;

/* Text that grows in a fixed buffer; what does not fit is cut. */
struct line {
    char text[LINE_SIZE];
    size_t len;
};

static void line_put(struct line *line, const void *data, size_t len)
{
    size_t room = sizeof line->text - line->len;
    if (len > room)
        len = room;
    memcpy(line->text + line->len, data, len);
    line->len += len;
}

static void line_str(struct line *line, const char *text)
{
    line_put(line, text, strlen(text));
}

/* Length of the UTF-8 sequence at `s` that is safe to show, 0 if malformed or a control character
 * (C0, DEL, C1). */
static size_t shown_len(const unsigned char *s)
{
    if (s[0] < 0x80)
        return s[0] >= 0x20 && s[0] != 0x7f;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : s[0] >= 0xe0 && s[0] <= 0xef ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80) /* also stops at the NUL */
            return 0;
    bool c1 = s[0] == 0xc2 && s[1] < 0xa0;
    bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
    bool outside = (s[0] == 0xed && s[1] >= 0xa0) || (s[0] == 0xf4 && s[1] >= 0x90);
    return c1 || overlong || outside ? 0 : len;
}

/* Names, paths and messages may come from a stranger: what could move a terminal's cursor or fake a
 * line is escaped. */
static void line_escaped(struct line *line, const char *text, const char *special)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t len = shown_len(s);
        char code[5];
        if (len == 1 && strchr(special, *s)) {
            snprintf(code, sizeof code, "\\%c", *s);
            line_str(line, code);
        } else if (len > 0) {
            line_put(line, s, len);
        } else {
            if (*s == '\n' || *s == '\t')
                snprintf(code, sizeof code, "\\%c", *s == '\n' ? 'n' : 't');
            else
                snprintf(code, sizeof code, "\\x%02x", *s);
            line_str(line, code);
        }
        s += len ? len : 1;
    }
}

/* -- stderr ------------------------------------------------------------------------------------ */

static void write_stderr(struct line *line)
{
    if (line->len == sizeof line->text)
        line->len--;
    line->text[line->len++] = '\n';
    struct pollfd pollfd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&pollfd, 1, STDERR_WAIT_MS) == 0)
        return; /* nobody reads: the work goes on without this line */
    for (size_t done = 0; done < line->len;) {
        ssize_t n = write(STDERR_FILENO, line->text + done, line->len - done);
        if (n < 0 && errno != EINTR)
            return;
        done += n > 0 ? (size_t)n : 0;
    }
}

static void to_stderr(
    enum log_level level, const char *text, const struct log_field *fields, size_t count)
{
    struct line line = {.len = 0};
    line_str(&line, log_program[0] ? log_program : program_invocation_short_name);
    line_str(&line, ": ");
    line_str(&line, levels[level].name);
    line_str(&line, ": ");
    line_escaped(&line, text, "");
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].value)
            continue;
        bool quote = fields[i].value[0] == '\0' || strpbrk(fields[i].value, " \"=");
        line_str(&line, " ");
        line_str(&line, fields[i].key);
        line_str(&line, quote ? "=\"" : "=");
        line_escaped(&line, fields[i].value, "\"\\");
        line_str(&line, quote ? "\"" : "");
    }
    write_stderr(&line);
}

/* -- journal ----------------------------------------------------------------------------------- */

/*
 * The binary form of a field: KEY, newline, length (u64, little endian), value, newline. Unlike
 * KEY=value it cannot be left by any value. `prefix` keeps our keys apart from the journal's own. A
 * field that does not fit is left out whole.
 */
static void journal_field(struct line *line, const char *prefix, const char *key, const char *value)
{
    struct line escaped = {.len = 0};
    line_escaped(&escaped, value, "");
    size_t need = strlen(prefix) + strlen(key) + 1 + sizeof(uint64_t) + escaped.len + 1;
    if (need > sizeof line->text - line->len)
        return;
    uint64_t len = htole64(escaped.len);
    line_str(line, prefix);
    line_str(line, key);
    line_str(line, "\n");
    line_put(line, &len, sizeof len);
    line_put(line, escaped.text, escaped.len);
    line_str(line, "\n");
}

static bool send_to(const struct sockaddr_un *address, socklen_t address_len, int fd,
    const void *data, size_t len, int flags)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr header = {.msg_name = (void *)(uintptr_t)address,
        .msg_namelen = address_len,
        .msg_iov = &part,
        .msg_iovlen = 1};
    ssize_t sent;
    do
        sent = sendmsg(fd, &header, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent == (ssize_t)len;
}

static bool to_journal(
    enum log_level level, const char *text, const struct log_field *fields, size_t count)
{
    static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = JOURNAL_SOCKET};
    char priority[2] = {levels[level].priority, '\0'};
    struct line line = {.len = 0};
    journal_field(&line, "", "PRIORITY", priority);
    journal_field(&line, "", "SYSLOG_IDENTIFIER", log_program);
    journal_field(&line, "", "MESSAGE", text);
    for (size_t i = 0; i < count; i++)
        if (fields[i].value)
            journal_field(&line, "SEALED_", fields[i].key, fields[i].value);
    return send_to(&address, sizeof address, log_socket, line.text, line.len, MSG_DONTWAIT);
}

/* $JOURNAL_STREAM is "device:inode" of the stream that systemd gave us; stderr may have been
 * redirected since. */
static bool stderr_is_journal(void)
{
    unsigned long long device, inode;
    char rest;
    struct stat info;
    const char *stream = getenv("JOURNAL_STREAM");
    return stream && sscanf(stream, "%llu:%llu%c", &device, &inode, &rest) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

/* -- the interface ----------------------------------------------------------------------------- */

static int open_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct timeval wait = {.tv_sec = NOTIFY_WAIT_S};
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    return fd;
}

void log_init(const char *program, enum log_target target, enum log_level level)
{
    int keep = errno;
    snprintf(log_program, sizeof log_program, "%s", program);
    log_threshold = level;
    if (log_socket < 0)
        log_socket = open_socket();
    log_journal = log_socket >= 0 && (target == LOG_TARGET_JOURNAL ||
                                         (target == LOG_TARGET_AUTO && stderr_is_journal()));
    errno = keep;
}

static void log_line(
    enum log_level level, const char *text, const struct log_field *fields, size_t count)
{
    if (!log_journal || !to_journal(level, text, fields, count))
        to_stderr(level, text, fields, count);
}

void log_text(
    enum log_level level, const struct log_field *fields, size_t count, const char *format, ...)
{
    if (level > log_threshold)
        return;
    int keep = errno;
    char text[TEXT_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    log_line(level, text, fields, count);
    errno = keep;
}

void log_err(enum log_level level, const struct err *err, const char *format, ...)
{
    if (level > log_threshold)
        return;
    int keep = errno;
    char text[TEXT_SIZE], place[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text - ERR_MESSAGE_SIZE - 2, format, args);
    va_end(args);
    size_t len = strlen(text);
    snprintf(text + len, sizeof text - len, ": %s", err->message);
    snprintf(place, sizeof place, "%s:%d", err->file ? err->file : "?", err->line);
    const struct log_field fields[] = {
        {"ERROR", err_info(err->code)->name},
        {"AT", place},
        {"REF", err->ref[0] ? err->ref : NULL},
    };
    log_line(level, text, fields, ARRAY_LEN(fields));
    errno = keep;
}

/* "/path", or "@name" in the abstract name space, where the leading NUL is part of the name and no
 * NUL ends it. */
static bool notify_address(const char *name, struct sockaddr_un *address, socklen_t *len)
{
    size_t name_len = strlen(name);
    if ((name[0] != '/' && name[0] != '@') || name_len < 2 || name_len >= sizeof address->sun_path)
        return false; /* vsock: and the like are a container manager's affair */
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(address->sun_path, name, name_len);
    if (name[0] == '@')
        address->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + name_len + (name[0] == '/'));
    return true;
}

void log_notify(const char *state)
{
    int keep = errno;
    struct sockaddr_un address;
    socklen_t len;
    const char *name = secure_getenv("NOTIFY_SOCKET");
    if (name && notify_address(name, &address, &len)) {
        auto_fd int own = log_socket < 0 ? open_socket() : -1;
        if (!send_to(&address, len, log_socket < 0 ? own : log_socket, state, strlen(state), 0))
            log_debug("cannot notify %s: %s", name, strerrordesc_np(errno));
    }
    errno = keep;
}

bool log_level_parse(const char *name, enum log_level *ret_level)
{
    for (size_t i = 0; i < ARRAY_LEN(levels); i++) {
        if (strcmp(levels[i].name, name) != 0)
            continue;
        *ret_level = (enum log_level)i;
        return true;
    }
    return false;
}
