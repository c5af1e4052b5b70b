/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ops_private.h"

#include <string.h>
#include <unistd.h>

#include "crypt/base/clock.h"
#include "fs/metrics.h"

/* An open on its way to its answer. */
struct asking {
    struct passage *passage; /* NULL: nothing will be recorded */
    int64_t began_us;        /* 0: no open */
    bool waited;             /* for the key broker */
};

/* A request that waits for a secret: an open, or the first read from a handle of a dead worker. */
struct ticket {
    fuse_req_t req;
    fuse_ino_t node;
    struct fuse_file_info info;
    struct pin *pin;
    bool is_read;
    size_t size;
    off_t offset;
    struct asking asking;
};

/* Locked memory of the calling thread, from which the kernel can read a reply. */
static _Thread_local struct secret_bounce bounce;

/* -- reading ----------------------------------------------------------------------------------- */

bool ops_bounce_init(void)
{
    struct err err;
    return bounce.data || secret_bounce_init(&bounce, REPLY_SIZE, &err);
}

void ops_bounce_done(void)
{
    secret_bounce_done(&bounce);
}

static void reply_secret(fuse_req_t req, struct lease *lease, size_t size, off_t offset)
{
    auto_secret *secret = lease_secret(lease);
    if (!secret) {
        fuse_reply_err(req, EKEYREVOKED);
        return;
    }
    struct bytes part = bytes_slice(secret_bytes(secret), (size_t)offset, size);
    if (part.len > 0)
        memcpy(bounce.data, part.data, part.len);
    fuse_reply_buf(req, (const char *)bounce.data, part.len);
    secret_bounce_wipe(&bounce, part.len);
}

/* With cache = page all that have the file open see its newest content; but what was revoked stays so for whom it was open. */
static void reply_lease(fuse_req_t req, const struct handle *handle, size_t size, off_t offset)
{
    auto_lease *shared = pagecache_read(ops_of(req)->conf.pagecache, handle->node, handle->lease);
    bool own = !shared || lease_is_revoked(handle->lease);
    reply_secret(req, own ? handle->lease : shared, size, offset);
}

