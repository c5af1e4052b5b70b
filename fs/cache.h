/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of secrets, by path in normal form and sealed string together: when the string under a path changes, nothing of the old
 * one is used. An entry goes through these states, by the settings of its file:
 *
 *     fresh      for `fresh` after the key broker said so          served, nobody is asked                    CACHE_HIT
 *     aged       then, for `usable` after it said so               the broker is asked first; served only     CACHE_AGED
 *     stale      aged, and a moment ago the broker gave no answer  when that cannot answer; served, and said  CACHE_STALE
 *     past       then: the plaintext is wiped; what stays is that it was served once                          CACHE_MISS
 *     refused    for error_ttl after a refusal, so that a loop of opens is no storm at the broker             CACHE_REFUSED
 *
 * The plaintext that was used longest ago goes when the memory would pass the limit. Any thread.
 */
#pragma once

#include "fs/lease.h"
#include "fs/settings.h"

struct cache;

struct cache_conf {
    int64_t error_ttl_ms; /* 0: keep no refusal */
    size_t memory;        /* locked memory of plaintexts, in bytes: each takes whole pages */
    /* Called when an alarm for cache_sweep shall go off in so many milliseconds, if none does before. May be NULL. */
    void (*alarm)(void *arg, int64_t delay_ms);
    void *arg;
};

enum cache_result { CACHE_MISS, CACHE_HIT, CACHE_STALE, CACHE_AGED, CACHE_REFUSED };
/* What a new plaintext is to the path: nothing was known of it, the same as before, or another. */
enum cache_news { CACHE_FIRST, CACHE_SAME, CACHE_CHANGED };

/* For extended attributes and explanations. */
struct cache_state {
    enum cache_result result;
    char version[LEASE_VERSION_SIZE]; /* "": none is known */
    int64_t left_ms;    /* until its plaintext is wiped for its age, HIT, STALE and AGED */
    enum err_code code; /* REFUSED */
};

bool cache_new(const struct cache_conf *conf, struct cache **ret_cache, struct err *err) MUST_CHECK;
void cache_free(struct cache *cache);
DEFINE_AUTO(struct cache, cache_free);

/* HIT, STALE, AGED: *ret_lease is a reference; REFUSED: *ret_refusal. */
enum cache_result cache_find(struct cache *cache, const char *path, const struct blob *blob,
    struct lease **ret_lease, struct err *ret_refusal);
void cache_state(
    struct cache *cache, const char *path, const struct blob *blob, struct cache_state *ret_state);
/* Length of a plaintext that is there; -1: none. */
int64_t cache_length(struct cache *cache, const char *path, const struct blob *blob);
/* Is the plaintext of this version kept? */
bool cache_keeps(struct cache *cache, const char *path, const char *version);
/* Was it served, so long ago that it must not be any more? */
bool cache_expired(struct cache *cache, const char *path, const struct blob *blob);
/* An aged plaintext counts as stale for so long; a reference to it, NULL when there is none. */
struct lease *cache_excuse(
    struct cache *cache, const char *path, const struct blob *blob, int64_t for_ms);

/* The two ends of a question to the key broker, loop thread. Both keep nothing, silently, when memory is out or the conf says so. */
/* The lease to be handed out, with a reference: the one that is there if its plaintext is the same. */
struct lease *cache_put(struct cache *cache, const char *path, struct blob *blob,
    struct lease *lease, const struct conf_settings *settings, enum cache_news *ret_news);
/* A reference to what may be served all the same, because the broker gave no answer; *ret_first: this is the first time for it, or that it is withdrawn. Else NULL, and
 * *err becomes what is told: ERR_REVOKED for what was served before and is denied now, ERR_STALE for what is past its limit. */
struct lease *cache_refused(
    struct cache *cache, const char *path, struct blob *blob, struct err *err, bool *ret_first);

/* With each plaintext that may be served, under the lock: `fn` must not call the cache. How long it is fresh, and how long it is
 * kept at all, both counted from lease->taken_ms. */
typedef void cache_each_fn(
    void *arg, struct lease *lease, const struct blob *blob, int64_t fresh_ms, int64_t limit_ms);
void cache_each(struct cache *cache, cache_each_fn *fn, void *arg);

/* What is remembered of a path under which something was served, with or without its plaintext. */
struct cache_past {
    const char *path;
    const char *version;
    uint64_t text_hash; /* of the sealed string */
    bool withdrawn;
    bool has_limit;  /* it was kept at all */
    int64_t left_ms; /* of the limit that it had; 0: that has passed */
};
/* As cache_each. */
typedef void cache_each_past_fn(void *arg, const struct cache_past *past);
void cache_each_past(struct cache *cache, cache_each_past_fn *fn, void *arg);
/* For a successor. Does nothing where something is known already. */
void cache_put_past(struct cache *cache, const struct cache_past *past);

/* Wipes what is past its time. Milliseconds until the next one is, -1 when nothing is kept. */
int64_t cache_sweep(struct cache *cache);
/* Wipes what was used longest ago, until half of the memory is free: for when there is no more of it to lock. False: nothing was kept. */
bool cache_shrink(struct cache *cache);
/* Drops everything but the memory of what was served; how many plaintexts that were. */
size_t cache_flush(struct cache *cache);
/* Bytes of plaintext. */
void cache_stats(struct cache *cache, size_t *ret_secrets, size_t *ret_bytes);
