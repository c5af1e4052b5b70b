/* SPDX-License-Identifier: Apache-2.0 */
#define FUSE_USE_VERSION 312

#include "fs/ops.h"

#include <errno.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crypt/base/log.h"
#include "fs/greeting.h"
#include "fs/invalidator.h"
#include "fs/orphans.h"

/* What one READ can ask for, and so the room each thread needs for a reply. */
#define REPLY_SIZE (128u * 1024u)
/* Room for a request: the kernel wants max_write (which libfuse makes the bound of a read as well) and a header. */
#define REQUEST_SIZE (REPLY_SIZE + 4096u)
#define INIT_WAIT_MS 10000

struct ops {
    struct ops_conf conf;
    struct park *park;
    struct fuse_session *session;
    bool swallow; /* while a synthetic FUSE_INIT is answered */
    atomic_bool gone;
    atomic_uint_fast64_t opens, hits;

    struct invalidator *invalidator;
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
};

/* Locked memory of the calling thread, from which the kernel can read a reply. */
static _Thread_local struct secret_bounce bounce;

static struct ops *ops_of(fuse_req_t req)
{
    return fuse_req_userdata(req);
}

static int errno_of(const struct err *err)
{
    int sys_errno = err->sys_errno ? err->sys_errno : err_info(err->code)->sys_errno;
    return sys_errno ? sys_errno : EIO;
}

