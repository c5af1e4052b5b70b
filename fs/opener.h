/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes of the monitor that open and list what sources show, one for each lane that the worker asks for. A file system that hangs holds
 * whoever asks it, often beyond any signal; so it holds one of these, and neither the monitor nor those that other sources keep busy. (Not
 * threads: a monitor that executes itself would wait for them.) The worker decides which lane it asks; all of them answer the same.
 *
 * An opener holds the directories of the mounts and its end of the lane, no /dev/fuse, and of the capabilities the one to read what only root
 * may. It does not make names below .kbs: those are the monitor's own (fs/frame.h). It ends when the worker's end of the lane is closed.
 */
#pragma once

#include <sys/types.h>

#include "fs/monitor.h"

/* Of all workers that there were: those that hang outlive theirs. */
#define OPENERS_MAX 96

struct openers {
    pid_t pids[OPENERS_MAX]; /* 0: none */
};

/* Forks one. *ret_fd is the worker's end. ERR_BUSY: there are too many already. */
bool opener_start(struct openers *openers, const struct monitor *monitor, int *ret_fd,
    struct err *err) MUST_CHECK;
/* A child was waited for. */
void openers_reap(struct openers *openers, pid_t pid);
