/* SPDX-License-Identifier: Apache-2.0 */
/* What worker.c and worker_succession.c (from one worker to the next) share. */
#pragma once

#include "fs/worker.h"

#include <pthread.h>

#include "fs/child.h"
#include "fs/credentials.h"
#include "fs/gate.h"
#include "fs/health.h"
#include "fs/monitor_client.h"
#include "fs/refusals.h"
#include "fs/served.h"
#include "fs/stamps.h"

struct worker {
    struct worker_conf conf;
    int64_t started_ms;
    struct monitor_client monitor;
    struct settings settings;
    struct stamps *stamps;
    struct custody *custody;           /* NULL: no mount */
    struct served *mounts[MOUNTS_MAX]; /* by the monitor's number; NULL: not mounted */
    struct loop_timer *freeze;
    struct loop_watch *events;
    pthread_mutex_t refusals_lock; /* protects the next */
    struct refusals refusals;
    struct health *health;
    struct gate *gate;
    struct credentials *credentials; /* NULL: none are given */
};

bool worker_tell(const struct worker *worker, enum monitor_event_kind kind, size_t mount,
    struct err *err) MUST_CHECK;

/* -- from one worker to the next: worker_succession.c ------------------------------------------------ */

/* From here on it is this worker that answers the kernel. What the old one could not give is fetched anew. */
bool worker_relieve(struct worker *worker, struct err *err) MUST_CHECK;
/* All goes to the successor. Returns only when that does not take over: then nothing has changed. */
void worker_be_relieved(struct worker *worker, int fd);
/* No requests are read any more; the monitor is told when nothing is under way. To be a timer's, too: `arg` is the worker. */
void worker_freeze(void *arg);
void worker_thaw(struct worker *worker);
