/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's life: mounts, starts the worker, serves its requests (fs/monitor.h), replaces it when it dies, ends both. It
 * holds a duplicate of each /dev/fuse descriptor, so the mounts and what is open on them survive a worker. A mount that somebody unmounts
 * leaves the others alone; with the last one this ends.
 *
 * A worker that dies again and again before it has served for LIVED_MS is given up after GIVE_UP times, the mounts with it, with a line in
 * the log. One that served longer is replaced without end: its readers would rather wait than lose the mount.
 * SIGTERM and SIGINT: what waits gets ENOTCONN, the mounts are unmounted; one that stays busy for stop_timeout is detached.
 */
#pragma once

#include "fs/mounted.h"
#include "fs/token_run.h"
#include "fs/witness.h"

struct supervisor_conf {
    struct mounted
        *mounts; /* prepared; in none: only the agent. What is mounted is unmounted at the end */
    size_t mount_count;
    struct witness *witness; /* NULL: not needed */
    int64_t stop_ms;
    struct token_runs *tokens; /* what the worker may have run */
    char *const *argv;         /* of this process: the worker gets them too */
    /* Called once when every mount answers. */
    void (*ready)(void *arg);
    void *arg;
};

/* Until stopped (true) or given up. Makes and ends the mounts. */
bool supervisor_run(const struct supervisor_conf *conf, struct err *err) MUST_CHECK;
