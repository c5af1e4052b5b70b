/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's memory of callers, so that not every open asks the monitor. What is remembered of a thread is taken again only if it must
 * still be so:
 *
 *     process, start time    as long as the thread lives: /proc/PID/cgroup is read anew each time, and says ESRCH when it does not
 *     control group          read anew each time
 *     executable, digest     as long as its process has not executed: the kernel's notices (fs/exec_watch.h) say so; without
 *                            them the monitor is asked each time
 *     groups                 read anew each time that they matter
 */
#pragma once

#include <stdatomic.h>

#include "fs/cgroup.h"
#include "fs/witness_client.h"

/* What is known of a caller at one moment. Counted and constant. */
struct caller {
    atomic_uint count;
    pid_t pid;
    uint64_t start_time;
    char *cgroup; /* "": not known */
    struct cgroup_names names;
    char *exe; /* "": not known */
    bool exe_deleted, has_digest;
    uint8_t digest[EXE_DIGEST_SIZE];
};

struct caller *caller_ref(struct caller *caller);
void caller_unref(struct caller *caller);
DEFINE_AUTO(struct caller, caller_unref);
#define auto_caller AUTO(caller_unref) struct caller

struct callers;

/* `size`: how many threads are remembered; each takes two descriptors. The clients are borrowed; `digests`, on a lane of its own, is asked when an
 * executable must be read: that takes as long as it is, and holds up nobody who asks for less. */
bool callers_new(struct witness_client *witness, struct witness_client *digests, size_t size,
    struct callers **ret_callers, struct err *err) MUST_CHECK;
void callers_free(struct callers *callers);
DEFINE_AUTO(struct callers, callers_free);
/* Asks the monitor for the kernel's notices; without them all works, slower. */
void callers_watch(struct callers *callers);
/* Any thread. `tid` of a request that waits, not 0. */
bool callers_find(struct callers *callers, pid_t tid, unsigned needs, struct caller **ret_caller,
    struct err *err) MUST_CHECK;
/* Supplementary groups of the thread, whose request waits. malloc'd. */
bool callers_groups(struct callers *callers, pid_t tid, gid_t **ret_groups, size_t *ret_count,
    struct err *err) MUST_CHECK;
