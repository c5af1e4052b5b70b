/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "fs/mountinfo.h"

/* A person who mounted over and over again has this many dead mounts at most. */
#define DEAD_MAX 64

/* The uppermost mount at `path`: the last of them. */
struct top {
    const char *path;
    bool found;
    struct mountinfo mount;
};

static void keep_top(void *arg, const struct mountinfo *mount)
{
    struct top *top = arg;
    if (strcmp(mount->path, top->path) != 0)
        return;
    top->mount = *mount;
    top->found = true;
}

static bool top_mount(
    const char *path, struct mountinfo *ret_mount, bool *ret_found, struct err *err)
{
    struct top top = {.path = path};
    if (!mountinfo_each(keep_top, &top, err))
        return false;
    *ret_found = top.found;
    if (top.found)
        *ret_mount = top.mount;
    return true;
}

static bool is_dead(int sys_errno)
{
    return sys_errno == ENOTCONN || sys_errno == ECONNABORTED || sys_errno == ESHUTDOWN;
}

bool mount_point(const char *path, char **ret_path, struct err *err)
{
    struct stat st;
    auto_free char *real = realpath(path, NULL);
    if (!real)
        return err_set_errno(err, ERR_CONFIG, "mount point %s", path);
    if (stat(real, &st) < 0) {
        if (!is_dead(errno))
            return err_set_errno(err, ERR_CONFIG, "mount point %s", path);
    } else if (!S_ISDIR(st.st_mode)) {
        return err_set(err, ERR_CONFIG, "mount point %s is not a directory", path);
    }
    *ret_path = take_ptr(real);
    return true;
}

bool mount_clear_dead(const char *mountpoint, struct err *err)
{
    for (int i = 0; i < DEAD_MAX; i++) {
        struct stat st;
        struct mountinfo top;
        bool found;
        if (!top_mount(mountpoint, &top, &found, err))
            return false;
        bool dead = found && stat(mountpoint, &st) < 0 && is_dead(errno);
        bool ours = found && strcmp(top.type, MOUNT_TYPE) == 0;
        if (!dead && !ours)
            return true;
        if (!dead)
            return err_set(
                err, ERR_BUSY, "a sealedfs is mounted on %s already; umount it first", mountpoint);
        if (!ours)
            return err_set(err, ERR_CONFIG,
                "%s is a dead mount of type %s, which is not ours to clear; run: umount -l %s",
                mountpoint, top.type, mountpoint);
        if (umount2(mountpoint, MNT_DETACH | UMOUNT_NOFOLLOW) < 0)
            return err_set_errno(err, ERR_CONFIG, "clear the dead mount on %s", mountpoint);
    }
    return err_set(err, ERR_BUSY, "more than %d dead mounts on %s", DEAD_MAX, mountpoint);
}

bool mount_fuse(
    const char *source, const char *mountpoint, int *ret_fuse_fd, int *ret_id, struct err *err)
{
    char options[128];
    struct mountinfo top;
    bool found;
    auto_fd int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "open /dev/fuse (is the module fuse loaded?)");
    snprintf(options, sizeof options,
        "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fd);
    if (mount(source, mountpoint, MOUNT_TYPE, MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
            options) < 0)
        return err_set_errno(err, ERR_CONFIG, "mount on %s", mountpoint);
    if (!top_mount(mountpoint, &top, &found, err))
        return false;
    *ret_id = found ? top.id : -1;
    *ret_fuse_fd = take_fd(fd);
    return true;
}

bool mount_device_of(int fd, dev_t *ret_device)
{
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
        return false;
    *ret_device = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    return true;
}

bool mount_device(const char *mountpoint, dev_t *ret_device, struct err *err)
{
    struct statx stx;
    if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
        return err_set_errno(err, ERR_INTERNAL, "device of the mount on %s", mountpoint);
    *ret_device = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    return true;
}

struct holder {
    int id;
    bool ours;
};

static void look_at_holder(void *arg, const struct mountinfo *mount)
{
    struct holder *holder = arg;
    if (mount->id == holder->id)
        holder->ours = strcmp(mount->type, MOUNT_TYPE) == 0;
}

bool mount_is_ours(int fd, bool *ret_ours, struct err *err)
{
    struct statx stx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &stx) < 0)
        return err_set_errno(err, ERR_IO, "mount of a file");
    struct holder holder = {.id = (int)stx.stx_mnt_id};
    if (!mountinfo_each(look_at_holder, &holder, err))
        return false;
    *ret_ours = holder.ours;
    return true;
}

bool mount_end(const char *mountpoint, int id, bool detach, struct err *err)
{
    struct mountinfo top;
    bool found;
    if (!top_mount(mountpoint, &top, &found, err))
        return false;
    if (!found || top.id != id)
        return true;
    if (umount2(mountpoint, (detach ? MNT_DETACH : 0) | UMOUNT_NOFOLLOW) == 0)
        return true;
    if (errno == EBUSY)
        return err_set(err, ERR_BUSY, "%s is busy", mountpoint);
    return err_set_errno(err, ERR_IO, "unmount %s", mountpoint);
}
