/* SPDX-License-Identifier: Apache-2.0 */
/* The last refusals, for `sealed explain`. One thread at a time. */
#pragma once

#include "fs/worker.h"

struct refusals {
    struct refusal ring[WORKER_REFUSALS_MAX];
    uint64_t count; /* ever; the next goes to count % WORKER_REFUSALS_MAX */
    uint16_t tag;   /* of this process, so that ids of a worker and its successor differ */
};

void refusals_init(struct refusals *refusals);
/* The new one; valid until the next. */
const struct refusal *refusals_add(
    struct refusals *refusals, const char *path, const struct err *err);
/* The same, unless the same was refused in the same words less than a moment ago: then that one, and *ret_again. */
const struct refusal *refusals_note(
    struct refusals *refusals, const char *path, const struct err *err, bool *ret_again);
/* Oldest first; how many. */
size_t refusals_copy(const struct refusals *refusals, struct refusal *ret_refusals, size_t max);
/* The newest with this id, or (NULL) of this path; NULL: none. */
const struct refusal *refusals_find(
    const struct refusals *refusals, const char *id, const char *path);
