/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/supervisor.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "fs/monitor.h"
#include "fs/supervisor_private.h"

#define GIVE_UP        6
#define LIVED_MS       1000 /* a worker that served so long starts the count anew */
#define BACK_OFF_MS    100
#define BACK_OFF_MAX   5000
#define STOP_ANSWER_MS 2000 /* for the worker to answer what waits */
#define RETRY_MS       20

/* -- the worker -------------------------------------------------------------------------------- */

static void unwatch_worker(struct supervisor *self)
{
    loop_unwatch(self->requests_watch);
    loop_unwatch(self->events_watch);
    self->requests_watch = self->events_watch = NULL;
}

static void forget_worker(struct supervisor *self)
{
    unwatch_worker(self);
    child_forget(&self->worker);
}

static void end_worker(struct supervisor *self)
{
    unwatch_worker(self);
    child_end(&self->worker);
}

/* "/sealed, /run/secrets"; cut when there are too many. */
static const char *mount_list(const struct supervisor *self)
{
    static char text[256];
    size_t len = 0;
    snprintf(text, sizeof text, "the control socket");
    for (size_t i = 0; i < self->conf->mount_count && len < sizeof text; i++)
        if (mounted_is_on(&self->conf->mounts[i]))
            len += (size_t)snprintf(text + len, sizeof text - len, "%s%s", len ? ", " : "",
                self->conf->mounts[i].mountpoint);
    return text;
}

static void finish(struct supervisor *self)
{
    self->phase = DONE;
    loop_stop(self->loop);
}

/* -- what the worker says ---------------------------------------------------------------------- */

static void on_unmount(void *arg);

static bool any_mounted(const struct supervisor *self)
{
    for (size_t i = 0; i < self->conf->mount_count; i++)
        if (mounted_is_on(&self->conf->mounts[i]))
            return true;
    return false;
}

/* By umount(8). The others stay; without any there is nothing left to do. */
static void on_unmounted(struct supervisor *self, size_t mount)
{
    if (mount >= self->conf->mount_count || !mounted_is_on(&self->conf->mounts[mount]))
        return;
    if (self->phase != STOPPING)
        log_info("%s was unmounted", self->conf->mounts[mount].mountpoint);
    mounted_gone(&self->conf->mounts[mount]);
    if (!any_mounted(self))
        finish(self);
}

static void on_token(struct supervisor *self, size_t broker, int fd)
{
    struct err err = ERR_INIT;
    if (fd < 0 || !self->conf->tokens)
        child_kill(&self->worker); /* no worker of ours asks so */
    else if (!token_runs_start(self->conf->tokens, broker, fd, &err))
        log_err(LOG_LEVEL_WARNING, &err, "token_command");
}

/* `fd` came beside it, or -1; taken. */
static void on_event(struct supervisor *self, const struct monitor_event *event, int fd)
{
    auto_fd int beside = fd;
    switch (event->kind) {
    case MONITOR_READY:
        log_info("worker %d serves %s", (int)self->worker.pid, mount_list(self));
        self->ready_ms = loop_now_ms();
        if (self->phase == STARTING) {
            self->phase = SERVING;
            self->conf->ready(self->conf->arg);
        }
        renewal_ready(self);
        break;
    case MONITOR_FAILED:
        err_set(&self->failure, event->code ? event->code : ERR_INTERNAL, "%s", event->message);
        break;
    case MONITOR_UNMOUNTED:
        on_unmounted(self, event->mount);
        break;
    case MONITOR_STOPPED:
        if (self->phase == STOPPING)
            on_unmount(self);
        break;
    case MONITOR_TOKEN:
        on_token(self, event->mount, beside);
        break;
    case MONITOR_FROZEN:
        renewal_frozen(self);
        break;
    case MONITOR_RELOAD:
    case MONITOR_UPGRADE:
        if (beside >= 0)
            renewal_begin(self, event->kind == MONITOR_UPGRADE,
                strcmp(event->message, "discard") == 0, take_fd(beside));
        break;
    case MONITOR_STOP: /* only we say these */
    case MONITOR_FREEZE:
    case MONITOR_THAW:
    case MONITOR_RELIEVE:
        child_kill(&self->worker);
        break;
    }
}

static bool receive_event(struct supervisor *self)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_event event;
    int fds[IPC_FDS_MAX];
    size_t fd_count = 0;
    struct err err = ERR_INIT;
    bool closed = false;
    if (!ipc_receive(self->worker.events, &message, fds, &fd_count, &closed, &err))
        return false;
    for (size_t i = 1; i < fd_count; i++)
        close(fds[i]);
    auto_fd int fd = fd_count > 0 ? fds[0] : -1;
    if (closed || !monitor_event_decode(buf_bytes(&message), &event, &err))
        return false;
    on_event(self, &event, take_fd(fd));
    return true;
}

