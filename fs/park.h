/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parked opens: requests whose secret has to be fetched first. A waiter costs a few hundred bytes and no thread; any number of waiters for
 * one secret share one flight (one call of the resolver). A waiter ends exactly once, by its reply function:
 *
 *     the flight lands     lease, or the errno of its error        on the loop's thread
 *     its patience ends    the aged plaintext; the flight goes on   on the loop's thread
 *     its deadline passes  ETIMEDOUT; the flight goes on            on the loop's thread
 *     its caller is killed EINTR; the flight goes on                on the thread that reports it
 *     the mount stops      ENOTCONN                                 on the loop's thread
 *
 * Patience: while an aged plaintext may still be used, an open waits for the key broker only for a moment; and not at all for some seconds
 * after the broker was found not to answer, or to be slow. It is asked all the same, so that those who come later have the answer.
 *
 * Order of calls by a request thread: park_add (the waiter exists, but nobody answers it yet), then whatever ties the request to the
 * waiter's number, then park_arm. Between the two an interruption is remembered.
 */
#pragma once

#include "fs/cache.h"
#include "fs/resolver.h"

struct park;

struct park_answer {
    struct lease *lease; /* borrowed; NULL with the errno */
    bool stale;          /* the broker could not be asked: it is what was kept */
    int sys_errno;
};

/* Never called under a lock. */
typedef void park_reply_fn(void *arg, void *ticket, const struct park_answer *answer);

/* What came of asking the key broker, once a flight, before those who wait for it are answered. Loop thread; all may be NULL. */
struct park_events {
    /* `err` says what those who wait are told; `first`: it is withdrawn, and was not before; `awaited`: somebody waits. */
    void (*refused)(void *arg, const char *path, const struct err *err, bool first, bool awaited);
    /* The broker gives no answer since `err`: from now on the aged plaintext is served. */
    void (*stale)(void *arg, const char *path, const struct err *err);
    void (*arrived)(void *arg, const char *path, struct lease *lease, enum cache_news news,
        const struct conf_settings *settings);
    void *arg;
};

/* What is wanted: an absolute path (path_full), the sealed string there, and the settings of that file, which live as long as the park. */
struct park_wanted {
    const char *path;
    struct blob *blob;
    const struct conf_settings *settings;
};

struct park_conf {
    struct loop *loop;
    struct resolver *resolver;
    struct cache *cache;
    struct leases *leases;
    const char *mountpoint; /* the resolver gets the path below it */
    int64_t timeout_ms;
    int64_t patience_ms;
    size_t length_max; /* a longer plaintext is refused */
    park_reply_fn *reply;
    void *reply_arg;
    struct park_events events;
};

struct park_stats {
    size_t waiters, flights;
    uint64_t resolved, refused;
};

bool park_new(const struct park_conf *conf, struct park **ret_park, struct err *err) MUST_CHECK;
void park_free(struct park *park); /* after park_stop */
DEFINE_AUTO(struct park, park_free);

/*
 * Any thread. *ret_id = 0: there is an answer without waiting, *ret_result says as what (and *ret_lease or *ret_refusal holds it, as from
 * cache_find). Else the number of a waiter to be armed; `ticket` is given back at its reply.
 */
bool park_add(struct park *park, const struct park_wanted *wanted, void *ticket, uint64_t *ret_id,
    enum cache_result *ret_result, struct lease **ret_lease, struct err *ret_refusal,
    struct err *err) MUST_CHECK;
void park_arm(struct park *park, uint64_t id);
void park_interrupt(
    struct park *park, uint64_t id); /* a number that is not there any more is no harm */
/* Asks the key broker although nobody waits, if it is not being asked already. Any thread. False: out of memory, or stopped. */
bool park_refresh(struct park *park, const struct park_wanted *wanted);
/* Loop thread: ends all waiters and flights; park_add then fails with ENOTCONN in err.sys_errno. */
void park_stop(struct park *park);
void park_stats(struct park *park, struct park_stats *ret_stats);
