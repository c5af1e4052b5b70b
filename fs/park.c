/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/park.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

#define BUCKETS     256u
#define WAITERS_MAX 32768u
/* For so long after the broker gave no answer nobody waits for it who has something to go on with. */
#define SLOW_MS 10000

/* All in one queue have the same time to wait, so that they stand in the order of their deadlines. */
enum queue_kind { PATIENT, IMPATIENT, QUEUE_KINDS };

struct waiter {
    TAILQ_ENTRY(waiter) by_deadline; /* in park->queues[kind] */
    LIST_ENTRY(waiter) by_flight;
    LIST_ENTRY(waiter) by_id;
    uint64_t id;
    bool armed;
    bool done; /* its end came before it was armed: park_arm answers */
    enum queue_kind kind;
    struct park_answer answer; /* with a reference to the lease */
    int64_t deadline_ms;
    struct flight *flight; /* NULL: landed */
    void *ticket;
};

TAILQ_HEAD(waiter_queue, waiter);

struct flight {
    LIST_ENTRY(flight) link;
    LIST_HEAD(, waiter) waiters;
    struct park *park;
    char *path;
    struct blob *blob;
    const struct conf_settings *settings;
    struct resolver_call *call;
    bool started;
    bool overdue; /* somebody lost patience with it */
    bool again;   /* it is resolved for the second time, with memory made free for it */
};

