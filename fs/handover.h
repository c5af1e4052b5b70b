/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker that ends on purpose gives to its successor, over a socket pair that the monitor made for the two: the plaintexts that it
 * keeps, with their ages, and what each open file was opened on. So a reload or an upgrade asks no key broker anything, and what is open
 * stays what it was. Binary messages (big-endian, crypt/base/pack.h), plaintext and sealed strings as secret packets (crypt/base/ipc.h):
 *
 *     message   u8 version=1, u8 kind, then
 *     KEY       u32 length, then so many bytes: the key of versions; first, so that a version means the same to both
 *     PAST      block path, text version, u64 hash of the string, u8 1 withdrawn | 2 has a limit, u64 ms left of it: served once
 *     LEASE     block path, text resource, u64 age in ms, u32 length, then so many bytes: a plaintext; numbered 0, 1, 2… in this order
 *     KEPT      u32 number, u8 is a name, u64 fresh in ms, u64 limit in ms (both from the start of its age), u32 length, then so many
 *               bytes: the sealed string (or the name)
 *     OPEN      block mount point, u64 fh, u32 number + 1 (0: not a sealed file); a descriptor of the source file beside it
 *     WELL      secrets could be served (fs/health.h)
 *     CREDENTIAL  a connection beside it, on which a unit waits for its credential (fs/credentials.h); last, so that a program that does not know
 *               this message has had all else
 *     END
 *     HELD      u32 number: the successor's first message, where there was any CREDENTIAL: so many, from the first on, it holds now
 *     TAKEN     the successor's last message. From then on it answers the kernel, and the old worker must not.
 *
 * Trust: the successor believes the old worker as far as that could have gone anyway. Whoever held the old one could have
 * answered every open itself; through this door it can plant a plaintext under a path and a string for no longer than one time to live
 * (of the new configuration), and under files that are open now until they are closed, and guess at plaintexts by their versions. It cannot
 * name a file that the kernel has not open, exchange the file behind a handle (identity is compared), block a thread for long (regular
 * files only, and the monitor ends a successor that does not take over in a minute), or take memory without end. Where
 * that is too much, after a hole has been closed say, `sealed upgrade --discard` takes nothing over.
 */
#pragma once

#include "crypt/base/pack.h"
#include "fs/cache.h"
#include "fs/path.h"

/* For the whole of it; the calls of the mount wait meanwhile. */
#define HANDOVER_MS 20000
/* For the old worker to end, when it has credentials to let go of. */
#define HANDOVER_END_MS 5000
/* Messages that a successor takes; what a worker can have is less. */
#define HANDOVER_ITEMS_MAX     400000u
#define HANDOVER_RESOURCE_SIZE 2048u

enum handover_kind {
    HANDOVER_LEASE = 1,
    HANDOVER_KEPT,
    HANDOVER_OPEN,
    HANDOVER_END,
    HANDOVER_TAKEN,
    HANDOVER_KEY,
    HANDOVER_PAST,
    HANDOVER_CREDENTIAL,
    HANDOVER_HELD,
    HANDOVER_WELL,
    HANDOVER_KIND_MAX = HANDOVER_WELL
};

struct handover_item {
    enum handover_kind kind;
    char path[PATH_FULL_SIZE]; /* LEASE, PAST: the file's; OPEN: the mount point */
    char resource[HANDOVER_RESOURCE_SIZE];
    bool is_name;
    int64_t age_ms, fresh_ms, limit_ms;
    struct { /* as struct cache_past */
        char version[LEASE_VERSION_SIZE];
        uint64_t text_hash;
        bool withdrawn, has_limit;
        int64_t left_ms;
    } past;
    uint64_t fh;
    bool has_number;
    uint32_t number; /* of the lease */
    uint32_t length; /* of what follows */
};

bool handover_encode(const struct handover_item *item, struct buf *out, struct err *err) MUST_CHECK;
bool handover_decode(struct bytes message, struct handover_item *ret_item, struct err *err)
    MUST_CHECK;

/* -- the old worker ------------------------------------------------------------------------------ */

struct handover;

/* `fd` is borrowed. */
bool handover_new(int fd, struct handover **ret_handover, struct err *err) MUST_CHECK;
void handover_free(struct handover *handover);
DEFINE_AUTO(struct handover, handover_free);
/* Before anything else. */
bool handover_give_key(struct handover *handover, struct secret *key, struct err *err) MUST_CHECK;
bool handover_give_past(struct handover *handover, const struct cache_past *past, struct err *err)
    MUST_CHECK;
/* A lease that several hold goes over once; one that is revoked does not. */
bool handover_give_kept(struct handover *handover, struct lease *lease, bool is_name,
    struct bytes text, int64_t fresh_ms, int64_t limit_ms, struct err *err) MUST_CHECK;
/* `lease` NULL: not a sealed file. */
bool handover_give_open(struct handover *handover, const char *mountpoint, uint64_t fh, int file_fd,
    struct lease *lease, struct err *err) MUST_CHECK;
bool handover_give_well(struct handover *handover, struct err *err) MUST_CHECK;
bool handover_give_credential(struct handover *handover, int fd, struct err *err) MUST_CHECK;
/* Says END and waits for TAKEN, also after something could not be given: the successor may have had enough. False: it
 * has not taken over and never will. *ret_held: credentials that it holds, from the first on. */
bool handover_finish(struct handover *handover, size_t *ret_held, struct err *err) MUST_CHECK;

/* -- the successor -------------------------------------------------------------------------------- */

/* What is borrowed lives for the call; a failure of one of these is that of one item and stops nothing. */
struct handover_sink {
    void (*key)(void *arg, struct secret *key);
    void (*past)(void *arg, const struct cache_past *past);
    /* A new lease, or NULL: what names it is left out then. */
    struct lease *(*lease)(void *arg, const char *path, const char *resource, int64_t age_ms,
        struct secret *plaintext);
    void (*kept)(void *arg, struct lease *lease, bool is_name, struct bytes text, int64_t fresh_ms,
        int64_t limit_ms); /* `file_fd` is the sink's from here on: of any kind, unchecked. */
    void (*open)(void *arg, const char *mountpoint, uint64_t fh, int file_fd, struct lease *lease);
    /* True: it is held from here on, by somebody whom the end of this process does not end. `fd` stays the caller's. */
    bool (*credential)(void *arg, int fd);
    void (*well)(void *arg);
    void *arg;
    size_t memory; /* locked memory for plaintexts, in bytes: what is beyond is left out */
};

struct handover_count {
    size_t kept, open;
    size_t held;     /* credentials */
    size_t left_out; /* named a lease that was not taken, for want of memory as a rule */
};

/* Up to END. A failure (the peer breaks the protocol, is too slow, or is gone) leaves what came until then in the sink. */
bool handover_take(int fd, const struct handover_sink *sink, struct handover_count *ret_count,
    struct err *err) MUST_CHECK;
/* Says HELD where there is any, and TAKEN, whatever came before; after HELD it waits until the old worker has ended. */
bool handover_taken(int fd, const struct handover_count *count, struct err *err) MUST_CHECK;
