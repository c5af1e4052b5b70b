/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's FUSE_INIT, kept in the node table for the next worker (linux/fuse.h; libfuse's own structs of it are private). It comes once
 * in a mount's life, and a libfuse session that has not seen it answers nothing.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "fs/nodetable.h"

/* `request` is the first that was read; ERR_INTERNAL when it is not FUSE_INIT. */
bool greeting_keep(struct nodetable_data *table, struct bytes request, struct err *err) MUST_CHECK;
bool greeting_is_kept(const struct nodetable_data *table);
/* A copy into `out` (NODETABLE_INIT bytes). */
bool greeting_recall(
    const struct nodetable_data *table, uint8_t *out, size_t *ret_len, struct err *err) MUST_CHECK;
/* Can the kernel send unanswered requests again (6.9 and later)? */
bool greeting_can_resend(const uint8_t *greeting, size_t len);
/* Asks for that. */
bool greeting_resend(int fuse_fd, struct err *err) MUST_CHECK;