struct park {
    struct park_conf conf;
    struct loop_timer *timer; /* loop thread */
    pthread_mutex_t lock;     /* protects all below */
    struct waiter_queue queues[QUEUE_KINDS];
    LIST_HEAD(, waiter) waiters[BUCKETS];
    LIST_HEAD(, flight) flights[BUCKETS];
    uint64_t last_id;
    bool stopped;
    int64_t slow_until_ms; /* the broker does not answer, or not soon */
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

static struct flight *flight_new(struct park *park, const struct park_wanted *wanted)
{
    struct flight *flight = calloc(1, sizeof *flight);
    char *copy = strdup(wanted->path);
    if (!flight || !copy) {
        free(flight);
        free(copy);
        return NULL;
    }
    *flight = (struct flight){
        .park = park, .path = copy, .blob = blob_ref(wanted->blob), .settings = wanted->settings};
    LIST_INIT(&flight->waiters);
    LIST_INSERT_HEAD(&park->flights[bucket_of(wanted->path)], flight, link);
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
    park->conf.reply(park->conf.reply_arg, waiter->ticket, &waiter->answer);
    lease_unref(waiter->answer.lease);
    free(waiter);
}

/* Ends the waiters of a flight one by one, so that no answer is given under the lock. */
static void finish_all(struct park *park, struct flight *flight, const struct park_answer *told)
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

static void drop_flight(struct flight *flight, const struct park_answer *told)
{
    pthread_mutex_lock(&flight->park->lock);
    unlink_flight(flight);
    pthread_mutex_unlock(&flight->park->lock);
    finish_all(flight->park, flight, told);
    flight_free(flight);
}

static void drop_flight_errno(struct flight *flight, int sys_errno)
{
    const struct park_answer told = {.sys_errno = sys_errno};
    drop_flight(flight, &told);
}

static void count_end(struct park *park, bool resolved, bool slow)
{
    pthread_mutex_lock(&park->lock);
    park->stats.resolved += resolved;
    park->stats.refused += !resolved;
    park->slow_until_ms = slow ? loop_now_ms() + SLOW_MS : 0;
    pthread_mutex_unlock(&park->lock);
}

/* Loop thread, as the next. The cache is filled first, then the flight goes: an open in between finds one or the other. */
static void land_lease(struct flight *flight, struct lease *arrived)
{
    struct park *park = flight->park;
    const struct park_events *events = &park->conf.events;
    enum cache_news news;
    auto_lease *lease =
        cache_put(park->conf.cache, flight->path, flight->blob, arrived, flight->settings, &news);
    const struct park_answer told = {.lease = lease};
    count_end(park, true, false);
    if (events->arrived)
        events->arrived(events->arg, flight->path, lease, news, flight->settings);
    drop_flight(flight, &told);
}

static void land_error(struct flight *flight, const struct err *cause)
{
    struct park *park = flight->park;
    const struct park_events *events = &park->conf.events;
    struct err err = *cause;
    bool first = false;
    auto_lease *lease = cache_refused(park->conf.cache, flight->path, flight->blob, &err, &first);
    const struct park_answer told = {
        lease, lease != NULL, lease ? 0 : err_info(err.code)->sys_errno};
    count_end(park, false, lease != NULL);
    if (!lease && events->refused)
        events->refused(events->arg, flight->path, &err, first);
    if (lease && first && events->stale)
        events->stale(events->arg, flight->path, &err);
    drop_flight(flight, &told);
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

static bool take_lease(const struct flight *flight, const struct resolve_result *result,
    struct lease **ret_lease, struct err *err)
{
    const struct park_conf *conf = &flight->park->conf;
    if (secret_len(result->plaintext) > conf->length_max)
        return err_set(err, ERR_FORMAT, "%s: the secret has %zu bytes; secrets.maximum allows %zu",
            flight->path, secret_len(result->plaintext), conf->length_max);
    return lease_new(conf->leases, flight->path, result->plaintext, result->resource,
        result->taken_ms, ret_lease, err);
}

static void on_resolved(void *arg, const struct resolve_result *result, const struct err *cause)
{
    struct flight *flight = arg;
    struct err err = *cause;
    auto_lease *lease = NULL;
    flight->call = NULL;
    if (result && take_lease(flight, result, &lease, &err))
        land_lease(flight, lease);
    else if (!try_again(flight, &err))
        land_error(flight, &err);
}

/* -- on the loop's thread ---------------------------------------------------------------------- */

/* Armed while there are flights: only they can have waiters. */
static void set_alarm(struct park *park)
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
    park->slow_until_ms = loop_now_ms() + SLOW_MS;
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
    set_alarm(park);
}

/* Of what the blob says: a sealed string, the name of a resource, or a file that is not there. */
static bool start_call(struct flight *flight, struct err *err)
{
    const struct park_conf *conf = &flight->park->conf;
    const struct blob *blob = flight->blob;
    if (blob->missing)
        return err_set(err, ERR_IO, "%s: its sealed_file %s: %s", flight->path,
            buf_text(&blob->text), strerror(blob->missing));
    if (blob->text.len > BLOB_SIZE_MAX)
        return err_set(err, ERR_FORMAT, "%s: longer than a sealed string may be (%u bytes)",
            flight->path, BLOB_SIZE_MAX);
    if (blob->is_name)
        return conf->resolver->fetch(conf->resolver, buf_text(&blob->text), conf->timeout_ms,
            on_resolved, flight, &flight->call, err);
    struct resolve_request request = {
        .path = flight->path + path_below(conf->mountpoint, flight->path),
        .blob = buf_bytes(&blob->text),
        .max_age_ms = flight->settings->fresh_ms,
        .timeout_ms = conf->timeout_ms};
    return conf->resolver->resolve(
        conf->resolver, &request, on_resolved, flight, &flight->call, err);
}

static void start_flight(void *arg)
{
    struct flight *flight = arg;
    struct park *park = flight->park;
    struct err err = ERR_INIT;
    if (park->stopped) {
        drop_flight_errno(flight, ENOTCONN);
        return;
    }
    if (!start_call(flight, &err)) {
        land_error(flight, &err);
        return;
    }
    set_alarm(park);
}

/* -- from request threads ---------------------------------------------------------------------- */

static bool add_waiter(struct park *park, const struct park_wanted *wanted, enum queue_kind kind,
    void *ticket, uint64_t *ret_id, struct err *err)
{
    struct flight *flight = find_flight(park, wanted->path, wanted->blob);
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
    LIST_INSERT_HEAD(&park->waiters[waiter->id % BUCKETS], waiter, by_id);
    LIST_INSERT_HEAD(&flight->waiters, waiter, by_flight);
    park->stats.waiters++;
    *ret_id = waiter->id;
    return true;
}

/* Under the lock: a flight that nobody waits for. NULL: none is needed, or there is no memory. */
static struct flight *fly_alone(struct park *park, const struct park_wanted *wanted)
{
    struct flight *flight =
        find_flight(park, wanted->path, wanted->blob) ? NULL : flight_new(park, wanted);
    if (flight)
        flight->started = true;
    return flight;
}

/* An aged plaintext is there; does this open go on with it at once? */
static bool nobody_waits(struct park *park, const struct park_wanted *wanted)
{
    const struct flight *flight = find_flight(park, wanted->path, wanted->blob);
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
        *ret_alone = fly_alone(park, wanted);
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

static bool launch(struct park *park, struct flight *flight)
{
    struct err err = ERR_INIT;
    if (loop_post(park->conf.loop, start_flight, flight, &err))
        return true;
    drop_flight_errno(flight, EIO);
    return false;
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
        (void)launch(park, alone);
    return done;
}

bool park_refresh(struct park *park, const struct park_wanted *wanted)
{
    pthread_mutex_lock(&park->lock);
    bool flies = find_flight(park, wanted->path, wanted->blob) != NULL;
    struct flight *alone = park->stopped || flies ? NULL : fly_alone(park, wanted);
    pthread_mutex_unlock(&park->lock);
    return flies || (alone && launch(park, alone));
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
        (void)launch(park, unstarted);
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
        drop_flight_errno(flight, ENOTCONN);
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
