/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the front gets what a verifier needs (attest/verify/collateral.h): the cache in the store, which all servers on it share and which files and
 * administrators fill, then the vendor's service through the courier. What is fetched is examined, not trusted, and cached.
 *
 * - An object is served as good until its own end. CRLs and signed documents of Intel's are fetched anew before that, every [collateral] refresh; while that
 *   fails they hold until their end. Past it an object is served only under collateral_expired = report, where the verifier says that it is
 *   expired; AMD's CRLs always, since their verifier refuses an expired one and would go without a missing one.
 * - One flight an object: who wants what is being fetched waits for that. At most COLLATERAL_FLIGHTS at a time.
 * - A service that answers 429 or 5xx, or not at all, is left alone for as long as it says (Retry-After), else for a time that doubles up to
 *   COLLATERAL_BACKOFF_MAX_MS; a short Retry-After is waited for within the request. That it has no such object, or none that is still good, is remembered
 *   for COLLATERAL_MISSING_MS.
 *
 * Thread-safe. Blocks until the deadline at most.
 */
#pragma once

#include "kbs/server/outbound/collateral_cache.h"
#include "kbs/server/outbound/courier.h"
#include "kbs/server/kbs_conf.h"

#define COLLATERAL_FLIGHTS        16
#define COLLATERAL_BACKOFF_MS     2000
#define COLLATERAL_BACKOFF_MAX_MS 300000
#define COLLATERAL_RETRY_MAX_MS   3600000 /* no service is left alone for longer, whatever it says */
#define COLLATERAL_MISSING_MS     60000

struct collateral_source;

/* All borrowed. `courier` NULL: nothing is fetched. */
bool collateral_source_new(const struct kbs_conf *conf, struct store *store,
    struct courier *courier, struct collateral_source **ret_source, struct err *err) MUST_CHECK;
void collateral_source_free(struct collateral_source *source); /* NULL is fine */
DEFINE_AUTO(struct collateral_source, collateral_source_free);

/* How long one attestation may wait for all its objects, so that the request ends in its time: a deadline of loop_now_ms(). */
int64_t collateral_source_deadline(const struct collateral_source *source);
/* Puts the object into `set`. `now`: unix seconds. False: there is none, with why: ERR_NOTFOUND, ERR_STALE (expired), or of the fetch. */
bool collateral_source_get(struct collateral_source *source, const char *name, int64_t now,
    int64_t deadline_ms, struct collateral *set, struct err *err) MUST_CHECK;
/* Fetches it, whatever is cached and was found missing before. */
bool collateral_source_fetch(struct collateral_source *source, const char *name, int64_t now,
    int64_t deadline_ms, struct err *err) MUST_CHECK;
/* A cached object is to be fetched anew when it is asked for: past its end, or due for a refresh. */
bool collateral_source_due(const struct collateral_source *source, const char *name, int64_t until,
    int64_t fetched, int64_t now);
/* Whether a service is asked for such an object. */
bool collateral_source_fetches(const struct collateral_source *source, const char *name);
/* Milliseconds for which the target is still left alone; 0: it may be asked. `ret_why` gets the cause, or "". */
int64_t collateral_source_rests(
    struct collateral_source *source, const char *target, struct err *ret_why);
