/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "crypt/base/cleanup.h"
#include "fs/path.h"

/* How often a file that is replaced between two looks is tried again. */
#define RACES_MAX 8

static int open_at(int dir, const char *path, uint64_t flags, uint64_t resolve)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC | O_NOFOLLOW,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | resolve,
    };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

/* DONT_SYNC: a FUSE file system is not asked, so this cannot wait for our own worker. */
static bool is_own(const struct beneath_own *own, int fd)
{
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
        return true;
    return own->is_own(own->arg, makedev(stx.stx_dev_major, stx.stx_dev_minor));
}

/* Name by name, where something is mounted on the way: a mount point below the source must not lead the walk into our own mount. */
static int open_across(const struct beneath_own *own, int root, const char *path, uint64_t flags)
{
    char names[PATH_SIZE], *rest = names, *name;
    auto_fd int dir = -1;
    snprintf(names, sizeof names, "%s", path);
    while ((name = strsep(&rest, "/"))) {
        int above = dir >= 0 ? dir : root;
        auto_fd int next = open_at(above, name, O_PATH, 0);
        if (next < 0)
            return -1;
        if (is_own(own, next)) {
            errno = EDEADLK;
            return -1;
        }
        if (!rest && !(flags & O_PATH))
            return open_at(above, name, flags, 0);
        if (dir >= 0)
            close(dir);
        dir = take_fd(next);
    }
    return take_fd(dir);
}

int beneath_open(const struct beneath_own *own, int root, const char *path, uint64_t flags)
{
    int fd = open_at(root, *path ? path : ".", flags, RESOLVE_NO_XDEV);
    if (fd < 0 && errno == EXDEV)
        return open_across(own, root, path, flags);
    return fd;
}

static bool same_file(int one, int other)
{
    struct stat a, b;
    return fstat(one, &a) == 0 && fstat(other, &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* First only the name (no side effects on a FIFO or a device), then, if it is a regular file, the same one for reading. */
int beneath_open_file(const struct beneath_own *own, int root, const char *path)
{
    for (int race = 0; race < RACES_MAX; race++) {
        struct stat st;
        auto_fd int name = beneath_open(own, root, path, O_PATH);
        if (name < 0 || fstat(name, &st) < 0)
            return -1;
        if (!S_ISREG(st.st_mode))
            return take_fd(name);
        auto_fd int content = beneath_open(own, root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (content >= 0 && same_file(name, content))
            return take_fd(content);
        if (content < 0 && errno != ENOENT && errno != ELOOP && errno != ENXIO)
            return -1;
    }
    errno = EAGAIN;
    return -1;
}

int beneath_open_dir(const struct beneath_own *own, int root, const char *path)
{
    return beneath_open(own, root, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK);
}

int beneath_follow_file(int root, const char *name)
{
    struct stat st;
    struct open_how how = {
        .flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV,
    };
    auto_fd int fd = (int)syscall(SYS_openat2, root, name, &how, sizeof how);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    return take_fd(fd);
}
