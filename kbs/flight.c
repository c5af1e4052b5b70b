/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/flight.h"

#define FAILURES_MAX 256

struct kbs_fetch {
    TAILQ_ENTRY(kbs_fetch) link;
    struct flight *flight;
    struct loop_timer *deadline;
    int64_t timeout_ms;
    kbs_fetch_fn *fn;
    void *arg;
};

void flights_init(struct flights *flights, struct loop *loop, struct loop_timer *pump,
    struct handshake *const *handshake)
{
    *flights = (struct flights){.loop = loop, .pump = pump, .handshake = handshake};
    TAILQ_INIT(&flights->queue);
    TAILQ_INIT(&flights->failures);
}

static size_t bucket_of(const char *uri)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the names come from this machine's own files */
    for (const char *at = uri; *at; at++)
        hash = (hash ^ (uint8_t)*at) * 16777619u;
    return hash & (FLIGHT_BUCKETS - 1);
}

static struct flight *flight_find(struct flights *flights, const char *uri)
{
    struct flight *flight;
    LIST_FOREACH(flight, &flights->buckets[bucket_of(uri)], link)
    if (strcmp(flight->uri, uri) == 0)
        return flight;
    return NULL;
}

static bool flight_new(
    struct flights *flights, const char *uri, struct flight **ret_flight, struct err *err)
{
    auto_free struct flight *flight = calloc(1, sizeof *flight);
    char *copy = flight ? strdup(uri) : NULL;
    if (!copy)
        return err_nomem(err);
    flight->flights = flights;
    flight->uri = copy;
    flight->path = copy + strlen("kbs:///");
    flight->state = FLIGHT_QUEUED;
    TAILQ_INIT(&flight->waiters);
    LIST_INSERT_HEAD(&flights->buckets[bucket_of(uri)], flight, link);
    TAILQ_INSERT_TAIL(&flights->queue, flight, in_line);
    loop_timer_set(flights->pump, 0);
    *ret_flight = take_ptr(flight);
    return true;
}

/* Out of the queue, the request or the memory of failures: wherever it stands. */
static void flight_leave(struct flight *flight)
{
    struct flights *flights = flight->flights;
    if (flight->state == FLIGHT_QUEUED)
        TAILQ_REMOVE(&flights->queue, flight, in_line);
    if (flight->state == FLIGHT_FAILED) {
        TAILQ_REMOVE(&flights->failures, flight, in_line);
        flights->failure_count--;
    }
    if (flight->state == FLIGHT_ASKED) {
        http_cancel(take_ptr(flight->call));
        flights->asked--;
        loop_timer_set(flights->pump, 0);
    }
    if (flight->state == FLIGHT_OPENING) {
        opening_drop(take_ptr(flight->opening));
        flights->opening--;
        loop_timer_set(flights->pump, 0);
    }
    kbs_session_unref(take_ptr(flight->session));
    flight->state = FLIGHT_ENDING;
}

static void fetch_free(struct kbs_fetch *fetch)
{
    TAILQ_REMOVE(&fetch->flight->waiters, fetch, link);
    loop_timer_free(fetch->deadline);
    free(fetch);
}

static void flight_free(struct flight *flight)
{
    flight_leave(flight);
    while (!TAILQ_EMPTY(&flight->waiters))
        fetch_free(TAILQ_FIRST(&flight->waiters));
    LIST_REMOVE(flight, link);
    free(flight->uri);
    free(flight);
}

void flights_done(struct flights *flights)
{
    if (flights->freed)
        *flights->freed = true;
    for (size_t i = 0; i < FLIGHT_BUCKETS; i++)
        while (!LIST_EMPTY(&flights->buckets[i]))
            flight_free(LIST_FIRST(&flights->buckets[i]));
}

void flights_drop_failures(struct flights *flights)
{
    while (!TAILQ_EMPTY(&flights->failures))
        flight_free(TAILQ_FIRST(&flights->failures));
}

bool flight_board(
    struct flights *flights, const struct kbs_uri *uri, struct flight **ret_flight, struct err *err)
{
    char text[KBS_URI_MAX];
    kbs_uri_format(uri, text);
    struct flight *flight = flight_find(flights, text);
    bool resting = flight && (flight->state == FLIGHT_ENDING || flight->state == FLIGHT_FAILED);
    if (resting && !backoff_over(&flight->backoff, loop_now_ms(), err))
        return false;
    if (flight && flight->state == FLIGHT_FAILED)
        flight_queue(flight);
    /* One that is telling its waiters takes no more of them. */
    if (!flight || flight->state == FLIGHT_ENDING)
        return flight_new(flights, text, ret_flight, err);
    *ret_flight = flight;
    return true;
}