/* -- names and attributes --------------------------------------------------------------------- */

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct ops *ops = ops_of(req);
    struct fuse_entry_param entry = {0};
    auto_pin *pin = NULL;
    uint64_t id;
    struct err err = ERR_INIT;
    if (!tree_lookup(ops->conf.shown.tree, parent, name, &id, &pin, &entry.attr, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    shown_stat(&ops->conf.shown, id, pin, &entry.attr);
    entry.ino = id;
    if (fuse_reply_entry(req, &entry) < 0)
        tree_forget(ops->conf.shown.tree, id, 1);
}

static void op_forget(fuse_req_t req, fuse_ino_t node, uint64_t count)
{
    tree_forget(ops_of(req)->conf.shown.tree, node, count);
    fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    for (size_t i = 0; i < count; i++)
        tree_forget(ops_of(req)->conf.shown.tree, forgets[i].ino, forgets[i].nlookup);
    fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    (void)info;
    if (!tree_stat(ops->conf.shown.tree, node, &pin, &st, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    shown_stat(&ops->conf.shown, node, pin, &st);
    fuse_reply_attr(req, &st, 0);
}

static void op_readlink(fuse_req_t req, fuse_ino_t node)
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

static void op_statfs(fuse_req_t req, fuse_ino_t node)
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
static void op_opendir(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    info->fh = 0;
    if (!tree_pin(ops_of(req)->conf.shown.tree, node, &pin, &st, &err))
        fuse_reply_err(req, errno_of(&err));
    else if (!S_ISDIR(st.st_mode))
        fuse_reply_err(req, ENOTDIR);
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
    return monitor_list(ops->conf.source->monitor, path, cookie, message, ret_answer, err);
}

static void op_readdir(
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

/* -- reading ----------------------------------------------------------------------------------- */

static bool have_bounce(void)
{
    struct err err;
    return bounce.data || secret_bounce_init(&bounce, REPLY_SIZE, &err);
}

static void reply_content(fuse_req_t req, const struct handle *handle, size_t size, off_t offset)
{
    if (size > REPLY_SIZE)
        size = REPLY_SIZE;
    if (!have_bounce()) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    if (handle->secret) {
        struct bytes part = bytes_slice(secret_bytes(handle->secret), (size_t)offset, size);
        if (part.len > 0)
            memcpy(bounce.data, part.data, part.len);
        fuse_reply_buf(req, (const char *)bounce.data, part.len);
        secret_bounce_wipe(&bounce, part.len);
        return;
    }
    ssize_t len = pread(handle->pin->fd, bounce.data, size, offset);
    if (len < 0)
        fuse_reply_err(req, errno);
    else
        fuse_reply_buf(req, (const char *)bounce.data, (size_t)len);
}

/* -- opening ----------------------------------------------------------------------------------- */

static void reply_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info,
    struct pin *pin, struct secret *secret)
{
    struct ops *ops = ops_of(req);
    struct err err = ERR_INIT;
    /*
     * The kernel was told a size that is less than the true one (another secret came from the KBS meanwhile), and sendfile and splice
     * would cut the content there. ESTALE makes it walk the path once more, and learn the size from the cache, or (ttl=0 keeps none) here.
     */
    if (secret && secret_len(secret) > tree_told_size(ops->conf.shown.tree, node)) {
        tree_grown(ops->conf.shown.tree, node, (int64_t)secret_len(secret));
        fuse_reply_err(req, ESTALE);
        return;
    }
    uint64_t fh;
    if (!handle_open(ops->conf.handles, node, pin, secret, &fh, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    tree_opened(ops->conf.shown.tree, node, pin, secret ? (int64_t)secret_len(secret) : -1);
    info->fh = fh;
    info->keep_cache = 0;
    info->direct_io = secret != NULL;
    if (fuse_reply_open(req, info) < 0) { /* the caller has gone: there will be no release */
        uint64_t of;
        bool held, sealed;
        handle_close(ops->conf.handles, fh, &of, &held, &sealed);
        (void)tree_closed(ops->conf.shown.tree, node);
    }
}

static void reply_adopted(
    fuse_req_t req, uint64_t fh, struct pin *pin, struct secret *secret, size_t size, off_t offset)
{
    struct ops *ops = ops_of(req);
    struct err err = ERR_INIT;
    if (!handle_adopt(ops->conf.handles, fh, pin, secret, &err)) {
        fuse_reply_err(req, errno_of(&err));
        return;
    }
    const struct handle *handle = handle_find(ops->conf.handles, fh);
    tree_opened(ops->conf.shown.tree, handle->node, pin, secret ? (int64_t)secret_len(secret) : -1);
    reply_content(req, handle, size, offset);
}

static void reply_ticket(struct ticket *ticket, struct secret *secret, int sys_errno)
{
    if (!secret)
        fuse_reply_err(ticket->req, sys_errno);
    else if (ticket->is_read)
        reply_adopted(
            ticket->req, ticket->info.fh, ticket->pin, secret, ticket->size, ticket->offset);
    else
        reply_open(ticket->req, ticket->node, &ticket->info, ticket->pin, secret);
    pin_unref(ticket->pin);
    free(ticket);
}

void ops_reply(void *arg, void *ticket, struct secret *secret, int sys_errno)
{
    (void)arg;
    reply_ticket(ticket, secret, sys_errno);
}

static void on_interrupt(fuse_req_t req, void *data)
{
    park_interrupt(ops_of(req)->park, (uint64_t)(uintptr_t)data);
}

/* Answers now from the cache, or parks. The ticket is given away. */
static void await_secret(struct ops *ops, struct ticket *ticket)
{
    char path[PATH_SIZE], normal[PATH_SIZE];
    auto_secret *secret = NULL;
    enum cache_result result = CACHE_MISS;
    struct err refusal = ERR_INIT, err = ERR_INIT;
    uint64_t id;
    if (!tree_path(ops->conf.shown.tree, ticket->node, path)) {
        reply_ticket(ticket, NULL, ESTALE);
        return;
    }
    path_normal(path, normal);
    result = cache_find(ops->conf.shown.cache, normal, ticket->pin->blob, &secret, &refusal);
    if (result == CACHE_HIT)
        atomic_fetch_add_explicit(&ops->hits, 1, memory_order_relaxed);
    if (result == CACHE_MISS) {
        fuse_req_t req = ticket->req;
        if (!park_add(ops->park, normal, ticket->pin->blob, ticket, &id, &result, &secret, &refusal,
                &err)) {
            reply_ticket(ticket, NULL, errno_of(&err));
            return;
        }
        if (id != 0) {
            fuse_req_interrupt_func(req, on_interrupt, (void *)(uintptr_t)id);
            park_arm(ops->park, id);
            return;
        }
    }
    reply_ticket(ticket, secret, secret ? 0 : err_info(refusal.code)->sys_errno);
}

static struct ticket *ticket_new(
    fuse_req_t req, fuse_ino_t node, const struct fuse_file_info *info, struct pin *pin)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket)
        *ticket = (struct ticket){.req = req, .node = node, .info = *info, .pin = pin_ref(pin)};
    return ticket;
}

static void op_open(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    atomic_fetch_add_explicit(&ops->opens, 1, memory_order_relaxed);
    if ((info->flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(req, EROFS);
        return;
    }
    if (!tree_pin_read(ops->conf.shown.tree, node, &pin, &st, &err)) {
        /* Gone since the lookup: a second walk finds what is there now. */
        fuse_reply_err(req, errno_of(&err) == ENOENT ? ESTALE : errno_of(&err));
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        fuse_reply_err(req, ESTALE);
        return;
    }
    if (!pin->is_sealed) {
        reply_open(req, node, info, pin, NULL);
        return;
    }
    struct ticket *ticket = ticket_new(req, node, info, pin);
    if (!ticket)
        fuse_reply_err(req, ENOMEM);
    else
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
    if (!tree_pin_read(ops->conf.shown.tree, record->node, &pin, &st, &err)) {
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

static void op_read(
    fuse_req_t req, fuse_ino_t node, size_t size, off_t offset, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    struct handle_record record;
    (void)node;
    const struct handle *handle = handle_find(ops->conf.handles, info->fh);
    if (handle)
        reply_content(req, handle, size, offset);
    else if (handle_orphan(ops->conf.handles, info->fh, &record))
        read_orphan(req, &record, size, offset, info);
    else
        fuse_reply_err(req, EBADF);
}

static void op_release(fuse_req_t req, fuse_ino_t node, struct fuse_file_info *info)
{
    struct ops *ops = ops_of(req);
    uint64_t of;
    bool held, sealed;
    handle_close(ops->conf.handles, info->fh, &of, &held, &sealed);
    bool last = held ? tree_closed(ops->conf.shown.tree, of) : true;
    if (sealed && last)
        ops_invalidate(ops, node);
    fuse_reply_err(req, 0);
}

static void op_init(void *arg, struct fuse_conn_info *conn)
{
    (void)arg;
    conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
    conn->max_write = REPLY_SIZE;
    conn->max_readahead = REPLY_SIZE;
}

static const struct fuse_lowlevel_ops operations = {
    .init = op_init,
    .lookup = op_lookup,
    .forget = op_forget,
    .forget_multi = op_forget_multi,
    .getattr = op_getattr,
    .readlink = op_readlink,
    .open = op_open,
    .read = op_read,
    .release = op_release,
    .opendir = op_opendir,
    .readdir = op_readdir,
    .statfs = op_statfs,
};

/* -- the page cache ---------------------------------------------------------------------------- */

void ops_invalidate(struct ops *ops, uint64_t node)
{
    invalidator_add(ops->invalidator, node);
}

/* On the invalidator's thread. ENOENT: the kernel has forgotten the node, and its pages with it. */
static void drop_pages(void *arg, uint64_t node)
{
    struct ops *ops = arg;
    int failed = fuse_lowlevel_notify_inval_inode(ops->session, node, 0, 0);
    log_debug(
        "pages of node %llu: %s", (unsigned long long)node, failed ? strerror(-failed) : "dropped");
}

/* -- requests ---------------------------------------------------------------------------------- */

static ssize_t io_write(int fd, struct iovec *parts, int count, void *arg)
{
    struct ops *ops = arg;
    if (!ops->swallow)
        return writev(fd, parts, count);
    ssize_t len = 0;
    for (int i = 0; i < count; i++)
        len += (ssize_t)parts[i].iov_len;
    return len;
}

static ssize_t io_read(int fd, void *data, size_t len, void *arg)
{
    (void)arg;
    return read(fd, data, len);
}

static void process(struct ops *ops, void *data, size_t len)
{
    struct fuse_buf request = {.mem = data, .size = len};
    orphans_note(ops->conf.table, bytes_of(data, len));
    fuse_session_process_buf(ops->session, &request);
}

/* False when the connection is closed. *ret_len = 0: nothing to do this time. */
static bool next_request(struct ops *ops, void *data, size_t *ret_len)
{
    ssize_t len = read(ops->conf.fuse_fd, data, REQUEST_SIZE);
    *ret_len = len > 0 ? (size_t)len : 0;
    if (len >= 0)
        return len > 0;
    /* ENOENT: the request was interrupted before it was read. */
    return errno == EINTR || errno == EAGAIN || errno == ENOENT;
}

static void *serve_main(void *arg)
{
    struct ops *ops = arg;
    auto_free void *data = malloc(REQUEST_SIZE);
    size_t len;
    (void)have_bounce(); /* before open secrets can have taken the memory */
    while (data && next_request(ops, data, &len))
        if (len > 0)
            process(ops, data, len);
    secret_bounce_done(&bounce);
    if (!atomic_exchange(&ops->gone, true))
        ops->conf.unmounted(ops->conf.arg);
    return NULL;
}

/* -- the connection ---------------------------------------------------------------------------- */

/* The first request of a new mount is FUSE_INIT; its bytes are what a successor needs. */
static bool greet(struct ops *ops, struct err *err)
{
    auto_free uint8_t *data = malloc(REQUEST_SIZE);
    size_t len = 0;
    if (!data)
        return err_nomem(err);
    while (len == 0) {
        struct pollfd ready = {.fd = ops->conf.fuse_fd, .events = POLLIN};
        if (poll(&ready, 1, INIT_WAIT_MS) == 0)
            return err_set(err, ERR_TIMEOUT, "the kernel did not greet the new mount");
        if (!next_request(ops, data, &len))
            return err_set_errno(err, ERR_IO, "read /dev/fuse");
    }
    if (!greeting_keep(ops->conf.table, bytes_of(data, len), err))
        return false;
    process(ops, data, len);
    return true;
}

/*
 * The kernel has had its answer from our predecessor: libfuse gets the same question again, and
 * what it says goes nowhere.
 */
static bool take_over(struct ops *ops, struct err *err)
{
    uint8_t greeting[NODETABLE_INIT] = {0};
    size_t len;
    if (!greeting_recall(ops->conf.table, greeting, &len, err))
        return false;
    ops->swallow = true;
    process(ops, greeting, len);
    ops->swallow = false;
    if (greeting_can_resend(greeting, len))
        return greeting_resend(ops->conf.fuse_fd, err);
    log_warning("this kernel (before 6.9) cannot send requests again: %zu calls that the dead "
                "worker had taken fail with EIO",
        orphans_fail(ops->conf.table, ops->conf.fuse_fd));
    return true;
}

bool ops_start(struct ops *ops, struct park *park, struct err *err)
{
    ops->park = park;
    return greeting_is_kept(ops->conf.table) ? take_over(ops, err) : greet(ops, err);
}

bool ops_run(struct ops *ops, struct err *err)
{
    if (!invalidator_run(ops->invalidator, err))
        return false;
    for (unsigned i = 0; i < ops->conf.threads; i++)
        if (!thread_start(serve_main, ops, err))
            return false;
    return true;
}

void ops_stats(const struct ops *ops, uint64_t *ret_opens, uint64_t *ret_hits)
{
    *ret_opens = atomic_load(&ops->opens);
    *ret_hits = atomic_load(&ops->hits);
}

bool ops_new(const struct ops_conf *conf, struct ops **ret_ops, struct err *err)
{
    char name[] = "sealedfs";
    char *argv[] = {name, NULL};
    struct fuse_args args = FUSE_ARGS_INIT(1, argv);
    const struct fuse_custom_io io = {.writev = io_write, .read = io_read};
    auto_free struct ops *ops = calloc(1, sizeof *ops);
    if (!ops)
        return err_nomem(err);
    ops->conf = *conf;
    if (!invalidator_new(drop_pages, ops, &ops->invalidator, err))
        return false;
    ops->session = fuse_session_new(&args, &operations, sizeof operations, ops);
    if (!ops->session)
        return err_set(err, ERR_INTERNAL, "libfuse does not make a session");
    int failed = fuse_session_custom_io(ops->session, &io, conf->fuse_fd);
    if (failed)
        return err_set_at(
            err, ERR_INTERNAL, -failed, __FILE__, __LINE__, "libfuse does not take the descriptor");
    *ret_ops = take_ptr(ops);
    return true;
}
