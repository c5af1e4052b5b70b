/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plaintexts and refusals that are still good, by path in normal form and sealed string together: when the string under a path changes,
 * nothing of the old one is used. A plaintext is kept for the time to live, a refusal briefly, so that a loop of opens is no storm at
 * the KBS. What was used longest ago goes when the memory would pass the limit. Any thread.
 */
#pragma once

#include "crypt/base/secret.h"
#include "fs/source.h"

struct cache;

struct cache_conf {
    int64_t ttl_ms;       /* 0: keep no plaintext */
    int64_t error_ttl_ms; /* 0: keep no refusal */
    size_t memory;        /* locked memory of plaintexts, in bytes: each takes whole pages */
    /* Called when something is kept after nothing was, with its time to live: to set an alarm for cache_sweep. May be NULL. */
    void (*filled)(void *arg, int64_t ttl_ms);
    void *arg;
};

enum cache_result { CACHE_MISS, CACHE_HIT, CACHE_REFUSED };

bool cache_new(const struct cache_conf *conf, struct cache **ret_cache, struct err *err) MUST_CHECK;
void cache_free(struct cache *cache);
DEFINE_AUTO(struct cache, cache_free);

/* HIT: *ret_secret is a reference; REFUSED: *ret_refusal. */
enum cache_result cache_find(struct cache *cache, const char *path, const struct blob *blob,
    struct secret **ret_secret, struct err *ret_refusal);
/* Length of a plaintext that is there and good; -1: none. */
int64_t cache_length(struct cache *cache, const char *path, const struct blob *blob);
/* Loop thread. Both keep nothing, silently, when memory is out or the conf says so. */
void cache_put(struct cache *cache, const char *path, struct blob *blob, struct secret *secret);
void cache_put_refusal(
    struct cache *cache, const char *path, struct blob *blob, const struct err *refusal);
/* Wipes what is past its time. Milliseconds until the next one is, -1 when nothing is kept. */
int64_t cache_sweep(struct cache *cache);
/* Wipes what was used longest ago, until half of the memory is free: for when there is no more of it to lock. False: nothing was kept. */
bool cache_shrink(struct cache *cache);
/* Drops everything; how many plaintexts that were. */
size_t cache_flush(struct cache *cache);
/* Bytes of plaintext. */
void cache_stats(struct cache *cache, size_t *ret_secrets, size_t *ret_bytes);
