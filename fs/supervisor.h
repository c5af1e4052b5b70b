/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's life: mounts, starts the worker, serves its requests (fs/monitor.h), replaces it when it dies, ends both. It
 * holds a duplicate of each /dev/fuse descriptor, so the mounts and what is open on them survive a worker. A mount that somebody unmounts
 * leaves the others alone; with the last one this ends.
 *
 * A worker that dies again and again before it has served for LIVED_MS is given up after GIVE_UP times, the mounts with it, with a line in
 * the log. One that served longer is replaced without end: its readers would rather wait than lose the mount.
 * SIGHUP reloads (fs/renewal.c). SIGTERM and SIGINT: what waits gets ENOTCONN, the mounts are unmounted; one that stays busy for stop_timeout is detached.
 */
#pragma once

#include "fs/child.h"
#include "fs/mounted.h"
#include "fs/state.h"
#include "fs/token_run.h"
#include "fs/witness.h"

struct supervisor_conf {
    struct mounted
        *mounts; /* prepared; in none: only the agent. What is mounted is unmounted at the end */
    size_t mount_count;
    struct witness *witness; /* NULL: not needed */
    int64_t stop_ms;
    struct token_runs *tokens; /* what the worker may have run */
    int64_t open_timeout_ms;   /* how long an open may wait */
    char *const *
        argv; /* of this process: the worker gets them too, and so does the next program. Paths in it are absolute */
    char *program; /* by which it was first started (fs/binary.h) */
    int conf_fd;   /* text of the configuration; -1: there is no file */
    struct state_listener listeners[LISTENER_COUNT]; /* fd -1: none */
    /* Those that this configuration does not have (any more): kept for the way back, closed when it is over. */
    struct state_listener *leaving_listeners;
    size_t leaving_listener_count;
    /* Fixes the text that the next configuration is read from. */
    bool (*snapshot)(void *arg, int *ret_fd, struct err *err);
    /* Executed anew: what the program before this left (fs/state.h), and mounts that are not configured any more. NULL: a first start. */
    const struct state *resume;
    struct mounted *leaving;
    size_t leaving_count;
    /* Called once when every mount answers. */
    void (*ready)(void *arg);
    void *arg;
};

/* Executed anew, and it came to nothing before supervisor_run: back to the old program. Returns only when that cannot be done. */
void renewal_give_back(int state_fd, char *const *argv, const struct err *refusal);
/* Until stopped (true) or given up. Makes and ends the mounts. */
bool supervisor_run(const struct supervisor_conf *conf, struct err *err) MUST_CHECK;
