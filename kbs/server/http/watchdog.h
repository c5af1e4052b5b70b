/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Total deadlines for sockets: a thread that shuts down what is late, whoever is busy with it. The owner of the
 * socket sees an end of file or an error and closes it. Thread-safe.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

struct watchdog;

/* Embedded in its owner; `fd` stays the owner's and must be open from watchdog_add to watchdog_remove. */
struct watch {
    int fd;
    int64_t deadline; /* loop_now_ms() */
    struct watch *next, *previous;
};

/* Looks every `tick_ms`, so a deadline is kept within that. */
bool watchdog_new(int64_t tick_ms, struct watchdog **ret_watchdog, struct err *err) MUST_CHECK;
void watchdog_add(struct watchdog *watchdog, struct watch *watch, int fd, int64_t delay_ms);
void watchdog_set(struct watchdog *watchdog, struct watch *watch, int64_t delay_ms);
void watchdog_remove(struct watchdog *watchdog, struct watch *watch);
/* Ends the thread; every watch must have been removed. */
void watchdog_free(struct watchdog *watchdog);
DEFINE_AUTO(struct watchdog, watchdog_free);
