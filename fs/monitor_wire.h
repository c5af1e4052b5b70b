/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the worker and the monitor, on two SOCK_SEQPACKET pairs (big-endian, crypt/base/pack.h).
 *
 * Requests (worker asks, one at a time, monitor answers):
 *     request   u8 version=1, u8 operation, u32 number, u16 mount, text path (at most 4095 bytes), u64 cookie
 *     answer    u8 version=1, u8 operation, u32 number, u32 errno (0: done), u64 cookie, u8 more, u8 origin, u16 index,
 *               u8 elsewhere, u32 errno of the content, u16 count, count * entry
 *     entry     u64 inode, u64 cookie, u8 type (DT_*), text name (at most 255 bytes)
 *     mount is its place in the monitor's array (fs/mounted.h).
 *     OPEN  the file at the path below the mount, never through a symbolic link: its descriptor comes beside the answer,
 *           readable for a regular file, O_PATH for everything else. No entries. Origin and index: fs/origin.h. Where the file
 *           is one of the catalogue with its content elsewhere, that one's descriptor comes second, or its errno is told.
 *     LIST  entries of a directory after `cookie` (0: from the start), as many as fit; more=0 at the end.
 *     WITNESS  a socket beside the answer, on which fs/witness_wire.h is spoken. No entries.
 *     LANE  a socket beside the answer, on which OPEN and LIST are answered by a process of its own (fs/opener.h). No entries.
 *
 * Events (either way, without an answer):
 *     event     u8 version=1, u8 kind, u16 mount, text code (an err code's name or ""), text message
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/pack.h"
#include "fs/origin.h"
#include "fs/path.h"

enum monitor_operation {
    MONITOR_OPEN = 1,
    MONITOR_LIST,
    MONITOR_WITNESS,
    MONITOR_LANE,
    MONITOR_OPERATION_MAX = MONITOR_LANE
};

struct monitor_request {
    enum monitor_operation operation;
    uint32_t number;
    uint16_t mount;
    uint64_t cookie;
    char path[PATH_SIZE];
};

struct monitor_entry {
    uint64_t inode, cookie;
    uint8_t type;
    char name[256];
};

struct monitor_answer {
    enum monitor_operation operation;
    uint32_t number;
    int sys_errno; /* 0..4095 */
    uint64_t cookie;
    bool more;
    struct origin origin;
    bool elsewhere;
    int content_errno; /* 0..4095 */
    uint16_t count;
    struct bytes entries; /* borrowed from the message; read with monitor_entry_next */
};

enum monitor_event_kind {
    MONITOR_READY = 1, /* worker: every mount answers */
    MONITOR_FAILED,    /* worker: it cannot start; code and message say why */
    MONITOR_UNMOUNTED, /* worker: somebody unmounted `mount` */
    MONITOR_STOP,      /* monitor: answer what waits and say STOPPED */
    MONITOR_STOPPED,   /* worker */
    MONITOR_TOKEN, /* worker: run token_command of broker number `mount`, its output into the descriptor beside this */
    MONITOR_FREEZE, /* monitor: read no more requests, and say so */
    MONITOR_FROZEN, /* worker: nothing is under way that a successor would not get from the kernel */
    MONITOR_THAW,   /* monitor: there is no successor, go on */
    MONITOR_RELIEVE, /* monitor: give all to the successor at the descriptor beside this, then end (fs/handover.h) */
    MONITOR_RELOAD, /* worker: somebody on the control socket asks; who waits for the answer is the descriptor beside this */
    MONITOR_UPGRADE, /* worker: the same; message "discard": the successor shall take nothing over */
    MONITOR_EVENT_MAX = MONITOR_UPGRADE
};

struct monitor_event {
    enum monitor_event_kind kind;
    uint16_t mount; /* where the kind speaks of one, else 0 */
    enum err_code code;
    char message[ERR_MESSAGE_SIZE];
};

/* The most entries' bytes that a LIST answer carries. */
#define MONITOR_ENTRIES_MAX 32768u

bool monitor_request_encode(const struct monitor_request *request, struct buf *out, struct err *err)
    MUST_CHECK;
bool monitor_request_decode(
    struct bytes message, struct monitor_request *ret_request, struct err *err) MUST_CHECK;
bool monitor_answer_encode(const struct monitor_answer *answer, struct buf *out, struct err *err)
    MUST_CHECK;
/* Also walks the entries once, so that monitor_entry_next cannot fail afterwards. */
bool monitor_answer_decode(struct bytes message, struct monitor_answer *ret_answer, struct err *err)
    MUST_CHECK;
bool monitor_entry_encode(const struct monitor_entry *entry, struct buf *out, struct err *err)
    MUST_CHECK;
/* Takes the first entry off `entries`; false at the end. */
bool monitor_entry_next(struct bytes *entries, struct monitor_entry *ret_entry);
bool monitor_event_encode(const struct monitor_event *event, struct buf *out, struct err *err)
    MUST_CHECK;
bool monitor_event_decode(struct bytes message, struct monitor_event *ret_event, struct err *err)
    MUST_CHECK;
