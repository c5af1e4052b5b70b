/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A plaintext as the key broker gave it, with what is known of it. Whoever may hand it out later (the cache, open files) holds the lease,
 * and the secret itself for no longer than one answer: so revoking is one call, after which nobody has the plaintext and it is wiped.
 * Any thread.
 */
#pragma once

#include <stdatomic.h>

#include "crypt/base/secret.h"

#define LEASE_VERSION_SIZE 17

struct leases;

struct lease {
    atomic_uint count;
    struct lease_inner *inner; /* lease.c's own */
    size_t len, cost;         /* of the plaintext, also when it is gone: bytes, and locked memory */
    _Atomic int64_t taken_ms; /* loop_now_ms() when the key broker said so last */
    /* Another text for another plaintext of this path, the same for the same. It tells nothing of the plaintext: a keyed digest under
     * a key that only a worker and its successors by reload or upgrade have. */
    char version[LEASE_VERSION_SIZE];
    char *resource; /* URI it came from */
};

bool leases_new(struct leases **ret_leases, struct err *err) MUST_CHECK;
void leases_free(struct leases *leases); /* when no lease is left */
DEFINE_AUTO(struct leases, leases_free);
/* The key of versions, a reference: for a successor, who takes it before it makes a lease. */
struct secret *leases_key(struct leases *leases);
bool leases_take_key(struct leases *leases, struct secret *key, struct err *err) MUST_CHECK;
/* Wipes the plaintexts of this path in normal form (NULL: all), wherever they are held; how many. */
size_t leases_revoke(struct leases *leases, const char *path);

/* Takes a reference to the plaintext. */
bool lease_new(struct leases *leases, const char *path, struct secret *plaintext,
    const char *resource, int64_t taken_ms, struct lease **ret_lease, struct err *err) MUST_CHECK;
struct lease *lease_ref(struct lease *lease);
void lease_unref(struct lease *lease); /* NULL is fine */
DEFINE_AUTO(struct lease, lease_unref);
#define auto_lease AUTO(lease_unref) struct lease

/* In normal form. Lives as long as the lease. */
const char *lease_path(const struct lease *lease);
/* A reference, for one answer; NULL: it was revoked. */
struct secret *lease_secret(struct lease *lease);
bool lease_is_revoked(struct lease *lease);
