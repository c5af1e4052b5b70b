/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/invalidator.h"

#include <poll.h>
#include <pthread.h>

#include "fs/thread.h"

#define GATHER_MS  10
#define SIZE_FIRST 64
/* How far back a node is looked for: what is opened in a loop is near the end. */
#define LOOK_BACK 64

struct invalidator {
    invalidate_fn *fn;
    void *arg;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t filled;
    uint64_t *nodes;
    size_t count, size;
};

static bool holds(const struct invalidator *invalidator, uint64_t node)
{
    for (size_t i = 1; i <= invalidator->count && i <= LOOK_BACK; i++)
        if (invalidator->nodes[invalidator->count - i] == node)
            return true;
    return false;
}

/* Out of memory, the pages stay until the node's next release. */
static bool make_room(struct invalidator *invalidator)
{
    if (invalidator->count < invalidator->size)
        return true;
    size_t size = invalidator->size ? 2 * invalidator->size : SIZE_FIRST;
    uint64_t *larger = reallocarray(invalidator->nodes, size, sizeof *larger);
    if (!larger)
        return false;
    invalidator->nodes = larger;
    invalidator->size = size;
    return true;
}

void invalidator_add(struct invalidator *invalidator, uint64_t node)
{
    pthread_mutex_lock(&invalidator->lock);
    if (!holds(invalidator, node) && make_room(invalidator)) {
        invalidator->nodes[invalidator->count++] = node;
        pthread_cond_signal(&invalidator->filled);
    }
    pthread_mutex_unlock(&invalidator->lock);
}

/* What has gathered; the caller's now. */
static uint64_t *take(struct invalidator *invalidator, size_t *ret_count)
{
    pthread_mutex_lock(&invalidator->lock);
    while (invalidator->count == 0)
        pthread_cond_wait(&invalidator->filled, &invalidator->lock);
    pthread_mutex_unlock(&invalidator->lock);
    poll(NULL, 0, GATHER_MS);
    pthread_mutex_lock(&invalidator->lock);
    uint64_t *nodes = invalidator->nodes;
    *ret_count = invalidator->count;
    invalidator->nodes = NULL;
    invalidator->count = invalidator->size = 0;
    pthread_mutex_unlock(&invalidator->lock);
    return nodes;
}

static void *invalidator_main(void *arg)
{
    struct invalidator *invalidator = arg;
    for (;;) {
        size_t count;
        auto_free uint64_t *nodes = take(invalidator, &count);
        for (size_t i = 0; i < count; i++)
            invalidator->fn(invalidator->arg, nodes[i]);
    }
    return NULL;
}

bool invalidator_new(
    invalidate_fn *fn, void *arg, struct invalidator **ret_invalidator, struct err *err)
{
    struct invalidator *invalidator = calloc(1, sizeof *invalidator);
    if (!invalidator)
        return err_nomem(err);
    invalidator->fn = fn;
    invalidator->arg = arg;
    pthread_mutex_init(&invalidator->lock, NULL);
    pthread_cond_init(&invalidator->filled, NULL);
    *ret_invalidator = invalidator;
    return true;
}

bool invalidator_run(struct invalidator *invalidator, struct err *err)
{
    return thread_start(invalidator_main, invalidator, err);
}
