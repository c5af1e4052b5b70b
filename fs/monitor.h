/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor's half of the worker's requests: opens and lists beneath one source directory, for a worker that is not trusted. Every
 * path is resolved by openat2(2) beneath the source without following any link, so there is nothing outside that
 * a request could name. Nothing is ever opened for writing, and a FIFO, socket or device only as O_PATH.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

struct monitor {
    int source_fd; /* O_PATH directory; borrowed */
    dev_t
        own; /* device of our own mount (0: none), which is never entered: the worker that serves it waits for us */
};

/* Handles one request that waits on `fd`. *ret_closed = true when the worker has gone. An error means that the worker broke the
 * protocol: it must be ended. */
bool monitor_serve(const struct monitor *monitor, int fd, bool *ret_closed, struct err *err)
    MUST_CHECK;
