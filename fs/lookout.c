/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lookout.h"

#include <pthread.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "crypt/base/loop.h"
#include "fs/thread.h"

struct spot {
    TAILQ_ENTRY(spot) link;
    char *path;
    int64_t due_ms;
    enum err_code last; /* what came of the last question; ERR_OK: the secret, or none was asked */
    unsigned vain;
};

struct lookout {
    lookout_fn *fn;
    void *arg;
    pthread_mutex_t lock; /* protects what follows */
    pthread_cond_t changed;
    TAILQ_HEAD(, spot) spots;
    size_t count;
    bool stopped;
};

static struct spot *find(struct lookout *lookout, const char *path)
{
    struct spot *spot;
    TAILQ_FOREACH(spot, &lookout->spots, link)
    if (strcmp(spot->path, path) == 0)
        return spot;
    return NULL;
}

static void spot_free(struct lookout *lookout, struct spot *spot)
{
    TAILQ_REMOVE(&lookout->spots, spot, link);
    lookout->count--;
    free(spot->path);
    free(spot);
}

static void add_locked(struct lookout *lookout, const char *path, int64_t due_ms)
{
    if (lookout->stopped || lookout->count >= LOOKOUT_PATHS_MAX || find(lookout, path))
        return;
    struct spot *spot = calloc(1, sizeof *spot);
    char *copy = strdup(path);
    if (!spot || !copy) {
        free(spot);
        free(copy);
        return;
    }
    spot->path = copy;
    spot->due_ms = due_ms;
    TAILQ_INSERT_TAIL(&lookout->spots, spot, link);
    lookout->count++;
    pthread_cond_signal(&lookout->changed);
}

void lookout_add(struct lookout *lookout, const char *path, int64_t delay_ms)
{
    int64_t due_ms = loop_now_ms() + delay_ms;
    pthread_mutex_lock(&lookout->lock);
    add_locked(lookout, path, due_ms);
    pthread_mutex_unlock(&lookout->lock);
}

void lookout_stop(struct lookout *lookout)
{
    pthread_mutex_lock(&lookout->lock);
    lookout->stopped = true;
    while (!TAILQ_EMPTY(&lookout->spots))
        spot_free(lookout, TAILQ_FIRST(&lookout->spots));
    pthread_mutex_unlock(&lookout->lock);
}

/* Under the lock. */
static struct spot *first_due(struct lookout *lookout)
{
    struct spot *spot, *first = TAILQ_FIRST(&lookout->spots);
    TAILQ_FOREACH(spot, &lookout->spots, link)
    if (spot->due_ms < first->due_ms)
        first = spot;
    return first;
}

bool lookout_note(struct lookout *lookout, const char *path, enum err_code code)
{
    pthread_mutex_lock(&lookout->lock);
    struct spot *spot = find(lookout, path);
    bool news = !spot || spot->last != code;
    if (spot && code == ERR_OK && spot->vain > 0) {
        spot->due_ms = 0;
        pthread_cond_signal(&lookout->changed);
    }
    if (spot) {
        spot->vain = code == ERR_OK ? 0 : spot->vain + 1;
        spot->last = code;
    }
    pthread_mutex_unlock(&lookout->lock);
    return news;
}

int64_t lookout_delay(int64_t first_ms, int64_t last_ms, unsigned vain)
{
    int64_t delay = first_ms;
    for (unsigned i = 0; i < vain && delay < last_ms; i++)
        delay *= 2;
    return delay < last_ms ? delay : last_ms;
}

/* The path that is due; NULL when none is. malloc'd. */
static char *take_due(
    struct lookout *lookout, int64_t now_ms, int64_t *ret_left_ms, unsigned *ret_vain)
{
    char *path = NULL;
    pthread_mutex_lock(&lookout->lock);
    const struct spot *spot = first_due(lookout);
    *ret_left_ms = spot ? spot->due_ms - now_ms : -1;
    if (spot && spot->due_ms <= now_ms) {
        path = strdup(spot->path);
        *ret_vain = spot->vain;
    }
    pthread_mutex_unlock(&lookout->lock);
    return path;
}

/* After a look. It may have been removed meanwhile; or the answer is there already, and it is due as lookout_note said. */
static void set_due(
    struct lookout *lookout, const char *path, int64_t now_ms, int64_t delay_ms, unsigned vain)
{
    pthread_mutex_lock(&lookout->lock);
    struct spot *spot = find(lookout, path);
    if (spot && delay_ms < 0)
        spot_free(lookout, spot);
    else if (spot && spot->vain >= vain)
        spot->due_ms = now_ms + (delay_ms > 0 ? delay_ms : 1);
    pthread_mutex_unlock(&lookout->lock);
}

int64_t lookout_turn(struct lookout *lookout, int64_t now_ms)
{
    for (;;) {
        int64_t left_ms;
        unsigned vain = 0;
        auto_free char *path = take_due(lookout, now_ms, &left_ms, &vain);
        if (!path)
            return left_ms > 0 || left_ms == -1 ? left_ms : 1;
        set_due(lookout, path, now_ms, lookout->fn(lookout->arg, path, vain), vain);
    }
}

/* Until something is due. What became due since the last turn is seen here, under the lock. */
static void await(struct lookout *lookout)
{
    pthread_mutex_lock(&lookout->lock);
    const struct spot *spot = first_due(lookout);
    int64_t left_ms = spot ? spot->due_ms - loop_now_ms() : 0;
    if (!spot) {
        pthread_cond_wait(&lookout->changed, &lookout->lock);
    } else if (left_ms > 0) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        int64_t nsec = until.tv_nsec + left_ms % 1000 * 1000000;
        until.tv_sec += left_ms / 1000 + nsec / 1000000000;
        until.tv_nsec = nsec % 1000000000;
        pthread_cond_timedwait(&lookout->changed, &lookout->lock, &until);
    }
    pthread_mutex_unlock(&lookout->lock);
}

static void *lookout_main(void *arg)
{
    struct lookout *lookout = arg;
    for (;;) {
        (void)lookout_turn(lookout, loop_now_ms());
        await(lookout);
    }
    return NULL;
}

bool lookout_run(struct lookout *lookout, struct err *err)
{
    return thread_start(lookout_main, lookout, err);
}

bool lookout_new(lookout_fn *fn, void *arg, struct lookout **ret_lookout, struct err *err)
{
    pthread_condattr_t attr;
    struct lookout *lookout = calloc(1, sizeof *lookout);
    if (!lookout)
        return err_nomem(err);
    lookout->fn = fn;
    lookout->arg = arg;
    TAILQ_INIT(&lookout->spots);
    pthread_mutex_init(&lookout->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&lookout->changed, &attr);
    pthread_condattr_destroy(&attr);
    *ret_lookout = lookout;
    return true;
}

void lookout_free(struct lookout *lookout)
{
    if (!lookout)
        return;
    lookout_stop(lookout);
    pthread_cond_destroy(&lookout->changed);
    pthread_mutex_destroy(&lookout->lock);
    free(lookout);
}
