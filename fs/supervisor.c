/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "fs/monitor.h"
#include "fs/monitor_wire.h"
#include "fs/mount.h"
#include "fs/nodetable.h"

#define GIVE_UP        6
#define LIVED_MS       1000 /* a worker that served so long starts the count anew */
#define BACK_OFF_MS    100
#define BACK_OFF_MAX   5000
#define STOP_ANSWER_MS 2000 /* for the worker to answer what waits */
#define RETRY_MS       20
#define ARGV_MAX       64

enum phase { STARTING, SERVING, STOPPING, DONE };

struct supervisor {
    const struct supervisor_conf *conf;
    struct loop *loop;
    enum phase phase;
    int fuse_fd, table_fd, mount_id;
    dev_t own;
    pid_t worker; /* 0: none */
    int requests, events;
    struct loop_watch *requests_watch, *events_watch;
    struct loop_timer *restart, *unmount;
    int64_t ready_ms; /* since when the worker serves; 0: it does not yet */
    int deaths;       /* in a row, of workers that hardly served */
    int64_t stop_at_ms;
    struct err failure; /* what FAILED said, or why this ends */
};

static bool spawn(struct supervisor *self, struct err *err);

/* -- the worker's process ---------------------------------------------------------------------- */

/* In the child. Above all targets first, so that no move overwrites another's source. */
static bool place_fds(const int *fds, size_t count)
{
    int high[8];
    for (size_t i = 0; i < count; i++) {
        high[i] = fds[i] >= 0 ? fcntl(fds[i], F_DUPFD_CLOEXEC, 32) : -1;
        if (fds[i] >= 0 && high[i] < 0)
            return false;
    }
    for (size_t i = 0; i < count; i++)
        if (high[i] >= 0 && dup2(high[i], WORKER_REQUESTS + (int)i) < 0)
            return false;
    return true;
}

static void become_worker(const struct supervisor *self, pid_t monitor, int requests, int events)
{
    const int fds[] = {requests, events, self->fuse_fd, self->table_fd};
    char mode[32];
    char nothing[] = "";
    char *argv[ARGV_MAX + 4] = {self->conf->argv[0], mode,
        self->conf->mountpoint ? self->conf->mountpoint : nothing,
        self->conf->source ? self->conf->source : nothing};
    sigset_t none;
    size_t count = 4;
    for (char *const *word = self->conf->argv + 1; *word && count < ARGV_MAX; word++)
        argv[count++] = *word;
    snprintf(mode, sizeof mode, "--worker=%d", (int)monitor);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (place_fds(fds, ARRAY_LEN(fds)))
        execv("/proc/self/exe", argv);
    _exit(127);
}

static void forget_worker(struct supervisor *self)
{
    loop_unwatch(self->requests_watch);
    loop_unwatch(self->events_watch);
    self->requests_watch = self->events_watch = NULL;
    if (self->requests >= 0)
        close(self->requests);
    if (self->events >= 0)
        close(self->events);
    self->requests = self->events = -1;
    self->worker = 0;
}

static void finish(struct supervisor *self)
{
    self->phase = DONE;
    loop_stop(self->loop);
}

static void kill_worker(const struct supervisor *self)
{
    if (self->worker > 0)
        kill(self->worker, SIGKILL);
}

/* -- what the worker says ---------------------------------------------------------------------- */

static void on_unmount(void *arg);

static void on_event(struct supervisor *self, const struct monitor_event *event)
{
    switch (event->kind) {
    case MONITOR_READY:
        log_info("worker %d serves %s", (int)self->worker,
            self->conf->mountpoint ? self->conf->mountpoint : "the control socket");
        self->ready_ms = loop_now_ms();
        if (self->phase == STARTING) {
            self->phase = SERVING;
            self->conf->ready(self->conf->arg);
        }
        break;
    case MONITOR_FAILED:
        err_set(&self->failure, event->code ? event->code : ERR_INTERNAL, "%s", event->message);
        break;
    case MONITOR_UNMOUNTED:
        if (self->phase != STOPPING)
            log_info("%s was unmounted", self->conf->mountpoint);
        finish(self);
        break;
    case MONITOR_STOPPED:
        if (self->phase == STOPPING)
            on_unmount(self);
        break;
    case MONITOR_STOP: /* only we say that */
        kill_worker(self);
        break;
    }
}

static bool receive_event(struct supervisor *self)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_event event;
    struct err err = ERR_INIT;
    bool closed = false;
    if (!ipc_receive(self->events, &message, NULL, NULL, &closed, &err))
        return false;
    if (closed || !monitor_event_decode(buf_bytes(&message), &event, &err))
        return false;
    on_event(self, &event);
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
    struct monitor monitor = {self->conf->source_fd, self->own};
    struct err err = ERR_INIT;
    bool closed = false;
    (void)flags;
    if (monitor_serve(&monitor, self->requests, &closed, &err) && !closed)
        return;
    if (!closed && err.code != ERR_UNREACH) {
        log_err(LOG_LEVEL_ERROR, &err, "the worker breaks the protocol");
        kill_worker(self);
    }
    loop_unwatch(self->requests_watch);
    self->requests_watch = NULL;
}

/* -- death and replacement --------------------------------------------------------------------- */

static void describe_death(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}

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
            self->deaths, LIVED_MS, why,
            self->conf->mountpoint ? self->conf->mountpoint : "the control socket");
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

static void on_child(void *arg, int signo)
{
    struct supervisor *self = arg;
    int status;
    char why[96];
    (void)signo;
    if (self->worker == 0 || waitpid(self->worker, &status, WNOHANG) != self->worker)
        return;
    while (self->events >= 0 && receive_event(self))
        ;
    forget_worker(self);
    describe_death(status, why, sizeof why);
    if (self->phase == STARTING)
        give_up(self, why);
    else if (self->phase == STOPPING)
        on_unmount(self);
    else if (self->phase == SERVING)
        replace(self, why);
}

