/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/rate.h"

#define ONE 1000 /* thousandths: one request a second refills one of them each millisecond */

void rate_init(struct rate *rate, int64_t per_second, int64_t burst, int64_t now_ms)
{
    *rate = (struct rate){
        .per_second = per_second, .burst = burst, .level = burst * ONE, .last_ms = now_ms};
}

bool rate_allows(struct rate *rate, int64_t now_ms)
{
    int64_t full = rate->burst * ONE;
    int64_t passed = now_ms > rate->last_ms ? now_ms - rate->last_ms : 0;
    /* Longer than it takes to fill the bucket makes no difference; this also keeps the product small. */
    if (passed > full)
        passed = full;
    rate->level += passed * rate->per_second;
    if (rate->level > full)
        rate->level = full;
    rate->last_ms = now_ms;
    return rate->level >= ONE;
}

void rate_take(struct rate *rate)
{
    rate->level -= ONE;
}
