/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "crypt/base/b64.h"

static bool read_all(int fd, size_t max, const char *name, struct buf *out, struct err *err)
{
    uint8_t chunk[8192];
    for (size_t total = 0;;) {
        ssize_t len = read(fd, chunk, sizeof chunk);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return err_set_errno(err, ERR_IO, "reading %s", name);
        if (len == 0)
            return true;
        total += (size_t)len;
        if (total > max)
            return err_set(
                err, ERR_FORMAT, "%s: larger than the %zu bytes that are taken", name, max);
        if (!buf_append(out, bytes_of(chunk, (size_t)len), err))
            return err_wrap(err, "%s", name);
    }
}

bool file_read_at(int dir_fd, const char *name, size_t max, struct buf *out, struct err *err)
{
    auto_fd int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set_errno(err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "opening %s", name);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return err_set_errno(err, ERR_IO, "fstat of %s", name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_IO, "%s: not a regular file", name);
    size_t before = out->len;
    if (!read_all(fd, max, name, out, err)) {
        buf_truncate(out, before);
        return false;
    }
    return true;
}

bool file_read(const char *path, size_t max, struct buf *out, struct err *err)
{
    return file_read_at(AT_FDCWD, path, max, out, err);
}

struct temp_name {
    char text[sizeof FILE_TEMP_PREFIX + 16];
};

static int open_temp(int dir_fd, struct temp_name *name)
{
    for (int tries = 0; tries < 16; tries++) {
        uint8_t random[8];
        char digits[2 * sizeof random + 1];
        if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random)
            return -1;
        hex_encode(bytes_of(random, sizeof random), digits);
        snprintf(name->text, sizeof name->text, "%s%s", FILE_TEMP_PREFIX, digits);
        int fd =
            openat(dir_fd, name->text, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0 || errno != EEXIST)
            return fd;
    }
    return -1;
}

static bool write_all(int fd, struct bytes data)
{
    while (data.len > 0) {
        ssize_t len = write(fd, data.data, data.len);
        if (len < 0 && errno != EINTR)
            return false;
        if (len > 0)
            data = bytes_slice(data, (size_t)len, data.len);
    }
    return true;
}

static bool fill(int fd, const char *name, struct bytes data, mode_t mode, struct err *err)
{
    if (!write_all(fd, data))
        return err_set_errno(err, ERR_IO, "writing %s", name);
    if (fchmod(fd, mode) != 0)
        return err_set_errno(err, ERR_IO, "setting the mode of %s", name);
    if (fsync(fd) != 0)
        return err_set_errno(err, ERR_IO, "fsync of %s", name);
    return true;
}

/* Opened anew, since dir_fd may be AT_FDCWD or an O_PATH descriptor, which cannot be synced. */
static bool sync_dir(int dir_fd, const char *name, struct err *err)
{
    auto_fd int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        return err_set_errno(err, ERR_IO, "fsync of the directory of %s", name);
    return true;
}

bool file_write_at(int dir_fd, const char *name, struct bytes data, mode_t mode, struct err *err)
{
    struct temp_name temp;
    if (name[0] == '\0' || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(
            err, ERR_INTERNAL, "writing \"%s\": not the name of a file in a directory", name);
    auto_fd int fd = open_temp(dir_fd, &temp);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "creating a temporary file beside %s", name);
    if (!fill(fd, name, data, mode, err)) {
        unlinkat(dir_fd, temp.text, 0);
        return false;
    }
    if (renameat(dir_fd, temp.text, dir_fd, name) != 0) {
        err_set_errno(err, ERR_IO, "renaming the new %s into place", name);
        unlinkat(dir_fd, temp.text, 0);
        return false;
    }
    return sync_dir(dir_fd, name, err);
}

bool file_write(const char *path, struct bytes data, mode_t mode, struct err *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return file_write_at(AT_FDCWD, path, data, mode, err);
    auto_free char *dir = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
    if (!dir)
        return err_nomem(err);
    auto_fd int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return err_set_errno(
            err, errno == ENOENT ? ERR_NOTFOUND : ERR_IO, "opening the directory %s", dir);
    if (!file_write_at(dir_fd, slash + 1, data, mode, err))
        return err_wrap(err, "directory %s", dir);
    return true;
}

/* The mode is set through a descriptor, because mkdir(2) takes the umask off. */
static bool make_dir(const char *path, mode_t mode, struct err *err)
{
    if (mkdir(path, 0700) != 0) {
        struct stat st;
        if (errno == EEXIST && stat(path, &st) == 0 && S_ISDIR(st.st_mode))
            return true;
        return err_set_errno(err, ERR_IO, "making the directory %s", path);
    }
    auto_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fchmod(fd, mode) != 0)
        return err_set_errno(err, ERR_IO, "setting the mode of the directory %s", path);
    return true;
}

bool file_make_dirs(const char *path, mode_t mode, struct err *err)
{
    char part[PATH_MAX];
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof part)
        return err_set(err, ERR_IO, "making directories: a path of %zu bytes", len);
    for (size_t at = 1; at <= len; at++) {
        if (path[at] != '/' && path[at] != '\0')
            continue;
        memcpy(part, path, at);
        part[at] = '\0';
        if (path[at - 1] != '/' && !make_dir(part, mode, err))
            return false;
    }
    return true;
}
