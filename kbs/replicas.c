/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/replicas.h"

#include <string.h>

#define SHARE_MIN_MS 1000

static bool add(struct replicas *replicas, const char *url, bool allow_plain, struct err *err)
{
    struct replica *replica = &replicas->items[replicas->count];
    if (!origin_of(url, allow_plain, replica->url, err))
        return err_wrap(err, "url of the KBS");
    const char *path = strchr(strstr(url, "://") + 3, '/');
    if (path && path[1] != '\0')
        return err_set(err, ERR_CONFIG, "url of the KBS: \"%.200s\" has a path; give only %s", url,
            replica->url);
    for (size_t i = 0; i < replicas->count; i++)
        if (strcmp(replicas->items[i].url, replica->url) == 0)
            return err_set(
                err, ERR_CONFIG, "url of the KBS: %s is given twice; remove one", replica->url);
    replicas->count++;
    return true;
}

bool replicas_init(struct replicas *replicas, const char *const *urls, size_t count,
    bool allow_plain, struct err *err)
{
    *replicas = (struct replicas){0};
    if (count == 0 || count > REPLICAS_MAX)
        return err_set(
            err, ERR_CONFIG, "%zu URLs of the KBS; 1 to %d are taken", count, REPLICAS_MAX);
    for (size_t i = 0; i < count; i++)
        if (!add(replicas, urls[i], allow_plain, err))
            return false;
    return true;
}

/* When it may be asked; 0 for one that does not rest. */
static int64_t rests_until(const struct replica *replica, int64_t now_ms)
{
    bool rests = replica->backoff.last.code != ERR_OK && replica->backoff.until_ms > now_ms;
    return rests ? replica->backoff.until_ms : 0;
}

bool replicas_next(const struct replicas *replicas, replica_set tried, size_t first, int64_t now_ms,
    size_t *ret_index)
{
    size_t found = replicas->count;
    for (size_t step = 0; step < replicas->count; step++) {
        size_t i = (first + step) % replicas->count;
        if (tried & (1u << i))
            continue;
        if (found == replicas->count ||
            rests_until(&replicas->items[i], now_ms) < rests_until(&replicas->items[found], now_ms))
            found = i;
    }
    if (found == replicas->count)
        return false;
    *ret_index = found;
    return true;
}

void replicas_answered(struct replicas *replicas, size_t index)
{
    backoff_clear(&replicas->items[index].backoff);
    replicas->best = index;
}

void replicas_failed(struct replicas *replicas, size_t index, int64_t now_ms, const struct err *err)
{
    struct replica *replica = &replicas->items[index];
    if (rests_until(replica, now_ms) == 0)
        backoff_fail(&replica->backoff, now_ms, err);
}

void replicas_refresh(struct replicas *replicas)
{
    for (size_t i = 0; i < replicas->count; i++)
        backoff_clear(&replicas->items[i].backoff);
}

bool replica_failure(const struct err *err)
{
    return err->code == ERR_UNREACH || err->code == ERR_TIMEOUT;
}

int64_t replicas_share(const struct replicas *replicas, int64_t request_ms)
{
    int64_t share = request_ms / (int64_t)replicas->count;
    if (share < SHARE_MIN_MS)
        share = SHARE_MIN_MS;
    return share < request_ms ? share : request_ms;
}
