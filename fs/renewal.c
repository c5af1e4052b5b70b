/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reload and upgrade, one mechanism: the monitor executes the next program (for a reload its own) with the next configuration, keeps
 * its process id and every descriptor, and puts a new worker in the old one's place.
 *
 *   1  The next program and configuration are fixed by descriptor: what was tried is what will run.
 *   2  Trial: the next program, as a process of its own, reads the configuration and the state, opens all that it names, and says what is wrong.
 *   3  Freeze: the worker reads no more requests and ends those it is at. Callers wait from here on; nothing fails.
 *   4  The monitor executes the next program (fs/state.h), which mounts what is new and starts the new worker.
 *   5  Relief: the old worker hands over (fs/handover.h) and ends; the kernel sends again what it left; what went is unmounted.
 *
 * Whatever goes wrong up to the relief leads back: the old worker thaws, after step 4 the old program is executed again with the old
 * configuration, and who asked is told why.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/json.h"
#include "crypt/base/log.h"
#include "fs/binary.h"
#include "fs/state.h"
#include "fs/supervisor_private.h"

#define TRIAL_MS 20000
/* Beside the time that an open may wait: where the kernel cannot send requests again, all that wait end first. */
#define FREEZE_MS 10000
#define RELIEF_MS 60000

/* -- the outcome ------------------------------------------------------------------------------- */

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static bool build_answer(const struct err *refusal, json_t **ret_answer, struct err *err)
{
    if (refusal->code == ERR_OK)
        return json_build(ret_answer, err, "{s:b}", "ok", true);
    return json_build(ret_answer, err, "{s:b,s:s,s:s}", "ok", false, "code",
        err_info(refusal->code)->name, "message", refusal->message);
}

static void answer(int asker_fd, const struct err *refusal)
{
    auto_json *object = NULL;
    auto_free char *text = NULL;
    struct err err = ERR_INIT;
    if (build_answer(refusal, &object, &err) && (text = json_text(object)))
        (void)!ipc_send(asker_fd, bytes_str(text), NULL, 0, &err);
}

static void notify_reloading(void)
{
    char text[64];
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
        (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
    log_notify(text);
}

/* Signals that came at a bad moment. They stay pending through execve(2). */
static void raise_later(struct renewal *renewal)
{
    if (renewal->stop_later)
        kill(getpid(), SIGTERM);
    if (renewal->reload_later)
        kill(getpid(), SIGHUP);
    renewal->stop_later = renewal->reload_later = false;
}

/* Back to RENEWAL_NONE. refusal->code ERR_OK: it is done. */
static void end(struct supervisor *self, const struct err *refusal)
{
    struct renewal *renewal = &self->renewal;
    if (refusal->code != ERR_OK)
        log_err(LOG_LEVEL_ERROR, refusal, "what runs goes on as it was");
    if (renewal->asker_fd >= 0)
        answer(renewal->asker_fd, refusal);
    log_notify("READY=1");
    loop_unwatch(take_ptr(renewal->said_watch));
    loop_timer_clear(renewal->limit);
    close_fd(&renewal->asker_fd);
    close_fd(&renewal->program_fd);
    close_fd(&renewal->conf_fd);
    close_fd(&renewal->said_fd);
    close_fd(&renewal->back_program_fd);
    close_fd(&renewal->back_conf_fd);
    renewal->said_len = 0;
    renewal->step = RENEWAL_NONE;
    raise_later(renewal);
}

static bool tell(
    const struct child *worker, enum monitor_event_kind kind, const int *fd, struct err *err)
{
    struct monitor_event event = {.kind = kind};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    return monitor_event_encode(&event, &message, err) &&
           ipc_send(worker->events, buf_bytes(&message), fd, fd ? 1 : 0, err);
}

static void thaw(struct supervisor *self)
{
    struct err err = ERR_INIT;
    if (!tell(&self->worker, MONITOR_THAW, NULL, &err)) {
        log_err(LOG_LEVEL_ERROR, &err, "the worker does not go on");
        child_kill(&self->worker);
    }
}

/* -- 1 and 2: the trial ------------------------------------------------------------------------ */

static void refuse_trial(struct supervisor *self, const struct err *refusal)
{
    if (self->renewal.trial > 0)
        kill(self->renewal.trial, SIGKILL); /* reaped later */
    end(self, refusal);
}

/* False: there is no more, for now or at all. */
static bool read_said(struct renewal *renewal)
{
    char waste[256];
    size_t room = sizeof renewal->said - 1 - renewal->said_len;
    char *into = room > 0 ? renewal->said + renewal->said_len : waste;
    ssize_t len = read(renewal->said_fd, into, room > 0 ? room : sizeof waste);
    if (len > 0 && room > 0)
        renewal->said_len += (size_t)len;
    if (len == 0 || (len < 0 && errno != EAGAIN && errno != EINTR))
        loop_unwatch(take_ptr(renewal->said_watch));
    return len > 0;
}

static void on_said(void *arg, uint32_t flags)
{
    (void)flags;
    (void)read_said(&((struct supervisor *)arg)->renewal);
}

static void become_trial(const struct supervisor *self, int said_fd)
{
    static struct state_room room;
    struct state state;
    sigset_t none;
    struct err err = ERR_INIT;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    renewal_describe(self, STATE_TRIAL, &room, &state);
    renewal_add_worker(&self->worker, &state);
    state.asker_fd = -1;
    state.conf_fd = self->renewal.conf_fd;
    if (dup2(said_fd, 1) == 1 && dup2(said_fd, 2) == 2)
        (void)!renewal_execute(self->conf->argv, self->renewal.program_fd, &state, &err);
    fprintf(stderr, "%s\n", err.message);
    _exit(127);
}

static bool start_trial(struct supervisor *self, struct err *err)
{
    struct renewal *renewal = &self->renewal;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_NOMEM, "pipe from the trial");
    auto_fd int theirs = ends[1];
    renewal->said_fd = ends[0];
    if (!loop_watch_fd(
            self->loop, renewal->said_fd, EPOLLIN, on_said, self, &renewal->said_watch, err))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become_trial(self, theirs);
    if (pid < 0)
        return err_set_errno(err, ERR_NOMEM, "fork the trial");
    renewal->trial = pid;
    loop_timer_set(renewal->limit, TRIAL_MS);
    return true;
}

