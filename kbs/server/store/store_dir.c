/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "kbs/server/store/store_history.h"

/* A temporary file older than this is a write that a crash cut short. */
#define TEMP_AGE_S 3600

static int space_fd(struct store *store, enum store_space space)
{
    return store_dir_of(store)->fds[space];
}

/* O_NONBLOCK: a FIFO put in our way must not hold a thread. */
static int open_either(int dir_fd, const char *key, bool *ret_flat)
{
    char flat[TREE_FLAT_SIZE];
    *ret_flat = false;
    int fd = tree_open(dir_fd, key, O_RDONLY | O_NONBLOCK, false);
    if (fd >= 0 || !tree_is_absent(errno))
        return fd;
    tree_flatten(key, flat);
    *ret_flat = true;
    fd = tree_open(dir_fd, flat, O_RDONLY | O_NONBLOCK, false);
    if (fd < 0 && errno == ENAMETOOLONG)
        errno = ENOENT;
    return fd;
}

bool store_dir_open_value(int root_fd, const char *space, const char *key, int *ret_fd,
    struct stat *ret_stat, bool *ret_flat, struct err *err)
{
    bool flat = false;
    auto_fd int fd = open_either(root_fd, key, &flat);
    if (fd < 0 && tree_is_absent(errno))
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", space, key);
    if (fd < 0 && errno == EXDEV)
        return err_set(err, ERR_IO, "%s/%s is a symbolic link out of the store", space, key);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s/%s", space, key);
    if (fstat(fd, ret_stat) < 0)
        return err_set_errno(err, ERR_IO, "%s/%s", space, key);
    if (S_ISDIR(ret_stat->st_mode))
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", space, key);
    if (!S_ISREG(ret_stat->st_mode))
        return err_set(err, ERR_IO, "%s/%s is not a regular file", space, key);
    *ret_fd = take_fd(fd);
    if (ret_flat)
        *ret_flat = flat;
    return true;
}

bool store_dir_read(int fd, struct buf *out, struct err *err)
{
    uint8_t piece[4096];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return err_set_errno(err, ERR_IO, "read");
        if (n == 0)
            return true;
        if (!buf_append(out, bytes_of(piece, (size_t)n), err))
            return false;
    }
}

static bool dir_get(
    struct store *store, enum store_space space, const char *key, struct buf *out, struct err *err)
{
    auto_fd int fd = -1;
    struct stat stat;
    if (!store_dir_open_value(
            space_fd(store, space), store_space_name(space), key, &fd, &stat, NULL, err))
        return false;
    return store_dir_read(fd, out, err) || err_wrap(err, "%s/%s", store_space_name(space), key);
}

/* Trustee's name of the key must not come back to life when the nested one goes. */
bool store_dir_remove_flat(int root_fd, const char *key, bool *ret_found, struct err *err)
{
    char flat[TREE_FLAT_SIZE];
    if (!strchr(key, '/'))
        return true;
    tree_flatten(key, flat);
    return tree_remove(root_fd, flat, ret_found, err);
}

static bool dir_put(struct store *store, enum store_space space, const char *key,
    struct bytes value, bool only_new, bool *ret_created, struct err *err)
{
    const struct tree_content content = {.value = value};
    return tree_write(space_fd(store, space), key, &content, only_new, ret_created, err) ||
           err_wrap(err, "%s/%s", store_space_name(space), key);
}

bool store_dir_remove_both(int root_fd, const char *key, bool *ret_found, struct err *err)
{
    bool flat = false;
    bool nested = false;
    if (!store_dir_remove_flat(root_fd, key, &flat, err) ||
        !tree_remove(root_fd, key, &nested, err))
        return false;
    *ret_found = flat || nested;
    return true;
}

static bool dir_remove(
    struct store *store, enum store_space space, const char *key, struct err *err)
{
    bool found = false;
    if (space == STORE_RESOURCE)
        return dir_remove_resource(store, key, err);
    if (!store_dir_remove_both(space_fd(store, space), key, &found, err))
        return err_wrap(err, "%s/%s", store_space_name(space), key);
    return found ||
           err_set(err, ERR_NOTFOUND, "%s/%s does not exist", store_space_name(space), key);
}

struct keys {
    char **items;
    size_t count, size;
};

static void keys_done(struct keys *keys)
{
    for (size_t i = 0; i < keys->count; i++)
        free(keys->items[i]);
    free(keys->items);
}

