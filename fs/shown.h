/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes that the kernel is told. All that matters is the size of a sealed file: exact where it can be known (its plaintext is
 * there, or its text tells), else the most it may be, and 0 only for a plaintext that is known to be empty: with size 0, busybox cat,
 * sendfile and splice read nothing and succeed.
 */
#pragma once

#include "fs/cache.h"
#include "fs/resolver.h"
#include "fs/tree.h"

struct shown {
    struct tree *tree;
    struct cache *cache;
    const struct resolver *resolver;
    const char *mountpoint;
    int64_t maximum;
};

/* `st` is the source's and becomes what is told; the tree remembers it (tree_told). Any thread. */
void shown_stat(const struct shown *shown, uint64_t id, const struct pin *pin, struct stat *st);
/* `st` is the source's and gets the mode that is shown. True: by whatever the kernel let somebody in, it was this mode, owner and group. */
bool shown_mode_known(
    const struct shown *shown, uint64_t id, const struct pin *pin, struct stat *st) MUST_CHECK;
