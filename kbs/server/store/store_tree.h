/* SPDX-License-Identifier: Apache-2.0 */
/* For store_dir.c: paths that stay beneath a directory, what lies in it, and changes that are
 * durable. */
#pragma once

#include <errno.h>
#include <sys/stat.h>

#include "crypt/base/secret.h"

#define TREE_TEMP_PREFIX ".new-" /* of files being written; never a key */
#define TREE_FLAT_SLASH \
    "\\x2F" /* Trustee's LocalFs writes a key as one name, each '/' as these four */
#define TREE_PATH_SIZE 1024

/* openat2 with RESOLVE_BENEATH and no magic links, or -1 and errno. Symbolic links that stay
 * beneath are followed unless `no_links`. */
int tree_open(int dir_fd, const char *path, int flags, bool no_links);

/* Every file beneath `dir_fd` whose path is a key, nested or flat (then `path` still is the name as
 * it lies there, `key` with slashes), in no order, each with what stat says. Names that begin with
 * '.' and what is neither file nor directory are passed over, but temporary files are shown with
 * key NULL. Return false from `fn` to stop with `err`. */
typedef bool tree_fn(
    void *arg, const char *path, const char *key, const struct stat *stat, struct err *err);
bool tree_walk(int dir_fd, tree_fn *fn, void *arg, struct err *err) MUST_CHECK;

/* Exactly one of the two is written. */
struct tree_content {
    struct bytes value;
    const struct secret *secret;
};

/* Writes the file `key`, making its directories. `only_new`: *ret_created tells whether this call
 * was the first of all processes; without, *ret_created may be NULL and an older file is replaced.
 */
bool tree_write(int root_fd, const char *key, const struct tree_content *content, bool only_new,
    bool *ret_created, struct err *err) MUST_CHECK;
/* Makes the file `path` beneath from_fd, `flat` by Trustee's name, a hard link at `key` beneath root_fd, making its directories and replacing what is
 * there. Nothing is done when it is a symbolic link, lies beyond one, or is not the file of `stat` any more. */
bool tree_link(int from_fd, const char *path, bool flat, const struct stat *stat, int root_fd,
    const char *key, struct err *err) MUST_CHECK;
bool tree_stat(int root_fd, const char *path, struct stat *ret_stat, struct err *err) MUST_CHECK;
/* "default/key/1" -> "default\x2Fkey\x2F1", Trustee's name of the same resource. */
#define TREE_FLAT_SIZE (768 * sizeof TREE_FLAT_SLASH)
void tree_flatten(const char *key, char out[TREE_FLAT_SIZE]);
bool tree_remove(int root_fd, const char *path, bool *ret_found, struct err *err) MUST_CHECK;

static inline bool tree_is_absent(int error)
{
    return error == ENOENT || error == ENOTDIR;
}
