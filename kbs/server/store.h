/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KBS's memory: bytes under a key, in a few spaces. One interface, implementations behind it
 * (store_dir.c: a directory tree). A key is one or more segments joined by '/', each
 * [A-Za-z0-9_-][A-Za-z0-9_.-]* of at most 255 bytes; anything else is ERR_FORMAT. A put is durable
 * when it returns and is seen whole or not at all. Thread-safe.
 *
 * Resources are secrets: STORE_RESOURCE takes and gives only struct secret; the other spaces only
 * public bytes.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/json.h"
#include "crypt/base/secret.h"

enum store_space {
    STORE_RESOURCE,    /* "repository": key r/t/t */
    STORE_POLICY,      /* "kbs": resource-policy and its predecessor */
    STORE_REFERENCE,   /* "reference_value": the messages of protocol.md D.4 */
    STORE_AGENT,       /* "agent": enrolled attestation keys */
    STORE_NONCE,       /* "nonce": used nonces with the answer they got */
    STORE_EXPLANATION, /* "explanation" */
    STORE_SPACE_COUNT
};

#define STORE_KEY_MAX   767
#define STORE_VALUE_MAX (1024u * 1024)

struct store;

/* ERR_NOTFOUND when there is none; appends to `out`. */
bool store_get(struct store *store, enum store_space space, const char *key, struct buf *out,
    struct err *err) MUST_CHECK;
bool store_put(struct store *store, enum store_space space, const char *key, struct bytes value,
    struct err *err) MUST_CHECK;
/* Puts only if the key is new, atomically against every other process on this store; *ret_created
 * says whether it was. */
bool store_create(struct store *store, enum store_space space, const char *key, struct bytes value,
    bool *ret_created, struct err *err) MUST_CHECK;
/* STORE_RESOURCE only. */
bool store_get_secret(struct store *store, enum store_space space, const char *key,
    struct secret **ret_value, struct err *err) MUST_CHECK;
bool store_put_secret(struct store *store, enum store_space space, const char *key,
    const struct secret *value, struct err *err) MUST_CHECK;
/* ERR_NOTFOUND when there was none. */
bool store_delete(struct store *store, enum store_space space, const char *key, struct err *err)
    MUST_CHECK;
/* All keys of a space, sorted: a JSON array of texts. */
bool store_list(struct store *store, enum store_space space, json_t **ret_keys, struct err *err)
    MUST_CHECK;
/* Deletes what was last put before `before` (unix seconds); *ret_count (may be NULL) says how many.
 */
bool store_prune(struct store *store, enum store_space space, int64_t before, size_t *ret_count,
    struct err *err) MUST_CHECK;
void store_free(struct store *store);
DEFINE_AUTO(struct store, store_free);
bool store_key_ok(const char *key);

/*
 * A directory: DIR/<space>/<segment>/…/<last segment>, files 0600, directories 0700, made when
 * absent. Writes go to a temporary file, fsync, rename, fsync of the directory; every path is
 * resolved beneath DIR/<space> (openat2, RESOLVE_BENEATH). Read as well: Trustee's flat
 * `default\x2Fkey\x2F1`, and symbolic links that stay beneath (a mounted Secret's `..data`).
 */
bool store_dir_open(const char *path, struct store **ret_store, struct err *err) MUST_CHECK;

/* For implementations. */
struct store_ops {
    bool (*get)(struct store *store, enum store_space space, const char *key, struct buf *out,
        struct err *err);
    bool (*get_secret)(struct store *store, enum store_space space, const char *key,
        struct secret **ret_value, struct err *err);
    bool (*put)(struct store *store, enum store_space space, const char *key, struct bytes value,
        bool only_new, bool *ret_created, struct err *err);
    bool (*put_secret)(struct store *store, enum store_space space, const char *key,
        const struct secret *value, struct err *err);
    bool (*remove)(struct store *store, enum store_space space, const char *key, struct err *err);
    bool (*list)(struct store *store, enum store_space space, json_t **ret_keys, struct err *err);
    bool (*prune)(struct store *store, enum store_space space, int64_t before, size_t *ret_count,
        struct err *err);
    void (*free)(struct store *store);
};
struct store {
    const struct store_ops *ops;
};
