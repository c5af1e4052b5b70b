/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The URLs of one key broker, which all serve the same resources under the same trust, and which of them to ask. The one that answered
 * last is asked first; one that failed rests with a back-off of its own, and is asked before that only when every other one rests longer.
 * A round of tries is a set of those that failed in it; each URL is tried once a round. Loop thread only.
 */
#pragma once

#include "kbs/backoff.h"
#include "kbs/origin.h"

#define REPLICAS_MAX 16

struct replica {
    char url[ORIGIN_SIZE]; /* "https://host:port" */
    struct backoff backoff;
};

struct replicas {
    struct replica items[REPLICAS_MAX];
    size_t count;
    size_t best; /* answered last */
};

/* Bits of those that failed in this round. */
typedef uint32_t replica_set;

/* Origins without a path, https unless `allow_plain`; ERR_CONFIG for none, too many, or one given twice. */
bool replicas_init(struct replicas *replicas, const char *const *urls, size_t count,
    bool allow_plain, struct err *err) MUST_CHECK;
/* Which to ask next, `first` before the others unless it rests; false when all were tried. */
bool replicas_next(const struct replicas *replicas, replica_set tried, size_t first, int64_t now_ms,
    size_t *ret_index);
/* It gave an HTTP answer that is no failure of its own, whatever it said. */
void replicas_answered(struct replicas *replicas, size_t index);
/* Several failures of the same moment count once. */
void replicas_failed(
    struct replicas *replicas, size_t index, int64_t now_ms, const struct err *err);
/* All may be asked at once again. */
void replicas_refresh(struct replicas *replicas);
/* May this failure be one of the URL alone, so that another may do? Not what a KBS refuses on purpose. */
bool replica_failure(const struct err *err);
/* What one of `count` URLs gets of the time for one request: all together take no longer, unless a second each is longer. */
int64_t replicas_share(const struct replicas *replicas, int64_t request_ms);