static bool gather(
    void *arg, const char *path, const char *key, const struct stat *stat, struct err *err)
{
    struct keys *keys = arg;
    (void)path;
    (void)stat;
    if (!key)
        return true;
    if (keys->count == keys->size) {
        size_t size = keys->size ? 2 * keys->size : 64;
        char **items = reallocarray(keys->items, size, sizeof *items);
        if (!items)
            return err_nomem(err);
        keys->items = items;
        keys->size = size;
    }
    keys->items[keys->count] = strdup(key);
    return keys->items[keys->count++] || err_nomem(err);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static bool dir_list(
    struct store *store, enum store_space space, json_t **ret_keys, struct err *err)
{
    AUTO_DONE(keys_done) struct keys keys = {0};
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    if (!tree_walk(space_fd(store, space), gather, &keys, err))
        return err_wrap(err, "%s", store_space_name(space));
    if (keys.count > 0)
        qsort(keys.items, keys.count, sizeof *keys.items, compare);
    for (size_t i = 0; i < keys.count; i++) {
        if (i > 0 && strcmp(keys.items[i - 1], keys.items[i]) == 0)
            continue; /* nested and flat */
        if (json_array_append_new(list, json_string(keys.items[i])) < 0)
            return err_nomem(err);
    }
    *ret_keys = take_ptr(list);
    return true;
}

struct sweep {
    int root_fd;
    time_t before, temp_before;
    size_t count;
};

static bool sweep_one(
    void *arg, const char *path, const char *key, const struct stat *stat, struct err *err)
{
    struct sweep *sweep = arg;
    if (stat->st_mtime >= (key ? sweep->before : sweep->temp_before))
        return true;
    bool found = false;
    if (!tree_remove(sweep->root_fd, path, &found, err))
        return false;
    sweep->count += found && key;
    return true;
}

static bool sweep_tree(
    int root_fd, const char *name, int64_t before, size_t *ret_count, struct err *err)
{
    struct sweep sweep = {root_fd, before, time(NULL) - TEMP_AGE_S, 0};
    if (!tree_walk(sweep.root_fd, sweep_one, &sweep, err))
        return err_wrap(err, "%s", name);
    if (ret_count)
        *ret_count = sweep.count;
    return true;
}

static bool dir_prune(
    struct store *store, enum store_space space, int64_t before, size_t *ret_count, struct err *err)
{
    return sweep_tree(space_fd(store, space), store_space_name(space), before, ret_count, err);
}

static void dir_free(struct store *store)
{
    if (store_dir_of(store)->history_fd >= 0)
        close(store_dir_of(store)->history_fd);
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        if (space_fd(store, i) >= 0)
            close(space_fd(store, i));
    free(store);
}

static const struct store_ops dir_ops = {
    .get = dir_get,
    .put = dir_put,
    .remove = dir_remove,
    .list = dir_list,
    .prune = dir_prune,
    .version_get = dir_version_get,
    .version_list = dir_version_list,
    .version_next = dir_version_next,
    .version_put = dir_version_put,
    .version_remove = dir_version_remove,
    .version_swap = dir_version_swap,
    .settle = dir_settle,
    .free = dir_free,
};

static bool open_space(int root_fd, const char *name, int *ret_fd, struct err *err)
{
    if (mkdirat(root_fd, name, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, ERR_IO, "making %s", name);
    int fd = openat(root_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s", name);
    *ret_fd = fd;
    return true;
}

bool store_dir_open(const char *path, struct store **ret_store, struct err *err)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_set_errno(err, ERR_CONFIG, "store directory %s", path);
    auto_fd int root_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_set_errno(err, ERR_CONFIG, "store directory %s", path);
    struct store_dir *dir = calloc(1, sizeof *dir);
    if (!dir)
        return err_nomem(err);
    AUTO(store_free) struct store *store = &dir->store;
    store->ops = &dir_ops;
    store->versions = STORE_VERSIONS_DEFAULT;
    dir->history_fd = -1;
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        dir->fds[i] = -1;
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        if (!open_space(root_fd, store_space_name(i), &dir->fds[i], err))
            return err_wrap(err, "store directory %s", path);
    if (!open_space(root_fd, STORE_HISTORY_NAME, &dir->history_fd, err))
        return err_wrap(err, "store directory %s", path);
    /* What a crash left behind. */
    if (!dir_prune(store, STORE_RESOURCE, 0, NULL, err) ||
        !sweep_tree(dir->history_fd, STORE_HISTORY_NAME, 0, NULL, err))
        return err_wrap(err, "store directory %s", path);
    *ret_store = take_ptr(store);
    return true;
}
