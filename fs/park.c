/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/park_private.h"

#include <errno.h>

#define WAITERS_MAX 32768u

/* -- waiters and flights, under the lock ------------------------------------------------------- */

static struct waiter *find_waiter(struct park *park, uint64_t id)
{
    struct waiter *waiter;
    LIST_FOREACH(waiter, &park->waiters[id % PARK_BUCKETS], by_id)
    if (waiter->id == id)
        return waiter;
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
    TAILQ_REMOVE(&park->queues[waiter->kind], waiter, by_deadline);
    LIST_REMOVE(waiter, by_id);
    leave_flight(waiter);
    park->stats.waiters--;
}

/* The end of a waiter. True: the caller answers it, outside the lock. */
static bool finish(struct park *park, struct waiter *waiter, const struct park_answer *answer)
{
    if (waiter->done)
        return false;
    waiter->answer = *answer;
    if (answer->lease)
        lease_ref(answer->lease);
    waiter->done = true;
    if (!waiter->armed)
        return false; /* park_arm answers, and starts the flight if nobody has */
    unlink_waiter(park, waiter);
    return true;
}

/* -- ending waiters ---------------------------------------------------------------------------- */

static void answer(struct park *park, struct waiter *waiter)
{
    park->conf.reply(park->conf.reply_arg, waiter->ticket, &waiter->answer);
    lease_unref(waiter->answer.lease);
    free(waiter);
}

void park_finish_all(struct park *park, struct flight *flight, const struct park_answer *told)
{
    for (;;) {
        pthread_mutex_lock(&park->lock);
        struct waiter *waiter = LIST_FIRST(&flight->waiters);
        bool mine = waiter && finish(park, waiter, told);
        if (waiter && !mine)
            leave_flight(waiter); /* the flight goes now, the waiter when it is armed */
        pthread_mutex_unlock(&park->lock);
        if (!waiter)
            return;
        if (mine)
            answer(park, waiter);
    }
}

/* -- on the loop's thread ---------------------------------------------------------------------- */

void park_set_alarm(struct park *park)
{
    int64_t now = loop_now_ms(), delay = INT64_MAX;
    pthread_mutex_lock(&park->lock);
    const int64_t waits[QUEUE_KINDS] = {park->conf.timeout_ms, park->conf.patience_ms};
    for (int kind = 0; kind < QUEUE_KINDS; kind++) {
        const struct waiter *first = TAILQ_FIRST(&park->queues[kind]);
        /* A waiter that comes later has no earlier deadline than this. */
        int64_t wait = first ? first->deadline_ms - now : waits[kind];
        if ((first || park->stats.flights > 0) && wait < delay)
            delay = wait;
    }
    pthread_mutex_unlock(&park->lock);
    if (delay < INT64_MAX)
        loop_timer_set(park->timer, delay < 1 ? 1 : delay);
}

/* Under the lock. Whoever is impatient gets what is kept, and so do those who come until the flight lands. What was revoked or has passed its
 * time meanwhile is not there: then the deadline counts. */
static bool lose_patience(struct park *park, struct waiter *waiter, struct park_answer *ret_told)
{
    struct flight *flight = waiter->flight;
    struct lease *lease =
        cache_excuse(park->conf.cache, flight->path, flight->blob, park->conf.timeout_ms);
    flight->overdue = true;
    park->slow_until_ms = loop_now_ms() + PARK_SLOW_MS;
    *ret_told = (struct park_answer){.lease = lease, .stale = true};
    if (lease)
        return true;
    TAILQ_REMOVE(&park->queues[IMPATIENT], waiter, by_deadline);
    waiter->kind = PATIENT;
    waiter->deadline_ms += park->conf.timeout_ms - park->conf.patience_ms;
    /* Its place by deadline: nearly always the end, or close to it. */
    struct waiter *before = TAILQ_LAST(&park->queues[PATIENT], waiter_queue);
    while (before && before->deadline_ms > waiter->deadline_ms)
        before = TAILQ_PREV(before, waiter_queue, by_deadline);
    if (before)
        TAILQ_INSERT_AFTER(&park->queues[PATIENT], before, waiter, by_deadline);
    else
        TAILQ_INSERT_HEAD(&park->queues[PATIENT], waiter, by_deadline);
    return false;
}

static void give_up(struct park *park, const struct waiter *waiter, struct park_answer *ret_told)
{
    const struct flight *flight = waiter->flight;
    bool expired = flight && cache_expired(park->conf.cache, flight->path, flight->blob);
    *ret_told = (struct park_answer){.sys_errno = expired ? EKEYEXPIRED : ETIMEDOUT};
}

/* Under the lock: the next waiter whose time has passed and who is not about to be armed and answered. */
static struct waiter *next_due(struct park *park, enum queue_kind kind)
{
    struct waiter *waiter;
    int64_t now = loop_now_ms();
    TAILQ_FOREACH(waiter, &park->queues[kind], by_deadline)
    {
        if (waiter->deadline_ms > now)
            return NULL;
        if (!waiter->done)
            return waiter;
    }
    return NULL;
}

/* Ends one waiter past its time; false when there is none. */
static bool end_due(struct park *park, enum queue_kind kind)
{
    struct park_answer told;
    bool mine = false;
    pthread_mutex_lock(&park->lock);
    struct waiter *waiter = next_due(park, kind);
    bool ends = waiter && (kind == PATIENT || lose_patience(park, waiter, &told));
    if (ends && kind == PATIENT)
        give_up(park, waiter, &told);
    if (ends) {
        mine = finish(park, waiter, &told);
        lease_unref(told.lease);
    }
    pthread_mutex_unlock(&park->lock);
    if (mine)
        answer(park, waiter);
    return waiter != NULL;
}

