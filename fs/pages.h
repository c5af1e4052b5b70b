/* SPDX-License-Identifier: Apache-2.0 */
/* What the three pages of fs/scrape.h say about this worker. Loop thread only. */
#pragma once

#include "fs/worker.h"

/* `listen_fd` from scrape_listen(), owned from here on. Everything lives as long as the process. */
bool pages_start(int listen_fd, struct loop *loop, struct worker *worker, struct resolver *resolver,
    struct err *err) MUST_CHECK;
