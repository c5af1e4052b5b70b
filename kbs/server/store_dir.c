/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>

#include "kbs/server/store.h"
#include "kbs/server/store_tree.h"

#define FLAT_SIZE (STORE_KEY_MAX * sizeof TREE_FLAT_SLASH)
/* A temporary file older than this is a write that a crash cut short. */
#define TEMP_AGE_S 3600

static const char *const space_names[STORE_SPACE_COUNT] = {
    [STORE_RESOURCE] = "repository",
    [STORE_POLICY] = "kbs",
    [STORE_REFERENCE] = "reference_value",
    [STORE_AGENT] = "agent",
    [STORE_NONCE] = "nonce",
    [STORE_EXPLANATION] = "explanation",
};

struct store_dir {
    struct store store; /* first: ops take a struct store */
    int fds[STORE_SPACE_COUNT];
};

static int space_fd(struct store *store, enum store_space space)
{
    return ((struct store_dir *)(void *)store)->fds[space];
}

/* "default/key/1" -> "default\x2Fkey\x2F1", Trustee's name of the same resource. */
static void flatten(const char *key, char *out)
{
    for (; *key != '\0'; key++) {
        if (*key == '/')
            out = stpcpy(out, TREE_FLAT_SLASH);
        else
            *out++ = *key;
    }
    *out = '\0';
}

/* O_NONBLOCK: a FIFO put in our way must not hold a thread. */
static int open_either(int dir_fd, const char *key)
{
    char flat[FLAT_SIZE];
    int fd = tree_open(dir_fd, key, O_RDONLY | O_NONBLOCK, false);
    if (fd >= 0 || !tree_is_absent(errno))
        return fd;
    flatten(key, flat);
    fd = tree_open(dir_fd, flat, O_RDONLY | O_NONBLOCK, false);
    if (fd < 0 && errno == ENAMETOOLONG)
        errno = ENOENT;
    return fd;
}

static bool open_value(struct store *store, enum store_space space, const char *key, int *ret_fd,
    struct stat *ret_stat, struct err *err)
{
    auto_fd int fd = open_either(space_fd(store, space), key);
    if (fd < 0 && tree_is_absent(errno))
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", space_names[space], key);
    if (fd < 0 && errno == EXDEV)
        return err_set(
            err, ERR_IO, "%s/%s is a symbolic link out of the store", space_names[space], key);
    if (fd < 0)
        return err_set_errno(err, ERR_IO, "%s/%s", space_names[space], key);
    if (fstat(fd, ret_stat) < 0)
        return err_set_errno(err, ERR_IO, "%s/%s", space_names[space], key);
    if (S_ISDIR(ret_stat->st_mode))
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", space_names[space], key);
    if (!S_ISREG(ret_stat->st_mode))
        return err_set(err, ERR_IO, "%s/%s is not a regular file", space_names[space], key);
    *ret_fd = take_fd(fd);
    return true;
}

static bool read_all(int fd, struct buf *out, struct err *err)
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
    if (!open_value(store, space, key, &fd, &stat, err))
        return false;
    return read_all(fd, out, err) || err_wrap(err, "%s/%s", space_names[space], key);
}

static bool dir_get_secret(struct store *store, enum store_space space, const char *key,
    struct secret **ret_value, struct err *err)
{
    auto_fd int fd = -1;
    struct stat stat;
    if (!open_value(store, space, key, &fd, &stat, err))
        return false;
    return secret_read_fd(fd, STORE_VALUE_MAX, ret_value, err) ||
           err_wrap(err, "%s/%s", space_names[space], key);
}

/* Trustee's name of the key must not come back to life when the nested one goes. */
static bool remove_flat(int root_fd, const char *key, bool *ret_found, struct err *err)
{
    char flat[FLAT_SIZE];
    if (!strchr(key, '/'))
        return true;
    flatten(key, flat);
    return tree_remove(root_fd, flat, ret_found, err);
}

static bool dir_put(struct store *store, enum store_space space, const char *key,
    struct bytes value, bool only_new, bool *ret_created, struct err *err)
{
    const struct tree_content content = {.value = value};
    return tree_write(space_fd(store, space), key, &content, only_new, ret_created, err) ||
           err_wrap(err, "%s/%s", space_names[space], key);
}

static bool dir_put_secret(struct store *store, enum store_space space, const char *key,
    const struct secret *value, struct err *err)
{
    bool found = false;
    int root_fd = space_fd(store, space);
    const struct tree_content content = {.secret = value};
    return (tree_write(root_fd, key, &content, false, NULL, err) &&
               remove_flat(root_fd, key, &found, err)) ||
           err_wrap(err, "%s/%s", space_names[space], key);
}

static bool dir_remove(
    struct store *store, enum store_space space, const char *key, struct err *err)
{
    int root_fd = space_fd(store, space);
    bool flat = false;
    bool nested = false;
    if (!remove_flat(root_fd, key, &flat, err) || !tree_remove(root_fd, key, &nested, err))
        return err_wrap(err, "%s/%s", space_names[space], key);
    if (!flat && !nested)
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", space_names[space], key);
    return true;
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
        return err_wrap(err, "%s", space_names[space]);
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

static bool dir_prune(
    struct store *store, enum store_space space, int64_t before, size_t *ret_count, struct err *err)
{
    struct sweep sweep = {space_fd(store, space), before, time(NULL) - TEMP_AGE_S, 0};
    if (!tree_walk(sweep.root_fd, sweep_one, &sweep, err))
        return err_wrap(err, "%s", space_names[space]);
    if (ret_count)
        *ret_count = sweep.count;
    return true;
}

static void dir_free(struct store *store)
{
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        if (space_fd(store, i) >= 0)
            close(space_fd(store, i));
    free(store);
}

static const struct store_ops dir_ops = {
    .get = dir_get,
    .get_secret = dir_get_secret,
    .put = dir_put,
    .put_secret = dir_put_secret,
    .remove = dir_remove,
    .list = dir_list,
    .prune = dir_prune,
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
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        dir->fds[i] = -1;
    for (int i = 0; i < STORE_SPACE_COUNT; i++)
        if (!open_space(root_fd, space_names[i], &dir->fds[i], err))
            return err_wrap(err, "store directory %s", path);
    /* What a crash left behind. */
    if (!dir_prune(store, STORE_RESOURCE, 0, NULL, err))
        return err_wrap(err, "store directory %s", path);
    *ret_store = take_ptr(store);
    return true;
}
