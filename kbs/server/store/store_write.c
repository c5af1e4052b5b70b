/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to the store's directories: each is durable, and whole or not at all. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "crypt/base/b64.h"
#include "crypt/hash.h"
#include "kbs/server/store/store_tree.h"

#define TEMP_RANDOM 12
#define TEMP_SIZE   (sizeof TREE_TEMP_PREFIX + 2 * TEMP_RANDOM)

static bool sync_dir(int fd, struct err *err)
{
    return fsync(fd) == 0 || err_set_errno(err, ERR_IO, "fsync of a store directory");
}

static bool enter(int parent_fd, const char *name, int *ret_fd, struct err *err)
{
    bool made = mkdirat(parent_fd, name, 0700) == 0;
    if (!made && errno != EEXIST)
        return err_set_errno(err, ERR_IO, "directory %s", name);
    if (made && !sync_dir(parent_fd, err))
        return false;
    auto_fd int fd = tree_open(parent_fd, name, O_RDONLY | O_DIRECTORY, true);
    if (fd < 0 && errno == ENOTDIR)
        return err_set(err, ERR_FORMAT,
            "\"%s\" is already the name of a value; it cannot hold others as well", name);
    if (fd < 0 && errno == ELOOP)
        return err_set(
            err, ERR_IO, "%s is a symbolic link; what is mounted there is read-only", name);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "directory %s", name);
    *ret_fd = take_fd(fd);
    return true;
}

/* Makes and opens the directory of a key; *ret_name is its last segment, within `key`. */
static bool open_parent(
    int root_fd, const char *key, int *ret_fd, const char **ret_name, struct err *err)
{
    auto_fd int fd = tree_open(root_fd, ".", O_RDONLY | O_DIRECTORY, true);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "store directory");
    const char *slash;
    while ((slash = strchr(key, '/'))) {
        char name[TREE_PATH_SIZE];
        auto_fd int next = -1;
        snprintf(name, sizeof name, "%.*s", (int)(slash - key), key);
        if (!enter(fd, name, &next, err))
            return false;
        close(fd);
        fd = take_fd(next);
        key = slash + 1;
    }
    *ret_fd = take_fd(fd);
    *ret_name = key;
    return true;
}

static bool temp_name(char name[TEMP_SIZE], struct err *err)
{
    uint8_t random[TEMP_RANDOM];
    if (!hash_random(random, sizeof random, err))
        return false;
    memcpy(name, TREE_TEMP_PREFIX, sizeof TREE_TEMP_PREFIX);
    hex_encode(bytes_of(random, sizeof random), name + sizeof TREE_TEMP_PREFIX - 1);
    return true;
}

static bool temp_open(int dir_fd, char name[TEMP_SIZE], int *ret_fd, struct err *err)
{
    if (!temp_name(name, err))
        return false;
    int fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "new file in the store");
    *ret_fd = fd;
    return true;
}

static bool write_all(int fd, struct bytes value, struct err *err)
{
    while (value.len > 0) {
        ssize_t n = write(fd, value.data, value.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, ERR_IO, "write");
        value = bytes_slice(value, (size_t)n, value.len);
    }
    return true;
}

static bool fill(int fd, const struct tree_content *content, struct err *err)
{
    if (content->secret ? !secret_write_fd(content->secret, fd, err)
                        : !write_all(fd, content->value, err))
        return false;
    return fsync(fd) == 0 || err_set_errno(err, ERR_IO, "fsync");
}

/* rename replaces; link does not, and so tells who was first among any number of processes. */
static bool publish(int dir_fd, const char *temp, const char *name, bool only_new,
    bool *ret_created, struct err *err)
{
    if (!only_new) {
        if (renameat(dir_fd, temp, dir_fd, name) == 0)
            return true;
        if (errno == EISDIR)
            return err_set(err, ERR_FORMAT,
                "\"%s\" is already the name of a directory of values; it cannot be one itself",
                name);
        return err_set_errno(err, ERR_IO, "rename");
    }
    if (linkat(dir_fd, temp, dir_fd, name, 0) < 0) {
        if (errno != EEXIST)
            return err_set_errno(err, ERR_IO, "link");
        *ret_created = false;
        return true;
    }
    *ret_created = true;
    return true;
}

