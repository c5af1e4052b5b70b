/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/audit_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt/base/log.h"

#define FILE_MODE 0640

struct audit_file {
    int64_t rotate_size, rotate_keep;
    char *path;
    char *dir_path;
    char *name; /* in that directory */
    int dir_fd;
    int fd; /* -1: could not be begun anew */
    off_t size;
    dev_t device;
    ino_t inode;
};

/* A directory in which somebody else could put his own file in the place of ours is no place for an audit. */
static bool open_directory(struct audit_file *file, struct err *err)
{
    struct stat st;
    auto_free char *copy = strdup(file->path), *other = strdup(file->path);
    if (!copy || !other)
        return err_nomem(err);
    file->dir_path = strdup(dirname(copy));
    file->name = strdup(basename(other));
    if (!file->dir_path || !file->name)
        return err_nomem(err);
    file->dir_fd = open(file->dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file->dir_fd < 0 || fstat(file->dir_fd, &st) < 0)
        return err_set_errno(err, ERR_CONFIG, "audit.file: directory %s", file->dir_path);
    if (st.st_uid != geteuid() || (st.st_mode & 0022) != 0)
        return err_set(err, ERR_CONFIG,
            "audit.file: others than root may write to the directory %s; chown root, chmod go-w",
            file->dir_path);
    return true;
}

static bool check_file(const struct audit_file *file, const struct stat *st, struct err *err)
{
    if (!S_ISREG(st->st_mode))
        return err_set(err, ERR_CONFIG, "audit.file: %s is no regular file", file->path);
    if (st->st_uid != geteuid() || (st->st_mode & 0022) != 0)
        return err_set(err, ERR_CONFIG,
            "audit.file: others than root may write to %s; chown root, chmod go-w, or remove it",
            file->path);
    return true;
}

static bool begin(struct audit_file *file, struct err *err)
{
    struct stat st;
    auto_fd int fd = openat(file->dir_fd, file->name,
        O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, FILE_MODE);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set_errno(err, ERR_IO, "open %s", file->path);
    if (!check_file(file, &st, err))
        return false;
    if (st.st_size == 0)
        (void)fchmod(fd, FILE_MODE); /* whatever the umask */
    if (file->fd >= 0)
        close(file->fd);
    file->fd = take_fd(fd);
    file->size = st.st_size;
    file->device = st.st_dev;
    file->inode = st.st_ino;
    return true;
}

bool audit_file_check(const char *path, struct err *err)
{
    struct audit_file file = {.dir_fd = -1};
    struct stat st;
    if (!(file.path = strdup(path)))
        return err_nomem(err);
    bool done = open_directory(&file, err);
    if (done && fstatat(file.dir_fd, file.name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        done = check_file(&file, &st, err);
    if (file.dir_fd >= 0)
        close(file.dir_fd);
    free(file.path);
    free(file.dir_path);
    free(file.name);
    return done;
}

/* FILE.(n) -> FILE.(n+1), from the oldest on. */
static void put_aside(struct audit_file *file)
{
    char from[NAME_MAX + 16], to[NAME_MAX + 16];
    for (int64_t n = file->rotate_keep; n >= 1; n--) {
        if (n > 1)
            snprintf(from, sizeof from, "%s.%lld", file->name, (long long)n - 1);
        else
            snprintf(from, sizeof from, "%s", file->name);
        snprintf(to, sizeof to, "%s.%lld", file->name, (long long)n);
        if (renameat(file->dir_fd, from, file->dir_fd, to) < 0 && errno != ENOENT)
            log_warning("%s: cannot be put aside as %s: %s", file->path, to, strerror(errno));
    }
    if (file->rotate_keep == 0)
        (void)unlinkat(file->dir_fd, file->name, 0);
}

static bool was_moved(const struct audit_file *file)
{
    struct stat st;
    return fstatat(file->dir_fd, file->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
           st.st_dev != file->device || st.st_ino != file->inode;
}

/* A file that cannot be begun anew is no reason to lose lines: the old one goes on. */
static bool renew(struct audit_file *file, size_t more, struct err *err)
{
    struct err later = ERR_INIT;
    if (file->fd < 0)
        return begin(file, err);
    if (file->size > 0 && file->size + (off_t)more > file->rotate_size)
        put_aside(file);
    if (was_moved(file) && !begin(file, &later))
        log_err(LOG_LEVEL_WARNING, &later, "the audit goes on in the file that was put aside");
    return true;
}

bool audit_file_append(struct audit_file *file, struct bytes line, struct err *err)
{
    if (!renew(file, line.len, err))
        return false;
    ssize_t len = write(file->fd, line.data, line.len);
    if (len == (ssize_t)line.len) {
        file->size += len;
        return true;
    }
    if (len >= 0) {
        errno = ENOSPC;
        if (ftruncate(file->fd, file->size) < 0)
            file->size += len;
        errno = ENOSPC;
    }
    return err_set_errno(err, ERR_IO, "write to %s", file->path);
}

bool audit_file_open(
    const struct audit_file_conf *conf, struct audit_file **ret_file, struct err *err)
{
    AUTO(audit_file_close) struct audit_file *file = calloc(1, sizeof *file);
    if (!file)
        return err_nomem(err);
    file->fd = file->dir_fd = -1;
    file->rotate_size = conf->rotate_size;
    file->rotate_keep = conf->rotate_keep;
    file->path = strdup(conf->path);
    if (!file->path)
        return err_nomem(err);
    if (!open_directory(file, err) || !begin(file, err))
        return false;
    *ret_file = take_ptr(file);
    return true;
}

void audit_file_close(struct audit_file *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    if (file->dir_fd >= 0)
        close(file->dir_fd);
    free(file->path);
    free(file->dir_path);
    free(file->name);
    free(file);
}
