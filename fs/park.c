/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/park.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS     256u
#define WAITERS_MAX 32768u

struct waiter {
    TAILQ_ENTRY(waiter) by_deadline; /* all have the same time to wait: the order of arrival */
    LIST_ENTRY(waiter) by_flight;
    LIST_ENTRY(waiter) by_id;
    uint64_t id;
    bool armed;
    bool done; /* its end came before it was armed: park_arm answers */
    struct secret *secret;
    int sys_errno;
    int64_t deadline_ms;
    struct flight *flight; /* NULL: landed */
    void *ticket;
};

struct flight {
    LIST_ENTRY(flight) link;
    LIST_HEAD(, waiter) waiters;
    struct park *park;
    char *path;
    struct blob *blob;
    struct resolver_call *call;
    bool started;
    bool again; /* it is resolved for the second time, with memory made free for it */
};

struct park {
    struct park_conf conf;
    struct loop_timer *timer; /* loop thread */
    pthread_mutex_t lock;     /* protects all below */
    TAILQ_HEAD(, waiter) queue;
    LIST_HEAD(, waiter) waiters[BUCKETS];
    LIST_HEAD(, flight) flights[BUCKETS];
    uint64_t last_id;
    bool stopped;
    struct park_stats stats;
};

/* -- waiters and flights, under the lock ------------------------------------------------------- */

static size_t bucket_of(const char *path)
{
    return path_hash(0, path) % BUCKETS;
}

static struct waiter *find_waiter(struct park *park, uint64_t id)
{
    struct waiter *waiter;
    LIST_FOREACH(waiter, &park->waiters[id % BUCKETS], by_id)
    if (waiter->id == id)
        return waiter;
    return NULL;
}

static struct flight *find_flight(struct park *park, const char *path, const struct blob *blob)
{
    struct flight *flight;
    LIST_FOREACH(flight, &park->flights[bucket_of(path)], link)
    if (strcmp(flight->path, path) == 0 && blob_equal(flight->blob, blob))
        return flight;
    return NULL;
}

static void leave_flight(struct waiter *waiter)
{
    if (waiter->flight)
        LIST_REMOVE(waiter, by_flight);
    waiter->flight = NULL;
}

/* Whoever unlinks a waiter answers it; nobody else can find it any more. */
static void unlink_waiter(struct park *park, struct waiter *waiter)
{
    TAILQ_REMOVE(&park->queue, waiter, by_deadline);
    LIST_REMOVE(waiter, by_id);
    leave_flight(waiter);
    park->stats.waiters--;
}

/* The end of a waiter. True: the caller answers it, outside the lock. */
static bool finish(struct park *park, struct waiter *waiter, struct secret *secret, int sys_errno)
{
    if (waiter->done)
        return false;
    waiter->secret = secret ? secret_ref(secret) : NULL;
    waiter->sys_errno = sys_errno;
    waiter->done = true;
    if (!waiter->armed)
        return false; /* park_arm answers, and starts the flight if nobody has */
    unlink_waiter(park, waiter);
    return true;
}

static struct flight *flight_new(struct park *park, const char *path, struct blob *blob)
{
    struct flight *flight = calloc(1, sizeof *flight);
    char *copy = strdup(path);
    if (!flight || !copy) {
        free(flight);
        free(copy);
        return NULL;
    }
    *flight = (struct flight){.park = park, .path = copy, .blob = blob_ref(blob)};
    LIST_INIT(&flight->waiters);
    LIST_INSERT_HEAD(&park->flights[bucket_of(path)], flight, link);
    park->stats.flights++;
    return flight;
}

static void flight_free(struct flight *flight)
{
    blob_unref(flight->blob);
    free(flight->path);
    free(flight);
}

static void unlink_flight(struct flight *flight)
{
    LIST_REMOVE(flight, link);
    flight->park->stats.flights--;
}

/* -- ending waiters ---------------------------------------------------------------------------- */

static void answer(struct park *park, struct waiter *waiter)
{
    park->conf.reply(park->conf.reply_arg, waiter->ticket, waiter->secret, waiter->sys_errno);
    secret_unref(waiter->secret);
    free(waiter);
}

/* Ends the waiters of a flight one by one, so that no answer is given under the lock. */
static void finish_all(
    struct park *park, struct flight *flight, struct secret *secret, int sys_errno)
{
    for (;;) {
        pthread_mutex_lock(&park->lock);
        struct waiter *waiter = LIST_FIRST(&flight->waiters);
        bool mine = waiter && finish(park, waiter, secret, sys_errno);
        if (waiter && !mine)
            leave_flight(waiter); /* the flight goes now, the waiter when it is armed */
        pthread_mutex_unlock(&park->lock);
        if (!waiter)
            return;
        if (mine)
            answer(park, waiter);
    }
}

