/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount as the monitor keeps it: where, what it shows, and the descriptors that outlive its workers. Whoever holds an array of these
 * knows each by its place there: requests, events and the worker's command line name a mount by that number, in the order of
 * the configuration, and a mount that has been unmounted keeps its place.
 */
#pragma once

#include <sys/types.h>

#include "fs/sealedfs_conf.h"
#include "fs/state.h"

struct namespace;

struct mounted {
    char *mountpoint; /* canonical */
    char *
        source; /* what mount(8) lists: the directory that is shown, or our name where there is not just one */
    struct namespace *space;
    int fuse_fd;  /* -1: not mounted (yet, or any more) */
    int table_fd; /* the node table (fs/nodetable.h) */
    int id;       /* of the mount, in mountinfo */
    dev_t own;    /* its device; 0: not mounted */
};

#define MOUNTED_INIT                            \
    {                                           \
        .fuse_fd = -1, .table_fd = -1, .id = -1 \
    }

/* conf.mounts[mount]. Opens its sources, makes its frame, and clears a dead mount of ours away. `conf` is borrowed. */
bool mounted_prepare(struct mounted *ret_mounted, const struct sealedfs_conf *conf, size_t mount,
    struct err *err) MUST_CHECK;
/*
 * The same in a program that was executed anew (fs/resume.h): a mount that is there already is taken over with its frame, and taken out of
 * `state` (its fuse_fd is -1 then).
 */
bool mounted_resume(struct mounted *ret_mounted, const struct sealedfs_conf *conf, size_t mount,
    struct state *state, struct err *err) MUST_CHECK;
/* A mount of `state` that nobody took over. */
bool mounted_leave(struct mounted *mounted, struct state_mount *left, struct err *err) MUST_CHECK;
/* ERR_CONFIG when one is on or below another: to look at it would be to ask the other's worker, before there is one. */
bool mounted_check(const struct mounted *mounts, size_t count, struct err *err) MUST_CHECK;
/* Mounts, with a new node table. */
bool mounted_start(struct mounted *mounted, struct err *err) MUST_CHECK;
bool mounted_is_on(const struct mounted *mounted);
/* Unmounts and lets go of the descriptors; nothing to do when it is not mounted. Busy is ERR_BUSY unless `detach`, and it stays mounted. */
bool mounted_end(struct mounted *mounted, bool detach, struct err *err) MUST_CHECK;
/* Somebody else has unmounted it. */
void mounted_gone(struct mounted *mounted);
void mounted_done(struct mounted *mounted);
