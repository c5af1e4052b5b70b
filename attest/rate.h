/* SPDX-License-Identifier: Apache-2.0 */
/* Token bucket: `burst` requests at once, `per_second` over time. Times are loop_now_ms() values. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypt/base/cleanup.h"

struct rate {
    int64_t per_second;
    int64_t burst;
    int64_t level; /* thousandths of a request that may be made now */
    int64_t last_ms;
};

void rate_init(struct rate *rate, int64_t per_second, int64_t burst, int64_t now_ms);
/* Whether a request may be made now. It is not counted: take it with rate_take() when every limit allows it. */
bool rate_allows(struct rate *rate, int64_t now_ms) MUST_CHECK;
void rate_take(struct rate *rate);
