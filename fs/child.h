/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's process as the monitor holds it: this program executed anew as
 *
 *     sealedfs --worker=PID:FDS:COUNT MOUNTPOINT… OPTIONS-AND-OPERANDS-OF-THE-MONITOR
 *
 * with PID the monitor's, FDS a set (hexadecimal, bit n: descriptor n) of what is there below WORKER_MOUNTS, and COUNT mount points (an empty word for one that is unmounted), since the worker must not look at
 * a mount point itself: it would wait for its own answer. Its descriptors lie at the numbers below.
 */
#pragma once

#include <sys/types.h>

#include "fs/mounted.h"

/* Descriptors that the worker finds. */
enum worker_fd {
    WORKER_REQUESTS = 3,
    WORKER_EVENTS = 4,
    WORKER_CONF = 5,        /* text of the configuration; not there: the defaults */
    WORKER_PREDECESSOR = 6, /* what it hands over; not there: nothing */
    WORKER_LISTENERS = 8,   /* sockets that outlive workers, by enum listener; not there: none */
    WORKER_MOUNTS = 16      /* two for each mount: /dev/fuse, node table */
};

enum listener { LISTENER_CONTROL, LISTENER_METRICS, LISTENER_CREDENTIALS, LISTENER_COUNT };

static inline int worker_fd_of(unsigned fds, int fd)
{
    return fds >> fd & 1 ? fd : -1;
}

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
    size_t mount_count;            /* at most MOUNTS_MAX */
    int conf_fd;                   /* -1: none */
    int predecessor_fd;            /* -1: none */
    int listeners[LISTENER_COUNT]; /* -1: none */
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
