/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration and credential files: whose they may be, and their bytes. */
#include "crypt/base/conf_private.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* Who may write the file decides what the program does: only root and this user may. */
static bool open_own_file(const char *path, int *ret_fd, struct stat *ret_info, struct err *err)
{
    auto_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "%s", path);
    if (fstat(fd, ret_info) < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    if (!S_ISREG(ret_info->st_mode))
        return err_set(err, ERR_CONFIG, "%s: not a regular file", path);
    if (ret_info->st_uid != 0 && ret_info->st_uid != geteuid())
        return err_set(err, ERR_CONFIG,
            "%s: owned by uid %u, who could change it; run: chown %u %s", path,
            (unsigned)ret_info->st_uid, (unsigned)geteuid(), path);
    *ret_fd = take_fd(fd);
    return true;
}

static bool read_all(int fd, const char *path, struct buf *out, struct err *err)
{
    char chunk[4096];
    ssize_t got;
    while ((got = read(fd, chunk, sizeof chunk)) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set_errno(err, ERR_IO, "%s", path);
        if (out->len + (size_t)got > out->max)
            return err_set(err, ERR_CONFIG, "%s: longer than %zu bytes", path, out->max);
        if (!buf_append(out, bytes_of(chunk, (size_t)got), err))
            return err_wrap(err, "%s", path);
    }
    return true;
}

bool conf_file_text(const char *path, struct buf *out, struct err *err)
{
    struct stat info;
    auto_fd int fd = -1;
    if (!open_own_file(path, &fd, &info, err))
        return false;
    if (info.st_mode & (S_IWGRP | S_IWOTH))
        return err_set(err, ERR_CONFIG, "%s: mode %04o lets others write it; run: chmod go-w %s",
            path, (unsigned)info.st_mode & 07777, path);
    return read_all(fd, path, out, err);
}

static bool open_credential(const char *path, bool group_ok, int *ret_fd, struct err *err)
{
    struct stat info;
    auto_fd int fd = -1;
    if (!open_own_file(path, &fd, &info, err))
        return err_wrap(err, "credential");
    unsigned refused = group_ok ? 07u : 077u;
    if (info.st_mode & refused)
        return err_set(err, ERR_CONFIG,
            "credential %s: mode %04o lets others use it; run: chmod %s %s", path,
            (unsigned)info.st_mode & 07777, group_ok ? "640" : "600", path);
    *ret_fd = take_fd(fd);
    return true;
}

bool conf_credential_check(const char *path, bool group_ok, struct err *err)
{
    auto_fd int fd = -1;
    if (open_credential(path, group_ok, &fd, err))
        return true;
    /* Not there, or not ours to open (a configuration is also read by programs that need no credential). */
    return err->sys_errno == ENOENT || err->sys_errno == EACCES;
}

bool conf_credential(
    const char *path, size_t max, bool group_ok, struct secret **ret_secret, struct err *err)
{
    auto_fd int fd = -1;
    return open_credential(path, group_ok, &fd, err) &&
           (secret_read_fd(fd, max, ret_secret, err) || err_wrap(err, "credential %s", path));
}
