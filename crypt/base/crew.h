/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A few threads that compute beside a loop, so that a processor which is free takes what a crowd brings. Jobs are short and never wait
 * for anything. A job's `run` is called on any thread, in the order of putting; its `done` on the loop's thread, in any order, never from
 * inside crew_put(). All calls are made on the loop's thread.
 */
#pragma once

#include <sys/queue.h>

#include "crypt/base/loop.h"

struct crew;

/* Part of the caller's own struct, which belongs to the crew from crew_put() until `done`. */
struct crew_job {
    STAILQ_ENTRY(crew_job) link;
    void (*run)(struct crew_job *job);
    void (*done)(struct crew_job *job);
};

/* How many threads are of use: one processor is left to the loop. 0 where there is only one. */
size_t crew_size(void);

/* Threads are started with the first job, and so with the privileges and filters of that time. `size` 0: there are none, and jobs run
 * on the loop's thread. */
bool crew_new(struct loop *loop, size_t size, struct crew **ret_crew, struct err *err) MUST_CHECK;
/* Runs what still waits, calls every `done` that is due, and ends the threads. May be called from a `done`. NULL is fine. */
void crew_free(struct crew *crew);
DEFINE_AUTO(struct crew, crew_free);

/* Cannot fail: without any thread the job runs here and now. */
void crew_put(struct crew *crew, struct crew_job *job);