static void on_events_fd(void *arg, uint32_t flags)
{
    struct supervisor *self = arg;
    (void)flags;
    if (!receive_event(self)) { /* closed: SIGCHLD follows */
        loop_unwatch(self->events_watch);
        self->events_watch = NULL;
    }
}

static void on_requests_fd(void *arg, uint32_t flags)
{
    struct supervisor *self = arg;
    struct monitor monitor = {.mounts = self->conf->mounts,
        .count = self->conf->mount_count,
        .witness = self->conf->witness,
        .openers = &self->openers};
    struct err err = ERR_INIT;
    bool closed = false;
    (void)flags;
    if (monitor_serve(&monitor, self->worker.requests, &closed, &err) && !closed)
        return;
    if (!closed && err.code != ERR_UNREACH) {
        log_err(LOG_LEVEL_ERROR, &err, "the worker breaks the protocol");
        child_kill(&self->worker);
    }
    loop_unwatch(self->requests_watch);
    self->requests_watch = NULL;
}

/* -- death and replacement --------------------------------------------------------------------- */

static void give_up(struct supervisor *self, const char *why)
{
    if (self->failure.code == ERR_OK)
        err_set(&self->failure, ERR_INTERNAL, "the worker %s", why);
    finish(self);
}

static void replace(struct supervisor *self, const char *why)
{
    if (self->ready_ms > 0 && loop_now_ms() - self->ready_ms >= LIVED_MS)
        self->deaths = 0;
    if (++self->deaths >= GIVE_UP) {
        log_error("the worker died %d times in a row within %d ms of its start, at last it %s; "
                  "giving %s up",
            self->deaths, LIVED_MS, why, mount_list(self));
        give_up(self, why);
        return;
    }
    int64_t delay = self->deaths == 1 ? 0 : (int64_t)BACK_OFF_MS << (self->deaths - 2);
    if (delay > BACK_OFF_MAX)
        delay = BACK_OFF_MAX;
    log_error("the worker %s; replacing it in %lld ms", why, (long long)delay);
    err_clear(&self->failure);
    loop_timer_set(self->restart, delay);
}

static void on_worker_end(struct supervisor *self, int status)
{
    char why[96];
    while (self->worker.events >= 0 && receive_event(self))
        ;
    forget_worker(self);
    child_death(status, why, sizeof why);
    renewal_worker_died(self, why);
    if (self->phase == STARTING)
        give_up(self, why);
    else if (self->phase == STOPPING)
        on_unmount(self);
    else if (self->phase == SERVING)
        replace(self, why);
}

/* Also children that this program has never heard of: what executed it may have had some. */
static void on_child(void *arg, int signo)
{
    struct supervisor *self = arg;
    int status;
    pid_t pid;
    bool worker_ended = false;
    int worker_status = 0;
    (void)signo;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid == self->worker.pid) {
            worker_ended = true;
            worker_status = status;
        } else {
            openers_reap(&self->openers, pid);
            renewal_reap(self, pid, status);
        }
    }
    if (worker_ended) /* last: it matters who else has gone */
        on_worker_end(self, worker_status);
}

static void on_restart(void *arg)
{
    struct supervisor *self = arg;
    struct err err = ERR_INIT;
    if (self->phase == SERVING && !supervisor_spawn(self, -1, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "cannot start a worker");
        replace(self, "cannot be started");
    }
}

bool supervisor_watch_worker(struct supervisor *self, struct err *err)
{
    return loop_watch_fd(self->loop, self->worker.requests, EPOLLIN, on_requests_fd, self,
               &self->requests_watch, err) &&
           loop_watch_fd(self->loop, self->worker.events, EPOLLIN, on_events_fd, self,
               &self->events_watch, err);
}

bool supervisor_spawn(struct supervisor *self, int predecessor_fd, struct err *err)
{
    const struct supervisor_conf *conf = self->conf;
    struct child_conf child = {.argv = conf->argv,
        .mounts = conf->mounts,
        .mount_count = conf->mount_count,
        .conf_fd = conf->conf_fd,
        .predecessor_fd = predecessor_fd};
    for (size_t i = 0; i < LISTENER_COUNT; i++)
        child.listeners[i] = conf->listeners[i].fd;
    self->ready_ms = 0;
    if (!child_start(&child, &self->worker, err))
        return false;
    if (supervisor_watch_worker(self, err))
        return true;
    end_worker(self);
    return false;
}

