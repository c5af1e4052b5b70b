/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/backoff.h"

#include <stdio.h>
#include <string.h>

#include "crypt/hash.h"

#define FIRST_MS      500
#define LONGEST_MS    30000
#define DELIBERATE_MS 1000

static bool is_deliberate(enum err_code code)
{
    return code == ERR_DENIED_POLICY || code == ERR_NOTFOUND;
}

/* `delay` less or more by up to a quarter. */
static int64_t jitter(int64_t delay)
{
    uint16_t random = UINT16_MAX / 2;
    struct err ignored = ERR_INIT;
    if (!hash_random((uint8_t *)&random, sizeof random, &ignored))
        return delay;
    return delay - delay / 4 + delay / 2 * random / UINT16_MAX;
}

void backoff_fail(struct backoff *backoff, int64_t now_ms, const struct err *err)
{
    int64_t delay = DELIBERATE_MS;
    if (is_deliberate(err->code)) {
        backoff->failures = 0;
    } else {
        delay = backoff->failures < 6 ? (int64_t)FIRST_MS << backoff->failures : LONGEST_MS;
        delay = jitter(delay < LONGEST_MS ? delay : LONGEST_MS);
        backoff->failures++;
    }
    backoff->until_ms = now_ms + delay;
    backoff->last = *err;
}

void backoff_clear(struct backoff *backoff)
{
    *backoff = (struct backoff){0};
}

bool backoff_over(const struct backoff *backoff, int64_t now_ms, struct err *err)
{
    int64_t left = backoff->until_ms - now_ms;
    if (backoff->last.code == ERR_OK || left <= 0)
        return true;
    char note[48];
    int len = snprintf(note, sizeof note, " (next try in %lld s)", (long long)(left + 999) / 1000);
    *err = backoff->last;
    size_t used = strlen(err->message);
    size_t room = sizeof err->message - 1 - (size_t)len;
    memcpy(err->message + (used < room ? used : room), note, (size_t)len + 1);
    return false;
}
