/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One mount as the worker serves it: the names, open files, parked opens and threads of its own. What the mounts share (resolver, cache of
 * plaintexts, loop, the socket to the monitor) is borrowed. Paths in the cache, refusals and messages are absolute (path_full), so that two
 * mounts never take each other's; what a sealed secret's context names is the path below the mount.
 */
#pragma once

#include "fs/custody.h"
#include "fs/handover.h"
#include "fs/ops.h"

struct served;

struct served_conf {
    const char *mountpoint; /* canonical; borrowed, as all here */
    uint16_t mount;         /* as the monitor knows it (fs/mounted.h) */
    int fuse_fd, table_fd;
    unsigned threads;
    size_t pins_max;    /* descriptors kept on source files */
    int64_t maximum;    /* bytes shown while a length is not known, and the most that is taken */
    int64_t timeout_ms; /* how long an open waits */
    const struct sealedfs_conf *conf;
    struct monitor_client *monitor;
    struct loop *loop;
    struct resolver *resolver;
    const struct settings *settings;
    struct custody *custody;
    struct gate *gate;
    /* Loop thread, once: somebody unmounted it. served_free may follow. */
    void (*unmounted)(void *arg, struct served *served);
    void *arg;
};

struct served_status {
    const char *mountpoint;
    uint64_t generation;
    size_t nodes, handles, parked, flights;
    uint64_t opens, hits, resolved, refused;
};

bool served_new(const struct served_conf *conf, struct served **ret_served, struct err *err)
    MUST_CHECK;
/* Its names, open files and parked opens, as the node table tells them; nothing is answered yet. */
bool served_make(struct served *served, struct err *err) MUST_CHECK;
/* After privilege is dropped: takes the mount over and starts the threads. */
bool served_start(struct served *served, struct err *err) MUST_CHECK;
/* A successor (fs/handover.h): an open file of the worker before. `file_fd` is taken. Between make and start. */
void served_take_open(struct served *served, uint64_t fh, int file_fd, struct lease *lease);
/* All open files go to a successor. After served_freeze. */
bool served_give(struct served *served, struct handover *handover, struct err *err) MUST_CHECK;
/* No more requests are read. To be called until it is true: nothing of this mount is under way any more but what the kernel will send
 * to a successor. */
bool served_freeze(struct served *served);
bool served_thaw(struct served *served, struct err *err) MUST_CHECK;
const char *served_mountpoint(const struct served *served);
/* Loop thread, as all below. */
void served_status(const struct served *served, struct served_status *ret_status);
/* As custody_conf.over. */
void served_over(struct served *served, const char *path, struct lease *lease);
/* The key broker was asked (ERR_OK: and gave the secret). False: this mount's lookout asks about this path, and the same came of it the last time. */
bool served_answered(struct served *served, const char *path, enum err_code code);
/* As custody_conf.swept. */
void served_swept(struct served *served);
/* Ends what waits (ENOTCONN); later opens that would have to wait get the same. */
void served_stop(struct served *served);
/* After it was unmounted: lets go of the source. */
void served_end(struct served *served);
