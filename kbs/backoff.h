/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After a failure: how long the next try waits, and what is told meanwhile. 0.5 s, doubling to 30 s, each with a quarter of jitter, so
 * that a thousand guests do not come back in step. What the KBS refused on purpose (denied, not found) is only kept for 1 s:
 * somebody may be repairing it right now.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

struct backoff {
    unsigned failures; /* in a row */
    int64_t until_ms;  /* loop_now_ms() */
    struct err last;
};

void backoff_fail(struct backoff *backoff, int64_t now_ms, const struct err *err);
void backoff_clear(struct backoff *backoff);
/* May it be tried now? If not: the last error again, its text ending in "(next try in 3 s)". */
bool backoff_over(const struct backoff *backoff, int64_t now_ms, struct err *err) MUST_CHECK;