static void reply_content(fuse_req_t req, const struct handle *handle, size_t size, off_t offset)
{
    if (size > REPLY_SIZE)
        size = REPLY_SIZE;
    if (!ops_bounce_init()) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (handle->lease) {
        reply_lease(req, handle, size, offset);
        return;
    }
    ssize_t len = pread(handle->pin->fd, bounce.data, size, offset);
    if (len < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_buf(req, (const char *)bounce.data, (size_t)len);
}

/* -- opening ----------------------------------------------------------------------------------- */

static int64_t length_of(const struct lease *lease)
{
    return lease ? (int64_t)lease->len : -1;
}

/* Whether the kernel may keep pages of it, and *ret_keep: those it has. */
static bool take_pages(
    struct ops *ops, fuse_ino_t node, const struct pin *pin, struct lease *lease, bool *ret_keep)
{
    char path[PATH_SIZE], full[PATH_FULL_SIZE];
    *ret_keep = false;
    if (!lease || settings_of(ops->conf.settings, pin)->cache != CACHE_PAGE ||
        !tree_path(ops->conf.shown.tree, node, path))
        return false;
    path_full(ops->conf.shown.mountpoint, path, full);
    return pagecache_open(ops->conf.pagecache, node, full, lease, ret_keep);
}

/* What the gate says before anything is looked for: 0, or the errno to answer with. */
static int enter(fuse_req_t req, fuse_ino_t node, const struct pin *pin, const struct stat *st,
    struct passage **ret_passage)
{
    struct permission room;
    struct ops *ops = ops_of(req);
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    char path[PATH_SIZE], full[PATH_FULL_SIZE];
    if (!tree_path(ops->conf.shown.tree, node, path))
        return ESTALE;
    path_full(ops->conf.shown.mountpoint, path, full);
    size_t file = pin->origin.kind == ORIGIN_FILE ? pin->origin.index : ACCESS_NO_FILE;
    bool is_name = pin->blob && pin->blob->is_name;
    const struct gate_asked asked = {caller->pid, caller->uid, caller->gid, full, file,
        is_name ? buf_text(&pin->blob->text) : NULL,
        ops_permission(req, node, pin, st, PERMISSION_READ, &room)};
    return gate_enter(ops->conf.gate, &asked, ret_passage);
}

/* What an open brings to its answer. */
static struct asking asking_since(int64_t began_us, struct passage *passage)
{
    return (struct asking){.passage = passage, .began_us = began_us};
}

static void count_refused(struct ops *ops, int sys_errno, int64_t took_us)
{
    atomic_fetch_add_explicit(&ops->refused, 1, memory_order_relaxed);
    metrics_refused(sys_errno, took_us);
}

static void count(
    struct ops *ops, const struct asking *asking, const struct park_answer *answer, int sys_errno)
{
    if (asking->began_us == 0)
        return; /* a read of a file that is open already */
    int64_t us = clock_us(CLOCK_MONOTONIC) - asking->began_us;
    if (sys_errno)
        count_refused(ops, sys_errno, us);
    else
        metrics_served(!answer->lease   ? METRICS_PLAIN
                       : answer->stale  ? METRICS_STALE
                       : asking->waited ? METRICS_FETCHED
                                        : METRICS_MEMORY,
            us);
}

/* Takes the passage. 0: opened; else what to answer. */
static int leave(
    struct ops *ops, struct asking asking, const struct park_answer *answer, int sys_errno)
{
    const struct gate_outcome outcome = {.sys_errno = sys_errno,
        .stale = answer->stale,
        .resource = answer->lease ? answer->lease->resource : NULL,
        .version = answer->lease ? answer->lease->version : NULL};
    int instead = gate_leave(ops->conf.gate, asking.passage, &outcome);
    if (!instead)
        instead = sys_errno;
    count(ops, &asking, answer, instead);
    return instead;
}

static void reply_refused(fuse_req_t req, struct asking asking, int sys_errno)
{
    static const struct park_answer nothing = {.sys_errno = EIO};
    fuse_reply_err(req, leave(ops_of(req), asking, &nothing, sys_errno));
}

/* There will be no release. */
static void undo_open(struct ops *ops, fuse_ino_t node, uint64_t fh)
{
    uint64_t of;
    bool held, sealed;
    handle_close(ops->conf.handles, fh, &of, &held, &sealed);
    if (tree_closed(ops->conf.shown.tree, node))
        (void)pagecache_closed(ops->conf.pagecache, node);
}

/* What the kernel was told of the file holds no more, and it must not wait for the end of the moment (attributes_hold) to ask again.
 * Attributes alone, without pages: that waits for nobody, so it may be done by who serves a request. */
static void attributes_over(struct ops *ops, fuse_ino_t node)
{
    (void)fuse_lowlevel_notify_inval_inode(ops->session, node, -1, 0);
}

/* Takes the passage. The answer's lease is NULL for a file that is not sealed. */
static void reply_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info,
    struct pin *pin, const struct park_answer *answer, struct asking asking)
{
    struct lease *lease = answer->lease;
    struct ops *ops = ops_of(req);
    struct err err = ERR_INIT;
    /*
     * The kernel was told a size that is less than the true one (another secret came from the KBS meanwhile), and sendfile and splice
     * would cut the content there. ESTALE makes it walk the path once more, and learn the size from the cache, or (ttl=0 keeps none) here.
     */
    if (lease && lease->len > tree_told_size(ops->conf.shown.tree, node)) {
        tree_grown(ops->conf.shown.tree, node, length_of(lease));
        attributes_over(ops, node);
        passage_drop(asking.passage);
        fuse_reply_err(req, ESTALE);
        return;
    }
    uint64_t fh;
    if (!handle_open(ops->conf.handles, node, pin, lease, &fh, &err)) {
        reply_refused(req, asking, errno_of(&err));
        return;
    }
    tree_opened(ops->conf.shown.tree, node, pin, length_of(lease));
    info->fh = fh;
    int refused = leave(ops, asking, answer, 0);
    if (refused) {
        undo_open(ops, node, fh);
        fuse_reply_err(req, refused);
        return;
    }
    bool keep;
    bool page = take_pages(ops, node, pin, lease, &keep);
    info->keep_cache = keep;
    info->direct_io = lease && !page;
    /* It had been told the most that there might be, or is sealed no more. */
    if ((lease ? lease->len : 0) != tree_told_size(ops->conf.shown.tree, node))
        attributes_over(ops, node);
    if (fuse_reply_open(req, info) < 0) /* the caller has gone */
        undo_open(ops, node, fh);
}

