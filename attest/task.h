/* SPDX-License-Identifier: Apache-2.0 */
/* One request that needs the attester, with everything that its making and its answer hold. Runs on the thread of jobs.h. */
#pragma once

#include "attest/attester.h"
#include "attest/wire.h"

struct task {
    const struct attester *attester;
    const struct attester_conf *conf;
    struct buf message; /* `request` borrows from it */
    struct attest_request request;

    bool done; /* false: `err` says why */
    struct err err;
    struct buf answer;            /* encoded; for ACTIVATE: */
    struct secret *secret_answer; /* encoded, in locked memory */
};

/* Takes over the content of `message`, which `request` was decoded from (it is decoded again here). */
bool task_new(const struct attester *attester, const struct attester_conf *conf,
    struct buf *message, struct task **ret_task, struct err *err) MUST_CHECK;
void task_free(struct task *task);
DEFINE_AUTO(struct task, task_free);
/* Fills the second half of the struct. */
void task_run(struct task *task);
