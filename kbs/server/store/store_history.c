/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store_history.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>

#include "crypt/base/number.h"

#define NUMBER_SIZE 24

void history_done(struct history *history)
{
    free(history->items);
    *history = (struct history){0};
}

void history_current_done(struct history_current *current)
{
    if (current->fd >= 0)
        close(current->fd);
    current->fd = -1;
}

bool history_lock(const struct store_dir *dir, int *ret_fd, struct err *err)
{
    auto_fd int fd = tree_open(dir->history_fd, ".", O_RDONLY | O_DIRECTORY, true);
    int done = -1;
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "store directory " STORE_HISTORY_NAME);
    do
        done = flock(fd, LOCK_EX);
    while (done < 0 && errno == EINTR);
    if (done < 0)
        return err_set_errno(err, ERR_IO, "lock of the store's versions");
    *ret_fd = take_fd(fd);
    return true;
}

void history_path(const char *key, const struct store_version *at, char out[TREE_PATH_SIZE])
{
    snprintf(out, TREE_PATH_SIZE, "%s/.%" PRId64 ".%" PRId64 ".%" PRId64, key, at->version,
        at->created, at->not_after);
}

/* -- entries -------------------------------------------------------------------------------------- */

static bool take_number(const char **at, int64_t *ret_value)
{
    char digits[NUMBER_SIZE];
    size_t len;
    if (*(*at)++ != '.')
        return false;
    len = strspn(*at, "0123456789");
    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, *at, len);
    digits[len] = '\0';
    *at += len;
    return number_int(digits, ret_value);
}

/* ".N.C.E"; false for any other name. */
static bool parse_name(const char *name, struct store_version *ret_at)
{
    return take_number(&name, &ret_at->version) && take_number(&name, &ret_at->created) &&
           take_number(&name, &ret_at->not_after) && *name == '\0' && ret_at->version >= 1;
}

static bool add(struct history *history, const struct history_entry *entry, struct err *err)
{
    if (history->count == history->size) {
        size_t size = history->size ? 2 * history->size : 16;
        struct history_entry *items = reallocarray(history->items, size, sizeof *items);
        if (!items)
            return err_nomem(err);
        history->items = items;
        history->size = size;
    }
    history->items[history->count++] = *entry;
    return true;
}

static int newest_first(const void *a, const void *b)
{
    const struct history_entry *x = a, *y = b;
    return (x->at.version < y->at.version) - (x->at.version > y->at.version);
}

