/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cache.h"

#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

#include "crypt/base/loop.h"

#define BUCKETS     1024u
#define ENTRIES_MAX 65536u

struct entry {
    TAILQ_ENTRY(entry) link; /* by last use, oldest first */
    struct entry *next;      /* in its bucket */
    char *path;
    struct blob *blob;
    struct secret *secret; /* NULL: a refusal */
    struct err *refusal;
    int64_t until_ms;
};

struct cache {
    struct cache_conf conf;
    pthread_mutex_t lock;
    TAILQ_HEAD(entry_list, entry) entries;
    struct entry *buckets[BUCKETS];
    size_t count, secrets, bytes;
    size_t cost; /* locked memory */
};

static struct entry **bucket_of(struct cache *cache, const char *path)
{
    return &cache->buckets[path_hash(0, path) % BUCKETS];
}

static void entry_free(struct entry *entry)
{
    blob_unref(entry->blob);
    secret_unref(entry->secret);
    free(entry->refusal);
    free(entry->path);
    free(entry);
}

static void entry_remove(struct cache *cache, struct entry *entry)
{
    struct entry **at = bucket_of(cache, entry->path);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    TAILQ_REMOVE(&cache->entries, entry, link);
    cache->count--;
    if (entry->secret) {
        cache->secrets--;
        cache->bytes -= secret_len(entry->secret);
        cache->cost -= secret_cost(entry->secret);
    }
    entry_free(entry);
}

static struct entry *find_path(struct cache *cache, const char *path)
{
    for (struct entry *entry = *bucket_of(cache, path); entry; entry = entry->next)
        if (strcmp(entry->path, path) == 0)
            return entry;
    return NULL;
}

/* The entry, if it is of this string and not past its time. */
static struct entry *find_good(struct cache *cache, const char *path, const struct blob *blob)
{
    struct entry *entry = find_path(cache, path);
    if (!entry || entry->until_ms <= loop_now_ms() || !blob_equal(entry->blob, blob))
        return NULL;
    return entry;
}

enum cache_result cache_find(struct cache *cache, const char *path, const struct blob *blob,
    struct secret **ret_secret, struct err *ret_refusal)
{
    enum cache_result result = CACHE_MISS;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_good(cache, path, blob);
    if (entry && entry->secret) {
        *ret_secret = secret_ref(entry->secret);
        TAILQ_REMOVE(&cache->entries, entry, link);
        TAILQ_INSERT_TAIL(&cache->entries, entry, link);
        result = CACHE_HIT;
    } else if (entry) {
        *ret_refusal = *entry->refusal;
        result = CACHE_REFUSED;
    }
    pthread_mutex_unlock(&cache->lock);
    return result;
}

int64_t cache_length(struct cache *cache, const char *path, const struct blob *blob)
{
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = find_good(cache, path, blob);
    int64_t length = entry && entry->secret ? (int64_t)secret_len(entry->secret) : -1;
    pthread_mutex_unlock(&cache->lock);
    return length;
}

static struct entry *entry_new(const char *path, struct blob *blob, int64_t ttl_ms)
{
    struct entry *entry = calloc(1, sizeof *entry);
    if (!entry)
        return NULL;
    entry->path = strdup(path);
    if (!entry->path) {
        free(entry);
        return NULL;
    }
    entry->blob = blob_ref(blob);
    entry->until_ms = loop_now_ms() + ttl_ms;
    return entry;
}

/* In the place of whatever the path had; makes room first. */
static void insert(struct cache *cache, struct entry *entry)
{
    size_t len = entry->secret ? secret_len(entry->secret) : 0;
    size_t cost = entry->secret ? secret_cost(entry->secret) : 0;
    int64_t ttl_ms = entry->secret ? cache->conf.ttl_ms : cache->conf.error_ttl_ms;
    pthread_mutex_lock(&cache->lock);
    struct entry *old = find_path(cache, entry->path);
    if (old)
        entry_remove(cache, old);
    while (cache->count > 0 &&
           (cache->count >= ENTRIES_MAX || (cost > 0 && cache->cost + cost > cache->conf.memory)))
        entry_remove(cache, TAILQ_FIRST(&cache->entries));
    struct entry **bucket = bucket_of(cache, entry->path);
    entry->next = *bucket;
    *bucket = entry;
    TAILQ_INSERT_TAIL(&cache->entries, entry, link);
    cache->count++;
    cache->secrets += entry->secret != NULL;
    cache->bytes += len;
    cache->cost += cost;
    bool first = cache->count == 1;
    pthread_mutex_unlock(&cache->lock);
    if (first && cache->conf.filled)
        cache->conf.filled(cache->conf.arg, ttl_ms);
}

void cache_put(struct cache *cache, const char *path, struct blob *blob, struct secret *secret)
{
    if (cache->conf.ttl_ms == 0 || secret_cost(secret) > cache->conf.memory)
        return;
    struct entry *entry = entry_new(path, blob, cache->conf.ttl_ms);
    if (!entry)
        return;
    entry->secret = secret_ref(secret);
    insert(cache, entry);
}

void cache_put_refusal(
    struct cache *cache, const char *path, struct blob *blob, const struct err *refusal)
{
    if (cache->conf.error_ttl_ms == 0)
        return;
    struct err *copy = malloc(sizeof *copy);
    struct entry *entry = entry_new(path, blob, cache->conf.error_ttl_ms);
    if (!entry || !copy) {
        if (entry)
            entry_free(entry);
        free(copy);
        return;
    }
    *copy = *refusal;
    entry->refusal = copy;
    insert(cache, entry);
}

int64_t cache_sweep(struct cache *cache)
{
    int64_t now = loop_now_ms(), next = -1;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = TAILQ_FIRST(&cache->entries);
    while (entry) {
        struct entry *after = TAILQ_NEXT(entry, link);
        if (entry->until_ms <= now)
            entry_remove(cache, entry);
        else if (next < 0 || entry->until_ms - now < next)
            next = entry->until_ms - now;
        entry = after;
    }
    pthread_mutex_unlock(&cache->lock);
    return next;
}

bool cache_shrink(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t cost = cache->cost;
    while (cache->cost > cost / 2)
        entry_remove(cache, TAILQ_FIRST(&cache->entries));
    pthread_mutex_unlock(&cache->lock);
    return cost > 0;
}

size_t cache_flush(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t dropped = cache->secrets;
    while (!TAILQ_EMPTY(&cache->entries))
        entry_remove(cache, TAILQ_FIRST(&cache->entries));
    pthread_mutex_unlock(&cache->lock);
    return dropped;
}

void cache_stats(struct cache *cache, size_t *ret_secrets, size_t *ret_bytes)
{
    pthread_mutex_lock(&cache->lock);
    *ret_secrets = cache->secrets;
    *ret_bytes = cache->bytes;
    pthread_mutex_unlock(&cache->lock);
}

bool cache_new(const struct cache_conf *conf, struct cache **ret_cache, struct err *err)
{
    struct cache *cache = calloc(1, sizeof *cache);
    if (!cache)
        return err_nomem(err);
    cache->conf = *conf;
    TAILQ_INIT(&cache->entries);
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return true;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    (void)cache_flush(cache);
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
