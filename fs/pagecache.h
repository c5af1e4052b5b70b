/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that the kernel may keep in its page cache (cache = page). An inode has one page cache, so all that have it open see one content: the
 * newest. When the secret changes or is withdrawn the pages are dropped; who has the file open goes on with what is true then. After
 * the last close they stay, for the next reader, until the plaintext is not kept any more. By node; any thread.
 */
#pragma once

#include "fs/cache.h"

struct pagecache;

bool pagecache_new(struct pagecache **ret_pagecache, struct err *err) MUST_CHECK;
void pagecache_free(struct pagecache *pagecache);
DEFINE_AUTO(struct pagecache, pagecache_free);

/* An open is about to be answered, and this is the content from now on, unless that is a newer one. *ret_keep: what the kernel has is of the same plaintext. False: out
 * of memory; then it must not get any pages. */
bool pagecache_open(struct pagecache *pagecache, uint64_t node, const char *path,
    struct lease *lease, bool *ret_keep) MUST_CHECK;
/* What a read through a descriptor that was opened on `own` gets; a reference. NULL: this node is served directly. */
struct lease *pagecache_read(struct pagecache *pagecache, uint64_t node, const struct lease *own);
/* Nobody has it open any more. True: its pages stay. */
bool pagecache_closed(struct pagecache *pagecache, uint64_t node);

typedef void pagecache_drop_fn(void *arg, uint64_t node);
/* The content of this path (NULL: of all) is over; `lease` is the new one, NULL when there is none. Then `drop` for each node, without a lock. */
void pagecache_over(struct pagecache *pagecache, const char *path, struct lease *lease,
    pagecache_drop_fn *drop, void *arg);
/* Those that nobody has open and that the cache does not keep any more. */
void pagecache_sweep(
    struct pagecache *pagecache, struct cache *cache, pagecache_drop_fn *drop, void *arg);
