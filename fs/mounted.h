/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount as the monitor keeps it: where, what it shows, and the descriptors that outlive its workers. Whoever holds an array of these
 * knows each by its place there: requests, events and the worker's command line name a mount by that number, in the order of
 * the configuration, and a mount that has been unmounted keeps its place.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/err.h"

#define MOUNTS_MAX 64

struct mounted {
    char *mountpoint; /* canonical */
    char *source;     /* canonical; also the device that mount(8) lists */
    int source_fd;    /* O_PATH directory */
    int fuse_fd;      /* -1: not mounted (yet, or any more) */
    int table_fd;     /* the node table (fs/nodetable.h) */
    int id;           /* of the mount, in mountinfo */
    dev_t own;        /* its device; 0: not mounted */
};

#define MOUNTED_INIT                                             \
    {                                                            \
        .source_fd = -1, .fuse_fd = -1, .table_fd = -1, .id = -1 \
    }

/* Both as the user wrote them. Opens the source, and clears a dead mount of ours away. */
bool mounted_prepare(struct mounted *mounted, const char *source, const char *mountpoint,
    struct err *err) MUST_CHECK;
/* Mounts, with a new node table. */
bool mounted_start(struct mounted *mounted, struct err *err) MUST_CHECK;
bool mounted_is_on(const struct mounted *mounted);
/* Unmounts and lets go of the descriptors; nothing to do when it is not mounted. Busy is ERR_BUSY unless `detach`, and it stays mounted. */
bool mounted_end(struct mounted *mounted, bool detach, struct err *err) MUST_CHECK;
/* Somebody else has unmounted it. */
void mounted_gone(struct mounted *mounted);
void mounted_done(struct mounted *mounted);