static void reply_adopted(
    fuse_req_t req, uint64_t fh, struct pin *pin, struct lease *lease, size_t size, off_t offset)
{
    struct ops *ops = ops_of(req);
    struct err err = ERR_INIT;
    if (!handle_adopt(ops->conf.handles, fh, pin, lease, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    const struct handle *handle = handle_find(ops->conf.handles, fh);
    tree_opened(ops->conf.shown.tree, handle->node, pin, length_of(lease));
    bool keep;
    (void)take_pages(ops, handle->node, pin, lease, &keep);
    reply_content(req, handle, size, offset);
}

static void reply_ticket(struct ticket *ticket, const struct park_answer *answer)
{
    if (!answer->lease)
        reply_refused(ticket->req, ticket->asking, answer->sys_errno);
    else if (ticket->is_read)
        reply_adopted(
            ticket->req, ticket->info.fh, ticket->pin, answer->lease, ticket->size, ticket->offset);
    else
        reply_open(ticket->req, ticket->node, &ticket->info, ticket->pin, answer, ticket->asking);
    pin_unref(ticket->pin);
    free(ticket);
}

static void reply_errno(struct ticket *ticket, int sys_errno)
{
    const struct park_answer answer = {.sys_errno = sys_errno};
    reply_ticket(ticket, &answer);
}

void ops_reply(void *arg, void *ticket, const struct park_answer *answer)
{
    (void)arg;
    reply_ticket(ticket, answer);
}

static void on_interrupt(fuse_req_t req, void *data)
{
    park_interrupt(ops_of(req)->park, (uint64_t)(uintptr_t)data);
}

/* True: it waits now, and the ticket is given away. Else there is an answer, or an error. */
static bool park_ticket(struct ops *ops, const struct park_wanted *wanted, struct ticket *ticket,
    enum cache_result *ret_result, struct lease **ret_lease, struct err *err)
{
    fuse_req_t req = ticket->req;
    uint64_t id = 0;
    ticket->asking.waited =
        true; /* the answer may come on another thread before this call is over */
    if (!park_add(ops->park, wanted, ticket, &id, ret_result, ret_lease, err, err) || id == 0) {
        ticket->asking.waited = false;
        return false;
    }
    fuse_req_interrupt_func(req, on_interrupt, (void *)(uintptr_t)id);
    park_arm(ops->park, id);
    return true;
}

/* Answers now from the cache, or parks. The ticket is given away. */
static void await_secret(struct ops *ops, struct ticket *ticket)
{
    char path[PATH_SIZE], full[PATH_FULL_SIZE];
    auto_lease *lease = NULL;
    struct err err = ERR_INIT;
    if (!tree_path(ops->conf.shown.tree, ticket->node, path)) {
        reply_errno(ticket, ESTALE);
        return;
    }
    path_full(ops->conf.shown.mountpoint, path, full);
    const struct park_wanted wanted = {
        full, ticket->pin->blob, settings_of(ops->conf.settings, ticket->pin)};
    if (wanted.settings->on_change && ops->conf.lookout)
        lookout_add(ops->conf.lookout, path, wanted.settings->fresh_ms);
    enum cache_result result =
        cache_find(ops->conf.shown.cache, wanted.path, wanted.blob, &lease, &err);
    if (result == CACHE_HIT)
        atomic_fetch_add_explicit(&ops->hits, 1, memory_order_relaxed);
    if (result == CACHE_AGED)
        lease_unref(take_ptr(lease));
    if ((result == CACHE_MISS || result == CACHE_AGED) &&
        park_ticket(ops, &wanted, ticket, &result, &lease, &err))
        return;
    const struct park_answer answer = {lease, result == CACHE_STALE,
        result == CACHE_REFUSED ? err_info(err.code)->sys_errno : errno_of(&err)};
    reply_ticket(ticket, &answer);
}

static struct ticket *ticket_new(
    fuse_req_t req, fuse_ino_t node, const struct fuse_file_info *info, struct pin *pin)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket)
        *ticket = (struct ticket){.req = req, .node = node, .info = *info, .pin = pin_ref(pin)};
    return ticket;
}