static bool fix_next(struct supervisor *self, bool upgrade, struct err *err)
{
    const struct supervisor_conf *conf = self->conf;
    struct renewal *renewal = &self->renewal;
    return (upgrade ? binary_open(conf->program, &renewal->program_fd, err)
                    : binary_self(&renewal->program_fd, err)) &&
           conf->snapshot(conf->arg, &renewal->conf_fd, err);
}

/* The worker may give on what it likes; who waits at the other end is known by the kernel. */
static bool may_ask(int asker_fd, struct err *err)
{
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (asker_fd < 0)
        return true; /* a signal, which only root can send us */
    if (getsockopt(asker_fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || peer.uid != 0)
        return err_set(err, ERR_DENIED_LOCAL, "only root may ask for a reload or an upgrade");
    return true;
}

void renewal_begin(struct supervisor *self, bool upgrade, bool discard, int asker_fd)
{
    struct renewal *renewal = &self->renewal;
    struct err err = ERR_INIT;
    auto_fd int asker = asker_fd;
    bool may = may_ask(asker, &err);
    bool busy = renewal->step != RENEWAL_NONE || renewal->trial > 0 || renewal->old.pid > 0;
    if (busy && asker < 0 && self->phase == SERVING) {
        renewal->reload_later = true; /* what is under way may have read the configuration before */
        return;
    }
    if (may && busy)
        may = err_set(&err, ERR_BUSY, "a reload or an upgrade is under way already");
    else if (may && (self->phase != SERVING || self->ready_ms == 0))
        may = err_set(&err, ERR_BUSY, "no worker serves at the moment; try again");
    if (!may) {
        log_err(LOG_LEVEL_WARNING, &err, "no %s", upgrade ? "upgrade" : "reload");
        if (asker >= 0)
            answer(asker, &err);
        return;
    }
    log_info("%s", upgrade ? "upgrade" : "reload");
    notify_reloading();
    renewal->step = RENEWAL_TRIAL;
    renewal->discard = discard;
    renewal->asker_fd = take_fd(asker);
    if (!fix_next(self, upgrade, &err) || !start_trial(self, &err))
        refuse_trial(self, &err);
}

/* What it printed, on one line, without its own name. */
static void said_as_error(struct renewal *renewal, int status, struct err *err)
{
    static const char name[] = "sealedfs: ";
    char *text = renewal->said;
    while (renewal->said_len > 0 && renewal->said[renewal->said_len - 1] == '\n')
        renewal->said_len--;
    text[renewal->said_len] = '\0';
    for (char *at = text; *at; at++)
        if ((unsigned char)*at < ' ')
            *at = ' ';
    if (strncmp(text, name, sizeof name - 1) == 0)
        text += sizeof name - 1;
    if (*text)
        err_set(err, ERR_CONFIG, "%s", text);
    else
        err_set(err, ERR_CONFIG, "the next program ended with wait status %d and no word", status);
}

static void on_trial_end(struct supervisor *self, int status)
{
    struct renewal *renewal = &self->renewal;
    struct err err = ERR_INIT;
    renewal->trial = 0;
    if (renewal->step != RENEWAL_TRIAL) {
        raise_later(renewal);
        return; /* it was refused before */
    }
    while (renewal->said_watch && read_said(renewal))
        ; /* not to the end of the stream: it may have left a child that keeps it open */
    if (status != 0) {
        said_as_error(renewal, status, &err);
        end(self, &err);
        return;
    }
    renewal->step = RENEWAL_FREEZE;
    if (self->ready_ms == 0 || !tell(&self->worker, MONITOR_FREEZE, NULL, &err)) {
        if (err.code == ERR_OK)
            err_set(&err, ERR_BUSY, "the worker died meanwhile; try again");
        end(self, &err);
        return;
    }
    loop_timer_set(renewal->limit, FREEZE_MS + self->conf->open_timeout_ms);
}

static void on_limit(void *arg)
{
    struct supervisor *self = arg;
    struct renewal *renewal = &self->renewal;
    struct err err = ERR_INIT;
    if (renewal->step == RENEWAL_TRIAL) {
        err_set(&err, ERR_TIMEOUT, "the next program did not end its trial within %d ms", TRIAL_MS);
        refuse_trial(self, &err);
    } else if (renewal->step == RENEWAL_FREEZE) {
        err_set(&err, ERR_TIMEOUT, "the worker did not come to rest");
        thaw(self);
        end(self, &err);
    } else if (renewal->step == RENEWAL_RELIEF) {
        log_error("the new worker did not take over within %d ms", RELIEF_MS);
        child_kill(&self->worker); /* and as after any death of it, back or once more */
    }
}

bool renewal_yield(struct supervisor *self)
{
    struct renewal *renewal = &self->renewal;
    struct err err = ERR_INIT;
    renewal->reload_later = false;
    if (renewal->step == RENEWAL_RELIEF && renewal->old.pid > 0) {
        renewal->stop_later = true;
        return false;
    }
    err_set(&err, ERR_BUSY, "sealedfs is being stopped");
    if (renewal->step == RENEWAL_FREEZE) {
        thaw(self);
        end(self, &err);
    } else if (renewal->step == RENEWAL_TRIAL) {
        refuse_trial(self, &err);
    }
    return true;
}

/* -- 3 and 4: from program to program ---------------------------------------------------------- */

void renewal_frozen(struct supervisor *self)
{
    static struct state_room room;
    struct renewal *renewal = &self->renewal;
    struct state state;
    struct err err = ERR_INIT;
    if (renewal->step != RENEWAL_FREEZE)
        return;
    renewal_describe(self, STATE_FORWARD, &room, &state);
    renewal_add_worker(&self->worker, &state);
    state.discard = renewal->discard;
    raise_later(renewal);
    state.conf_fd = renewal->conf_fd;
    state.back_conf_fd = self->conf->conf_fd;
    renewal_rest(self);
    if (binary_self(&renewal->back_program_fd, &err)) {
        state.back_program_fd = renewal->back_program_fd;
        (void)!renewal_execute(self->conf->argv, renewal->program_fd, &state, &err);
    }
    thaw(self);
    end(self, &err);
}

/* The old program, the old configuration, the old worker. Returns only when that cannot be done. */
static void go_back(struct supervisor *self, const struct err *refusal)
{
    static struct state_room room;
    struct renewal *renewal = &self->renewal;
    struct state state;
    struct err err = ERR_INIT;
    renewal_describe(self, STATE_BACK, &room, &state);
    renewal_add_worker(&renewal->old, &state);
    state.conf_fd = renewal->back_conf_fd;
    state.refusal = *refusal;
    raise_later(renewal);
    renewal_rest(self);
    (void)!renewal_execute(self->conf->argv, renewal->back_program_fd, &state, &err);
    log_err(LOG_LEVEL_ERROR, &err, "cannot go back to the old program");
}

void renewal_give_back(int state_fd, char *const *words, const struct err *refusal)
{
    struct state state;
    struct err err = ERR_INIT;
    if (!state_load(state_fd, &state, &err) || state.purpose != STATE_FORWARD)
        return;
    int program_fd = state.back_program_fd;
    state.purpose = STATE_BACK;
    state.conf_fd = state.back_conf_fd;
    state.back_program_fd = state.back_conf_fd = -1;
    state.refusal = *refusal;
    (void)!renewal_execute(words, program_fd, &state, &err);
    log_err(LOG_LEVEL_ERROR, &err, "cannot go back to the old program");
}

/* -- 5: the relief ------------------------------------------------------------------------------ */

static void end_leaving(struct supervisor *self)
{
    for (size_t i = 0; i < self->conf->leaving_count; i++) {
        struct mounted *mounted = &self->conf->leaving[i];
        struct err err = ERR_INIT;
        log_info("%s is not in the configuration any more: unmounted", mounted->mountpoint);
        if (!mounted_end(mounted, true, &err))
            log_err(LOG_LEVEL_ERROR, &err, "cannot unmount");
    }
    for (size_t i = 0; i < self->conf->leaving_listener_count; i++)
        close_fd(&self->conf->leaving_listeners[i].fd);
}

void renewal_ready(struct supervisor *self)
{
    struct err none = ERR_INIT;
    if (self->renewal.step != RENEWAL_RELIEF)
        return;
    child_kill(&self->renewal.old); /* if it is still there it has nothing to say any more */
    end_leaving(self);
    log_info("done: worker %d has taken over", (int)self->worker.pid);
    end(self, &none);
}

void renewal_reap(struct supervisor *self, pid_t pid, int status)
{
    struct renewal *renewal = &self->renewal;
    if (pid == renewal->trial)
        on_trial_end(self, status);
    else if (pid == renewal->old.pid) {
        child_forget(&renewal->old);
        if (renewal->step == RENEWAL_NONE)
            raise_later(renewal);
    }
}

void renewal_worker_died(struct supervisor *self, const char *why)
{
    struct renewal *renewal = &self->renewal;
    struct err refusal = self->failure;
    if (renewal->step == RENEWAL_FREEZE) {
        err_set(&refusal, ERR_BUSY, "the worker %s meanwhile; try again", why);
        end(self, &refusal);
    } else if (renewal->step == RENEWAL_RELIEF) {
        if (refusal.code == ERR_OK)
            err_set(&refusal, ERR_INTERNAL, "the new worker %s", why);
        if (renewal->old.pid > 0)
            go_back(self, &refusal);
        /* The old one has gone as well: the new configuration stays, and its worker is started again. */
    }
}

static bool start_successor(struct supervisor *self, struct err *err)
{
    struct renewal *renewal = &self->renewal;
    int ends[2];
    if (renewal->discard) {
        child_end(&renewal->old);
        return supervisor_spawn(self, -1, err);
    }
    if (!ipc_pair(ends, err))
        return false;
    auto_fd int old_end = ends[0], new_end = ends[1];
    if (!supervisor_spawn(self, new_end, err))
        return false;
    if (tell(&renewal->old, MONITOR_RELIEVE, &old_end, err))
        return true;
    child_kill(&self->worker);
    return false;
}

void renewal_adopt(struct supervisor *self)
{
    const struct state *state = self->conf->resume;
    struct renewal *renewal = &self->renewal;
    self->phase = SERVING;
    renewal->asker_fd = state->asker_fd;
    if (state->purpose == STATE_BACK)
        return;
    renewal->step = RENEWAL_RELIEF;
    renewal->discard = state->discard;
    renewal->old = (struct child){state->worker, state->requests_fd, state->events_fd};
    renewal->back_program_fd = state->back_program_fd;
    renewal->back_conf_fd = state->back_conf_fd;
}

void renewal_abort(struct supervisor *self, const struct err *refusal)
{
    if (self->renewal.step == RENEWAL_RELIEF && self->renewal.old.pid > 0)
        go_back(self, refusal);
}

bool renewal_resume(struct supervisor *self, struct err *err)
{
    const struct state *state = self->conf->resume;
    struct child worker = {state->worker, state->requests_fd, state->events_fd};
    if (state->purpose == STATE_BACK) {
        self->worker = worker;
        self->ready_ms = loop_now_ms();
        if (!supervisor_watch_worker(self, err))
            return false;
        thaw(self);
        end_leaving(self); /* what the failed program had mounted */
        end(self, &state->refusal);
        return true;
    }
    loop_timer_set(self->renewal.limit, RELIEF_MS);
    return start_successor(self, err);
}

/* -- life -------------------------------------------------------------------------------------- */

bool renewal_prepare(struct supervisor *self, struct err *err)
{
    return loop_timer_new(self->loop, on_limit, self, &self->renewal.limit, err);
}

void renewal_done(struct supervisor *self)
{
    struct renewal *renewal = &self->renewal;
    if (renewal->trial > 0) {
        kill(renewal->trial, SIGKILL);
        while (waitpid(renewal->trial, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    child_end(&renewal->old);
    if (renewal->step != RENEWAL_NONE && renewal->asker_fd >= 0) {
        struct err err = ERR_INIT;
        err_set(&err, ERR_BUSY, "sealedfs is being stopped");
        answer(renewal->asker_fd, &err);
    }
}
