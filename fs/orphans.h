/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The calls that a dead worker had taken and not answered, on kernels that cannot send them again (before 6.9: greeting_can_resend).
 * Their callers would hang until a signal takes them, so they are answered with EIO. Which they are need not be known: the kernel counts
 * its requests (`unique`, linux/fuse.h; steps of 2, odd ones are interrupts) and refuses with ENOENT an answer to one that is not waiting
 * for any, so every number that the dead worker may have seen is answered.
 */
#pragma once

#include <stddef.h>

#include "crypt/base/bytes.h"
#include "fs/nodetable.h"

/* How many numbers are tried, the newest: half a second of work; a call that is older goes on waiting. */
#define ORPHANS_MAX (1u << 20)

/* `request` was read from /dev/fuse. Any thread. */
void orphans_note(struct nodetable_data *table, struct bytes request);
/* Before anything is read from `fuse_fd`: returns how many calls got EIO. */
size_t orphans_fail(struct nodetable_data *table, int fuse_fd);
