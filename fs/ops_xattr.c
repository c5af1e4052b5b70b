/* SPDX-License-Identifier: Apache-2.0 */
/* Extended attributes (fs/xattr.h). Who may read them has been decided by the kernel: those who may read the file. */
#include "fs/ops_private.h"

#include <string.h>
#include <time.h>

#include "fs/xattr.h"

#define PREFIX     "user.sealed."
#define PREFIX_LEN (sizeof PREFIX - 1)

/* False: the file cannot be found, or is not a sealed one. */
static bool find_state(
    struct ops *ops, fuse_ino_t node, struct cache_state *ret_state, int *ret_errno)
{
    char path[PATH_SIZE], full[PATH_FULL_SIZE];
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    *ret_errno = 0;
    if (!tree_stat(ops->conf.shown.tree, node, &pin, &st, &err)) {
        *ret_errno = errno_of(&err);
        return false;
    }
    if (!pin->is_sealed || !tree_path(ops->conf.shown.tree, node, path))
        return false;
    path_full(ops->conf.shown.mountpoint, path, full);
    cache_state(ops->conf.shown.cache, full, pin->blob, ret_state);
    return true;
}

/* size 0 asks how many bytes there are. */
static void reply_bytes(fuse_req_t req, const char *data, size_t len, size_t size)
{
    if (size == 0)
        fuse_reply_xattr(req, len);
    else if (size < len)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, data, len);
}

void op_getxattr(fuse_req_t req, fuse_ino_t node, const char *name, size_t size)
{
    struct cache_state state;
    char value[XATTR_VALUE_SIZE];
    int failed = 0;
    /* What ls(1) asks of every file (ACLs, labels) costs no look at the source. */
    if (strncmp(name, PREFIX, PREFIX_LEN) != 0)
        fuse_reply_err(req, ENODATA);
    else if (!find_state(ops_of(req), node, &state, &failed))
        fuse_reply_err(req, failed ? failed : ENODATA);
    else if (!xattr_value(&state, (int64_t)time(NULL), name, value))
        fuse_reply_err(req, ENODATA);
    else
        reply_bytes(req, value, strlen(value), size);
}

void op_listxattr(fuse_req_t req, fuse_ino_t node, size_t size)
{
    struct cache_state state;
    char names[XATTR_NAMES_SIZE];
    int failed = 0;
    if (find_state(ops_of(req), node, &state, &failed))
        reply_bytes(req, names, xattr_names(&state, names, sizeof names), size);
    else if (failed)
        fuse_reply_err(req, failed);
    else
        reply_bytes(req, names, 0, size);
}
