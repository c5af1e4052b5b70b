/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker: the unprivileged process that serves the mount and holds the plaintext. This header
 * is what the control socket may ask of it. Every call here is made on the worker's loop thread
 * (the one that runs `loop`), and none blocks.
 */
#pragma once

#include <time.h>

#include "crypt/base/loop.h"
#include "fs/resolver.h"
#include "fs/sealedfs_conf.h"

#define WORKER_REFUSALS_MAX 64
#define WORKER_ID_SIZE      20

struct worker;
struct served_status;

/* One refused open, oldest first in worker_refusals(). Repetitions from the error cache are one
 * refusal. */
struct refusal {
    char id[WORKER_ID_SIZE]; /* what the log line says, e.g. "r-3f2a-17" */
    char path[1024];         /* absolute, in normal form; cut at the front when longer */
    time_t when;             /* CLOCK_REALTIME */
    struct err err;          /* err.ref: the KBS's explanation id */
};

struct worker_status {
    size_t mount_count;     /* 0: agent only */
    const char *mountpoint; /* of the only mount; NULL: there is none, or there are several */
    uint64_t
        generation; /* 1 for the first worker on this mount, +1 for each that replaced a dead one */
    int64_t up_ms;
    size_t nodes, handles; /* known to the kernel; open */
    size_t parked;         /* opens that wait */
    size_t flights;        /* resolutions under way */
    size_t secrets;        /* plaintexts kept */
    size_t secret_bytes;
    uint64_t opens, hits, resolved, refused;
    int audit;           /* enum conf_audit, as it is: what has nowhere to go is off */
    uint64_t audit_lost; /* records that no sink took */
};

/* Wipes every plaintext, drops every refusal and the page cache of every sealed file; returns how many
 * plaintexts the cache had. Descriptors that are open on one answer EKEYREVOKED from then on. */
size_t worker_flush(struct worker *worker);
/* The sums over all mounts. */
void worker_status(const struct worker *worker, struct worker_status *ret_status);
/* Can secrets be served? (fs/health.h) With `may_try` it may ask the key broker to find out. */
bool worker_healthy(struct worker *worker, bool may_try, struct err *ret_why);
/* Each mount by itself; how many. At most MOUNTS_MAX. */
size_t worker_mounts(const struct worker *worker, struct served_status *ret_mounts, size_t max);
/* Copies up to `max` of the last refusals into `ret_refusals`, oldest first; returns how many. */
size_t worker_refusals(struct worker *worker, struct refusal *ret_refusals, size_t max);
/* Newest refusal of that id, or (id NULL) of that path in normal form. */
bool worker_find_refusal(
    struct worker *worker, const char *id, const char *path, struct refusal *ret_refusal);
/* Path in the caller's terms ("/sealed/..data/db/password", or "db/password" where there is one mount) ->
 * absolute normal form ("/sealed/db/password"), "" when it lies in none of the mounts. */
void worker_normal_path(const struct worker *worker, const char *path, char *out, size_t out_size);

enum worker_renewal { WORKER_RELOAD, WORKER_UPGRADE, WORKER_UPGRADE_DISCARD };
/* False: only an agent. */
bool worker_has_mounts(const struct worker *worker);
/* Gives the question on to the monitor, and with it a duplicate of the connection, on which the monitor answers. */
bool worker_ask_renewal(
    struct worker *worker, enum worker_renewal what, int asker_fd, struct err *err) MUST_CHECK;

/* -- for fs/sealedfs.c --------------------------------------------------------------------------- */

struct credentials;

struct worker_conf {
    struct loop *loop;
    struct resolver *resolver;
    const struct sealedfs_conf *conf;
    char *const *mountpoints;   /* canonical, by the monitor's number; "": not mounted */
    size_t mount_count;         /* 0: agent only */
    int predecessor_fd;         /* -1: none */
    int requests_fd, events_fd; /* borrowed; those of the mounts: fs/child.h */
};

bool worker_new(const struct worker_conf *conf, struct worker **ret_worker, struct err *err)
    MUST_CHECK;
/* Before worker_start: who gives credentials to units, borrowed; a successor is given those who wait there. */
void worker_set_credentials(struct worker *worker, struct credentials *credentials);
/* After privilege is dropped: takes the mount over, starts the threads. */
bool worker_start(struct worker *worker, struct err *err) MUST_CHECK;
/* Tells the monitor that the mount answers, and from now on obeys it. */
bool worker_ready(struct worker *worker, struct err *err) MUST_CHECK;
