/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/mount.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A person who mounted over and over again has this many dead mounts at most. */
#define DEAD_MAX 64

struct entry {
    int id;
    char path[PATH_MAX];
    char type[64];
};

/* proc_pid_mountinfo(5): blanks, tabs, newlines and backslashes in a path are \ooo. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in; out++) {
        unsigned value;
        if (*in == '\\' && sscanf(in + 1, "%3o", &value) == 1) {
            *out = (char)value;
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

static bool parse_entry(char *line, struct entry *ret_entry)
{
    const char *tail = strstr(line, " - ");
    if (!tail || sscanf(line, "%d %*d %*s %*s %4095s", &ret_entry->id, ret_entry->path) != 2 ||
        sscanf(tail + 3, "%63s", ret_entry->type) != 1)
        return false;
    unescape(ret_entry->path);
    return true;
}

/* The uppermost mount at the path: the last of them. *ret_found = false: nothing is mounted there. */
static bool top_mount(const char *path, struct entry *ret_entry, bool *ret_found, struct err *err)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    if (!file)
        return err_set_errno(err, ERR_CONFIG, "open /proc/self/mountinfo (is /proc mounted?)");
    auto_free char *line = NULL;
    size_t size = 0;
    struct entry entry;
    *ret_found = false;
    while (getline(&line, &size, file) > 0)
        if (parse_entry(line, &entry) && strcmp(entry.path, path) == 0) {
            *ret_entry = entry;
            *ret_found = true;
        }
    fclose(file);
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
        struct entry top;
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
    struct entry top;
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

bool mount_device(const char *mountpoint, dev_t *ret_device, struct err *err)
{
    struct statx stx;
    if (statx(AT_FDCWD, mountpoint, AT_STATX_DONT_SYNC, STATX_TYPE, &stx) < 0)
        return err_set_errno(err, ERR_INTERNAL, "device of the mount on %s", mountpoint);
    *ret_device = makedev(stx.stx_dev_major, stx.stx_dev_minor);
    return true;
}

bool mount_end(const char *mountpoint, int id, bool detach, struct err *err)
{
    struct entry top;
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
