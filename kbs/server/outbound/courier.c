/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/courier.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/wait.h>
#include <time.h>

#include "crypt/base/log.h"
#include "kbs/server/outbound/courier_wire.h"
#include "kbs/server/frames.h"
#include "kbs/server/warden.h"
#include "kbs/server/quiet_thread.h"

#define HELLO_MS     60000
#define RESPAWN_MS   1000
#define GRACE_MS     2000 /* of a request beyond its own deadline, which the courier keeps */
#define ATTEMPTS_MAX 2
#define OUT_MAX      (4 * COURIER_REQUEST_MAX)

/* A request under way; on the stack of the thread that waits for it. */
struct call {
    TAILQ_ENTRY(call) link;
    uint32_t id;
    int attempts; /* how often it was given to a courier */
    bool sent;    /* to the present one */
    bool done;
    struct buf request;
    struct buf *message;
    struct err err;
    pthread_cond_t changed;
};

enum state { DOWN, STARTING, UP };

struct courier {
    pthread_mutex_t lock;
    pthread_cond_t changed; /* of `state` and `start_failed` */
    TAILQ_HEAD(, call) calls;
    uint32_t last_id;
    struct courier_stats stats;
    enum state state;
    bool start_failed;
    struct err start_err;
    pid_t pid;
    /* what follows is the keeper's after courier_start() */
    struct loop *loop;
    struct loop_timer *timer; /* DOWN: when to try again; STARTING: how long to wait */
    struct frames *frames;
    int64_t up_since;
    pthread_t keeper;
    bool kept;
    /* constant */
    int warden_fd;
    pid_t warden_pid;
    struct courier_table table; /* without tokens */
};

/* -- calls ----------------------------------------------------------------------------------------- */

/* With the lock. */
static void settle(struct courier *courier, struct call *call, const struct err *why)
{
    if (why)
        call->err = *why;
    call->done = true;
    TAILQ_REMOVE(&courier->calls, call, link);
    courier->stats.pending--;
    pthread_cond_signal(&call->changed);
}

/* What waits and has not been sent yet. */
static void send_calls(void *arg)
{
    struct courier *courier = arg;
    struct call *call, *next;
    pthread_mutex_lock(&courier->lock);
    for (call = TAILQ_FIRST(&courier->calls); call && courier->state == UP; call = next) {
        struct err err = ERR_INIT;
        next = TAILQ_NEXT(call, link);
        if (call->sent)
            continue;
        call->sent = true;
        call->attempts++;
        if (!frames_send(courier->frames, buf_bytes(&call->request), &err))
            settle(courier, call, &err);
    }
    pthread_mutex_unlock(&courier->lock);
}

/* One that nobody waits for any more is dropped. */
static bool take_answer(struct courier *courier, struct bytes message, struct err *err)
{
    struct err cause = ERR_INIT;
    struct call *call;
    uint32_t id;
    if (!courier_answer_id(message, &id, err))
        return false;
    pthread_mutex_lock(&courier->lock);
    TAILQ_FOREACH(call, &courier->calls, link)
    if (call->id == id && call->sent)
        break;
    if (call)
        settle(courier, call, buf_append(call->message, message, &cause) ? NULL : &cause);
    pthread_mutex_unlock(&courier->lock);
    return true;
}

/* The courier has gone: what it had is given to the next, once. */
static size_t recall(struct courier *courier)
{
    struct call *call, *next;
    size_t count = 0;
    for (call = TAILQ_FIRST(&courier->calls); call; call = next) {
        struct err err = ERR_INIT;
        next = TAILQ_NEXT(call, link);
        if (!call->sent)
            continue;
        count++;
        call->sent = false;
        if (call->attempts < ATTEMPTS_MAX)
            continue;
        err_set(&err, ERR_UNREACH,
            "the courier process ended in the midst of this request, twice; the log has how");
        settle(courier, call, &err);
    }
    return count;
}

/* -- the keeper ------------------------------------------------------------------------------------ */

