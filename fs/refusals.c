/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/refusals.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

/* How long the same refusal is not told again. */
#define AGAIN_S 1

void refusals_init(struct refusals *refusals)
{
    *refusals = (struct refusals){0};
    /* Ids need not be secret, only different; a failure gives the tag 0. */
    (void)!getrandom(&refusals->tag, sizeof refusals->tag, 0);
}

const struct refusal *refusals_add(
    struct refusals *refusals, const char *path, const struct err *err)
{
    struct refusal *refusal = &refusals->ring[refusals->count % WORKER_REFUSALS_MAX];
    size_t len = strlen(path);
    refusals->count++;
    *refusal = (struct refusal){.when = time(NULL), .err = *err};
    snprintf(refusal->id, sizeof refusal->id, "r-%04x-%llu", refusals->tag,
        (unsigned long long)refusals->count);
    if (len >= sizeof refusal->path)
        path += len - (sizeof refusal->path - 1);
    memcpy(refusal->path, path, strlen(path) + 1);
    return refusal;
}

static size_t held(const struct refusals *refusals)
{
    return refusals->count < WORKER_REFUSALS_MAX ? (size_t)refusals->count : WORKER_REFUSALS_MAX;
}

size_t refusals_copy(const struct refusals *refusals, struct refusal *ret_refusals, size_t max)
{
    size_t count = held(refusals) < max ? held(refusals) : max;
    for (size_t i = 0; i < count; i++)
        ret_refusals[i] = refusals->ring[(refusals->count - count + i) % WORKER_REFUSALS_MAX];
    return count;
}

const struct refusal *refusals_find(
    const struct refusals *refusals, const char *id, const char *path)
{
    for (size_t i = 1; i <= held(refusals); i++) {
        const struct refusal *refusal =
            &refusals->ring[(refusals->count - i) % WORKER_REFUSALS_MAX];
        if (id ? strcmp(refusal->id, id) == 0 : strcmp(refusal->path, path) == 0)
            return refusal;
    }
    return NULL;
}

const struct refusal *refusals_note(
    struct refusals *refusals, const char *path, const struct err *err, bool *ret_again)
{
    const struct refusal *last = refusals_find(refusals, NULL, path);
    *ret_again = last && time(NULL) - last->when <= AGAIN_S && last->err.code == err->code &&
                 strcmp(last->err.message, err->message) == 0;
    return *ret_again ? last : refusals_add(refusals, path, err);
}