/* -- the end ----------------------------------------------------------------------------------- */

/* True when it is not mounted any more, or cannot be unmounted at all. */
static bool unmount(struct mounted *mounted, bool late)
{
    struct err err = ERR_INIT;
    if (!mounted_is_on(mounted))
        return true;
    if (!mounted_end(mounted, late, &err)) {
        if (late)
            log_err(LOG_LEVEL_ERROR, &err, "cannot unmount");
        return late;
    }
    if (late)
        log_warning("%s was busy for too long and is detached; what is open on it gets errors "
                    "from now on",
            mounted->mountpoint);
    return true;
}

/* Tries to unmount; again while something is busy, until the time is over. The worker still serves what is open. */
static void on_unmount(void *arg)
{
    struct supervisor *self = arg;
    bool all = true;
    if (self->phase != STOPPING)
        return;
    bool late = loop_now_ms() >= self->stop_at_ms || self->worker.pid == 0;
    for (size_t i = 0; i < self->conf->mount_count; i++)
        all = unmount(&self->conf->mounts[i], late) && all;
    if (all)
        finish(self);
    else
        loop_timer_set(self->unmount, RETRY_MS);
}

static void on_stop(void *arg, int signo)
{
    struct supervisor *self = arg;
    struct monitor_event stop = {.kind = MONITOR_STOP};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    if (self->phase == STOPPING || self->phase == DONE)
        return;
    if (!renewal_yield(self))
        return;
    log_notify("STOPPING=1");
    log_info("%s: stopping", strsignal(signo));
    if (self->phase == STARTING) {
        give_up(self, "had not started yet");
        return;
    }
    self->phase = STOPPING;
    self->stop_at_ms = loop_now_ms() + STOP_ANSWER_MS + self->conf->stop_ms;
    bool told = self->worker.events >= 0 && monitor_event_encode(&stop, &message, &err) &&
                ipc_send(self->worker.events, buf_bytes(&message), NULL, 0, &err);
    loop_timer_set(self->unmount, told ? STOP_ANSWER_MS : 0);
}

static void on_hangup(void *arg, int signo)
{
    (void)signo;
    renewal_begin(arg, false, false, -1);
}

static bool prepare(struct supervisor *self, struct err *err)
{
    if (!loop_new(&self->loop, err) ||
        !loop_timer_new(self->loop, on_restart, self, &self->restart, err) ||
        !loop_timer_new(self->loop, on_unmount, self, &self->unmount, err) ||
        !loop_signal(self->loop, SIGCHLD, on_child, self, err) ||
        !loop_signal(self->loop, SIGTERM, on_stop, self, err) ||
        !loop_signal(self->loop, SIGINT, on_stop, self, err) ||
        !loop_signal(self->loop, SIGHUP, on_hangup, self, err) || !renewal_prepare(self, err))
        return false;
    for (size_t i = 0; i < self->conf->mount_count; i++)
        if (!mounted_is_on(&self->conf->mounts[i]) && !mounted_start(&self->conf->mounts[i], err))
            return false;
    return true;
}

static bool run(struct supervisor *self, struct err *err)
{
    if (self->conf->resume)
        renewal_adopt(self);
    if (!prepare(self, err) ||
        !(self->conf->resume ? renewal_resume(self, err) : supervisor_spawn(self, -1, err))) {
        renewal_abort(self, err);
        return false;
    }
    on_child(self, SIGCHLD); /* who ended while this program was executed */
    if (!loop_run(self->loop, err))
        return false;
    if (self->failure.code != ERR_OK) {
        *err = self->failure;
        return false;
    }
    return true;
}

bool supervisor_run(const struct supervisor_conf *conf, struct err *err)
{
    struct supervisor self = {
        .conf = conf, .worker = CHILD_INIT, .failure = ERR_INIT, .renewal = RENEWAL_INIT};
    bool done = run(&self, err);
    struct err ignored = ERR_INIT;
    for (size_t i = 0; i < conf->mount_count; i++)
        (void)!mounted_end(&conf->mounts[i], true, &ignored);
    for (size_t i = 0; i < conf->leaving_count; i++)
        (void)!mounted_end(&conf->leaving[i], true, &ignored);
    end_worker(&self);
    if (conf->witness)
        (void)witness_rest(conf->witness, STOP_ANSWER_MS);
    renewal_done(&self);
    loop_free(self.loop);
    return done;
}