static void drop_flight(struct flight *flight, struct secret *secret, int sys_errno)
{
    pthread_mutex_lock(&flight->park->lock);
    unlink_flight(flight);
    pthread_mutex_unlock(&flight->park->lock);
    finish_all(flight->park, flight, secret, sys_errno);
    flight_free(flight);
}

/* Loop thread. The cache is filled first, then the flight goes: an open in between finds one or the other. */
static void land(struct flight *flight, struct secret *secret, const struct err *err)
{
    struct park *park = flight->park;
    int sys_errno = secret ? 0 : err_info(err->code)->sys_errno;
    if (secret)
        cache_put(park->conf.cache, flight->path, flight->blob, secret);
    else
        cache_put_refusal(park->conf.cache, flight->path, flight->blob, err);
    pthread_mutex_lock(&park->lock);
    park->stats.resolved += secret != NULL;
    park->stats.refused += secret == NULL;
    pthread_mutex_unlock(&park->lock);
    if (!secret)
        park->conf.refused(park->conf.refused_arg, flight->path, err);
    drop_flight(flight, secret, sys_errno);
}

static void start_flight(void *arg);

/* No memory could be locked: open files hold what the cache may not count, so the cache gives way, once. */
static bool try_again(struct flight *flight, const struct err *err)
{
    struct err ignored = ERR_INIT;
    if (err->code != ERR_NOMEM || flight->again || !cache_shrink(flight->park->conf.cache))
        return false;
    flight->again = true;
    return loop_post(flight->park->conf.loop, start_flight, flight, &ignored);
}

static void on_resolved(void *arg, const struct resolve_result *result, const struct err *cause)
{
    struct flight *flight = arg;
    struct err err = *cause;
    flight->call = NULL;
    if (result && secret_len(result->plaintext) > flight->park->conf.length_max) {
        err_set(&err, ERR_FORMAT, "%s: the secret has %zu bytes; secrets.maximum allows %zu",
            flight->path, secret_len(result->plaintext), flight->park->conf.length_max);
        result = NULL;
    }
    if (result || !try_again(flight, &err))
        land(flight, result ? result->plaintext : NULL, &err);
}

/* -- on the loop's thread ---------------------------------------------------------------------- */

/* Armed while there are flights: only they can have waiters, and a new waiter's deadline is never before the alarm. */
static void set_alarm(struct park *park)
{
    pthread_mutex_lock(&park->lock);
    const struct waiter *first = TAILQ_FIRST(&park->queue);
    int64_t delay = first ? first->deadline_ms - loop_now_ms() : park->conf.timeout_ms;
    if (delay < 1)
        delay = 1;
    bool needed = first || park->stats.flights > 0;
    pthread_mutex_unlock(&park->lock);
    if (needed)
        loop_timer_set(park->timer, delay);
}

/* One waiter past its deadline, ended; NULL when there is none. */
static bool end_due(struct park *park, struct waiter **ret_waiter, bool *ret_mine)
{
    struct waiter *waiter;
    int64_t now = loop_now_ms();
    bool found = false;
    pthread_mutex_lock(&park->lock);
    TAILQ_FOREACH(waiter, &park->queue, by_deadline)
    {
        if (waiter->deadline_ms > now)
            break;
        if (waiter->done)
            continue; /* about to be armed and answered */
        *ret_mine = finish(park, waiter, NULL, ETIMEDOUT);
        *ret_waiter = waiter;
        found = true;
        break;
    }
    pthread_mutex_unlock(&park->lock);
    return found;
}

static void on_alarm(void *arg)
{
    struct park *park = arg;
    struct waiter *waiter;
    bool mine;
    while (end_due(park, &waiter, &mine))
        if (mine)
            answer(park, waiter);
    set_alarm(park);
}

static void start_flight(void *arg)
{
    struct flight *flight = arg;
    struct park *park = flight->park;
    struct err err = ERR_INIT;
    if (park->stopped) {
        drop_flight(flight, NULL, ENOTCONN);
        return;
    }
    if (flight->blob->text.len > BLOB_SIZE_MAX) {
        err_set(&err, ERR_FORMAT, "%s: longer than a sealed string may be (%u bytes)", flight->path,
            BLOB_SIZE_MAX);
        land(flight, NULL, &err);
        return;
    }
    const char *below = flight->path + path_below(park->conf.mountpoint, flight->path);
    struct resolve_request request = {
        .path = below, .blob = buf_bytes(&flight->blob->text), .timeout_ms = park->conf.timeout_ms};
    if (!park->conf.resolver->resolve(
            park->conf.resolver, &request, on_resolved, flight, &flight->call, &err)) {
        land(flight, NULL, &err);
        return;
    }
    set_alarm(park);
}

/* -- from request threads ---------------------------------------------------------------------- */

