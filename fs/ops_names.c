/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ops_private.h"

#include <string.h>
#include <sys/statvfs.h>

/* -- modes ------------------------------------------------------------------------------------- */

const struct permission *ops_permission(fuse_req_t req, fuse_ino_t node, const struct pin *pin,
    const struct stat *st, unsigned want, struct permission *room)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    struct stat shown = *st;
    if (shown_mode_known(&ops_of(req)->conf.shown, node, pin, &shown))
        return NULL;
    *room = (struct permission){
        caller->uid, caller->gid, shown.st_uid, shown.st_gid, shown.st_mode & 0777, want};
    return room;
}

static int check_directory(
    fuse_req_t req, fuse_ino_t node, const struct pin *pin, const struct stat *st, unsigned want)
{
    struct permission room;
    const struct permission *asked = ops_permission(req, node, pin, st, want, &room);
    bool may = !asked || gate_permits(ops_of(req)->conf.gate, fuse_req_ctx(req)->pid, asked);
    return may ? 0 : EACCES;
}

/* 0, or the errno to answer with. The kernel has asked for the directory's attributes just before; so while only one answer was ever given, it went
 * by that. */
static int check_search(fuse_req_t req, fuse_ino_t dir)
{
    struct tree *tree = ops_of(req)->conf.shown.tree;
    auto_pin *pin = NULL;
    struct stat st;
    struct err err = ERR_INIT;
    if (!tree_told_many(tree, dir))
        return 0;
    if (!tree_pin(tree, dir, &pin, &st, &err))
        return errno_of(&err);
    return check_directory(req, dir, pin, &st, PERMISSION_SEARCH);
}

/* -- names and attributes --------------------------------------------------------------------- */

/* The kernel rounds it up to its next tick (4 ms with 250 of them): the open that a walk belongs to need not ask for the attributes that the
 * walk has just brought. Whoever comes by another walk brings newer ones. */
#define MOMENT_S 1e-6

/* Of sealed files alone: what is open has the content of its open, so nothing in the attributes can change for who has it, and op_open
 * looks at what they let in. Not where the kernel keeps pages, and goes by the size. */
static double attributes_hold(const struct ops *ops, const struct pin *pin)
{
    bool direct = pin->is_sealed && settings_of(ops->conf.settings, pin)->cache != CACHE_PAGE;
    return direct ? MOMENT_S : 0;
}

void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct ops *ops = ops_of(req);
    struct fuse_entry_param entry = {0};
    auto_pin *pin = NULL;
    uint64_t id;
    struct err err = ERR_INIT;
    int refused = check_search(req, parent);
    if (refused) {
        fuse_reply_err(req, refused);
        return;
    }
    if (!tree_lookup(ops->conf.shown.tree, parent, name, &id, &pin, &entry.attr, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    shown_stat(&ops->conf.shown, id, pin, &entry.attr);
    entry.ino = id;
    entry.attr_timeout = attributes_hold(ops, pin);
    if (fuse_reply_entry(req, &entry) < 0)
        tree_forget(ops->conf.shown.tree, id, 1);
}

void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
    tree_forget(ops_of(req)->conf.shown.tree, node, count);
    fuse_reply_none(req);
}

void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        tree_forget(ops_of(req)->conf.shown.tree, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    (void)info;
    if (!tree_stat(ops->conf.shown.tree, node, &pin, &st, &err) &&
        !tree_follow(ops->conf.shown.tree, node, &pin, &st, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    shown_stat(&ops->conf.shown, node, pin, &st);
    fuse_reply_attr(req, &st, 0);
}

void op_readlink(fuse_req_t req, fuse_ino_t node)
{
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    if (!tree_pin(ops_of(req)->conf.shown.tree, node, &pin, &st, &err))
        fuse_reply_err(req, errno_of(&err));
    else if (!pin->target)
        fuse_reply_err(req, EINVAL);
    else
        fuse_reply_readlink(req, pin->target);
}

void op_statfs(fuse_req_t req, fuse_ino_t node)
{
    struct ops *ops = ops_of(req);
    struct statvfs fs;
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    (void)node;
    if (!tree_pin(ops->conf.shown.tree, NODE_ROOT, &pin, &st, &err))
        fuse_reply_err(req, errno_of(&err));
    else if (fstatvfs(pin->fd, &fs) < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_statfs(req, &fs);
}

/* -- directories ------------------------------------------------------------------------------- */

/* Without state: a READDIR carries the source's own cookie. So a directory stays open across workers. */
void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    info->fh = 0;
    if (!tree_pin(ops_of(req)->conf.shown.tree, node, &pin, &st, &err))
        fuse_reply_err(req, errno_of(&err));
    else if (!S_ISDIR(st.st_mode))
        fuse_reply_err(req, ENOTDIR);
    else if (check_directory(req, node, pin, &st, PERMISSION_READ) != 0)
        fuse_reply_err(req, EACCES);
    else
        fuse_reply_open(req, info);
}

static bool list(struct ops *ops, fuse_ino_t node, uint64_t cookie, struct buf *message,
    struct monitor_answer *ret_answer, struct err *err)
{
    struct stat st;
    char path[PATH_SIZE];
    auto_pin *pin = NULL;
    if (!tree_pin(ops->conf.shown.tree, node, &pin, &st, err))
        return false;
    if (!tree_path(ops->conf.shown.tree, node, path))
        return err_set_at(err, ERR_IO, ESTALE, __FILE__, __LINE__, "directory");
    const struct source *source = ops->conf.source;
    return monitor_list(source->monitor, source->mount, path, cookie, message, ret_answer, err);
}

void op_readdir(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
    auto_buf message = BUF_INIT(2 * MONITOR_ENTRIES_MAX);
    struct monitor_answer answer;
    struct monitor_entry entry;
    struct err err = ERR_INIT;
    (void)info;
    if (size > REPLY_SIZE)
        size = REPLY_SIZE;
    auto_free char *data = malloc(size);
    if (!data || !list(ops_of(req), node, (uint64_t)offset, &message, &answer, &err)) {
        fuse_reply_err(req, data ? errno_of(&err) : ENOMEM);
        return;
    }
    size_t used = 0;
    while (monitor_entry_next(&answer.entries, &entry)) {
        struct stat st = {.st_ino = entry.inode, .st_mode = (mode_t)entry.type << 12};
        size_t len =
            fuse_add_direntry(req, data + used, size - used, entry.name, &st, (off_t)entry.cookie);
        if (len > size - used)
            break;
        used += len;
    }
    fuse_reply_buf(req, data, used);
}
