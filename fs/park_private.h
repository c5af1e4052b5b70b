/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What park.c (waiters) and park_flight.c (flights) share. A flight is one question to the resolver; it is made under the park's lock, started once, on the
 * loop's thread, and goes when it lands. Nobody is answered under the lock.
 */
#pragma once

#include "fs/park.h"

#include <pthread.h>
#include <sys/queue.h>

#define PARK_BUCKETS 256u
/* For so long after the broker gave no answer nobody waits for it who has something to go on with. */
#define PARK_SLOW_MS 10000

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
    LIST_HEAD(, waiter) waiters[PARK_BUCKETS];
    LIST_HEAD(, flight) flights[PARK_BUCKETS];
    uint64_t last_id;
    bool stopped;
    int64_t slow_until_ms; /* the broker does not answer, or not soon */
    struct park_stats stats;
};

/* -- flights: park_flight.c ------------------------------------------------------------------------ */

/* Under the lock, as the next three; NULL: there is none. */
struct flight *flight_find(struct park *park, const char *path, const struct blob *blob);
struct flight *flight_first(struct park *park); /* any that is under way */
/* NULL: out of memory. */
struct flight *flight_new(struct park *park, const struct park_wanted *wanted);
/* One that nobody waits for, to be launched outside the lock. NULL: none is needed, or there is no memory. */
struct flight *flight_alone(struct park *park, const struct park_wanted *wanted);
/* Has the loop's thread start it. False: out of memory, and those who wait have been told. */
bool flight_launch(struct park *park, struct flight *flight);
/* Loop thread: ends its waiters, and then it. */
void flight_drop_errno(struct flight *flight, int sys_errno);

/* -- waiters: park.c ------------------------------------------------------------------------------- */

/* Ends the waiters of a flight one by one, so that no answer is given under the lock. */
void park_finish_all(struct park *park, struct flight *flight, const struct park_answer *told);
/* Loop thread. Armed while there are flights: only they can have waiters. */
void park_set_alarm(struct park *park);
