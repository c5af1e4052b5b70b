/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the monitor's openers (fs/opener.h) the worker asks: each source has a lane of its own, and so has each file of the catalogue that
 * lies elsewhere, so that one on a file system that hangs keeps nobody waiting but its own readers. What is in none of them, the monitor
 * answers itself from memory. Where there are more than LANES_MAX, some share one.
 *
 * A lane that hangs is given up by who waits after `wait_ms`, with ETIMEDOUT; from then on everybody gets that at once, until the answer
 * that is owed has come. And while it is slow (LANE_SLOW_MS) no more than LANE_QUEUE wait at it, since each is a thread (ops_make_room).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "fs/sealedfs_conf.h"

#define LANES_MAX    24
#define LANE_QUEUE   16
#define LANE_SLOW_MS 1000

struct lane {
    pthread_mutex_t lock; /* one request at a time is under way; protects fd, number, late */
    int fd;               /* -1: not asked for yet */
    uint32_t number;      /* of the last request */
    uint32_t late;        /* the one whose answer is owed; 0: none */
    atomic_uint waiting;  /* who wants it, and who has it */
    atomic_int_fast64_t since_ms; /* of the request that is under way; 0: there is none */
};

struct lanes {
    const struct sealedfs_conf *conf; /* NULL: all is asked of the monitor itself */
    int wait_ms;
    struct lane lanes[LANES_MAX];
};

void lanes_init(struct lanes *lanes);
/* Before threads use them. `conf` is borrowed. */
void lanes_use(struct lanes *lanes, const struct sealedfs_conf *conf, int wait_ms);
/* For a path below the mount; NULL: the monitor itself. */
struct lane *lanes_find(struct lanes *lanes, uint16_t mount, const char *path);
/* Waits for it. ETIMEDOUT (err.sys_errno): there are enough who do. */
bool lane_enter(struct lane *lane, struct err *err) MUST_CHECK;
void lane_leave(struct lane *lane);
/* Any of the next: after lane_enter. */
void lane_close(struct lane *lane);
/* Is there an answer that is owed? What has come meanwhile is thrown away. ETIMEDOUT: there is, still. */
bool lane_settle(struct lane *lane, struct err *err) MUST_CHECK;
/* Until there is something to receive. ETIMEDOUT: nothing within `wait_ms`; an answer to `number` is owed from now on. */
bool lane_await(struct lane *lane, uint32_t number, int wait_ms, struct err *err) MUST_CHECK;
