/* SPDX-License-Identifier: Apache-2.0 */
/* What the two files of the monitor's life share: supervisor.c (workers) and renewal.c (reload and upgrade). */
#pragma once

#include "crypt/base/loop.h"
#include "fs/child.h"
#include "fs/monitor_wire.h"
#include "fs/opener.h"
#include "fs/supervisor.h"

enum phase { STARTING, SERVING, STOPPING, DONE };

enum renewal_step {
    RENEWAL_NONE,
    RENEWAL_TRIAL, /* a process of the next program looks at all of it */
    RENEWAL_FREEZE, /* the worker stops reading requests; then this process executes the next program */
    RENEWAL_RELIEF /* in the next program: the new worker takes over from the old one */
};

struct renewal {
    enum renewal_step step;
    bool discard;
    int asker_fd;            /* who waits for the outcome; -1: nobody does */
    int program_fd, conf_fd; /* the next ones */
    pid_t trial;             /* 0: none */
    int said_fd;             /* what it prints */
    char said[ERR_MESSAGE_SIZE];
    size_t said_len;
    struct loop_watch *said_watch;
    struct loop_timer *limit;
    struct child old; /* in RELIEF, while it lives */
    int back_program_fd, back_conf_fd;
    bool stop_later, reload_later; /* a signal said so; it is raised anew when this is over */
};

#define RENEWAL_INIT                                                                       \
    {                                                                                      \
        .asker_fd = -1, .program_fd = -1, .conf_fd = -1, .said_fd = -1, .old = CHILD_INIT, \
        .back_program_fd = -1, .back_conf_fd = -1                                          \
    }

struct supervisor {
    const struct supervisor_conf *conf;
    struct loop *loop;
    enum phase phase;
    struct child worker;
    struct loop_watch *requests_watch, *events_watch;
    struct loop_timer *restart, *unmount;
    int64_t ready_ms; /* since when the worker serves; 0: it does not yet */
    int deaths;       /* in a row, of workers that hardly served */
    int64_t stop_at_ms;
    struct err failure; /* what FAILED said, or why this ends */
    struct renewal renewal;
    struct openers openers;
};

/* supervisor.c */
bool supervisor_watch_worker(struct supervisor *self, struct err *err) MUST_CHECK;
/* With the old worker's end of a socket pair for the successor, or -1. */
bool supervisor_spawn(struct supervisor *self, int predecessor_fd, struct err *err) MUST_CHECK;

/* renewal.c */
/* The daemon shall stop: what is under way is given up. False: not yet, two workers are about it; SIGTERM comes again when they are done. */
bool renewal_yield(struct supervisor *self);
bool renewal_prepare(struct supervisor *self, struct err *err) MUST_CHECK;
void renewal_done(struct supervisor *self);
/* By SIGHUP, or by an event of the worker with the connection of who asks (taken). */
void renewal_begin(struct supervisor *self, bool upgrade, bool discard, int asker_fd);
/* This process was executed anew with conf->resume: first what that says, then, when all else is prepared, the worker. */
void renewal_adopt(struct supervisor *self);
/* It came to nothing: back to the old program. Returns only when that cannot be done. */
void renewal_abort(struct supervisor *self, const struct err *refusal);
bool renewal_resume(struct supervisor *self, struct err *err) MUST_CHECK;
void renewal_frozen(struct supervisor *self);
/* The worker serves. */
void renewal_ready(struct supervisor *self);
/* A child was waited for that is not the worker: the trial, the old worker, or anybody. */
void renewal_reap(struct supervisor *self, pid_t pid, int status);
/* The worker ended. If it was a new one and the old one is there, this does not return: the old program goes on. */
void renewal_worker_died(struct supervisor *self, const char *why);

/* -- renewal_exec.c: from this program to the next ---------------------------------------------------- */

/* Borrows everything. */
struct state_room {
    struct state_mount mounts[STATE_MOUNTS_MAX];
    struct state_listener listeners[STATE_LISTENERS_MAX];
    struct state_source sources[STATE_SOURCES_MAX];
};

/* What is there, but for the worker. */
void renewal_describe(const struct supervisor *self, enum state_purpose purpose,
    struct state_room *room, struct state *state);
void renewal_add_worker(const struct child *worker, struct state *state);
/* Threads end with the program that they run in: what they were sent is written first. */
void renewal_rest(const struct supervisor *self);
/* Returns only when it cannot be done. */
bool renewal_execute(char *const *words, int program_fd, const struct state *state, struct err *err)
    MUST_CHECK;
