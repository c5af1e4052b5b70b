/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE operations: only ops*.c know libfuse. Threads of its own read the kernel's requests and answer them from memory or
 * by a round trip to the monitor, never by the network: an open that needs a secret is parked (fs/park.h). A second kind of
 * thread drops page caches, since the kernel may call back into us while it does so.
 *
 * Entries and attributes are never cached by the kernel (timeouts 0): each open walks, asks and checks permissions on what is there now.
 */
#pragma once

#include "fs/gate.h"
#include "fs/handle.h"
#include "fs/lookout.h"
#include "fs/pagecache.h"
#include "fs/park.h"
#include "fs/shown.h"

struct ops;

struct ops_conf {
    int fuse_fd; /* mounted already; borrowed */
    unsigned threads;
    struct nodetable_data *table;
    const struct source *source;
    struct shown shown; /* with tree, cache and resolver */
    struct handles *handles;
    const struct settings *settings;
    struct gate *gate;
    struct pagecache *pagecache;
    struct lookout *lookout; /* NULL: nothing has on_change */
    void (*unmounted)(
        void *arg); /* on the last thread of ops: the kernel has closed the connection */
    /* Any thread: all of them are at a request, and one may be at it for long (a source that hangs). From now on ops_make_room is to be
     * called every OPS_ROOM_MS, until it is false. */
    void (*crowded)(void *arg);
    void *arg;
};

#define OPS_ROOM_MS 50

bool ops_new(const struct ops_conf *conf, struct ops **ret_ops, struct err *err) MUST_CHECK;
/* Completes the handshake with the kernel (waits for it), or takes over the connection of a dead worker. */
bool ops_start(struct ops *ops, struct park *park, struct err *err) MUST_CHECK;
/* Starts the threads; call after privilege is dropped. */
bool ops_run(struct ops *ops, struct err *err) MUST_CHECK;
/* In the place of each thread that hangs another is started, within bounds; it ends when there are enough again. */
bool ops_make_room(struct ops *ops);
/*
 * For a successor: no more requests are read, and each thread ends when it has answered what it is at. To be called again, a moment later,
 * until it is true: a thread may just have been about to read. Loop thread. What is parked stays so, and is answered as long as the loop runs.
 */
bool ops_freeze(struct ops *ops);
/* There is no successor after all. */
bool ops_thaw(struct ops *ops, struct err *err) MUST_CHECK;
/* Will the kernel send a successor what this worker leaves unanswered? */
bool ops_can_resend(const struct ops *ops);
/* park's reply function; arg is the ops. */
park_reply_fn ops_reply;
/* The page cache of a node shall go, soon. Any thread. */
void ops_invalidate(struct ops *ops, uint64_t node);
/* Opens so far, how many needed no waiting, and how many were refused, by whomever. */
void ops_stats(
    const struct ops *ops, uint64_t *ret_opens, uint64_t *ret_hits, uint64_t *ret_refused);
