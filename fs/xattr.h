/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The extended attributes of a sealed file, which tell what an open would find, and ask nobody:
 *
 *     user.sealed.status    fresh | aged | stale | absent | the name of an err code
 *                           aged: the key broker will be asked first; stale: it was asked a moment ago and gave no answer, so
 *                           what was fetched before is served; absent: no plaintext is kept; else it is refused for this reason
 *     user.sealed.version   of the plaintext that was served last: the same text while it is the same (lease.h)
 *     user.sealed.expires   when the plaintext that is kept will be wiped for its age, 2026-01-31T12:00:00Z
 *
 * No attribute where there is nothing to tell.
 */
#pragma once

#include "fs/cache.h"

#define XATTR_VALUE_SIZE 40

/* False: this file has no such attribute now. `now`: CLOCK_REALTIME in seconds. */
bool xattr_value(
    const struct cache_state *state, int64_t now, const char *name, char out[XATTR_VALUE_SIZE]);
/* The names that have a value, each with its NUL; how many bytes. */
size_t xattr_names(const struct cache_state *state, char *out, size_t size);
/* Room for all of them. */
#define XATTR_NAMES_SIZE 64
