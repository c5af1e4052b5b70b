/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define SELF "/proc/self/exe"

static bool is_indirect(const char *path)
{
    return strncmp(path, "/proc/", 6) == 0 || strncmp(path, "/dev/", 5) == 0;
}

static bool path_of_self(char *out, size_t size, struct err *err)
{
    ssize_t len = readlink(SELF, out, size - 1);
    if (len < 0)
        return err_set_errno(err, ERR_CONFIG, "read %s (is /proc mounted?)", SELF);
    out[len] = '\0';
    return true;
}

bool binary_started_by(char **ret_path, struct err *err)
{
    char path[PATH_MAX], dir[PATH_MAX];
    /* The kernel's promise is that this lives as long as the process (getauxval(3)). */
    const char *given = (const char *)getauxval(AT_EXECFN);
    int len = 0;
    if (!given || is_indirect(given)) {
        if (!path_of_self(path, sizeof path, err))
            return false;
    } else if (*given == '/') {
        len = snprintf(path, sizeof path, "%s", given);
    } else {
        if (!getcwd(dir, sizeof dir))
            return err_set_errno(err, ERR_CONFIG, "the directory that this was started in");
        len = snprintf(path, sizeof path, "%s/%s", dir, given);
    }
    if (len >= (int)sizeof path)
        return err_set(err, ERR_CONFIG, "this program's path has %d bytes", len);
    char *copy = strdup(path);
    if (!copy)
        return err_nomem(err);
    *ret_path = copy;
    return true;
}

static bool check_owner(const char *path, const struct stat *st, bool sticky_ok, struct err *err)
{
    if (st->st_uid != 0)
        return err_set(err, ERR_DENIED_LOCAL,
            "%s belongs to user %u; what runs as root must be root's: chown root %s", path,
            (unsigned)st->st_uid, path);
    if ((st->st_mode & 022) && !(sticky_ok && (st->st_mode & S_ISVTX)))
        return err_set(err, ERR_DENIED_LOCAL,
            "%s may be written by others than root (mode %04o); run: chmod go-w %s", path,
            st->st_mode & 07777u, path);
    return true;
}

/* `path` is without links. */
static bool check_directories(const char *path, struct err *err)
{
    char dir[PATH_MAX];
    snprintf(dir, sizeof dir, "%s", path);
    for (char *slash; (slash = strrchr(dir, '/'));) {
        struct stat st;
        slash[slash == dir] = '\0'; /* the root keeps its own */
        if (stat(dir, &st) < 0)
            return err_set_errno(err, ERR_CONFIG, "directory %s", dir);
        if (!check_owner(dir, &st, true, err))
            return false;
        if (slash == dir)
            break;
    }
    return true;
}

bool binary_open(const char *path, int *ret_fd, struct err *err)
{
    struct stat st;
    auto_free char *real = realpath(path, NULL);
    auto_fd int fd = real ? open(real, O_PATH | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set_errno(err, ERR_CONFIG, "program %s", path);
    if (!S_ISREG(st.st_mode) || !(st.st_mode & 0100))
        return err_set(err, ERR_CONFIG, "%s is not a program", path);
    if (!check_owner(real, &st, false, err) || !check_directories(real, err))
        return false;
    *ret_fd = take_fd(fd);
    return true;
}

bool binary_self(int *ret_fd, struct err *err)
{
    int fd = open(SELF, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "open %s (is /proc mounted?)", SELF);
    *ret_fd = fd;
    return true;
}

bool binary_exec(int fd, char *const *argv, struct err *err)
{
    syscall(SYS_execveat, fd, "", argv, environ, AT_EMPTY_PATH);
    return err_set_errno(err, ERR_CONFIG, "start the program");
}
