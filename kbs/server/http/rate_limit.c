/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/rate_limit.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>

#include "attest/rate.h"
#include "crypt/hash.h"

#define SEED_SIZE 16
#define KEY_SIZE  8
#define PREFIX_V6 8 /* bytes */
#define TOTAL_S   2 /* the burst of all together: so many seconds of it */
#define PEER_MAX  64
#define NOBODY    0 /* key of a free place */

struct peer {
    uint64_t key;
    struct rate rate;
};

struct rate_limit {
    pthread_mutex_t lock;
    int64_t per_second, burst, total;
    struct rate all;
    uint8_t seed[SEED_SIZE]; /* so that nobody can choose whose place he takes */
    struct peer peers[RATE_LIMIT_SETS][RATE_LIMIT_WAYS];
};

bool rate_limit_new(const struct kbs_conf *conf, struct rate_limit **ret_limit, struct err *err)
{
    AUTO(rate_limit_free) struct rate_limit *limit = calloc(1, sizeof *limit);
    if (!limit)
        return err_nomem(err);
    pthread_mutex_init(&limit->lock, NULL);
    limit->per_second = conf->server.rate;
    limit->burst = conf->server.rate_burst;
    limit->total = conf->server.rate_total;
    rate_init(&limit->all, limit->total, limit->total * TOTAL_S, 0);
    if (!hash_random(limit->seed, sizeof limit->seed, err))
        return false;
    *ret_limit = take_ptr(limit);
    return true;
}

void rate_limit_free(struct rate_limit *limit)
{
    if (!limit)
        return;
    pthread_mutex_destroy(&limit->lock);
    free(limit);
}

/* The bytes that tell peers apart: the address, the prefix, or (what is no address) the text. */
static struct bytes identity(const char *peer, char host[PEER_MAX], uint8_t address[16])
{
    const char *colon = strrchr(peer, ':');
    snprintf(host, PEER_MAX, "%.*s", colon ? (int)(colon - peer) : PEER_MAX - 1, peer);
    if (inet_pton(AF_INET, host, address) == 1)
        return bytes_of(address, 4);
    if (inet_pton(AF_INET6, host, address) == 1) {
        bool mapped = IN6_IS_ADDR_V4MAPPED((const struct in6_addr *)(const void *)address);
        return mapped ? bytes_of(address + 12, 4) : bytes_of(address, PREFIX_V6);
    }
    return bytes_str(host);
}

static bool key_of(const struct rate_limit *limit, const char *peer, uint64_t *ret_key)
{
    char host[PEER_MAX];
    uint8_t address[16];
    struct hash hash;
    struct err ignored = ERR_INIT;
    struct bytes pieces[] = {
        bytes_of(limit->seed, sizeof limit->seed), identity(peer, host, address)};
    if (!hash_pieces(HASH_SHA256, pieces, ARRAY_LEN(pieces), &hash, &ignored))
        return false;
    memcpy(ret_key, hash_view(&hash).data, KEY_SIZE);
    *ret_key |= 1; /* never NOBODY */
    return true;
}

/* Its place, or that of the one that was quiet longest. */
static struct rate *find(struct rate_limit *limit, uint64_t key, int64_t now_ms)
{
    struct peer *set = limit->peers[(key >> 1) % RATE_LIMIT_SETS], *quiet = set;
    for (size_t i = 0; i < RATE_LIMIT_WAYS; i++) {
        if (set[i].key == key)
            return &set[i].rate;
        if (set[i].key == NOBODY ||
            (quiet->key != NOBODY && set[i].rate.last_ms < quiet->rate.last_ms))
            quiet = &set[i];
    }
    quiet->key = key;
    rate_init(&quiet->rate, limit->per_second, limit->burst, now_ms);
    return &quiet->rate;
}

bool rate_limit_take(struct rate_limit *limit, const char *peer, int64_t now_ms, int *ret_retry_s)
{
    uint64_t key = NOBODY;
    if (!limit || (limit->per_second == 0 && limit->total == 0) || !key_of(limit, peer, &key))
        return true;
    pthread_mutex_lock(&limit->lock);
    struct rate *own = limit->per_second > 0 ? find(limit, key, now_ms) : NULL;
    struct rate *all = limit->total > 0 ? &limit->all : NULL;
    bool allowed = (!own || rate_allows(own, now_ms)) && (!all || rate_allows(all, now_ms));
    if (allowed && own)
        rate_take(own);
    if (allowed && all)
        rate_take(all);
    pthread_mutex_unlock(&limit->lock);
    *ret_retry_s = 1; /* a bucket refills at once a second or faster */
    return allowed;
}
