/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's half of the worker's requests: opens and lists what a mount shows (fs/namespace.h), for a worker that is not trusted.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "fs/mounted.h"
#include "fs/witness.h"

struct openers;

struct monitor {
    /* Borrowed. None of them is ever entered through a source: the worker that serves it waits for us. */
    const struct mounted *mounts;
    size_t count;
    struct witness *witness; /* NULL: nothing is recorded and there are no rules */
    struct openers *openers; /* NULL: none can be started */
    bool is_opener;          /* this is one (fs/opener.h) */
};

/* Handles one request that waits on `fd`. *ret_closed = true when the worker has gone. An error means that the worker broke the
 * protocol: it must be ended. */
bool monitor_serve(const struct monitor *monitor, int fd, bool *ret_closed, struct err *err)
    MUST_CHECK;
