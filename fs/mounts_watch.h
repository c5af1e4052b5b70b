/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Has anything been mounted or unmounted? Something mounted over a source file changes what its path leads to and nothing in the file that
 * was there, so no time stamp shows it. proc_pid_mountinfo(5): poll(2) on the open file tells it, and does so before mount(2) returns.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

struct mounts_watch {
    int fd;
    uint32_t count; /* of the times that it changed */
};

bool mounts_watch_init(struct mounts_watch *watch, struct err *err) MUST_CHECK;
void mounts_watch_done(struct mounts_watch *watch);
/* The count as of now: one system call. Callers serialise. */
uint32_t mounts_watch_count(struct mounts_watch *watch);
