/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's process as the monitor holds it: this program executed anew as
 *
 *     sealedfs --worker=PID:COUNT MOUNTPOINT… OPTIONS-AND-OPERANDS-OF-THE-MONITOR
 *
 * with PID the monitor's, and COUNT mount points (an empty word for one that is unmounted), since the worker must not look at
 * a mount point itself: it would wait for its own answer. Its descriptors lie at the numbers below.
 */
#pragma once

#include <sys/types.h>

#include "fs/mounted.h"

/* Descriptors that the worker finds. */
enum worker_fd {
    WORKER_REQUESTS = 3,
    WORKER_EVENTS = 4,
    WORKER_MOUNTS = 8 /* two for each mount: /dev/fuse, node table */
};

static inline int worker_fuse_fd(size_t mount)
{
    return WORKER_MOUNTS + 2 * (int)mount;
}

static inline int worker_table_fd(size_t mount)
{
    return worker_fuse_fd(mount) + 1;
}

struct child_conf {
    char *const *argv; /* of the monitor */
    const struct mounted *mounts;
    size_t mount_count; /* at most MOUNTS_MAX */
};

struct child {
    pid_t pid; /* 0: none */
    int requests, events;
};

#define CHILD_INIT                   \
    {                                \
        .requests = -1, .events = -1 \
    }

/* Both sockets do not block: a worker that does not read its answers must not hold the monitor up. */
bool child_start(const struct child_conf *conf, struct child *ret_child, struct err *err)
    MUST_CHECK;
void child_kill(const struct child *child);
/* Kills it, waits for its end and lets go. */
void child_end(struct child *child);
/* It was waited for: lets go of its sockets. */
void child_forget(struct child *child);
/* "was killed by signal 9 (Killed)" from a wait status. */
void child_death(int status, char *out, size_t size);
