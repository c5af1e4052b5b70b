/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker asks of the monitor's witness (fs/witness.h), on SOCK_SEQPACKET pairs of their own (big-endian, crypt/base/pack.h), one
 * request at a time on each:
 *
 *     request   u8 version=1, u8 operation, u32 number, then
 *       LOOK      u32 thread id, u8 needs (enum caller_need)
 *       RECORD    u8 answer (1: wanted, 0: only if the record is lost), and the members of struct audit_record
 *       EXECS     nothing
 *       MAY       u32 thread id, u32 uid, u32 gid, u32 owner, u32 group, u16 mode, u8 want (struct permission)
 *     answer    u8 version=1, u8 operation, u32 number, u32 errno (0: done), then if done
 *       LOOK      u32 pid, u64 start time, text executable, u8 deleted, block SHA-256 (or empty); beside it the
 *                 descriptors of /proc/PID/cgroup and status
 *       EXECS     nothing; beside it a socket of fs/exec_watch.h
 *       MAY       nothing: errno EACCES says no
 */
#pragma once

#include "crypt/base/pack.h"
#include "fs/audit_record.h"
#include "fs/caller.h"
#include "fs/permission.h"

enum witness_operation {
    WITNESS_LOOK = 1,
    WITNESS_RECORD,
    WITNESS_EXECS,
    WITNESS_MAY,
    WITNESS_OPERATION_MAX = WITNESS_MAY
};

/* Longest texts of a record: paths are cut to this, at the front. */
#define WITNESS_TEXT_MAX 4095u
#define WITNESS_WORD_MAX 255u

/* Storage of the texts of a record that was received. */
struct witness_texts {
    char id[WITNESS_WORD_MAX + 1], cause[WITNESS_WORD_MAX + 1], rule[WITNESS_WORD_MAX + 1],
        version[WITNESS_WORD_MAX + 1], ref[WITNESS_WORD_MAX + 1];
    char cgroup[WITNESS_TEXT_MAX + 1], exe[WITNESS_TEXT_MAX + 1], path[WITNESS_TEXT_MAX + 1],
        resource[WITNESS_TEXT_MAX + 1];
};

struct witness_request {
    enum witness_operation operation;
    uint32_t number;
    pid_t tid;
    unsigned needs;
    struct permission permission;
    bool want_answer;
    struct audit_record record; /* its texts: the sender's, or in `texts` of the receiver */
};

struct witness_answer {
    enum witness_operation operation;
    uint32_t number;
    int sys_errno;           /* 0..4095 */
    struct caller_look look; /* its descriptors are not in the message: -1 */
};

bool witness_request_encode(const struct witness_request *request, struct buf *out, struct err *err)
    MUST_CHECK;
/* The texts of a record are put into `texts`. */
bool witness_request_decode(struct bytes message, struct witness_texts *texts,
    struct witness_request *ret_request, struct err *err) MUST_CHECK;
bool witness_answer_encode(const struct witness_answer *answer, struct buf *out, struct err *err)
    MUST_CHECK;
bool witness_answer_decode(struct bytes message, struct witness_answer *ret_answer, struct err *err)
    MUST_CHECK;
