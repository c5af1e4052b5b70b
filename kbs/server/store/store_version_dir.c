/* SPDX-License-Identifier: Apache-2.0 */
/* Resources of a directory store: what store_history.h says, done. */
#include <fcntl.h>
#include <stdio.h>

#include "kbs/server/store/store_history.h"

#define NAME store_space_name(STORE_RESOURCE)

static bool no_version(const char *key, int64_t version, struct err *err)
{
    return err_set(err, ERR_NOTFOUND, "%s/%s has no version %lld (sealed kbs show lists them)",
        NAME, key, (long long)version);
}

static bool open_entry(const struct store_dir *dir, const char *key,
    const struct history_entry *entry, int *ret_fd, struct err *err)
{
    char path[TREE_PATH_SIZE];
    history_path(key, &entry->at, path);
    int fd = tree_open(dir->history_fd, path, O_RDONLY | O_NONBLOCK, true);
    if (fd < 0 && errno == ENOENT)
        return no_version(key, entry->at.version, err);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    *ret_fd = fd;
    return true;
}

bool dir_version_get(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct store_blob *ret_blob, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int fd = -1;
    if (!history_current(dir, key, false, &current, &history, err))
        return false;
    if (version == 0 || version == current.at.version) {
        *ret_version = current.at;
        return history_read(current.fd, ret_blob, err) || err_wrap(err, "%s/%s", NAME, key);
    }
    const struct history_entry *entry = history_find(&history, version);
    if (!entry || version > current.at.version)
        return no_version(key, version, err);
    if (!open_entry(dir, key, entry, &fd, err) || !history_read(fd, ret_blob, err))
        return err_wrap(err, "%s/%s", NAME, key);
    *ret_version = entry->at;
    return true;
}

bool dir_version_list(
    struct store *store, const char *key, struct store_versions *ret_versions, struct err *err)
{
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_store_versions versions = {0};
    if (!history_current(store_dir_of(store), key, false, &current, &history, err))
        return false;
    versions.items = calloc(history.count + 1, sizeof *versions.items);
    if (!versions.items)
        return err_nomem(err);
    versions.items[versions.count++] = current.at;
    for (size_t i = 0; i < history.count; i++)
        if (history.items[i].at.version < current.at.version)
            versions.items[versions.count++] = history.items[i].at;
    *ret_versions = versions;
    versions = (struct store_versions){0};
    return true;
}

/* -- changes, under the lock ------------------------------------------------------------------------ */

static bool drop_entry(
    const struct store_dir *dir, const char *key, const struct store_version *at, struct err *err)
{
    char path[TREE_PATH_SIZE];
    bool found;
    history_path(key, at, path);
    return tree_remove(dir->history_fd, path, &found, err);
}

/* Makes the current file an entry, or the entry that is there the current file. What is a symbolic link is somebody else's, and is not kept. */
static bool keep_current(const struct store_dir *dir, const char *key,
    const struct history_current *current, struct err *err)
{
    char path[TREE_PATH_SIZE];
    history_path(key, &current->at, path);
    return tree_link(
        dir->fds[STORE_RESOURCE], key, current->flat, &current->stat, dir->history_fd, path, err);
}

/* Entries beyond `newest` go, all of them when it is 0. */
static bool drop_beyond(const struct store_dir *dir, const char *key, const struct history *history,
    int64_t newest, struct err *err)
{
    for (size_t i = 0; i < history->count && history->items[i].at.version > newest; i++)
        if (!drop_entry(dir, key, &history->items[i].at, err))
            return false;
    return true;
}

/* *ret_found: whether there is a current file that makes sense. After it, entries are true. */
static bool settle(const struct store_dir *dir, const char *key,
    struct history_current *ret_current, struct history *ret_history, bool *ret_found,
    struct err *err)
{
    struct err cause = ERR_INIT;
    *ret_found = history_current(dir, key, true, ret_current, ret_history, &cause);
    if (!*ret_found && cause.code == ERR_NOTFOUND) {
        if (!history_load(dir, key, ret_history, err) ||
            !drop_beyond(dir, key, ret_history, 0, err))
            return false;
        history_done(ret_history);
        return true;
    }
    if (!*ret_found && cause.code == ERR_IO) /* something else, or damaged: it can be put anew */
        return history_load(dir, key, ret_history, err);
    if (!*ret_found) {
        *err = cause;
        return false;
    }
    const struct history_entry *entry = history_find(ret_history, ret_current->at.version);
    bool stale = entry && (entry->inode != ret_current->stat.st_ino ||
                              entry->device != ret_current->stat.st_dev);
    return drop_beyond(dir, key, ret_history, ret_current->at.version, err) &&
           (!stale || keep_current(dir, key, ret_current, err));
}

