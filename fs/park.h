/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parked opens: requests whose secret has to be fetched first. A waiter costs a few hundred bytes and no thread; any number of waiters for
 * one secret share one flight (one call of the resolver). A waiter ends exactly once, by its reply function:
 *
 *     the flight lands     secret, or the errno of its error       on the loop's thread
 *     its deadline passes  ETIMEDOUT; the flight goes on            on the loop's thread
 *     its caller is killed EINTR; the flight goes on                on the thread that reports it
 *     the mount stops      ENOTCONN                                 on the loop's thread
 *
 * Order of calls by a request thread: park_add (the waiter exists, but nobody answers it yet), then whatever ties the request to the
 * waiter's number, then park_arm. Between the two an interruption is remembered.
 */
#pragma once

#include "fs/cache.h"
#include "fs/resolver.h"

struct park;

/* `secret` is borrowed; NULL with the errno. Never called under a lock. */
typedef void park_reply_fn(void *arg, void *ticket, struct secret *secret, int sys_errno);
/* A resolution failed (once a flight, however many wait for it). Loop thread. */
typedef void park_refused_fn(void *arg, const char *path, const struct err *err);

struct park_conf {
    struct loop *loop;
    struct resolver *resolver;
    struct cache *cache;
    const char *mountpoint; /* the resolver gets the path below it */
    int64_t timeout_ms;
    size_t length_max; /* a longer plaintext is refused */
    park_reply_fn *reply;
    void *reply_arg;
    park_refused_fn *refused;
    void *refused_arg;
};

struct park_stats {
    size_t waiters, flights;
    uint64_t resolved, refused;
};

bool park_new(const struct park_conf *conf, struct park **ret_park, struct err *err) MUST_CHECK;
void park_free(struct park *park); /* after park_stop */
DEFINE_AUTO(struct park, park_free);

/*
 * Any thread; the path is absolute (path_full). *ret_id = 0: the answer came into the cache meanwhile, *ret_result says as what (and *ret_secret or *ret_refusal holds it,
 * as from cache_find). Else the number of a waiter to be armed; `ticket` is given back at its reply.
 */
bool park_add(struct park *park, const char *path, struct blob *blob, void *ticket,
    uint64_t *ret_id, enum cache_result *ret_result, struct secret **ret_secret,
    struct err *ret_refusal, struct err *err) MUST_CHECK;
void park_arm(struct park *park, uint64_t id);
void park_interrupt(
    struct park *park, uint64_t id); /* a number that is not there any more is no harm */
/* Loop thread: ends all waiters and flights; park_add then fails with ENOTCONN in err.sys_errno. */
void park_stop(struct park *park);
void park_stats(struct park *park, struct park_stats *ret_stats);