static bool add_waiter(struct park *park, const char *path, struct blob *blob, void *ticket,
    uint64_t *ret_id, struct err *err)
{
    struct flight *flight = find_flight(park, path, blob);
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter && !flight)
        flight = flight_new(park, path, blob);
    if (!waiter || !flight) {
        free(waiter);
        return err_nomem(err);
    }
    *waiter = (struct waiter){.id = ++park->last_id,
        .deadline_ms = loop_now_ms() + park->conf.timeout_ms,
        .flight = flight,
        .ticket = ticket};
    TAILQ_INSERT_TAIL(&park->queue, waiter, by_deadline);
    LIST_INSERT_HEAD(&park->waiters[waiter->id % BUCKETS], waiter, by_id);
    LIST_INSERT_HEAD(&flight->waiters, waiter, by_flight);
    park->stats.waiters++;
    *ret_id = waiter->id;
    return true;
}

static bool add_locked(struct park *park, const char *path, struct blob *blob, void *ticket,
    uint64_t *ret_id, enum cache_result *ret_result, struct secret **ret_secret,
    struct err *ret_refusal, struct err *err)
{
    if (park->stopped)
        return err_set_at(
            err, ERR_UNREACH, ENOTCONN, __FILE__, __LINE__, "the mount is being stopped");
    if (park->stats.waiters >= WAITERS_MAX)
        return err_set_at(
            err, ERR_BUSY, EIO, __FILE__, __LINE__, "%u opens wait already", WAITERS_MAX);
    *ret_id = 0;
    /* A flight that landed since the caller looked has left its result in the cache. */
    if (!find_flight(park, path, blob)) {
        *ret_result = cache_find(park->conf.cache, path, blob, ret_secret, ret_refusal);
        if (*ret_result != CACHE_MISS)
            return true;
    }
    return add_waiter(park, path, blob, ticket, ret_id, err);
}

bool park_add(struct park *park, const char *path, struct blob *blob, void *ticket,
    uint64_t *ret_id, enum cache_result *ret_result, struct secret **ret_secret,
    struct err *ret_refusal, struct err *err)
{
    pthread_mutex_lock(&park->lock);
    bool done =
        add_locked(park, path, blob, ticket, ret_id, ret_result, ret_secret, ret_refusal, err);
    pthread_mutex_unlock(&park->lock);
    return done;
}

void park_arm(struct park *park, uint64_t id)
{
    struct err err = ERR_INIT;
    struct flight *unstarted = NULL;
    bool mine = false;
    pthread_mutex_lock(&park->lock);
    struct waiter *waiter = find_waiter(park, id);
    if (waiter->flight && !waiter->flight->started) {
        unstarted = waiter->flight;
        unstarted->started = true;
    }
    waiter->armed = true;
    if (waiter->done) {
        unlink_waiter(park, waiter);
        mine = true;
    }
    pthread_mutex_unlock(&park->lock);
    if (mine)
        answer(park, waiter);
    if (unstarted && !loop_post(park->conf.loop, start_flight, unstarted, &err))
        drop_flight(unstarted, NULL, EIO);
}

void park_interrupt(struct park *park, uint64_t id)
{
    pthread_mutex_lock(&park->lock);
    struct waiter *waiter = find_waiter(park, id);
    bool mine = waiter && finish(park, waiter, NULL, EINTR);
    pthread_mutex_unlock(&park->lock);
    if (mine)
        answer(park, waiter);
}

/* -- life -------------------------------------------------------------------------------------- */

static struct flight *first_flight(struct park *park)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        struct flight *flight;
        LIST_FOREACH(flight, &park->flights[i], link)
        if (flight->call)
            return flight;
    }
    return NULL;
}

void park_stop(struct park *park)
{
    pthread_mutex_lock(&park->lock);
    park->stopped = true;
    pthread_mutex_unlock(&park->lock);
    for (;;) {
        pthread_mutex_lock(&park->lock);
        struct flight *flight = first_flight(park);
        pthread_mutex_unlock(&park->lock);
        if (!flight)
            return; /* those not started yet end when the loop comes to them */
        park->conf.resolver->cancel(park->conf.resolver, flight->call);
        drop_flight(flight, NULL, ENOTCONN);
    }
}

void park_stats(struct park *park, struct park_stats *ret_stats)
{
    pthread_mutex_lock(&park->lock);
    *ret_stats = park->stats;
    pthread_mutex_unlock(&park->lock);
}

bool park_new(const struct park_conf *conf, struct park **ret_park, struct err *err)
{
    struct park *park = calloc(1, sizeof *park);
    if (!park)
        return err_nomem(err);
    park->conf = *conf;
    TAILQ_INIT(&park->queue);
    pthread_mutex_init(&park->lock, NULL);
    if (!loop_timer_new(conf->loop, on_alarm, park, &park->timer, err)) {
        free(park);
        return false;
    }
    *ret_park = park;
    return true;
}

void park_free(struct park *park)
{
    if (!park)
        return;
    loop_timer_free(park->timer);
    pthread_mutex_destroy(&park->lock);
    free(park);
}
