/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Versions of resources in a directory store. What is current lies where Trustee looks for it,
 *
 *     DIR/repository/r/t/t            the current value, plaintext or a sealed record (store_keys.h)
 *     DIR/version/r/t/t/.N.C.E        version N, created C, not after E (unix seconds, 0: no end)
 *
 * and all that is ours alone lies in a directory beside it, which a Trustee KBS never opens. Which version the current file is:
 *   - a sealed record says it itself (and is authentic in that);
 *   - a plaintext is the entry that is a hard link of the same file, or has the same content as the newest entry (a restored backup
 *     has no links);
 *   - a plaintext without entries is version 1, without end, created when it was last modified: what Trustee or a person put there,
 *     what a Secret volume shows, and every first version that has no end. So a resource that was never replaced is one file;
 *   - any other was put there by somebody else after the entries, and is one version more than the newest of them.
 *
 * Entries of a later version than the current one are what a killed put left: they do not exist for readers, and go with the next
 * put. Writers hold flock on DIR/version, readers mostly nothing: a put makes the old value an entry (a hard link), then the new entry where
 * one is needed, then renames the new value over the current one, each durable before the next.
 */
#pragma once

#include <sys/stat.h>

#include "kbs/server/store/store_keys.h"
#include "kbs/server/store/store_tree.h"

#define STORE_HISTORY_NAME "version"

struct store_dir {
    struct store store; /* first: ops take a struct store */
    int fds[STORE_SPACE_COUNT];
    int history_fd;
};
static inline struct store_dir *store_dir_of(struct store *store)
{
    return (struct store_dir *)(void *)store;
}

/* store_dir.c: what lies under a key, nested or flat. *ret_flat (may be NULL) says which. */
bool store_dir_open_value(int root_fd, const char *space, const char *key, int *ret_fd,
    struct stat *ret_stat, bool *ret_flat, struct err *err) MUST_CHECK;
bool store_dir_read(int fd, struct buf *out, struct err *err) MUST_CHECK;
bool store_dir_remove_flat(int root_fd, const char *key, bool *ret_found, struct err *err)
    MUST_CHECK;
bool store_dir_remove_both(int root_fd, const char *key, bool *ret_found, struct err *err)
    MUST_CHECK;

struct history_entry {
    struct store_version at;
    dev_t device;
    ino_t inode;
};
/* Newest first. */
struct history {
    struct history_entry *items;
    size_t count, size;
};
void history_done(struct history *history);
#define auto_history AUTO_DONE(history_done) struct history

/* The current file of a resource and which version it is. */
struct history_current {
    int fd;
    struct stat stat;
    bool flat, sealed;
    struct store_version at;
};
void history_current_done(struct history_current *current);
#define auto_history_current AUTO_DONE(history_current_done) struct history_current

/* Of all writers on this directory; the descriptor's end unlocks. */
bool history_lock(const struct store_dir *dir, int *ret_fd, struct err *err) MUST_CHECK;
bool history_load(const struct store_dir *dir, const char *key, struct history *ret_history,
    struct err *err) MUST_CHECK;
/* ERR_NOTFOUND. `locked`: the caller holds the lock; otherwise it is taken where it must be. *ret_history may be newer than the file. */
bool history_current(const struct store_dir *dir, const char *key, bool locked,
    struct history_current *ret_current, struct history *ret_history, struct err *err) MUST_CHECK;
const struct history_entry *history_find(const struct history *history, int64_t version);
void history_path(const char *key, const struct store_version *at, char out[TREE_PATH_SIZE]);
/* A whole file as it is kept. */
bool history_read(int fd, struct store_blob *ret_blob, struct err *err) MUST_CHECK;

/* store_version_dir.c: the operations on resources. */
bool dir_version_get(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct store_blob *ret_blob, struct err *err);
bool dir_version_list(
    struct store *store, const char *key, struct store_versions *ret_versions, struct err *err);
bool dir_version_next(struct store *store, const char *key, int64_t *ret_next, struct err *err);
bool dir_version_put(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, bool *ret_taken, struct err *err);
bool dir_version_remove(struct store *store, const char *key, int64_t version, struct err *err);
bool dir_version_swap(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *before, const struct store_blob *after, struct err *err);
bool dir_settle(struct store *store, const char *key, struct err *err);
bool dir_remove_resource(struct store *store, const char *key, struct err *err);
