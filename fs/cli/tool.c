/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt/base/file.h"
#include "crypt/base/number.h"
#include "fs/control.h"

static bool read_all(int fd, size_t max, struct buf *out, struct err *err)
{
    uint8_t part[16384];
    for (;;) {
        ssize_t got = read(fd, part, sizeof part);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, ERR_IO, "read");
        if (got == 0)
            return true;
        if (out->len + (size_t)got > max)
            return err_set(err, ERR_FORMAT, "more than the %zu bytes that are taken", max);
        if (!buf_append(out, bytes_of(part, (size_t)got), err))
            return false;
    }
}

bool tool_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_all(STDIN_FILENO, max, out, err) || err_wrap(err, "standard input");
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", path);
    return read_all(fd, max, out, err) || err_wrap(err, "%s", path);
}

bool tool_read_secret(const char *path, size_t max, struct secret **ret_secret, struct err *err)
{
    if (strcmp(path, "-") == 0)
        return secret_read_fd(STDIN_FILENO, max, ret_secret, err) ||
               err_wrap(err, "standard input");
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "%s", path);
    return secret_read_fd(fd, max, ret_secret, err) || err_wrap(err, "%s", path);
}

static bool flush_output(struct err *err)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_set_errno(err, ERR_IO, "standard output");
    return true;
}

/* Texts come from other machines, a refused guest's claims among them: on a terminal they must not act. C0, DEL and C1 (in
 * UTF-8: C2 80 to C2 9F) become '?'; what goes into a file or a pipe stays as it is. */
static void disarm(char *text)
{
    for (uint8_t *at = (uint8_t *)text; *at; at++)
        if ((*at < ' ' && *at != '\n' && *at != '\t') || *at == 0x7f)
            *at = '?';
        else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            at[0] = at[1] = '?';
}

bool tool_printf(struct err *err, const char *format, ...)
{
    auto_free char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        text = NULL;
        return err_nomem(err);
    }
    if (isatty(STDOUT_FILENO))
        disarm(text);
    return fputs(text, stdout) >= 0 ? flush_output(err)
                                    : err_set_errno(err, ERR_IO, "standard output");
}

bool tool_end(const char *text, const char *what, char ret_when[CLOCK_TEXT_SIZE], struct err *err)
{
    int64_t at = 0, ms = 0;
    if (number_duration(text, &ms) && ms >= 1000)
        at = clock_wall_s() + ms / 1000;
    else if (!clock_parse_rfc3339(bytes_str(text), what, &at, err))
        return err_set(err, ERR_CONFIG,
            "%s %.40s: neither a time, 2026-12-31T00:00:00Z, nor how long from now, 90d", what,
            text);
    clock_rfc3339(at, ret_when);
    return true;
}

/* A terminal, pipe or device is written to as it is; replacing or chmod'ing /dev/null would be a disaster. */
static bool is_special(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

static bool is_stdout(const char *path)
{
    return !path || strcmp(path, "-") == 0;
}

bool tool_write_text(const char *path, const char *text, struct err *err)
{
    if (is_stdout(path))
        return tool_printf(err, isatty(STDOUT_FILENO) ? "%s\n" : "%s", text);
    if (!is_special(path))
        return file_write(path, bytes_str(text), 0644, err);
    FILE *file = fopen(path, "we");
    if (!file)
        return err_set_errno(err, ERR_IO, "%s", path);
    bool written = fputs(text, file) >= 0;
    return (fclose(file) == 0 && written) || err_set_errno(err, ERR_IO, "%s", path);
}

bool tool_create_secret(const char *path, const struct secret *secret, struct err *err)
{
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno == EEXIST)
        return err_set(
            err, ERR_CONFIG, "%s exists; a key is never overwritten, move it away first", path);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    if (secret_write_fd(secret, fd, err) && fsync(fd) == 0)
        return true;
    if (err->code == ERR_OK)
        err_set_errno(err, ERR_IO, "fsync");
    (void)unlink(path); /* a part of a key looks like a key */
    return err_wrap(err, "%s", path);
}

/* Beside the file, then in its place: readers of what was there before see none of it, and a full disk leaves nothing half. */
static bool replace_with_secret(const char *path, const struct secret *secret, struct err *err)
{
    auto_free char *beside = NULL;
    const char *slash = strrchr(path, '/');
    int dir_len = slash ? (int)(slash - path) + 1 : 0;
    if (asprintf(&beside, "%.*s" FILE_TEMP_PREFIX "%ld", dir_len, path, (long)getpid()) < 0) {
        beside = NULL;
        return err_nomem(err);
    }
    if (!tool_create_secret(beside, secret, err))
        return false;
    if (rename(beside, path) == 0)
        return true;
    err_set_errno(err, ERR_IO, "%s", path);
    (void)unlink(beside);
    return false;
}

bool tool_write_secret(const char *path, const struct secret *secret, struct err *err)
{
    if (is_stdout(path))
        return flush_output(err) &&
               (secret_write_fd(secret, STDOUT_FILENO, err) || err_wrap(err, "standard output"));
    if (!is_special(path))
        return replace_with_secret(path, secret, err);
    auto_fd int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    return secret_write_fd(secret, fd, err) || err_wrap(err, "%s", path);
}

bool tool_print_json(const json_t *json, struct err *err)
{
    auto_free char *text = json_text_indented(json);
    return text ? tool_printf(err, "%s\n", text) : err_nomem(err);
}

bool tool_print_members(const json_t *object, struct err *err)
{
    const char *name;
    json_t *value;
    int width = 0;
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        width = (int)strlen(name) > width ? (int)strlen(name) : width;
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        auto_free char *text = json_text(value);
        if (!text)
            return err_nomem(err);
        if (!tool_printf(err, "%s:%*s%s\n", name, width - (int)strlen(name) + 2, "",
                json_is_string(value) ? json_string_value(value) : text))
            return false;
    }
    return true;
}

const char *tool_socket(const char *option)
{
    const char *environment = secure_getenv("SEALED_SOCKET");
    if (option)
        return option;
    return environment && environment[0] == '/' ? environment : CONTROL_SOCKET_DEFAULT;
}

bool tool_absolute(const char *path, char **ret_path, struct err *err)
{
    char here[PATH_MAX];
    char *whole = NULL;
    if (path[0] == '/')
        whole = strdup(path);
    else if (!getcwd(here, sizeof here))
        return err_set_errno(err, ERR_IO, "current directory");
    else if (asprintf(&whole, "%s/%s", here, path) < 0)
        whole = NULL;
    if (!whole)
        return err_nomem(err);
    *ret_path = whole;
    return true;
}