void flight_asked(
    struct flight *flight, struct kbs_session *session, size_t replica, struct http_call *call)
{
    flight->replica = replica;
    TAILQ_REMOVE(&flight->flights->queue, flight, in_line);
    flight->state = FLIGHT_ASKED;
    flight->session = kbs_session_ref(session);
    flight->call = call;
    flight->flights->asked++;
}

void flight_answered(struct flight *flight, struct opening *opening)
{
    struct flights *flights = flight->flights;
    flight->state = FLIGHT_OPENING;
    flight->opening = opening;
    flights->asked--;
    flights->opening++;
    loop_timer_set(flights->pump, 0);
}

void flight_queue(struct flight *flight)
{
    flight_leave(flight);
    flight->state = FLIGHT_QUEUED;
    TAILQ_INSERT_TAIL(&flight->flights->queue, flight, in_line);
    loop_timer_set(flight->flights->pump, 0);
}

/* What was learnt of its failures is kept for a while. */
void flight_rest(struct flight *flight)
{
    struct flights *flights = flight->flights;
    flight_leave(flight);
    if (flight->backoff.last.code == ERR_OK) {
        flight_free(flight);
        return;
    }
    flight->state = FLIGHT_FAILED;
    flight->renewed = false;
    flight->tried = 0;
    TAILQ_INSERT_TAIL(&flights->failures, flight, in_line);
    if (++flights->failure_count > FAILURES_MAX)
        flight_free(TAILQ_FIRST(&flights->failures));
}

bool flight_end(
    struct flight *flight, struct secret *plaintext, bool remember, const struct err *err)
{
    struct flights *flights = flight->flights;
    struct kbs_fetch *fetch;
    struct err told = *err;
    bool freed = false;
    if (plaintext)
        backoff_clear(&flight->backoff);
    else if (remember)
        backoff_fail(&flight->backoff, loop_now_ms(), &told);
    flight_leave(flight);
    flights->freed = &freed;
    while ((fetch = TAILQ_FIRST(&flight->waiters))) {
        kbs_fetch_fn *fn = fetch->fn;
        void *arg = fetch->arg;
        fetch_free(fetch);
        fn(arg, plaintext, &told);
        if (freed)
            return false;
    }
    flights->freed = NULL;
    flight_rest(flight);
    return true;
}

/* -- waiters ----------------------------------------------------------------------------------- */

static const char *waits_for(const struct flight *flight)
{
    const struct handshake *handshake = *flight->flights->handshake;
    if (flight->state == FLIGHT_ASKED)
        return "the KBS to send it";
    if (flight->state == FLIGHT_OPENING)
        return "its decryption";
    return handshake ? handshake_step(handshake) : "its turn";
}

static void on_deadline(void *arg)
{
    struct kbs_fetch *fetch = arg;
    struct flight *flight = fetch->flight;
    kbs_fetch_fn *fn = fetch->fn;
    void *fn_arg = fetch->arg;
    struct err err = ERR_INIT;
    err_set(&err, ERR_TIMEOUT, "%s: did not come within %lld ms, waiting for %s", flight->uri,
        (long long)fetch->timeout_ms, waits_for(flight));
    kbs_fetch_cancel(fetch);
    fn(fn_arg, NULL, &err);
}

bool flight_wait(struct flight *flight, int64_t timeout_ms, kbs_fetch_fn *fn, void *arg,
    struct kbs_fetch **ret_fetch, struct err *err)
{
    struct kbs_fetch *fetch = calloc(1, sizeof *fetch);
    if (!fetch)
        return err_nomem(err);
    *fetch = (struct kbs_fetch){.flight = flight, .timeout_ms = timeout_ms, .fn = fn, .arg = arg};
    if (!loop_timer_new(flight->flights->loop, on_deadline, fetch, &fetch->deadline, err)) {
        free(fetch);
        return false;
    }
    loop_timer_set(fetch->deadline, timeout_ms);
    TAILQ_INSERT_TAIL(&flight->waiters, fetch, link);
    *ret_fetch = fetch;
    return true;
}

void kbs_fetch_cancel(struct kbs_fetch *fetch)
{
    if (!fetch)
        return;
    struct flight *flight = fetch->flight;
    fetch_free(fetch);
    if (TAILQ_EMPTY(&flight->waiters) && flight->state != FLIGHT_ENDING)
        flight_rest(flight);
}
