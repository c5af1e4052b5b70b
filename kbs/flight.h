/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources on their way: one flight a URI, however many wait for it; a queue of those not yet asked for; and a memory of those that
 * failed a moment ago, with their back-off. Used by client.c alone, which decides when a flight may start. Loop thread only.
 */
#pragma once

#include <sys/queue.h>

#include "kbs/backoff.h"
#include "kbs/client.h"
#include "kbs/handshake.h"
#include "kbs/opening.h"
#include "kbs/replicas.h"

#define FLIGHT_BUCKETS 256 /* power of two */

/*
 *   QUEUED -> ASKED -> OPENING -> ENDING -> gone, or FAILED when it is to be remembered
 *     ^---------'                            |
 *     ^--------------------------------------'
 */
enum flight_state { FLIGHT_QUEUED, FLIGHT_ASKED, FLIGHT_OPENING, FLIGHT_ENDING, FLIGHT_FAILED };

struct flights;

struct flight {
    LIST_ENTRY(flight) link;     /* in its bucket */
    TAILQ_ENTRY(flight) in_line; /* in flights->queue (QUEUED) or flights->failures (FAILED) */
    struct flights *flights;
    char *uri;
    const char *path; /* "repository/type/tag", inside uri */
    enum flight_state state;
    bool renewed;                /* a refused token was replaced for it already */
    struct kbs_session *session; /* ASKED, OPENING: what it was asked under */
    size_t replica;              /* ASKED, OPENING: where */
    replica_set tried;           /* where it failed */
    struct http_call *call;      /* ASKED */
    struct opening *opening;     /* OPENING */
    TAILQ_HEAD(, kbs_fetch) waiters;
    struct backoff backoff;
};

struct flights {
    struct loop *loop;
    struct loop_timer *pump;            /* fires when something may start; owned by the client */
    struct handshake *const *handshake; /* the one going on, for the text of a deadline */
    LIST_HEAD(, flight) buckets[FLIGHT_BUCKETS];
    TAILQ_HEAD(, flight) queue;
    TAILQ_HEAD(, flight) failures;
    size_t asked, opening, failure_count;
    bool *freed; /* set by flights_done, for the function that is calling back */
};

void flights_init(struct flights *flights, struct loop *loop, struct loop_timer *pump,
    struct handshake *const *handshake);
void flights_done(struct flights *flights); /* cancels without calling back */
/* Forgets what failed. */
void flights_drop_failures(struct flights *flights);

/* The flight of this URI, queued if there was none. Refused with the last error while that is fresh. */
bool flight_board(struct flights *flights, const struct kbs_uri *uri, struct flight **ret_flight,
    struct err *err) MUST_CHECK;
/* A waiter for it. */
bool flight_wait(struct flight *flight, int64_t timeout_ms, kbs_fetch_fn *fn, void *arg,
    struct kbs_fetch **ret_fetch, struct err *err) MUST_CHECK;
/* From QUEUED to ASKED; `session` is referenced. */
void flight_asked(
    struct flight *flight, struct kbs_session *session, size_t replica, struct http_call *call);
/* From ASKED to OPENING: its connection is free for another. */
void flight_answered(struct flight *flight, struct opening *opening);
/* Back to the end of the queue. */
void flight_queue(struct flight *flight);
/* Lands a flight without waiters that was boarded for one that could not be made. */
void flight_rest(struct flight *flight);
/* Tells all waiters. `remember`: the error counts for the URI's back-off. False when the client was freed meanwhile. */
bool flight_end(
    struct flight *flight, struct secret *plaintext, bool remember, const struct err *err);
