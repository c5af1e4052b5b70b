/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The KBS's memory: bytes under a key, in a few spaces. One interface, implementations behind it
 * (store_dir.c: a directory tree; store_pg.c: PostgreSQL). A key is one or more segments joined by '/', each
 * [A-Za-z0-9_-][A-Za-z0-9_.-]* of at most 255 bytes; anything else is ERR_FORMAT. A put is durable
 * when it returns and is seen whole or not at all. Thread-safe, and safe between processes: any number of them may use one store.
 *
 * Resources are secrets: they are taken and given as struct secret only, and each put of one makes a version, numbered from 1 on, of
 * which the newest `versions` are kept (store_limits()). With a key-encryption key (store_use_keys()) they are encrypted at rest
 * (store_keys.h has the format). The other spaces hold public bytes: text that administrators wrote or read, public keys, answers bound
 * to a guest's own key. They are not encrypted, so that a person can look at them when things are broken, and because whoever may write
 * to the store could take a record away or put an older one back even if they were.
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
    STORE_BOOT,        /* "boot": events of each agent's last good boot */
    STORE_COLLATERAL,  /* "collateral": what vendors publish (collateral_cache.h) */
    STORE_META,        /* "meta": of the store itself, as check records of key-encryption keys */
    STORE_SPACE_COUNT
};
/* The name of a space, as it is on disk and in errors. */
const char *store_space_name(enum store_space space);

#define STORE_KEY_MAX          767
#define STORE_VALUE_MAX        (1024u * 1024)
#define STORE_VERSIONS_MAX     1000
#define STORE_VERSIONS_DEFAULT 10

struct store;
struct store_keys;

/* ERR_NOTFOUND when there is none; appends to `out`. */
bool store_get(struct store *store, enum store_space space, const char *key, struct buf *out,
    struct err *err) MUST_CHECK;
bool store_put(struct store *store, enum store_space space, const char *key, struct bytes value,
    struct err *err) MUST_CHECK;
/* Puts only if the key is new, atomically against every other process on this store; *ret_created
 * says whether it was. */
bool store_create(struct store *store, enum store_space space, const char *key, struct bytes value,
    bool *ret_created, struct err *err) MUST_CHECK;
/* ERR_NOTFOUND when there was none. A resource goes with all its versions. */
bool store_delete(struct store *store, enum store_space space, const char *key, struct err *err)
    MUST_CHECK;
/* All keys of a space, sorted: a JSON array of texts. */
bool store_list(struct store *store, enum store_space space, json_t **ret_keys, struct err *err)
    MUST_CHECK;
/* Deletes what was last put before `before` (unix seconds); *ret_count (may be NULL) says how many. Not for resources.
 */
bool store_prune(struct store *store, enum store_space space, int64_t before, size_t *ret_count,
    struct err *err) MUST_CHECK;
void store_free(struct store *store);
DEFINE_AUTO(struct store, store_free);
bool store_key_ok(const char *key);

/* -- resources --------------------------------------------------------------------------------- */

struct store_version {
    int64_t version; /* from 1 on */
    int64_t created; /* unix seconds */
    int64_t
        not_after; /* from this second on it must not be released any more (the caller decides); 0: no end */
};

/* Newest first; the first is the current one. */
struct store_versions {
    struct store_version *items;
    size_t count;
};
void store_versions_done(struct store_versions *versions);
#define auto_store_versions AUTO_DONE(store_versions_done) struct store_versions

/* `version` 0: the current one. *ret_version (may be NULL) says which it is. ERR_NOTFOUND: no such resource or version. ERR_CONFIG: it is
 * encrypted under a key that is not here, or not encrypted where that is required. ERR_IO: altered, or moved here from another name. */
bool store_read(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct secret **ret_value, struct err *err) MUST_CHECK;
/* Makes a new version the current one; *ret_version (may be NULL) is its number. `not_after`: 0, or unix seconds. */
bool store_write(struct store *store, const char *key, const struct secret *value,
    int64_t not_after, int64_t *ret_version, struct err *err) MUST_CHECK;
/* ERR_NOTFOUND: no such resource. Nothing is decrypted. */
bool store_list_versions(struct store *store, const char *key, struct store_versions *ret_versions,
    struct err *err) MUST_CHECK;
/* An old version; the current one is refused (ERR_FORMAT): that would silently bring an older one back. */
bool store_delete_version(struct store *store, const char *key, int64_t version, struct err *err)
    MUST_CHECK;
/* The same for those who know no versions; `space` is STORE_RESOURCE. */
bool store_get_secret(struct store *store, enum store_space space, const char *key,
    struct secret **ret_value, struct err *err) MUST_CHECK;
