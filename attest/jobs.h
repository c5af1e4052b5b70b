/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One thread that may wait (for a TPM), beside a loop that must not. Jobs run one after the other in the order in which they
 * were put; what ends them runs on the loop's thread. All calls are made on the loop's thread.
 */
#pragma once

#include <sys/queue.h>

#include "crypt/base/loop.h"

struct jobs;

/* Part of the caller's own struct; belongs to `jobs` from jobs_put() until `done` is called or jobs_cancel() says true. */
struct job {
    STAILQ_ENTRY(job) link;
    void (*run)(struct job *job);  /* on the thread */
    void (*done)(struct job *job); /* on the loop */
};

bool jobs_new(struct loop *loop, size_t waiting_max, struct jobs **ret_jobs, struct err *err)
    MUST_CHECK;
/* Starts nothing more and waits a few seconds for a job that runs: a TPM command cut off leaves objects loaded. False when it still
 * runs then: its memory and `jobs` must be left alone until the process ends. No `done` is called any more. */
bool jobs_stop(struct jobs *jobs) MUST_CHECK;
void jobs_free(struct jobs *jobs); /* stops it first */
DEFINE_AUTO(struct jobs, jobs_free);

/* ERR_BUSY when `waiting_max` jobs wait already. */
bool jobs_put(struct jobs *jobs, struct job *job, struct err *err) MUST_CHECK;
/* True: the job had not started and never will; it is the caller's again. False: it runs or has run, `done` will be called. */
bool jobs_cancel(struct jobs *jobs, struct job *job) MUST_CHECK;
