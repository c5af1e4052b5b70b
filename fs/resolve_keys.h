/* SPDX-License-Identifier: Apache-2.0 */
/* The few keys a resolver keeps between resolutions (signing keys and wrapping keys, by URI), each
 * for a bounded time, so that a second secret costs one exchange and not three. Loop thread only.
 */
#pragma once

#include "crypt/base/secret.h"

#define RESOLVE_KEYS_MAX 32

struct resolve_key {
    char *uri;
    struct secret *value;
    int64_t taken_ms, until_ms; /* loop_now_ms() */
};

struct resolve_keys {
    struct resolve_key slots[RESOLVE_KEYS_MAX];
    int64_t keep_ms;
};

/* Borrowed: NULL when it is not there or its time has passed (it is wiped then). */
const struct resolve_key *resolve_keys_find(struct resolve_keys *keys, const char *uri);
/* Takes a reference; the key that would expire first makes room. Silently keeps nothing when memory
 * is out or keep_ms is 0. */
void resolve_keys_keep(struct resolve_keys *keys, const char *uri, struct secret *value);
/* Forgets one (a key that did not work may have been replaced) or, with NULL, all. */
void resolve_keys_drop(struct resolve_keys *keys, const char *uri);
