/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cache.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>

#include "crypt/base/loop.h"

#define BUCKETS     1024u
#define ENTRIES_MAX 65536u

struct entry {
    TAILQ_ENTRY(entry)
    link; /* in cache->holding with a lease or a refusal, else in cache->past; by last use, oldest first */
    struct entry *next; /* in its bucket */
    char *path;
    struct blob *blob;  /* NULL in cache->past */
    uint64_t blob_hash; /* is what is left of it there */
    struct lease *lease;
    struct err *refusal;
    int64_t until_ms; /* of the lease or the refusal: then it goes */
    int64_t fresh_until_ms, stale_until_ms;
    bool served, withdrawn;  /* withdrawn: what was served is refused since */
    int64_t served_until_ms; /* the limit that what was served had */
    char version[LEASE_VERSION_SIZE];
};

TAILQ_HEAD(entry_list, entry);

struct cache {
    struct cache_conf conf;
    pthread_mutex_t lock;
    struct entry_list holding, past;
    struct entry *buckets[BUCKETS];
    size_t count, secrets, bytes;
    size_t cost; /* locked memory */
};

/* -- entries, under the lock --------------------------------------------------------------------- */

static struct entry **bucket_of(struct cache *cache, const char *path)
{
    return &cache->buckets[path_hash(0, path) % BUCKETS];
}

