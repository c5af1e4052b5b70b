/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What stands between an open and its answer: who asks (fs/callers.h), may he (fs/access.h, fs/permission.h), and the record of it (fs/audit_record.h). One
 * for all mounts of a worker. Any thread, unless said.
 *
 *     gate_enter   before anything is looked for: while the caller waits he cannot be somebody else. A refusal is recorded here.
 *     gate_leave   just before the answer. With audit.policy = required it may say no: without a record, no plaintext.
 *
 * Where nothing is recorded and no rule holds, neither costs anything.
 */
#pragma once

#include "fs/access.h"
#include "fs/worker.h"

/* What a record that must be written may take in all. */
#define GATE_RECORD_MS 2000
/* So long a record that could not be written counts, when nobody has tried another. */
#define GATE_STUCK_MS 60000

struct gate;
struct passage; /* an open that was let in, and shall be recorded */

struct gate_conf {
    const struct sealedfs_conf *conf;
    struct monitor_client *monitor;
    size_t callers; /* threads that are remembered */
    /* A rule refused, or a record that must be written was not: remember it for `sealed explain`, say it in the log. The id is for the record. */
    void (*refused)(
        void *arg, const char *path, const struct err *err, char ret_id[WORKER_ID_SIZE]);
    /* The newest refusal that is remembered of this path. */
    bool (*find_refusal)(void *arg, const char *path, struct refusal *ret_refusal);
    void *arg;
};

struct gate_asked {
    pid_t tid; /* of the request: thread, 0 when it is not in our pid namespace */
    uid_t uid;
    gid_t gid;
    const char *path;     /* absolute, normal form */
    size_t file;          /* of the catalogue, or ACCESS_NO_FILE */
    const char *resource; /* that the file is a name for; NULL: its content will tell */
    const struct permission
        *permission; /* to be looked at; NULL: the kernel has decided by the very same */
};

struct gate_outcome {
    int sys_errno; /* 0: opened */
    bool stale;
    const char *resource, *version; /* of what is opened; NULL: none */
};

/* Looks names of users up. Before privilege is dropped or after, but before the system call filter. */
bool gate_new(const struct gate_conf *conf, struct gate **ret_gate, struct err *err) MUST_CHECK;
/* Asks the monitor for its witness: when the monitor answers. */
void gate_start(struct gate *gate);
/* 0, or the errno to answer with. *ret_passage NULL: nothing will be recorded. */
int gate_enter(struct gate *gate, const struct gate_asked *asked, struct passage **ret_passage)
    MUST_CHECK;
/* Has who asks this permission? Asks the monitor where the ids of the request are not enough. */
bool gate_permits(struct gate *gate, pid_t tid, const struct permission *asked) MUST_CHECK;
/* Takes the passage (NULL is fine). 0: answer as meant; else the errno to answer with instead. */
int gate_leave(struct gate *gate, struct passage *passage, const struct gate_outcome *outcome)
    MUST_CHECK;
/* The kernel will ask again: nothing was decided yet. NULL is fine. */
void passage_drop(struct passage *passage);
/* Records that could not be written since the start. */
uint64_t gate_lost(struct gate *gate);
/* Must records be written, and could the last one not be? Then nothing can be opened, and *ret_why says so. */
bool gate_stuck(struct gate *gate, struct err *ret_why);