static inline void close_dir(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

bool history_load(
    const struct store_dir *dir, const char *key, struct history *ret_history, struct err *err)
{
    auto_history history = {0};
    auto_fd int fd = tree_open(dir->history_fd, key, O_RDONLY | O_DIRECTORY, true);
    if (fd < 0)
        return tree_is_absent(errno) || err_set_errno(err, ERR_IO, "versions of %s", key);
    AUTO_DONE(close_dir) DIR *list = fdopendir(fd);
    if (!list)
        return err_set_errno(err, ERR_IO, "versions of %s", key);
    int dir_fd = take_fd(fd);
    const struct dirent *item;
    while ((errno = 0, item = readdir(list))) {
        struct history_entry entry = {0};
        struct stat stat;
        if (!parse_name(item->d_name, &entry.at) ||
            fstatat(dir_fd, item->d_name, &stat, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(stat.st_mode))
            continue;
        entry.device = stat.st_dev;
        entry.inode = stat.st_ino;
        if (!add(&history, &entry, err))
            return false;
    }
    if (errno != 0)
        return err_set_errno(err, ERR_IO, "versions of %s", key);
    if (history.count > 0)
        qsort(history.items, history.count, sizeof *history.items, newest_first);
    history_done(ret_history);
    *ret_history = history;
    history = (struct history){0};
    return true;
}

const struct history_entry *history_find(const struct history *history, int64_t version)
{
    for (size_t i = 0; i < history->count; i++)
        if (history->items[i].at.version == version)
            return &history->items[i];
    return NULL;
}

/* -- files ---------------------------------------------------------------------------------------- */

/* *ret_sealed from the first bytes, which are a plaintext's otherwise. */
static bool look(int fd, bool *ret_sealed, struct err *err)
{
    char start[sizeof STORE_RECORD_MAGIC - 1];
    ssize_t n;
    do
        n = pread(fd, start, sizeof start, 0);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return err_set_errno(err, ERR_IO, "read");
    *ret_sealed = store_record_is(bytes_of(start, (size_t)n));
    secret_wipe(start, sizeof start);
    return true;
}

bool history_read(int fd, struct store_blob *ret_blob, struct err *err)
{
    bool sealed = false;
    if (!look(fd, &sealed, err))
        return false;
    if (lseek(fd, 0, SEEK_SET) < 0)
        return err_set_errno(err, ERR_IO, "seek");
    return sealed ? store_dir_read(fd, &ret_blob->sealed, err)
                  : secret_read_fd(fd, STORE_VALUE_MAX, &ret_blob->plain, err);
}

static bool read_head(int fd, struct store_version *ret_at, struct err *err)
{
    auto_store_blob blob = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    struct store_head head;
    if (!history_read(fd, &blob, err) || !store_record_head(buf_bytes(&blob.sealed), &head, err))
        return false;
    *ret_at = head.at;
    return true;
}

static bool open_current(
    const struct store_dir *dir, const char *key, struct history_current *current, struct err *err)
{
    if (!store_dir_open_value(dir->fds[STORE_RESOURCE], store_space_name(STORE_RESOURCE), key,
            &current->fd, &current->stat, &current->flat, err))
        return false;
    if (!look(current->fd, &current->sealed, err) ||
        (current->sealed && !read_head(current->fd, &current->at, err)))
        return err_wrap(err, "%s/%s", store_space_name(STORE_RESOURCE), key);
    return true;
}

static bool same_file(const struct history_entry *entry, const struct stat *stat)
{
    return entry->inode == stat->st_ino && entry->device == stat->st_dev;
}

/* Whether the newest entry has what the current file has. */
static bool same_content(const struct store_dir *dir, const char *key,
    const struct history_current *current, const struct history *history, bool *ret_same,
    struct err *err)
{
    char path[TREE_PATH_SIZE];
    auto_store_blob a = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    auto_store_blob b = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    history_path(key, &history->items[0].at, path);
    auto_fd int fd = tree_open(dir->history_fd, path, O_RDONLY | O_NONBLOCK, true);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", path);
    if (!history_read(fd, &a, err) || !history_read(current->fd, &b, err))
        return err_wrap(err, "%s", path);
    *ret_same = a.plain && b.plain && secret_equal(secret_bytes(a.plain), secret_bytes(b.plain));
    return true;
}

/* *ret_found false: only a look under the lock can tell. */
static bool identify(const struct store_dir *dir, const char *key, bool locked,
    struct history_current *current, const struct history *history, bool *ret_found,
    struct err *err)
{
    bool same = false;
    *ret_found = true;
    if (current->sealed)
        return true;
    for (size_t i = 0; i < history->count; i++)
        if (same_file(&history->items[i], &current->stat)) {
            current->at = history->items[i].at;
            return true;
        }
    current->at = (struct store_version){.version = 1, .created = current->stat.st_mtime};
    if (history->count == 0)
        return true;
    *ret_found = locked;
    if (!locked)
        return true;
    if (!same_content(dir, key, current, history, &same, err))
        return false;
    if (same)
        current->at = history->items[0].at;
    else
        current->at.version = history->items[0].at.version + 1;
    return true;
}

static bool look_at(const struct store_dir *dir, const char *key, bool locked,
    struct history_current *current, struct history *history, bool *ret_found, struct err *err)
{
    history_current_done(current);
    return open_current(dir, key, current, err) && history_load(dir, key, history, err) &&
           identify(dir, key, locked, current, history, ret_found, err);
}

bool history_current(const struct store_dir *dir, const char *key, bool locked,
    struct history_current *ret_current, struct history *ret_history, struct err *err)
{
    auto_history_current current = {.fd = -1};
    auto_history history = {0};
    auto_fd int lock = -1;
    bool found = false;
    if (!look_at(dir, key, locked, &current, &history, &found, err))
        return false;
    if (!found && (!history_lock(dir, &lock, err) ||
                      !look_at(dir, key, true, &current, &history, &found, err)))
        return false;
    *ret_current = current;
    current.fd = -1;
    history_done(ret_history);
    *ret_history = history;
    history = (struct history){0};
    return true;
}