static void on_restart(void *arg)
{
    struct supervisor *self = arg;
    struct err err = ERR_INIT;
    if (self->phase == SERVING && !spawn(self, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "cannot start a worker");
        replace(self, "cannot be started");
    }
}

static bool watch_worker(struct supervisor *self, struct err *err)
{
    /* A worker that does not read its answers must not hold us up. */
    if (fcntl(self->requests, F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(self->events, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_INTERNAL, "sockets to the worker");
    return loop_watch_fd(self->loop, self->requests, EPOLLIN, on_requests_fd, self,
               &self->requests_watch, err) &&
           loop_watch_fd(
               self->loop, self->events, EPOLLIN, on_events_fd, self, &self->events_watch, err);
}

static bool spawn(struct supervisor *self, struct err *err)
{
    int requests[2], events[2];
    pid_t monitor = getpid();
    if (!ipc_pair(requests, err))
        return false;
    auto_fd int theirs = requests[1];
    self->requests = requests[0];
    if (!ipc_pair(events, err)) {
        forget_worker(self);
        return false;
    }
    auto_fd int their_events = events[1];
    self->events = events[0];
    self->ready_ms = 0;
    pid_t pid = fork();
    if (pid == 0)
        become_worker(self, monitor, theirs, their_events);
    if (pid < 0 || !watch_worker(self, err)) {
        if (pid < 0)
            err_set_errno(err, ERR_NOMEM, "fork the worker");
        else
            kill(pid, SIGKILL);
        forget_worker(self);
        return false;
    }
    self->worker = pid;
    return true;
}

/* -- the end ----------------------------------------------------------------------------------- */

/* Tries to unmount; again while it is busy, until the time is over. The worker still serves what is open. */
static void on_unmount(void *arg)
{
    struct supervisor *self = arg;
    struct err err = ERR_INIT;
    if (self->phase != STOPPING)
        return;
    if (self->fuse_fd < 0) {
        finish(self);
        return;
    }
    bool late = loop_now_ms() >= self->stop_at_ms || self->worker == 0;
    if (mount_end(self->conf->mountpoint, self->mount_id, late, &err)) {
        if (late)
            log_warning("%s was busy for too long and is detached; what is open on it gets errors "
                        "from now on",
                self->conf->mountpoint);
        finish(self);
    } else if (late) {
        log_err(LOG_LEVEL_ERROR, &err, "cannot unmount");
        finish(self);
    } else {
        loop_timer_set(self->unmount, RETRY_MS);
    }
}

static void on_stop(void *arg, int signo)
{
    struct supervisor *self = arg;
    struct monitor_event stop = {.kind = MONITOR_STOP};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    if (self->phase == STOPPING || self->phase == DONE)
        return;
    log_notify("STOPPING=1");
    log_info("%s: stopping", strsignal(signo));
    if (self->phase == STARTING) {
        give_up(self, "had not started yet");
        return;
    }
    self->phase = STOPPING;
    self->stop_at_ms = loop_now_ms() + STOP_ANSWER_MS + self->conf->stop_ms;
    bool told = self->events >= 0 && monitor_event_encode(&stop, &message, &err) &&
                ipc_send(self->events, buf_bytes(&message), NULL, 0, &err);
    loop_timer_set(self->unmount, told ? STOP_ANSWER_MS : 0);
}

static void on_hangup(void *arg, int signo)
{
    (void)arg;
    (void)signo;
    log_notice("SIGHUP is ignored: the configuration is read at the start");
}

static void end_worker(struct supervisor *self)
{
    int status;
    if (self->worker == 0)
        return;
    kill_worker(self);
    while (waitpid(self->worker, &status, 0) < 0 && errno == EINTR)
        ;
    forget_worker(self);
}

static bool prepare(struct supervisor *self, struct err *err)
{
    if (!loop_new(&self->loop, err) ||
        !loop_timer_new(self->loop, on_restart, self, &self->restart, err) ||
        !loop_timer_new(self->loop, on_unmount, self, &self->unmount, err) ||
        !loop_signal(self->loop, SIGCHLD, on_child, self, err) ||
        !loop_signal(self->loop, SIGTERM, on_stop, self, err) ||
        !loop_signal(self->loop, SIGINT, on_stop, self, err) ||
        !loop_signal(self->loop, SIGHUP, on_hangup, self, err))
        return false;
    if (!self->conf->source)
        return true;
    return nodetable_create(&self->table_fd, err) &&
           mount_fuse(
               self->conf->source, self->conf->mountpoint, &self->fuse_fd, &self->mount_id, err) &&
           mount_device(self->conf->mountpoint, &self->own, err);
}

static bool run(struct supervisor *self, struct err *err)
{
    if (!prepare(self, err) || !spawn(self, err) || !loop_run(self->loop, err))
        return false;
    if (self->failure.code != ERR_OK) {
        *err = self->failure;
        return false;
    }
    return true;
}

bool supervisor_run(const struct supervisor_conf *conf, struct err *err)
{
    struct supervisor self = {.conf = conf,
        .fuse_fd = -1,
        .table_fd = -1,
        .mount_id = -1,
        .requests = -1,
        .events = -1,
        .failure = ERR_INIT};
    bool done = run(&self, err);
    struct err ignored = ERR_INIT;
    if (self.fuse_fd >= 0)
        (void)!mount_end(conf->mountpoint, self.mount_id, true, &ignored);
    end_worker(&self);
    loop_free(self.loop);
    if (self.fuse_fd >= 0)
        close(self.fuse_fd);
    if (self.table_fd >= 0)
        close(self.table_fd);
    return done;
}
