/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/refusal.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

struct refusals {
    pthread_mutex_t lock;
    struct refusal ring[REFUSAL_COUNT];
    size_t next; /* how many were ever added */
};

bool refusals_new(struct refusals **ret_refusals, struct err *err)
{
    struct refusals *refusals = calloc(1, sizeof *refusals);
    if (!refusals)
        return err_nomem(err);
    pthread_mutex_init(&refusals->lock, NULL);
    *ret_refusals = refusals;
    return true;
}

void refusals_free(struct refusals *refusals)
{
    if (refusals)
        pthread_mutex_destroy(&refusals->lock);
    free(refusals);
}

void refusals_add(struct refusals *refusals, const char *path, const struct err *cause,
    char ret_id[REFUSAL_ID_SIZE])
{
    uint64_t number = 0;
    size_t len = strlen(path);
    if (getrandom(&number, sizeof number, 0) != (ssize_t)sizeof number)
        number = (uint64_t)time(NULL);
    snprintf(ret_id, REFUSAL_ID_SIZE, "%016llx", (unsigned long long)number);
    pthread_mutex_lock(&refusals->lock);
    struct refusal *slot = &refusals->ring[refusals->next++ % REFUSAL_COUNT];
    memcpy(slot->id, ret_id, REFUSAL_ID_SIZE);
    snprintf(slot->path, sizeof slot->path, "%s",
        len < sizeof slot->path ? path : path + len - sizeof slot->path + 1);
    slot->time = time(NULL);
    slot->cause = *cause;
    pthread_mutex_unlock(&refusals->lock);
}

static bool refusal_matches(const struct refusal *refusal, const char *wanted)
{
    size_t wanted_len = strlen(wanted), path_len = strlen(refusal->path);
    if (strcmp(refusal->id, wanted) == 0 || strcmp(refusal->path, wanted) == 0)
        return true;
    return path_len > 0 && wanted_len > path_len && wanted[wanted_len - path_len - 1] == '/' &&
           strcmp(wanted + wanted_len - path_len, refusal->path) == 0;
}

bool refusals_find(struct refusals *refusals, const char *id_or_path, struct refusal *ret_refusal)
{
    bool found = false;
    pthread_mutex_lock(&refusals->lock);
    for (size_t back = 1; back <= refusals->next && back <= REFUSAL_COUNT && !found; back++) {
        const struct refusal *refusal = &refusals->ring[(refusals->next - back) % REFUSAL_COUNT];
        found = refusal_matches(refusal, id_or_path);
        if (found)
            *ret_refusal = *refusal;
    }
    pthread_mutex_unlock(&refusals->lock);
    return found;
}
