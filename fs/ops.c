/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/ops_private.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "fs/greeting.h"
#include "fs/invalidator.h"
#include "fs/orphans.h"
#include "fs/thread.h"

/* Room for a request: the kernel wants max_write (which libfuse makes the bound of a read as well) and a header. */
#define REQUEST_SIZE (REPLY_SIZE + 4096u)
#define INIT_WAIT_MS 10000

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
    .getxattr = op_getxattr,
    .listxattr = op_listxattr,
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

static struct ops_seat *take_seat(struct ops *ops)
{
    for (size_t i = 0; i < ARRAY_LEN(ops->seats); i++) {
        int none = 0;
        if (atomic_compare_exchange_strong(&ops->seats[i].id, &none, gettid()))
            return &ops->seats[i];
    }
    return NULL; /* there are no more threads than places */
}

static unsigned threads_now(const struct ops *ops)
{
    return atomic_load(&ops->serving) & ~OPS_FREEZING;
}

static bool is_crowded(const struct ops *ops)
{
    return atomic_load(&ops->busy) >= threads_now(ops);
}

static void attend(struct ops *ops, struct ops_seat *seat, void *data, size_t len)
{
    if (seat)
        atomic_store(&seat->since_ms, loop_now_ms());
    atomic_fetch_add(&ops->busy, 1);
    if (is_crowded(ops) && !atomic_exchange(&ops->crowded, true))
        ops->conf.crowded(ops->conf.arg);
    process(ops, data, len);
    atomic_fetch_sub(&ops->busy, 1);
    if (seat)
        atomic_store(&seat->since_ms, 0);
}

/* Those that hung are back: this thread was in the place of one, and ends. True: it is counted no more. */
static bool is_too_many(struct ops *ops)
{
    unsigned now = atomic_load(&ops->serving);
    while (!(now & OPS_FREEZING) && now > ops->conf.threads &&
           now - ops->conf.threads > atomic_load(&ops->busy))
        if (atomic_compare_exchange_weak(&ops->serving, &now, now - 1))
            return true;
    return false;
}

/* True: this thread ends, and is counted no more. One that a thaw has counted goes on. */
static bool comes_to_rest(struct ops *ops, unsigned *ret_left)
{
    unsigned now = atomic_load(&ops->serving);
    while (now & OPS_FREEZING)
        if (atomic_compare_exchange_weak(&ops->serving, &now, now - 1)) {
            *ret_left = (now - 1) & ~OPS_FREEZING;
            return true;
        }
    return false;
}

/* How many threads are left when this one ends. */
static unsigned serve(struct ops *ops, struct ops_seat *seat, bool is_more, void *data)
{
    size_t len;
    unsigned left;
    while (!comes_to_rest(ops, &left)) {
        if (is_too_many(ops))
            return threads_now(ops);
        if (!data || !next_request(ops, data, &len)) {
            atomic_store(&ops->closed, true);
            return (atomic_fetch_sub(&ops->serving, 1) - 1) & ~OPS_FREEZING;
        }
        if (len > 0)
            attend(ops, seat, data, len);
        if (is_more)
            ops_bounce_done(); /* locked memory is not counted for these */
    }
    return left;
}

static void *serve_main(void *arg)
{
    struct ops *ops = arg;
    auto_free void *data = malloc(REQUEST_SIZE);
    struct ops_seat *seat = take_seat(ops);
    bool is_more = threads_now(ops) > ops->conf.threads;
    if (!is_more)
        (void)ops_bounce_init(); /* before open secrets can have taken the memory */
    unsigned left = serve(ops, seat, is_more, data);
    ops_bounce_done();
    if (seat)
        atomic_store(&seat->id, 0);
    if (left == 0 && atomic_load(&ops->closed))
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

static void on_wake(int signo)
{
    (void)signo;
}

/* What wakes a thread that waits in read(2): a signal that does nothing, without SA_RESTART. */
static bool take_wake_signal(struct err *err)
{
    struct sigaction action = {.sa_handler = on_wake};
    sigemptyset(&action.sa_mask);
    return sigaction(SIGUSR1, &action, NULL) == 0 ||
           err_set_errno(err, ERR_INTERNAL, "signal for the threads");
}

/* As many as there shall be: those that have not come to rest since a freeze began go on. */
static bool start_threads(struct ops *ops, struct err *err)
{
    unsigned before = atomic_exchange(&ops->serving, ops->conf.threads) & ~OPS_FREEZING;
    for (unsigned i = before; i < ops->conf.threads; i++)
        if (!thread_start(serve_main, ops, err))
            return false;
    return true;
}

bool ops_run(struct ops *ops, struct err *err)
{
    return take_wake_signal(err) && invalidator_run(ops->invalidator, err) &&
           start_threads(ops, err);
}

/* -- threads that hang -------------------------------------------------------------------------- */

static unsigned count_hanging(const struct ops *ops)
{
    int64_t before = loop_now_ms() - OPS_ROOM_MS;
    unsigned count = 0;
    for (size_t i = 0; i < ARRAY_LEN(ops->seats); i++) {
        int64_t since = atomic_load(&ops->seats[i].since_ms);
        count += since != 0 && since <= before;
    }
    return count;
}

static bool start_one_more(struct ops *ops)
{
    struct err err = ERR_INIT;
    unsigned now = atomic_load(&ops->serving);
    do
        if ((now & OPS_FREEZING) || now >= ops->conf.threads + OPS_THREADS_MORE ||
            atomic_load(&ops->closed))
            return false;
    while (!atomic_compare_exchange_weak(&ops->serving, &now, now + 1));
    if (thread_start(serve_main, ops, &err))
        return true;
    atomic_fetch_sub(&ops->serving, 1);
    log_err(LOG_LEVEL_WARNING, &err, "a thread beside those that hang");
    return false;
}

bool ops_make_room(struct ops *ops)
{
    unsigned hanging = count_hanging(ops);
    while (hanging > 0 && is_crowded(ops) && threads_now(ops) < ops->conf.threads + hanging &&
           start_one_more(ops))
        ;
    if (is_crowded(ops))
        return true;
    atomic_store(&ops->crowded, false);
    /* One that came to a request between the two did not tell. */
    return is_crowded(ops) && !atomic_exchange(&ops->crowded, true);
}

/* -- a successor ------------------------------------------------------------------------------- */

bool ops_freeze(struct ops *ops)
{
    atomic_fetch_or(&ops->serving, OPS_FREEZING);
    for (size_t i = 0; i < ARRAY_LEN(ops->seats); i++) {
        int id = atomic_load(&ops->seats[i].id);
        if (id > 0)
            (void)tgkill(getpid(), id, SIGUSR1);
    }
    return (atomic_load(&ops->serving) & ~OPS_FREEZING) == 0;
}

bool ops_thaw(struct ops *ops, struct err *err)
{
    return start_threads(ops, err);
}

bool ops_can_resend(const struct ops *ops)
{
    return greeting_can_resend(ops->conf.table->init, ops->conf.table->init_len);
}

/* -- life -------------------------------------------------------------------------------------- */

void ops_stats(
    const struct ops *ops, uint64_t *ret_opens, uint64_t *ret_hits, uint64_t *ret_refused)
{
    *ret_opens = atomic_load(&ops->opens);
    *ret_hits = atomic_load(&ops->hits);
    *ret_refused = atomic_load(&ops->refused);
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
