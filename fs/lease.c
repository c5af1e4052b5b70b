/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lease.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#define KEY_SIZE 32u

struct lease_inner {
    LIST_ENTRY(lease_inner) link;
    struct leases *leases;
    char *path;
    pthread_mutex_t lock;  /* taken after that of the leases */
    struct secret *secret; /* NULL: revoked */
};

struct leases {
    pthread_mutex_t lock;
    LIST_HEAD(, lease_inner) all;
    struct secret *key; /* of versions */
};

static bool digest(struct bytes key, struct bytes data, uint8_t out[KEY_SIZE], struct err *err)
{
    size_t len;
    return EVP_Q_mac(NULL, "HMAC", NULL, "SHA256", NULL, key.data, key.len, data.data, data.len,
               out, KEY_SIZE, &len) ||
           err_set(err, ERR_INTERNAL, "HMAC-SHA256 of a secret fails");
}

/* The path goes in as well: nobody shall see that two files hold the same. */
static bool version_make(struct leases *leases, const char *path, struct bytes plaintext,
    char ret_version[LEASE_VERSION_SIZE], struct err *err)
{
    uint8_t of_path[KEY_SIZE], of_both[KEY_SIZE];
    bool done = digest(secret_bytes(leases->key), bytes_str(path), of_path, err) &&
                digest(bytes_of(of_path, sizeof of_path), plaintext, of_both, err);
    for (size_t i = 0; done && 2 * i + 2 < LEASE_VERSION_SIZE; i++)
        snprintf(ret_version + 2 * i, 3, "%02x", of_both[i]);
    secret_wipe(of_path, sizeof of_path);
    secret_wipe(of_both, sizeof of_both);
    return done;
}

static void lease_free(struct lease *lease)
{
    if (lease->inner) {
        secret_unref(lease->inner->secret);
        pthread_mutex_destroy(&lease->inner->lock);
        free(lease->inner->path);
        free(lease->inner);
    }
    free(lease->resource);
    free(lease);
}

bool lease_new(struct leases *leases, const char *path, struct secret *plaintext,
    const char *resource, int64_t taken_ms, struct lease **ret_lease, struct err *err)
{
    struct lease *lease = calloc(1, sizeof *lease);
    if (!lease)
        return err_nomem(err);
    atomic_init(&lease->count, 1);
    lease->len = secret_len(plaintext);
    lease->cost = secret_cost(plaintext);
    lease->taken_ms = taken_ms;
    lease->resource = strdup(resource);
    struct lease_inner *inner = lease->inner = calloc(1, sizeof *lease->inner);
    if (inner) {
        pthread_mutex_init(&inner->lock, NULL);
        inner->path = strdup(path);
    }
    if (!inner || !inner->path || !lease->resource) {
        lease_free(lease);
        return err_nomem(err);
    }
    if (!version_make(leases, path, secret_bytes(plaintext), lease->version, err)) {
        lease_free(lease);
        return false;
    }
    inner->leases = leases;
    inner->secret = secret_ref(plaintext);
    pthread_mutex_lock(&leases->lock);
    LIST_INSERT_HEAD(&leases->all, inner, link);
    pthread_mutex_unlock(&leases->lock);
    *ret_lease = lease;
    return true;
}

struct lease *lease_ref(struct lease *lease)
{
    atomic_fetch_add_explicit(&lease->count, 1, memory_order_relaxed);
    return lease;
}

void lease_unref(struct lease *lease)
{
    if (!lease || atomic_fetch_sub_explicit(&lease->count, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_lock(&lease->inner->leases->lock);
    LIST_REMOVE(lease->inner, link);
    pthread_mutex_unlock(&lease->inner->leases->lock);
    lease_free(lease);
}

const char *lease_path(const struct lease *lease)
{
    return lease->inner->path;
}

struct secret *lease_secret(struct lease *lease)
{
    pthread_mutex_lock(&lease->inner->lock);
    struct secret *secret = lease->inner->secret ? secret_ref(lease->inner->secret) : NULL;
    pthread_mutex_unlock(&lease->inner->lock);
    return secret;
}

bool lease_is_revoked(struct lease *lease)
{
    pthread_mutex_lock(&lease->inner->lock);
    bool revoked = !lease->inner->secret;
    pthread_mutex_unlock(&lease->inner->lock);
    return revoked;
}

size_t leases_revoke(struct leases *leases, const char *path)
{
    struct lease_inner *inner;
    size_t count = 0;
    pthread_mutex_lock(&leases->lock);
    LIST_FOREACH(inner, &leases->all, link)
    {
        if (path && strcmp(inner->path, path) != 0)
            continue;
        pthread_mutex_lock(&inner->lock);
        struct secret *secret = take_ptr(inner->secret);
        pthread_mutex_unlock(&inner->lock);
        count += secret != NULL;
        secret_unref(secret);
    }
    pthread_mutex_unlock(&leases->lock);
    return count;
}

struct secret *leases_key(struct leases *leases)
{
    return secret_ref(leases->key);
}

bool leases_take_key(struct leases *leases, struct secret *key, struct err *err)
{
    if (secret_len(key) != KEY_SIZE)
        return err_set(
            err, ERR_FORMAT, "a key of versions has %u bytes, not %zu", KEY_SIZE, secret_len(key));
    if (!LIST_EMPTY(&leases->all))
        return err_set(err, ERR_FORMAT, "a key of versions comes after plaintexts");
    secret_unref(leases->key);
    leases->key = secret_ref(key);
    return true;
}

bool leases_new(struct leases **ret_leases, struct err *err)
{
    AUTO(leases_free) struct leases *leases = calloc(1, sizeof *leases);
    if (!leases)
        return err_nomem(err);
    LIST_INIT(&leases->all);
    pthread_mutex_init(&leases->lock, NULL);
    if (!secret_random(KEY_SIZE, &leases->key, err))
        return false;
    *ret_leases = take_ptr(leases);
    return true;
}

void leases_free(struct leases *leases)
{
    if (!leases)
        return;
    secret_unref(leases->key);
    pthread_mutex_destroy(&leases->lock);
    free(leases);
}