/* The file that an open of the node means. A node is never told another file, but who cannot walk to another node (a single file
 * that is bind-mounted) gets what its name leads to now. */
static bool pin_for_open(
    struct tree *tree, fuse_ino_t node, struct pin **ret_pin, struct stat *ret_st, struct err *err)
{
    auto_pin *pin = NULL;
    if (!tree_pin_read(tree, node, &pin, ret_st, err))
        return tree_follow(tree, node, ret_pin, ret_st, err);
    if (!tree_is_left_behind(tree, node) || !tree_follow(tree, node, ret_pin, ret_st, err))
        *ret_pin = take_ptr(pin);
    return true;
}

void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    int64_t began_us = clock_us(CLOCK_MONOTONIC);
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    atomic_fetch_add_explicit(&ops->opens, 1, memory_order_relaxed);
    if ((info->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(req, EROFS);
        return;
    }
    if (!pin_for_open(ops->conf.shown.tree, node, &pin, &st, &err)) {
        /* Gone since the lookup: a second walk finds what is there now. */
        fuse_reply_err(req, errno_of(&err) == ENOENT ? ESTALE : errno_of(&err));
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    struct passage *passage;
    int refused = enter(req, node, pin, &st, &passage);
    if (refused) {
        count_refused(ops, refused, clock_us(CLOCK_MONOTONIC) - began_us);
        fuse_reply_err(req, refused);
        return;
    }
    if (!pin->is_sealed) {
        static const struct park_answer ordinary = {.sys_errno = 0};
        reply_open(req, node, info, pin, &ordinary, asking_since(began_us, passage));
        return;
    }
    struct ticket *ticket = ticket_new(req, node, info, pin);
    if (!ticket) {
        reply_refused(req, asking_since(began_us, passage), ENOMEM);
        return;
    }
    ticket->asking = asking_since(began_us, passage);
    await_secret(ops, ticket);
}

/* The handle is of a worker that died: find the file again, and go on only if it is the same. */
static void read_orphan(fuse_req_t req, const struct handle_record *record, size_t size,
    off_t offset, const struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    if (!tree_pin_read(ops->conf.shown.tree, record->node, &pin, &st, &err) &&
        !tree_follow(ops->conf.shown.tree, record->node, &pin, &st, &err)) {
        fuse_reply_err(req, errno_of(&err) == ENOENT ? ESTALE : errno_of(&err));
        return;
    }
    if (!pin->is_sealed) {
        reply_adopted(req, info->fh, pin, NULL, size, offset);
        return;
    }
    struct ticket *ticket = ticket_new(req, record->node, info, pin);
    if (!ticket) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    ticket->is_read = true;
    ticket->size = size;
    ticket->offset = offset;
    await_secret(ops, ticket);
}

void op_read(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct handle_record record;
    (void)node;
    const struct handle *handle = handle_find(ops->conf.handles, info->fh);
    if (handle)
        reply_content(req, handle, size, offset);
    else if (handle_orphan(ops->conf.handles, info->fh, &record) && !record.revoked)
        read_orphan(req, &record, size, offset, info);
    else if (nodetable_find_handle(ops->conf.table, info->fh))
        fuse_reply_err(req, EKEYREVOKED);
    else
        fuse_reply_err(req, EBADF);
}

void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    uint64_t of;
    bool held, sealed;
    handle_close(ops->conf.handles, info->fh, &of, &held, &sealed);
    bool last = held ? tree_closed(ops->conf.shown.tree, of) : true;
    bool kept = last && pagecache_closed(ops->conf.pagecache, node);
    if (sealed && last && !kept)
        ops_invalidate(ops, node);
    fuse_reply_err(req, 0);
}