bool tree_write(int root_fd, const char *key, const struct tree_content *content, bool only_new,
    bool *ret_created, struct err *err)
{
    auto_fd int dir_fd = -1;
    auto_fd int fd = -1;
    const char *name = NULL;
    char temp[TEMP_SIZE];
    bool created = true;
    if (!open_parent(root_fd, key, &dir_fd, &name, err) || !temp_open(dir_fd, temp, &fd, err))
        return false;
    bool done = fill(fd, content, err) && publish(dir_fd, temp, name, only_new, &created, err);
    if (!done || only_new)
        unlinkat(dir_fd, temp, 0);
    if (!done || !sync_dir(dir_fd, err))
        return false;
    if (ret_created)
        *ret_created = created;
    return true;
}

/* The directory of a path, no symbolic link on the way; -1 and errno. */
static int open_dir_of(int root_fd, const char *path, const char **ret_name)
{
    char parent[TREE_PATH_SIZE];
    const char *slash = strrchr(path, '/');
    *ret_name = slash ? slash + 1 : path;
    if (strlen(path) >= sizeof parent) {
        errno = ENOENT;
        return -1;
    }
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
    return tree_open(root_fd, parent, O_RDONLY | O_DIRECTORY, true);
}

bool tree_stat(int root_fd, const char *path, struct stat *ret_stat, struct err *err)
{
    const char *name = NULL;
    auto_fd int dir_fd = open_dir_of(root_fd, path, &name);
    return (dir_fd >= 0 && fstatat(dir_fd, name, ret_stat, AT_SYMLINK_NOFOLLOW) == 0) ||
           err_set_errno(err, ERR_IO, "%s", path);
}

bool tree_link(int from_fd, const char *path, bool flat, const struct stat *stat, int root_fd,
    const char *key, struct err *err)
{
    char flat_name[TREE_FLAT_SIZE], temp[TEMP_SIZE];
    const char *from_name = NULL, *name = NULL;
    auto_fd int dir_fd = -1;
    struct stat now;
    if (flat)
        tree_flatten(path, flat_name);
    auto_fd int from_dir = open_dir_of(from_fd, flat ? flat_name : path, &from_name);
    if (from_dir < 0)
        return errno == ELOOP || tree_is_absent(errno) || err_set_errno(err, ERR_IO, "%s", path);
    if (fstatat(from_dir, from_name, &now, AT_SYMLINK_NOFOLLOW) < 0 || now.st_ino != stat->st_ino ||
        now.st_dev != stat->st_dev)
        return true;
    if (!open_parent(root_fd, key, &dir_fd, &name, err) || !temp_name(temp, err))
        return false;
    if (linkat(from_dir, from_name, dir_fd, temp, 0) < 0)
        return err_set_errno(err, ERR_IO, "link of %s", path);
    bool done = publish(dir_fd, temp, name, false, NULL, err);
    unlinkat(dir_fd, temp, 0); /* rename leaves it when both are the same file already */
    return done && sync_dir(dir_fd, err);
}

bool tree_remove(int root_fd, const char *path, bool *ret_found, struct err *err)
{
    const char *name = NULL;
    *ret_found = false;
    auto_fd int dir_fd = open_dir_of(root_fd, path, &name);
    if (dir_fd < 0)
        return tree_is_absent(errno) || err_set_errno(err, ERR_IO, "directory of %s", path);
    if (unlinkat(dir_fd, name, 0) < 0)
        return tree_is_absent(errno) || errno == EISDIR || errno == ENAMETOOLONG ||
               err_set_errno(err, ERR_IO, "unlink %s", path);
    *ret_found = true;
    return sync_dir(dir_fd, err);
}
