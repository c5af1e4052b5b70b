/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encryption of stored values under a key-encryption key (KEK). A sealed record is, numbers big-endian:
 *
 *      0   8  "SKBSREC1"
 *      8   8  id of the KEK: the first bytes of HMAC-SHA-256(KEK, "sealed-kbs kek id 1")
 *     16  40  data key, 32 random bytes of this record, wrapped under the KEK (RFC 3394)
 *     56  12  nonce, random
 *     68   8  version
 *     76   8  created, unix seconds
 *     84   8  not after, unix seconds, or 0
 *     92   n  AES-256-GCM ciphertext under the data key
 *   92+n  16  its tag
 *
 * Additional data of the GCM is "sealed-kbs record 1", a NUL, the name of the space, a NUL, the key, a NUL, and the bytes 68..91. So a
 * record opens only under the name, version and end that it was written for: none can be moved to another name or number, and no end
 * be put off, by whoever may write to the store. What he can do is take records away, so that an older version is the current one, and
 * put back what was stored under the same name and version before a deletion. A new KEK wraps the data key anew and touches nothing else.
 */
#pragma once

#include "kbs/server/store/store.h"

#define STORE_KEK_SIZE     32
#define STORE_KEK_ID       8
#define STORE_KEK_ID_TEXT  (2 * STORE_KEK_ID + 1)
#define STORE_KEYS_MAX     8
#define STORE_RECORD_HEAD  92
#define STORE_RECORD_EXTRA (STORE_RECORD_HEAD + 16)
#define STORE_RECORD_MAX   (STORE_VALUE_MAX + STORE_RECORD_EXTRA)
#define STORE_RECORD_MAGIC "SKBSREC1"

struct store_keys; /* immutable once made, so it may be shared between threads */

void store_keys_free(struct store_keys *keys);
DEFINE_AUTO(struct store_keys, store_keys_free);
/* Starts with none when *keys is NULL. The first added encrypts. ERR_FORMAT: not 32 bytes, ERR_CONFIG: too many, or twice. */
bool store_keys_add(struct store_keys **keys, const struct secret *kek, struct err *err) MUST_CHECK;
/* From a file of 32 bytes (sealed keygen wrapping) or 64 hex digits (openssl rand -hex 32), which only its owner may read; a systemd
 * credential is one. */
bool store_keys_add_file(struct store_keys **keys, const char *path, struct err *err) MUST_CHECK;
size_t store_keys_count(const struct store_keys *keys);
const char *store_keys_id(const struct store_keys *keys, size_t i);

/* What a record says of itself, before it is opened (so: claimed). */
struct store_head {
    char kek[STORE_KEK_ID_TEXT];
    struct store_version at;
};
/* Whether bytes begin as a record does. */
bool store_record_is(struct bytes start);
/* ERR_IO for what is no whole record. */
bool store_record_head(struct bytes record, struct store_head *ret_head, struct err *err)
    MUST_CHECK;

bool store_record_seal(const struct store_keys *keys, enum store_space space, const char *key,
    const struct store_version *at, struct bytes value, struct buf *out, struct err *err)
    MUST_CHECK;
/* ERR_CONFIG: its KEK is not among `keys`; ERR_IO: altered, cut off or from another place. */
bool store_record_open(const struct store_keys *keys, enum store_space space, const char *key,
    struct bytes record, struct secret **ret_value, struct err *err) MUST_CHECK;
/* The same record under the first key. */
bool store_record_rewrap(const struct store_keys *keys, struct bytes record, struct buf *out,
    struct err *err) MUST_CHECK;
