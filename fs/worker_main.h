/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's process from its first line on: hardening, secrets' memory, resolver, control socket, privilege dropped, loop. */
#pragma once

#include "fs/sealedfs_conf.h"
#include "fs/worker.h"

struct worker_process {
    pid_t monitor;
    unsigned fds; /* what it was given (fs/child.h) */
    const struct sealedfs_conf *conf;
    char *const *mountpoints; /* canonical; "": not mounted */
    size_t mount_count;       /* 0: agent without a mount */
    bool background;          /* let go of the starter's descriptors when the mount answers */
    /* Serves the control socket; not called when there is none. */
    bool (*control_serve)(struct loop *loop, const struct sealedfs_conf *conf, int fd,
        struct resolver *resolver, struct worker *worker, struct err *err);
};

/* What its filter allows beside the base list. The monitor's, which it inherits, must allow it too. */
extern const char *const worker_syscalls[];
/* Returns the exit status; failures have been told to the monitor. */
int worker_main(const struct worker_process *process);
/* Whether a worker with this configuration could be: memory, certificates and whatever else its parts read at the start. */
bool worker_main_trial(const struct sealedfs_conf *conf, struct err *err) MUST_CHECK;
/* Descriptors 0-2 on /dev/null: whoever started us may wait for the end of its pipes. */
void worker_main_let_go(void);