static void start_process(struct courier *courier);

static void set_state(struct courier *courier, enum state state, pid_t pid)
{
    pthread_mutex_lock(&courier->lock);
    courier->state = state;
    courier->pid = pid;
    courier->stats.up = state == UP;
    courier->stats.starts += state == UP;
    pthread_cond_broadcast(&courier->changed);
    pthread_mutex_unlock(&courier->lock);
}

/* Before the first has come up this ends the start of the program; later it is tried again. */
static void start_later(struct courier *courier, const struct err *why)
{
    pthread_mutex_lock(&courier->lock);
    bool first = courier->stats.starts == 0;
    if (first) {
        courier->start_failed = true;
        courier->start_err = *why;
        pthread_cond_broadcast(&courier->changed);
    }
    pthread_mutex_unlock(&courier->lock);
    if (!first) {
        log_err(LOG_LEVEL_ERROR, why, "nothing can be asked over the network");
        loop_timer_set(courier->timer, RESPAWN_MS);
    }
}

static void reap(struct courier *courier, int *ret_status)
{
    struct err err = ERR_INIT;
    frames_free(take_ptr(courier->frames));
    if (!warden_end_child(courier->warden_fd, courier->pid, ret_status, &err))
        log_err(LOG_LEVEL_ERROR, &err, "end courier process %d", (int)courier->pid);
}

static void on_end(void *arg, const struct err *why)
{
    struct courier *courier = arg;
    enum state before = courier->state;
    pid_t pid = courier->pid;
    int status = 0;
    reap(courier, &status);
    set_state(courier, DOWN, 0);
    pthread_mutex_lock(&courier->lock);
    size_t had = recall(courier);
    pthread_mutex_unlock(&courier->lock);
    if (before == STARTING) {
        struct err err = *why;
        err_wrap(&err, "the courier process did not come up");
        start_later(courier, &err);
        return;
    }
    if (WIFSIGNALED(status) && why->code == ERR_UNREACH)
        log_warning("courier process %d was ended by signal %d, with %zu requests under way",
            (int)pid, WTERMSIG(status), had);
    else if (why->code != ERR_UNREACH || WEXITSTATUS(status) != 0 || had > 0)
        log_warning("courier process %d ended, with %zu requests under way: %s", (int)pid, had,
            why->message);
    if (loop_now_ms() - courier->up_since < RESPAWN_MS)
        loop_timer_set(
            courier->timer, RESPAWN_MS); /* one that always dies at once must not keep us busy */
    else
        start_process(courier);
}

static bool on_frame(void *arg, struct bytes message, struct err *err)
{
    struct courier *courier = arg;
    if (courier->state == UP)
        return take_answer(courier, message, err);
    struct courier_response none;
    if (message.len != 1 || message.data[0] != COURIER_WIRE_VERSION)
        return courier_answer_decode(message, &none, err) && /* why it gives up */
               err_set(err, ERR_FORMAT, "it did not say hello");
    loop_timer_clear(courier->timer);
    courier->up_since = loop_now_ms();
    set_state(courier, UP, courier->pid);
    send_calls(courier);
    return true;
}

static void start_process(struct courier *courier)
{
    const struct frames_conf conf = {.in_max = COURIER_ANSWER_MAX,
        .out_max = OUT_MAX,
        .on_frame = on_frame,
        .on_end = on_end,
        .arg = courier};
    struct err err = ERR_INIT;
    int fd = -1, status;
    pid_t pid;
    if (!warden_start_child(courier->warden_fd, &fd, &pid, &err)) {
        start_later(courier, &err);
        return;
    }
    set_state(courier, STARTING, pid);
    loop_timer_set(courier->timer, HELLO_MS);
    if (!frames_new(courier->loop, fd, &conf, &courier->frames, &err)) {
        reap(courier, &status);
        set_state(courier, DOWN, 0);
        start_later(courier, &err);
    }
}

