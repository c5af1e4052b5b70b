/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "kbs/server/store/store.h"

#define DEPTH_MAX 6

int tree_open(int dir_fd, const char *path, int flags, bool no_links)
{
    struct open_how how = {
        .flags = (uint64_t)(unsigned)(flags | O_CLOEXEC),
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (no_links ? RESOLVE_NO_SYMLINKS : 0),
    };
    int fd;
    do
        fd = (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
    while (fd < 0 && (errno == EINTR || errno == EAGAIN)); /* EAGAIN: renamed on the way */
    return fd;
}

static inline void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

struct walk {
    int root_fd;
    tree_fn *fn;
    void *arg;
};

void tree_flatten(const char *key, char out[TREE_FLAT_SIZE])
{
    for (; *key != '\0'; key++) {
        if (*key == '/')
            out = stpcpy(out, TREE_FLAT_SLASH);
        else
            *out++ = *key;
    }
    *out = '\0';
}

/* "default\x2Fkey\x2F1" -> "default/key/1". */
static void unflatten(const char *name, char *key)
{
    while (*name != '\0') {
        bool slash = strncmp(name, TREE_FLAT_SLASH, strlen(TREE_FLAT_SLASH)) == 0;
        *key++ = slash ? '/' : *name;
        name += slash ? strlen(TREE_FLAT_SLASH) : 1;
    }
    *key = '\0';
}

static bool show(const struct walk *walk, const char *path, const char *name,
    const struct stat *stat, struct err *err)
{
    char key[TREE_PATH_SIZE];
    if (strncmp(name, TREE_TEMP_PREFIX, strlen(TREE_TEMP_PREFIX)) == 0)
        return walk->fn(walk->arg, path, NULL, stat, err);
    unflatten(path, key);
    return !store_key_ok(key) || walk->fn(walk->arg, path, key, stat, err);
}

static bool walk_dir(const struct walk *walk, const char *path, int depth, struct err *err);

static bool walk_entry(
    const struct walk *walk, const char *parent, const char *name, int depth, struct err *err)
{
    char path[TREE_PATH_SIZE];
    struct stat stat;
    bool temporary = strncmp(name, TREE_TEMP_PREFIX, strlen(TREE_TEMP_PREFIX)) == 0;
    if (name[0] == '.' && !temporary)
        return true;
    int len = snprintf(path, sizeof path, "%s%s%s", parent, *parent ? "/" : "", name);
    if (len < 0 || (size_t)len >= sizeof path)
        return true;
    auto_fd int fd = tree_open(walk->root_fd, path, O_PATH, false);
    if (fd < 0) /* gone by now, or a link that leads nowhere or out */
        return errno == ENOENT || errno == EXDEV || errno == ELOOP || errno == ENOTDIR ||
               err_set_errno(err, ERR_IO, "%s", path);
    if (fstat(fd, &stat) < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    if (S_ISDIR(stat.st_mode) && !temporary && depth < DEPTH_MAX)
        return walk_dir(walk, path, depth + 1, err);
    return !S_ISREG(stat.st_mode) || show(walk, path, name, &stat, err);
}

static bool walk_dir(const struct walk *walk, const char *path, int depth, struct err *err)
{
    auto_fd int fd = tree_open(walk->root_fd, *path ? path : ".", O_RDONLY | O_DIRECTORY, false);
    if (fd < 0)
        return errno == ENOENT || err_set_errno(err, ERR_IO, "store directory %s", path);
    AUTO_DONE(close_dir) DIR *dir = fdopendir(fd);
    if (!dir)
        return err_set_errno(err, ERR_IO, "store directory %s", path);
    (void)take_fd(fd);
    const struct dirent *entry;
    while ((errno = 0, entry = readdir(dir)))
        if (!walk_entry(walk, path, entry->d_name, depth, err))
            return false;
    return errno == 0 || err_set_errno(err, ERR_IO, "store directory %s", path);
}

bool tree_walk(int dir_fd, tree_fn *fn, void *arg, struct err *err)
{
    const struct walk walk = {dir_fd, fn, arg};
    return walk_dir(&walk, "", 1, err);
}
