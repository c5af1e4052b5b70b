/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's life: mounts, starts the worker, serves its requests (fs/monitor.h), replaces it when it dies, ends both. It
 * holds a duplicate of the /dev/fuse descriptor, so the mount and what is open on it survive a worker.
 *
 * A worker that dies again and again before it has served for LIVED_MS is given up after GIVE_UP times, the mount with it, with a line in
 * the log. One that served longer is replaced without end: its readers would rather wait than lose the mount.
 * SIGTERM and SIGINT: what waits gets ENOTCONN, the mount is unmounted; if it stays busy for stop_timeout, detached.
 */
#pragma once

#include "crypt/base/err.h"

struct supervisor_conf {
    char *source;     /* canonical; NULL: no mount, only the agent */
    char *mountpoint; /* canonical */
    int source_fd;    /* O_PATH directory, -1 without mount; borrowed */
    int64_t stop_ms;
    char *const *
        argv; /* of this process: the worker gets them too, behind --worker=PID, mount point and source */
    /* Called once when the mount answers. */
    void (*ready)(void *arg);
    void *arg;
};

/* Descriptors that the worker finds. */
enum worker_fd { WORKER_REQUESTS = 3, WORKER_EVENTS = 4, WORKER_FUSE = 5, WORKER_TABLE = 6 };

/* Until stopped (true) or given up. Makes and ends the mount. */
bool supervisor_run(const struct supervisor_conf *conf, struct err *err) MUST_CHECK;
