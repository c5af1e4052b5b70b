/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/frame.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "fs/origin.h"
#include "fs/owner.h"
#include "fs/path.h"

#define DIR_MODE 0755
/* .kbs/REPOSITORY/TYPE/TAG */
#define NAME_DEPTH 3

struct access {
    mode_t mode;
    uid_t uid;
    gid_t gid;
};

struct frame {
    int fd;
    bool has_names;
    struct access names;
    char *made[FRAME_NAMES_MAX]; /* a ring: files below .kbs in the order in which they were made */
    size_t made_next;
};

/* -- making and unmaking --------------------------------------------------------------------------- */

/* The owner goes last: the mode of a file that is somebody else's takes a capability more. */
static bool set_access(int fd, const struct access *access)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return false;
    bool same_owner = st.st_uid == access->uid && st.st_gid == access->gid;
    if (same_owner && (st.st_mode & 07777) == access->mode)
        return true;
    if ((st.st_uid != 0 && fchown(fd, 0, 0) < 0) || fchmod(fd, access->mode) < 0)
        return false;
    return (access->uid == 0 && access->gid == 0) || fchown(fd, access->uid, access->gid) == 0;
}

static bool make_dir(const struct frame *frame, const char *path)
{
    static const struct access access = {.mode = DIR_MODE};
    if (mkdirat(frame->fd, path, DIR_MODE) < 0 && errno != EEXIST)
        return false;
    auto_fd int fd = openat(frame->fd, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && set_access(fd, &access);
}

static bool content_is(int fd, const char *content)
{
    char text[CONF_NAME_MAX + 2];
    ssize_t len = pread(fd, text, sizeof text, 0);
    return len == (ssize_t)strlen(content) && memcmp(text, content, (size_t)len) == 0;
}

static bool make_file(
    const struct frame *frame, const char *path, const char *content, const struct access *access)
{
    auto_fd int old = openat(frame->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (old >= 0 && content_is(old, content))
        return set_access(old, access);
    /* Another section's file: another file. */
    if (old >= 0 && unlinkat(frame->fd, path, 0) < 0)
        return false;
    auto_fd int fd = openat(frame->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    return fd >= 0 && write(fd, content, strlen(content)) == (ssize_t)strlen(content) &&
           set_access(fd, access);
}

/* -- resources by name ------------------------------------------------------------------------- */

/* kbs/uri.h has the same rule: [A-Za-z0-9_-][A-Za-z0-9_.-]* */
static bool is_segment(const char *name, size_t len)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    if (len == 0 || len > 255 || name[0] == '.')
        return false;
    return strspn(name, allowed) >= len;
}

/* How many names lie below .kbs; -1: it is no such path. */
static int name_depth(const char *path)
{
    size_t len = strlen(BY_NAME_DIR);
    int depth = 0;
    if (strncmp(path, BY_NAME_DIR, len) != 0)
        return -1;
    for (path += len; *path; depth++) {
        if (*path != '/' || depth == NAME_DEPTH)
            return -1;
        len = strcspn(++path, "/");
        if (!is_segment(path, len))
            return -1;
        path += len;
    }
    return depth;
}

bool frame_is_name(const char *path)
{
    return name_depth(path) >= 0;
}

bool frame_has_names(const struct frame *frame)
{
    return frame->has_names;
}

/* What was empty but for it goes as well, up to .kbs. A directory with something in it stays: it goes with the last of that. */
static void remove_name(const struct frame *frame, char *path)
{
    if (unlinkat(frame->fd, path, name_depth(path) < NAME_DEPTH ? AT_REMOVEDIR : 0) < 0)
        return;
    for (char *slash; (slash = strrchr(path, '/')) && slash != path + strlen(BY_NAME_DIR);) {
        *slash = '\0';
        if (unlinkat(frame->fd, path, AT_REMOVEDIR) < 0)
            return;
    }
}

static bool remember_name(struct frame *frame, const char *path)
{
    char **slot = &frame->made[frame->made_next % FRAME_NAMES_MAX];
    char *copy = strdup(path);
    if (!copy)
        return false;
    if (*slot)
        remove_name(frame, *slot);
    free(*slot);
    *slot = copy;
    frame->made_next++;
    return true;
}

/* 0, or the errno. */
static int make_name(struct frame *frame, const char *path, int depth)
{
    struct stat st;
    if (fstatat(frame->fd, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    /* Remembered first: whatever is there is in the ring. */
    if (!remember_name(frame, path))
        return ENOMEM;
    bool made =
        depth < NAME_DEPTH ? make_dir(frame, path) : make_file(frame, path, "", &frame->names);
    return made ? 0 : errno;
}

static int add_parts(struct frame *frame, const char *path, int depth)
{
    char part[PATH_SIZE];
    memcpy(part, path, strlen(path) + 1);
    char *end = part + strlen(BY_NAME_DIR);
    for (int i = 1; i <= depth; i++) {
        end += 1 + strcspn(end + 1, "/");
        char after = *end;
        *end = '\0';
        int failed = make_name(frame, part, i);
        if (failed)
            return failed;
        *end = after;
    }
    return 0;
}

int frame_add_name(struct frame *frame, const char *path)
{
    int depth = name_depth(path);
    if (depth < 0)
        return ENOENT;
    /* What had to go for the name may have been the last in its directory, which went as well; that cannot happen twice. */
    int failed = add_parts(frame, path, depth);
    return failed == ENOENT ? add_parts(frame, path, depth) : failed;
}

/* -- following the catalogue ------------------------------------------------------------------- */

/* What a walk over the tmpfs does with each of its names, children before their directory. */
struct sync {
    struct frame *frame;
    const struct catalogue *catalogue;
};

/* It is as the configuration says now, or it is not there. */
static void keep_name(struct frame *frame, const char *path)
{
    if (name_depth(path) == NAME_DEPTH) {
        auto_fd int fd = openat(frame->fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || !set_access(fd, &frame->names)) {
            (void)unlinkat(frame->fd, path, 0);
            return;
        }
    }
    if (name_depth(path) > 0)
        (void)remember_name(frame, path);
}

static void keep_or_remove(const struct sync *sync, const char *path, bool is_dir)
{
    const struct frame *frame = sync->frame;
    const struct catalogue_entry *entry = catalogue_find(sync->catalogue, path);
    if (frame->has_names && frame_is_name(path)) {
        keep_name(sync->frame, path);
    } else if (!entry || entry->is_dir != is_dir) {
        (void)unlinkat(frame->fd, path, is_dir ? AT_REMOVEDIR : 0);
    }
}

static bool sync_dir(const struct sync *sync, const char *path, struct err *err);

static bool sync_name(
    const struct sync *sync, const char *dir, const struct dirent *name, struct err *err)
{
    char path[PATH_SIZE];
    bool is_dir = name->d_type == DT_DIR;
    if (!path_name_valid(name->d_name, strlen(name->d_name)) || !path_join(dir, name->d_name, path))
        return true;
    if (is_dir && !sync_dir(sync, path, err))
        return false;
    keep_or_remove(sync, path, is_dir);
    return true;
}

/* As deep as a path of the configuration, at most. */
static bool sync_dir(const struct sync *sync, const char *path, struct err *err)
{
    int fd = openat(
        sync->frame->fd, *path ? path : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return err_set_errno(err, ERR_INTERNAL, "read the frame's directory %s", path);
    }
    bool done = true;
    for (const struct dirent *name; done && (name = readdir(dir));)
        done = sync_name(sync, path, name, err);
    closedir(dir);
    return done;
}

static bool find_access(
    int64_t mode, const char *owner, const char *group, struct access *ret_access, struct err *err)
{
    struct access access = {.mode = (mode_t)mode};
    if ((owner && !owner_user(owner, &access.uid, err)) ||
        (group && !owner_group(group, &access.gid, err)))
        return false;
    *ret_access = access;
    return true;
}

static bool make_entry(struct frame *frame, const struct catalogue_entry *entry,
    const struct sealedfs_conf *conf, struct err *err)
{
    struct access access;
    if (entry->is_dir) {
        if (!make_dir(frame, *entry->path ? entry->path : "."))
            return err_set_errno(err, ERR_INTERNAL, "make the directory %s", entry->path);
        return true;
    }
    const struct conf_file *file = &conf->files.items[entry->file];
    if (!find_access(file->mode, file->owner, file->group, &access, err))
        return err_wrap(err, "[file:%s]", file->name);
    if (!make_file(frame, entry->path, file->name, &access))
        return err_set_errno(err, ERR_INTERNAL, "[file:%s]: make %s", file->name, entry->path);
    return true;
}

/* That of files below .kbs; nothing where there are none. */
static bool find_by_name(const struct conf_mount *mount, struct access *ret_access, struct err *err)
{
    return !mount->by_name ||
           find_access(
               mount->by_name_mode, mount->by_name_owner, mount->by_name_group, ret_access, err) ||
           err_wrap(err, "[mount:%s]", mount->name);
}

bool frame_check(const struct sealedfs_conf *conf, size_t mount, struct err *err)
{
    struct access access;
    if (!find_by_name(&conf->mounts.items[mount], &access, err))
        return false;
    for (size_t i = 0; i < conf->files.count; i++) {
        const struct conf_file *file = &conf->files.items[i];
        if (file->mount == mount &&
            !find_access(file->mode, file->owner, file->group, &access, err))
            return err_wrap(err, "[file:%s]", file->name);
    }
    return true;
}

bool frame_sync(struct frame *frame, const struct catalogue *catalogue,
    const struct sealedfs_conf *conf, size_t mount, struct err *err)
{
    const struct conf_mount *of = &conf->mounts.items[mount];
    struct sync sync = {frame, catalogue};
    frame->has_names = of->by_name;
    if (!find_by_name(of, &frame->names, err))
        return false;
    if (!sync_dir(&sync, "", err))
        return false;
    for (size_t i = 0; i < catalogue->count; i++)
        if (!make_entry(frame, &catalogue->entries[i], conf, err))
            return false;
    if (of->by_name && !make_dir(frame, BY_NAME_DIR))
        return err_set_errno(err, ERR_INTERNAL, "make the directory " BY_NAME_DIR);
    return true;
}

/* -- life -------------------------------------------------------------------------------------- */

/* glibc 2.36 has these; older ones, and their headers beside linux/mount.h, do not. */
static bool make_tmpfs(int *ret_fd, struct err *err)
{
    auto_fd int context = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
    if (context < 0 ||
        syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "source", "sealedfs", 0) < 0 ||
        syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, "mode", "0755", 0) < 0 ||
        syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return err_set_errno(err, ERR_CONFIG, "make a tmpfs for the catalogue");
    int fd = (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC,
        MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "make a tmpfs for the catalogue");
    *ret_fd = fd;
    return true;
}

bool frame_new(int fd, struct frame **ret_frame, struct err *err)
{
    struct frame *frame = calloc(1, sizeof *frame);
    if (!frame)
        return err_nomem(err);
    frame->fd = fd;
    if (fd < 0 && !make_tmpfs(&frame->fd, err)) {
        free(frame);
        return false;
    }
    *ret_frame = frame;
    return true;
}

void frame_free(struct frame *frame)
{
    if (!frame)
        return;
    for (size_t i = 0; i < FRAME_NAMES_MAX; i++)
        free(frame->made[i]);
    close(frame->fd);
    free(frame);
}

int frame_fd(const struct frame *frame)
{
    return frame->fd;
}
