/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that looks now and then at what somebody wants to know of (on_change), so that a change is noticed without a reader. It is a thread of its
 * own, and not the loop's, because a look asks the monitor. What to do at a path is its user's; this is the when.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define LOOKOUT_PATHS_MAX 4096

struct lookout;

/* Milliseconds until the next look at this path; -1: never again. `vain`: so many questions about it in a row brought nothing (lookout_note). On
 * the lookout's thread. */
typedef int64_t lookout_fn(void *arg, const char *path, unsigned vain);

bool lookout_new(lookout_fn *fn, void *arg, struct lookout **ret_lookout, struct err *err)
    MUST_CHECK;
void lookout_free(struct lookout *lookout); /* only if it was never run */
DEFINE_AUTO(struct lookout, lookout_free);
/* Starts the thread. It lives as long as the process. */
bool lookout_run(struct lookout *lookout, struct err *err) MUST_CHECK;
/* Any thread: a path to look at, first in so long; one that is known stays as it is, and beyond the maximum none is taken. */
void lookout_add(struct lookout *lookout, const char *path, int64_t delay_ms);
/*
 * Any thread: what came of a question about a path, ERR_OK when that was the secret; then, if it had been in vain before, the path is looked at at once, since
 * all may be as it was. False: the same came of the last one. True also for a path that is not looked at.
 */
bool lookout_note(struct lookout *lookout, const char *path, enum err_code code);
/* `first_ms`, doubled for each question in vain, up to `last_ms`. */
int64_t lookout_delay(int64_t first_ms, int64_t last_ms, unsigned vain);
/* Any thread: no look begins from now on. */
void lookout_stop(struct lookout *lookout);
/* Looks at what is due at `now_ms`, without its lock; milliseconds until the next is, -1: nothing is waited for. */
int64_t lookout_turn(struct lookout *lookout, int64_t now_ms);