static void on_timer(void *arg)
{
    struct courier *courier = arg;
    struct err err = ERR_INIT;
    if (courier->state == DOWN) {
        start_process(courier);
        return;
    }
    err_set(&err, ERR_TIMEOUT, "it did not come up within %d s", HELLO_MS / 1000);
    on_end(courier, &err);
}

static void *keep(void *arg)
{
    struct courier *courier = arg;
    struct err err = ERR_INIT;
    start_process(courier);
    if (!loop_run(courier->loop, &err))
        log_err(LOG_LEVEL_ERROR, &err, "nothing can be asked over the network any more");
    return NULL;
}

/* -- the object ------------------------------------------------------------------------------------ */

static void init_cond(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attributes);
    pthread_condattr_destroy(&attributes);
}

/* What the front keeps of the table: enough to refuse early, and no token. */
static bool keep_table(struct courier *courier, const struct courier_conf *conf, struct err *err)
{
    auto_buf public = BUF_INIT(WARDEN_PUBLIC_MAX);
    auto_secret *tokens = NULL;
    if (!courier_table_encode(conf, &public, &tokens, err) ||
        !courier_table_decode(buf_bytes(&public), tokens, &courier->table, err))
        return false;
    for (size_t i = 0; i < courier->table.count; i++)
        courier->table.entries[i].bearer = NULL;
    if (conf->count == 0)
        return true;
    const struct warden_setup setup = {buf_bytes(&public), tokens};
    return loop_new(&courier->loop, err) &&
           loop_timer_new(courier->loop, on_timer, courier, &courier->timer, err) &&
           warden_start(WARDEN_COURIERS, &setup, &courier->warden_fd, &courier->warden_pid, err);
}

/* What the couriers will open as this user. */
bool courier_check(const struct courier_conf *conf, struct err *err)
{
    if (!courier_conf_check(conf, err))
        return false;
    for (size_t i = 0; i < conf->count; i++)
        if (conf->targets[i].ca_file && access(conf->targets[i].ca_file, R_OK) < 0)
            return err_set_errno(
                err, ERR_CONFIG, "%s: CA file %s", conf->targets[i].name, conf->targets[i].ca_file);
    return true;
}

bool courier_new(const struct courier_conf *conf, struct courier **ret_courier, struct err *err)
{
    AUTO(courier_stop) struct courier *courier = calloc(1, sizeof *courier);
    if (!courier)
        return err_nomem(err);
    pthread_mutex_init(&courier->lock, NULL);
    init_cond(&courier->changed);
    TAILQ_INIT(&courier->calls);
    courier->warden_fd = -1;
    if (!keep_table(courier, conf, err))
        return false;
    *ret_courier = take_ptr(courier);
    return true;
}

bool courier_start(struct courier *courier, struct err *err)
{
    if (courier->table.count == 0)
        return true;
    int failed = quiet_thread_start(&courier->keeper, keep, courier);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_NOMEM, "thread that keeps the courier process");
    }
    courier->kept = true;
    pthread_mutex_lock(&courier->lock);
    while (courier->state != UP && !courier->start_failed)
        pthread_cond_wait(&courier->changed, &courier->lock);
    bool started = !courier->start_failed;
    if (!started)
        *err = courier->start_err;
    pthread_mutex_unlock(&courier->lock);
    return started;
}

void courier_stop(struct courier *courier)
{
    if (!courier)
        return;
    if (courier->kept) {
        loop_stop(courier->loop);
        pthread_join(courier->keeper, NULL);
    }
    frames_free(courier->frames);
    loop_timer_free(courier->timer);
    loop_free(courier->loop);
    if (courier->warden_fd >= 0)
        warden_stop(courier->warden_fd, courier->warden_pid);
    courier_table_done(&courier->table);
    pthread_cond_destroy(&courier->changed);
    pthread_mutex_destroy(&courier->lock);
    free(courier);
}

/* -- requests -------------------------------------------------------------------------------------- */