bool store_put_secret(struct store *store, enum store_space space, const char *key,
    const struct secret *value, struct err *err) MUST_CHECK;

/* How many versions of a resource are kept, 1..STORE_VERSIONS_MAX, the current one included. */
void store_limits(struct store *store, int64_t versions);
/* From now on resources are encrypted under the first of `keys` (borrowed: as long as the store lives), and read under any.
 * `plain_ok`: what is stored in plaintext is still read. Checks them against the check records of the store and makes that of the first
 * key: ERR_CONFIG when the store has values under a key that is not among them. `keys` NULL: only checks that the store has none. */
bool store_use_keys(
    struct store *store, const struct store_keys *keys, bool plain_ok, struct err *err) MUST_CHECK;

/* Encrypts every version of every resource anew under the first key: those under another and those in plaintext. May be stopped at
 * any moment and run again; others may read and write meanwhile. When nothing was left to do, the check records of the other keys go. */
struct store_rewrapped {
    size_t resources, versions; /* seen, and of them changed */
};
bool store_rewrap(struct store *store, struct store_rewrapped *ret_done, struct err *err)
    MUST_CHECK;
/* Copies every space of `from`, whose keys it opens, into `to`, under the keys of `to`. What `to` has already under the same
 * name and version stays (so it may be run again); nonces and the store's own records are not copied. */
bool store_copy(struct store *from, struct store *to, size_t *ret_count, struct err *err)
    MUST_CHECK;

/*
 * A directory, in Trustee's layout: DIR/<space>/<segment>/…/<last segment>, files 0600, directories 0700, made when
 * absent. Writes go to a temporary file, fsync, rename, fsync of the directory; every path is
 * resolved beneath DIR/<space> (openat2, RESOLVE_BENEATH). Read as well: Trustee's flat
 * `default\x2Fkey\x2F1`, and symbolic links that stay beneath (a mounted Secret's `..data`).
 * Where versions and what is known of them lie: store_history.h.
 */
bool store_dir_open(const char *path, struct store **ret_store, struct err *err) MUST_CHECK;

/* -- for implementations ------------------------------------------------------------------------ */

/* A value as it is kept: encrypted bytes, or a plaintext. Exactly one of them. */
struct store_blob {
    struct buf sealed; /* store_keys.h */
    struct secret *plain;
};
void store_blob_done(struct store_blob *blob);
#define auto_store_blob AUTO_DONE(store_blob_done) struct store_blob
bool store_blob_is_sealed(const struct store_blob *blob);

/* Keys and sizes are checked, spaces are not STORE_RESOURCE but where said. */
struct store_ops {
    bool (*get)(struct store *store, enum store_space space, const char *key, struct buf *out,
        struct err *err);
    bool (*put)(struct store *store, enum store_space space, const char *key, struct bytes value,
        bool only_new, bool *ret_created, struct err *err);
    /* STORE_RESOURCE too, for these two. */
    bool (*remove)(struct store *store, enum store_space space, const char *key, struct err *err);
    bool (*list)(struct store *store, enum store_space space, json_t **ret_keys, struct err *err);
    bool (*prune)(struct store *store, enum store_space space, int64_t before, size_t *ret_count,
        struct err *err);

    bool (*version_get)(struct store *store, const char *key, int64_t version,
        struct store_version *ret_version, struct store_blob *ret_blob, struct err *err);
    bool (*version_list)(
        struct store *store, const char *key, struct store_versions *ret_versions, struct err *err);
    /* One more than the newest; 1 when there is none. */
    bool (*version_next)(struct store *store, const char *key, int64_t *ret_next, struct err *err);
    /* Atomic against all others: *ret_taken false when there is this version already, or a newer one. Drops versions beyond the limit. */
    bool (*version_put)(struct store *store, const char *key, const struct store_version *at,
        const struct store_blob *blob, bool *ret_taken, struct err *err);
    bool (*version_remove)(struct store *store, const char *key, int64_t version, struct err *err);
    /* Another form of the same value: `before` is what is replaced, if it is still there (else nothing is done). */
    bool (*version_swap)(struct store *store, const char *key, const struct store_version *at,
        const struct store_blob *before, const struct store_blob *after, struct err *err);
    /* Makes good what a writer that was killed left of a resource. May be NULL. */
    bool (*settle)(struct store *store, const char *key, struct err *err);
    void (*free)(struct store *store);
};
struct store {
    const struct store_ops *ops;
    const struct store_keys *keys; /* NULL: plaintext */
    bool plain_refused;
    bool must_seal; /* this store takes no plaintext */
    int64_t versions;
};