static bool drop_old(const struct store_dir *dir, const char *key, const struct history *history,
    int64_t current, struct err *err)
{
    int64_t keep = dir->store.versions;
    for (size_t i = 0; i < history->count; i++)
        if (history->items[i].at.version <= current - keep &&
            !drop_entry(dir, key, &history->items[i].at, err))
            return false;
    return true;
}

static bool write_current(const struct store_dir *dir, const char *key,
    const struct store_version *at, const struct store_blob *blob, struct err *err)
{
    char path[TREE_PATH_SIZE];
    bool flat = false;
    struct stat stat;
    int root_fd = dir->fds[STORE_RESOURCE];
    const struct tree_content content = {.value = buf_bytes(&blob->sealed), .secret = blob->plain};
    bool needs_entry = blob->plain && (at->version > 1 || at->not_after > 0);
    if (!needs_entry)
        return tree_write(root_fd, key, &content, false, NULL, err) &&
               store_dir_remove_flat(root_fd, key, &flat, err);
    history_path(key, at, path);
    return tree_write(dir->history_fd, path, &content, false, NULL, err) &&
           tree_stat(dir->history_fd, path, &stat, err) &&
           tree_link(dir->history_fd, path, false, &stat, root_fd, key, err) &&
           store_dir_remove_flat(root_fd, key, &flat, err);
}

static int64_t newest_of(
    bool found, const struct history_current *current, const struct history *history)
{
    if (found)
        return current->at.version;
    return history->count > 0 ? history->items[0].at.version : 0;
}

bool dir_version_next(struct store *store, const char *key, int64_t *ret_next, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    if (!history_lock(dir, &lock, err) || !settle(dir, key, &current, &history, &found, err))
        return err_wrap(err, "%s/%s", NAME, key);
    *ret_next = newest_of(found, &current, &history) + 1;
    return true;
}

bool dir_version_put(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, bool *ret_taken, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    if (!history_lock(dir, &lock, err) || !settle(dir, key, &current, &history, &found, err))
        return false;
    *ret_taken = at->version > newest_of(found, &current, &history);
    if (!*ret_taken)
        return true;
    bool keep = found && store->versions > 1;
    return ((!keep || keep_current(dir, key, &current, err)) &&
               write_current(dir, key, at, blob, err) &&
               drop_old(dir, key, &history, at->version, err)) ||
           err_wrap(err, "%s/%s", NAME, key);
}

bool dir_version_remove(struct store *store, const char *key, int64_t version, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    if (!history_lock(dir, &lock, err) || !settle(dir, key, &current, &history, &found, err))
        return false;
    const struct history_entry *entry = history_find(&history, version);
    if (!found || !entry || version >= current.at.version)
        return no_version(key, version, err);
    return drop_entry(dir, key, &entry->at, err);
}

static bool same_blob(const struct store_blob *a, const struct store_blob *b)
{
    if (a->plain && b->plain)
        return secret_equal(secret_bytes(a->plain), secret_bytes(b->plain));
    return !a->plain && !b->plain && bytes_equal(buf_bytes(&a->sealed), buf_bytes(&b->sealed));
}

bool dir_version_swap(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *before, const struct store_blob *after, struct err *err)
{
    struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    auto_store_blob now = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    struct store_version found_at;
    bool found = false, flat = false;
    struct err cause = ERR_INIT;
    char path[TREE_PATH_SIZE];
    const struct tree_content content = {
        .value = buf_bytes(&after->sealed), .secret = after->plain};
    if (!history_lock(dir, &lock, err) || !settle(dir, key, &current, &history, &found, err))
        return false;
    if (!found || !dir_version_get(store, key, at->version, &found_at, &now, &cause) ||
        !same_blob(before, &now))
        return cause.code == ERR_OK || cause.code == ERR_NOTFOUND || (*err = cause, false);
    if (at->version ==
        current.at.version) /* an entry of it is made good by what follows a rewrap: settle */
        return tree_write(dir->fds[STORE_RESOURCE], key, &content, false, NULL, err) &&
               store_dir_remove_flat(dir->fds[STORE_RESOURCE], key, &flat, err);
    history_path(key, &found_at, path);
    return tree_write(dir->history_fd, path, &content, false, NULL, err);
}

bool dir_settle(struct store *store, const char *key, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    return history_lock(dir, &lock, err) && settle(dir, key, &current, &history, &found, err);
}

bool dir_remove_resource(struct store *store, const char *key, struct err *err)
{
    const struct store_dir *dir = store_dir_of(store);
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    if (!history_lock(dir, &lock, err) ||
        !store_dir_remove_both(dir->fds[STORE_RESOURCE], key, &found, err) ||
        !history_load(dir, key, &history, err) || !drop_beyond(dir, key, &history, 0, err))
        return err_wrap(err, "%s/%s", NAME, key);
    return found || err_set(err, ERR_NOTFOUND, "%s/%s does not exist", NAME, key);
}