static bool find(const struct courier *courier, const char *name, size_t *ret_index)
{
    for (size_t i = 0; i < courier->table.count; i++)
        if (strcmp(courier->table.entries[i].name, name) == 0) {
            *ret_index = i;
            return true;
        }
    return false;
}

bool courier_has(const struct courier *courier, const char *target)
{
    size_t index;
    return find(courier, target, &index);
}

static struct timespec deadline(int64_t timeout_ms)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += timeout_ms / 1000;
    end.tv_nsec += timeout_ms % 1000 * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    return end;
}

/* Queues the call; with the lock. */
static bool queue(struct courier *courier, struct call *call, struct err *err)
{
    if (courier->stats.pending >= COURIER_PENDING_MAX)
        return err_set(err, ERR_BUSY, "%d requests over the network are under way already",
            COURIER_PENDING_MAX);
    if (!loop_post(courier->loop, send_calls, courier, err))
        return false;
    TAILQ_INSERT_TAIL(&courier->calls, call, link);
    courier->stats.pending++;
    return true;
}

static bool wait_done(
    struct courier *courier, struct call *call, const struct courier_request *request)
{
    const struct timespec end = deadline(request->timeout_ms + GRACE_MS);
    struct err err = ERR_INIT;
    pthread_mutex_lock(&courier->lock);
    bool queued = queue(courier, call, &call->err);
    while (queued && !call->done)
        if (pthread_cond_timedwait(&call->changed, &courier->lock, &end) != 0 && !call->done) {
            err_set(&err, ERR_TIMEOUT, "no answer within %lld ms (the courier process %s)",
                (long long)request->timeout_ms,
                courier->state == UP ? "does not answer" : "is not up");
            settle(courier, call, &err);
        }
    pthread_mutex_unlock(&courier->lock);
    return call->err.code == ERR_OK;
}

static uint32_t next_id(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    uint32_t id = ++courier->last_id;
    courier->stats.asked++;
    pthread_mutex_unlock(&courier->lock);
    return id;
}

static bool ask(struct courier *courier, size_t target, const struct courier_request *request,
    struct buf *message, struct courier_response *ret_response, struct err *err)
{
    struct call call = {
        .id = next_id(courier), .request = BUF_INIT(COURIER_REQUEST_MAX), .message = message};
    init_cond(&call.changed);
    bool done = courier_request_encode(call.id, target, request, &call.request, &call.err) &&
                wait_done(courier, &call, request);
    pthread_cond_destroy(&call.changed);
    buf_done(&call.request);
    if (!done)
        *err = call.err;
    return done && courier_answer_decode(buf_bytes(message), ret_response, err);
}

bool courier_ask(struct courier *courier, const struct courier_request *request,
    struct buf *message, struct courier_response *ret_response, struct err *err)
{
    size_t target;
    if (!courier || !find(courier, request->target, &target))
        return err_set(err, ERR_CONFIG, "%s is not configured", request->target);
    const struct courier_entry *entry = &courier->table.entries[target];
    if (!courier_allowed(entry->name, entry->methods, entry->exact, request, err))
        return false;
    message->max = COURIER_ANSWER_MAX;
    buf_truncate(message, 0);
    if (ask(courier, target, request, message, ret_response, err))
        return true;
    pthread_mutex_lock(&courier->lock);
    courier->stats.failed++;
    pthread_mutex_unlock(&courier->lock);
    return err_wrap(err, "%s", entry->name);
}

struct courier_stats courier_stats(struct courier *courier)
{
    struct courier_stats stats = {0};
    if (!courier)
        return stats;
    pthread_mutex_lock(&courier->lock);
    stats = courier->stats;
    pthread_mutex_unlock(&courier->lock);
    return stats;
}

pid_t courier_pid(struct courier *courier)
{
    pthread_mutex_lock(&courier->lock);
    pid_t pid = courier->pid;
    pthread_mutex_unlock(&courier->lock);
    return pid;
}