static void on_alarm(void *arg)
{
    struct park *park = arg;
    for (int kind = QUEUE_KINDS - 1; kind >= 0; kind--)
        while (end_due(park, (enum queue_kind)kind))
            ;
    park_set_alarm(park);
}

/* -- from request threads ---------------------------------------------------------------------- */

static bool add_waiter(struct park *park, const struct park_wanted *wanted, enum queue_kind kind,
    void *ticket, uint64_t *ret_id, struct err *err)
{
    struct flight *flight = flight_find(park, wanted->path, wanted->blob);
    struct waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter && !flight)
        flight = flight_new(park, wanted);
    if (!waiter || !flight) {
        free(waiter);
        return err_nomem(err);
    }
    *waiter = (struct waiter){.id = ++park->last_id,
        .kind = kind,
        .deadline_ms =
            loop_now_ms() + (kind == PATIENT ? park->conf.timeout_ms : park->conf.patience_ms),
        .flight = flight,
        .ticket = ticket};
    TAILQ_INSERT_TAIL(&park->queues[kind], waiter, by_deadline);
    LIST_INSERT_HEAD(&park->waiters[waiter->id % PARK_BUCKETS], waiter, by_id);
    LIST_INSERT_HEAD(&flight->waiters, waiter, by_flight);
    park->stats.waiters++;
    *ret_id = waiter->id;
    return true;
}

/* An aged plaintext is there; does this open go on with it at once? */
static bool nobody_waits(struct park *park, const struct park_wanted *wanted)
{
    const struct flight *flight = flight_find(park, wanted->path, wanted->blob);
    return park->slow_until_ms > loop_now_ms() || (flight && flight->overdue);
}

/* *ret_alone: a flight to be started outside the lock. */
static bool add_locked(struct park *park, const struct park_wanted *wanted, void *ticket,
    uint64_t *ret_id, enum cache_result *ret_result, struct lease **ret_lease,
    struct err *ret_refusal, struct flight **ret_alone, struct err *err)
{
    auto_lease *lease = NULL;
    if (park->stopped)
        return err_set_at(
            err, ERR_UNREACH, ENOTCONN, __FILE__, __LINE__, "the mount is being stopped");
    *ret_id = 0;
    /* A flight that landed since the caller looked has left its result in the cache. */
    *ret_result = cache_find(park->conf.cache, wanted->path, wanted->blob, &lease, ret_refusal);
    bool aged = *ret_result == CACHE_AGED;
    if (aged && nobody_waits(park, wanted)) {
        *ret_alone = flight_alone(park, wanted);
        *ret_result = CACHE_STALE;
        aged = false;
    }
    if (*ret_result != CACHE_MISS && !aged) {
        *ret_lease = take_ptr(lease);
        return true;
    }
    if (park->stats.waiters >= WAITERS_MAX)
        return err_set_at(
            err, ERR_BUSY, EIO, __FILE__, __LINE__, "%u opens wait already", WAITERS_MAX);
    return add_waiter(park, wanted, aged ? IMPATIENT : PATIENT, ticket, ret_id, err);
}

bool park_add(struct park *park, const struct park_wanted *wanted, void *ticket, uint64_t *ret_id,
    enum cache_result *ret_result, struct lease **ret_lease, struct err *ret_refusal,
    struct err *err)
{
    struct flight *alone = NULL;
    pthread_mutex_lock(&park->lock);
    bool done =
        add_locked(park, wanted, ticket, ret_id, ret_result, ret_lease, ret_refusal, &alone, err);
    pthread_mutex_unlock(&park->lock);
    if (alone)
        (void)flight_launch(park, alone);
    return done;
}

bool park_refresh(struct park *park, const struct park_wanted *wanted)
{
    pthread_mutex_lock(&park->lock);
    bool flies = flight_find(park, wanted->path, wanted->blob) != NULL;
    struct flight *alone = park->stopped || flies ? NULL : flight_alone(park, wanted);
    pthread_mutex_unlock(&park->lock);
    return flies || (alone && flight_launch(park, alone));
}

void park_arm(struct park *park, uint64_t id)
{
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
    if (unstarted)
        (void)flight_launch(park, unstarted);
}

void park_interrupt(struct park *park, uint64_t id)
{
    const struct park_answer told = {.sys_errno = EINTR};
    pthread_mutex_lock(&park->lock);
    struct waiter *waiter = find_waiter(park, id);
    bool mine = waiter && finish(park, waiter, &told);
    pthread_mutex_unlock(&park->lock);
    if (mine)
        answer(park, waiter);
}

/* -- life -------------------------------------------------------------------------------------- */

void park_stop(struct park *park)
{
    pthread_mutex_lock(&park->lock);
    park->stopped = true;
    pthread_mutex_unlock(&park->lock);
    for (;;) {
        pthread_mutex_lock(&park->lock);
        struct flight *flight = flight_first(park);
        pthread_mutex_unlock(&park->lock);
        if (!flight)
            return; /* those not started yet end when the loop comes to them */
        park->conf.resolver->cancel(park->conf.resolver, flight->call);
        flight_drop_errno(flight, ENOTCONN);
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
    for (int kind = 0; kind < QUEUE_KINDS; kind++)
        TAILQ_INIT(&park->queues[kind]);
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
