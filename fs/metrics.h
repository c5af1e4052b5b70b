/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What this process counts: opens by outcome and how long they took. One set a process, as the log is; counting is a few relaxed additions
 * from any thread. metrics_text() writes them in the text format of Prometheus (version 0.0.4). No label holds a path or a name of a secret:
 * whoever may read metrics need not know what secrets there are.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/err.h"

/* Where an open's content came from. */
enum metrics_from {
    METRICS_PLAIN,   /* an ordinary file of a source */
    METRICS_MEMORY,  /* a plaintext that was kept, and fresh */
    METRICS_FETCHED, /* the open waited for the key broker */
    METRICS_STALE,   /* a plaintext past its freshness: no key broker could be reached */
    METRICS_FROM_COUNT
};

/* An open that was answered after `us` microseconds. */
void metrics_served(enum metrics_from from, int64_t us);
/* With the errno that open(2) got; EINTR: the caller gave up, or was killed, while it waited. */
void metrics_refused(int sys_errno, int64_t us);

/* What is looked up at the moment of the question. */
struct metrics_now {
    uint64_t generation; /* of the worker */
    int64_t up_ms;
    size_t mounts, waiting, flights, secrets, secret_bytes, open_files;
    uint64_t handshakes, handshakes_failed, fetches, audit_lost;
    bool has_token;
    int64_t token_expires_at; /* unix seconds */
    bool ready;
};

bool metrics_text(const struct metrics_now *now, struct buf *out, struct err *err) MUST_CHECK;
/* For tests: everything at zero. */
void metrics_reset(void);
