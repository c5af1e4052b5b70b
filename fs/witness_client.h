/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The worker's end of one lane to the witness: one request at a time, each with a deadline. Any thread. A lane that the monitor
 * closed (it executed itself anew) is opened again. An answer that came too late is skipped by its number; until it comes, a lane whose
 * deadline passed refuses at once (ERR_BUSY): one hung disk costs one deadline, not one for each open.
 */
#pragma once

#include <pthread.h>

#include "fs/witness_wire.h"

struct witness_client {
    /* Makes a new lane. */
    bool (*connect)(void *arg, int *ret_fd, struct err *err);
    void *arg;
    pthread_mutex_t lock; /* protects what follows */
    int fd;               /* -1: closed */
    uint32_t number;
    uint32_t late; /* request whose deadline passed; 0: none */
    uint64_t lost; /* records that were not written */
};

void witness_client_init(struct witness_client *client,
    bool (*connect)(void *arg, int *ret_fd, struct err *err), void *arg);

/* err.sys_errno: what the witness says (ESRCH: no such thread). The descriptors in *ret_look are the caller's then. */
bool witness_look(struct witness_client *client, pid_t tid, unsigned needs, int timeout_ms,
    struct caller_look *ret_look, struct err *err) MUST_CHECK;
/* ERR_DENIED_LOCAL: no. */
bool witness_may(struct witness_client *client, pid_t tid, const struct permission *asked,
    int timeout_ms, struct err *err) MUST_CHECK;
bool witness_execs(struct witness_client *client, int timeout_ms, int *ret_fd, struct err *err)
    MUST_CHECK;
/* Written when it returns true. */
bool witness_record(struct witness_client *client, const struct audit_record *record,
    int timeout_ms, struct err *err) MUST_CHECK;
/* On its way, or lost and counted. Never waits. */
void witness_record_soon(struct witness_client *client, const struct audit_record *record);
uint64_t witness_lost(struct witness_client *client);