/* FNV-1a. */
static uint64_t hash_of(const struct blob *blob)
{
    struct bytes text = buf_bytes(&blob->text);
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < text.len; i++)
        hash = (hash ^ text.data[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct entry_list *list_of(struct cache *cache, const struct entry *entry)
{
    return entry->lease || entry->refusal ? &cache->holding : &cache->past;
}

/* The plaintext or the refusal goes, and with it the string. The caller puts the entry into a list again. */
static void entry_empty(struct cache *cache, struct entry *entry)
{
    TAILQ_REMOVE(list_of(cache, entry), entry, link);
    if (entry->lease) {
        cache->secrets--;
        cache->bytes -= entry->lease->len;
        cache->cost -= entry->lease->cost;
    }
    if (entry->blob)
        entry->blob_hash = hash_of(entry->blob);
    blob_unref(take_ptr(entry->blob));
    lease_unref(take_ptr(entry->lease));
    free(take_ptr(entry->refusal));
    entry->stale_until_ms = 0;
}

static void entry_forget(struct cache *cache, struct entry *entry)
{
    struct entry **at = bucket_of(cache, entry->path);
    entry_empty(cache, entry);
    while (*at != entry)
        at = &(*at)->next;
    *at = entry->next;
    cache->count--;
    free(entry->path);
    free(entry);
}

/* What is past its time: that it was served is remembered, a refusal is not. */
static void entry_end(struct cache *cache, struct entry *entry)
{
    if (!entry->served) {
        entry_forget(cache, entry);
        return;
    }
    entry_empty(cache, entry);
    TAILQ_INSERT_TAIL(&cache->past, entry, link);
}

static struct entry *find_path(struct cache *cache, const char *path)
{
    for (struct entry *entry = *bucket_of(cache, path); entry; entry = entry->next)
        if (strcmp(entry->path, path) == 0)
            return entry;
    return NULL;
}

static bool is_of(const struct entry *entry, const struct blob *blob)
{
    return entry->blob ? blob_equal(entry->blob, blob) : entry->blob_hash == hash_of(blob);
}

/* The entry, if it is of this string, whatever its state. */
static struct entry *find_known(struct cache *cache, const char *path, const struct blob *blob)
{
    struct entry *entry = find_path(cache, path);
    return entry && is_of(entry, blob) ? entry : NULL;
}

static enum cache_result state_of(const struct entry *entry, int64_t now)
{
    if (!entry || !entry->blob || entry->until_ms <= now)
        return CACHE_MISS;
    if (entry->refusal)
        return CACHE_REFUSED;
    if (lease_is_revoked(entry->lease))
        return CACHE_MISS;
    if (entry->fresh_until_ms > now)
        return CACHE_HIT;
    return entry->stale_until_ms > now ? CACHE_STALE : CACHE_AGED;
}

static bool has_lease(enum cache_result result)
{
    return result == CACHE_HIT || result == CACHE_STALE || result == CACHE_AGED;
}

static void used(struct cache *cache, struct entry *entry)
{
    TAILQ_REMOVE(&cache->holding, entry, link);
    TAILQ_INSERT_TAIL(&cache->holding, entry, link);
}

/* -- finding ------------------------------------------------------------------------------------- */

enum cache_result cache_find(struct cache *cache, const char *path, const struct blob *blob,
    struct lease **ret_lease, struct err *ret_refusal)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_known(cache, path, blob);
    enum cache_result result = state_of(entry, loop_now_ms());
    if (has_lease(result)) {
        *ret_lease = lease_ref(entry->lease);
        used(cache, entry);
    } else if (result == CACHE_REFUSED) {
        *ret_refusal = *entry->refusal;
    }
    pthread_mutex_unlock(&cache->lock);
    return result;
}

void cache_state(
    struct cache *cache, const char *path, const struct blob *blob, struct cache_state *ret_state)
{
    int64_t now = loop_now_ms();
    *ret_state = (struct cache_state){.result = CACHE_MISS};
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = find_known(cache, path, blob);
    ret_state->result = state_of(entry, now);
    if (entry)
        memcpy(ret_state->version, entry->version, sizeof entry->version);
    if (has_lease(ret_state->result))
        ret_state->left_ms = entry->until_ms - now;
    if (ret_state->result == CACHE_REFUSED)
        ret_state->code = entry->refusal->code;
    pthread_mutex_unlock(&cache->lock);
}

int64_t cache_length(struct cache *cache, const char *path, const struct blob *blob)
{
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = find_known(cache, path, blob);
    int64_t length = has_lease(state_of(entry, loop_now_ms())) ? (int64_t)entry->lease->len : -1;
    pthread_mutex_unlock(&cache->lock);
    return length;
}

bool cache_keeps(struct cache *cache, const char *path, const char *version)
{
    pthread_mutex_lock(&cache->lock);
    const struct entry *entry = find_path(cache, path);
    bool keeps = has_lease(state_of(entry, loop_now_ms())) && strcmp(entry->version, version) == 0;
    pthread_mutex_unlock(&cache->lock);
    return keeps;
}

static bool is_expired(const struct entry *entry, int64_t now)
{
    return entry && entry->served && entry->served_until_ms > 0 && entry->served_until_ms <= now;
}

bool cache_expired(struct cache *cache, const char *path, const struct blob *blob)
{
    pthread_mutex_lock(&cache->lock);
    bool expired = is_expired(find_known(cache, path, blob), loop_now_ms());
    pthread_mutex_unlock(&cache->lock);
    return expired;
}

static struct lease *excuse(struct entry *entry, int64_t for_ms)
{
    int64_t now = loop_now_ms();
    if (!has_lease(state_of(entry, now)))
        return NULL;
    entry->stale_until_ms = now + for_ms;
    return lease_ref(entry->lease);
}

struct lease *cache_excuse(
    struct cache *cache, const char *path, const struct blob *blob, int64_t for_ms)
{
    pthread_mutex_lock(&cache->lock);
    struct lease *lease = excuse(find_known(cache, path, blob), for_ms);
    pthread_mutex_unlock(&cache->lock);
    return lease;
}

/* -- keeping ------------------------------------------------------------------------------------- */

/* The path's entry, without content and in no list; NULL: out of memory. */
static struct entry *entry_vacate(struct cache *cache, const char *path)
{
    struct entry *entry = find_path(cache, path);
    if (entry) {
        entry_empty(cache, entry);
        return entry;
    }
    if (cache->count >= ENTRIES_MAX)
        entry_forget(
            cache, TAILQ_FIRST(TAILQ_EMPTY(&cache->past) ? &cache->holding : &cache->past));
    entry = calloc(1, sizeof *entry);
    char *copy = strdup(path);
    if (!entry || !copy) {
        free(entry);
        free(copy);
        return NULL;
    }
    entry->path = copy;
    struct entry **bucket = bucket_of(cache, path);
    entry->next = *bucket;
    *bucket = entry;
    cache->count++;
    return entry;
}

/* True: somebody had to go. */
static bool make_room(struct cache *cache, size_t cost)
{
    size_t before = cache->secrets;
    struct entry *entry = TAILQ_FIRST(&cache->holding);
    while (entry && cache->cost + cost > cache->conf.memory) {
        struct entry *after = TAILQ_NEXT(entry, link);
        if (entry->lease)
            entry_end(cache, entry);
        entry = after;
    }
    return cache->secrets < before;
}

/* Into the list where it belongs now. */
static void enlist(struct cache *cache, struct entry *entry, struct blob *blob)
{
    if (entry->lease || entry->refusal)
        entry->blob = blob_ref(blob);
    else
        entry->blob_hash = hash_of(blob);
    if (entry->lease) {
        cache->secrets++;
        cache->bytes += entry->lease->len;
        cache->cost += entry->lease->cost;
    }
    TAILQ_INSERT_TAIL(list_of(cache, entry), entry, link);
}

static void set_alarm(const struct cache *cache, int64_t delay_ms)
{
    if (cache->conf.alarm)
        cache->conf.alarm(cache->conf.arg, delay_ms);
}

static enum cache_news news_of(const struct entry *entry, const struct lease *lease)
{
    if (!entry || entry->version[0] == '\0')
        return CACHE_FIRST;
    return strcmp(entry->version, lease->version) == 0 ? CACHE_SAME : CACHE_CHANGED;
}

struct lease *cache_put(struct cache *cache, const char *path, struct blob *blob,
    struct lease *lease, const struct conf_settings *settings, enum cache_news *ret_news)
{
    int64_t limit = settings_limit(settings);
    bool crowded = false;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_path(cache, path);
    *ret_news = news_of(entry, lease);
    bool stays = *ret_news == CACHE_SAME && entry->lease && !lease_is_revoked(entry->lease);
    struct lease *kept = lease_ref(stays ? entry->lease : lease);
    if (kept->taken_ms < lease->taken_ms)
        kept->taken_ms = lease->taken_ms;
    entry = entry_vacate(cache, path);
    if (entry) {
        entry->served = true;
        entry->withdrawn = false;
        entry->served_until_ms = limit > 0 ? lease->taken_ms + limit : 0;
        entry->fresh_until_ms = lease->taken_ms + settings->fresh_ms;
        entry->until_ms = lease->taken_ms + limit;
        memcpy(entry->version, lease->version, sizeof entry->version);
        if (limit > 0 && lease->cost <= cache->conf.memory) {
            crowded = make_room(cache, lease->cost);
            entry->lease = lease_ref(kept);
        }
        enlist(cache, entry, blob);
    }
    pthread_mutex_unlock(&cache->lock);
    int64_t left = lease->taken_ms + limit - loop_now_ms();
    if (limit > 0)
        set_alarm(cache, crowded || left < 0 ? 0 : left);
    return kept;
}

/* It could not be asked, or could not answer: that says nothing of the secret. */
static bool is_no_answer(enum err_code code)
{
    return code == ERR_UNREACH || code == ERR_TIMEOUT || code == ERR_ATTEST || code == ERR_BUSY ||
           code == ERR_NOMEM || code == ERR_IO;
}

static void judge(const struct entry *entry, struct err *err)
{
    if (!entry || !entry->served)
        return;
    if (err->code == ERR_DENIED_POLICY || err->code == ERR_NOTFOUND) {
        err->code = ERR_REVOKED;
        err_wrap(err, "it was served before and is withdrawn now");
    } else if ((err->code == ERR_UNREACH || err->code == ERR_TIMEOUT || err->code == ERR_ATTEST) &&
               is_expired(entry, loop_now_ms())) {
        err->code = ERR_STALE;
        err_wrap(err, "what was served before is too old, and nothing newer can be had");
    }
}

static void keep_refusal(
    struct cache *cache, const char *path, struct blob *blob, const struct err *err)
{
    auto_free struct err *copy = malloc(sizeof *copy);
    struct entry *entry = find_path(cache, path);
    if (entry && !is_of(entry, blob)) {
        entry_forget(cache, entry);
        entry = NULL;
    }
    if (cache->conf.error_ttl_ms == 0 || !copy) {
        if (entry)
            entry_end(cache, entry);
        return;
    }
    entry = entry_vacate(cache, path);
    if (!entry)
        return;
    *copy = *err;
    entry->refusal = take_ptr(copy);
    entry->until_ms = loop_now_ms() + cache->conf.error_ttl_ms;
    enlist(cache, entry, blob);
}

struct lease *cache_refused(
    struct cache *cache, const char *path, struct blob *blob, struct err *err, bool *ret_first)
{
    struct lease *lease = NULL;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_known(cache, path, blob);
    if (is_no_answer(err->code) && has_lease(state_of(entry, loop_now_ms()))) {
        *ret_first = entry->stale_until_ms == 0;
        lease = excuse(entry, cache->conf.error_ttl_ms);
    } else {
        judge(entry, err);
        *ret_first = entry && err->code == ERR_REVOKED && !entry->withdrawn;
        if (*ret_first)
            entry->withdrawn = true;
        keep_refusal(cache, path, blob, err);
    }
    pthread_mutex_unlock(&cache->lock);
    if (!lease && cache->conf.error_ttl_ms > 0)
        set_alarm(cache, cache->conf.error_ttl_ms);
    return lease;
}

void cache_each(struct cache *cache, cache_each_fn *fn, void *arg)
{
    const struct entry *entry;
    int64_t now = loop_now_ms();
    pthread_mutex_lock(&cache->lock);
    TAILQ_FOREACH(entry, &cache->holding, link)
    if (has_lease(state_of(entry, now)))
        fn(arg, entry->lease, entry->blob, entry->fresh_until_ms - entry->lease->taken_ms,
            entry->until_ms - entry->lease->taken_ms);
    pthread_mutex_unlock(&cache->lock);
}

static void past_of(const struct entry *entry, int64_t now, struct cache_past *ret_past)
{
    int64_t left = entry->served_until_ms - now;
    *ret_past = (struct cache_past){.path = entry->path,
        .version = entry->version,
        .text_hash = entry->blob ? hash_of(entry->blob) : entry->blob_hash,
        .withdrawn = entry->withdrawn,
        .has_limit = entry->served_until_ms > 0,
        .left_ms = left > 0 ? left : 0};
}

void cache_each_past(struct cache *cache, cache_each_past_fn *fn, void *arg)
{
    const struct entry *entry;
    struct cache_past past;
    int64_t now = loop_now_ms();
    pthread_mutex_lock(&cache->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (entry = cache->buckets[i]; entry; entry = entry->next)
            if (entry->served) {
                past_of(entry, now, &past);
                fn(arg, &past);
            }
    pthread_mutex_unlock(&cache->lock);
}

void cache_put_past(struct cache *cache, const struct cache_past *past)
{
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = find_path(cache, past->path) ? NULL : entry_vacate(cache, past->path);
    if (entry) {
        entry->served = true;
        entry->withdrawn = past->withdrawn;
        entry->served_until_ms = past->has_limit ? loop_now_ms() + past->left_ms : 0;
        entry->blob_hash = past->text_hash;
        snprintf(entry->version, sizeof entry->version, "%s", past->version);
        TAILQ_INSERT_TAIL(&cache->past, entry, link);
    }
    pthread_mutex_unlock(&cache->lock);
}

/* -- letting go ---------------------------------------------------------------------------------- */

int64_t cache_sweep(struct cache *cache)
{
    int64_t now = loop_now_ms(), next = -1;
    pthread_mutex_lock(&cache->lock);
    struct entry *entry = TAILQ_FIRST(&cache->holding);
    while (entry) {
        struct entry *after = TAILQ_NEXT(entry, link);
        if (state_of(entry, now) == CACHE_MISS)
            entry_end(cache, entry);
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
    struct entry *entry = TAILQ_FIRST(&cache->holding);
    while (entry && cache->cost > cost / 2) {
        struct entry *after = TAILQ_NEXT(entry, link);
        if (entry->lease)
            entry_end(cache, entry);
        entry = after;
    }
    pthread_mutex_unlock(&cache->lock);
    return cost > 0;
}

size_t cache_flush(struct cache *cache)
{
    pthread_mutex_lock(&cache->lock);
    size_t dropped = cache->secrets;
    while (!TAILQ_EMPTY(&cache->holding))
        entry_end(cache, TAILQ_FIRST(&cache->holding));
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
    TAILQ_INIT(&cache->holding);
    TAILQ_INIT(&cache->past);
    pthread_mutex_init(&cache->lock, NULL);
    *ret_cache = cache;
    return true;
}

void cache_free(struct cache *cache)
{
    if (!cache)
        return;
    (void)cache_flush(cache);
    while (!TAILQ_EMPTY(&cache->past))
        entry_forget(cache, TAILQ_FIRST(&cache->past));
    pthread_mutex_destroy(&cache->lock);
    free(cache);
}
