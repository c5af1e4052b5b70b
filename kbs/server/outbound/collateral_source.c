/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_source.h"

#include <pthread.h>
#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "crypt/base/number.h"
#include "kbs/server/outbound/collateral_url.h"

#define VENDORS     3
#define MISSING_MAX 64
#define ASK_MS      10000 /* one request to a service */
#define TURNS       4     /* of one flight: waiting out Retry-After, early and standard */
#define SHARE       60    /* percent of a request's time */

struct flight {
    char name[COLLATERAL_NAME_MAX];
    size_t users; /* 0: free */
    bool flying, done;
    struct err cause;
};

/* A service of a vendor, and how it has been. */
struct vendor {
    const char *target, *words;
    int64_t rests_until_ms;
    bool said_so; /* it named that time itself */
    unsigned failures;
    struct err cause;
};

struct missing {
    char name[COLLATERAL_NAME_MAX];
    int64_t until_ms;
    struct err cause;
};

struct collateral_source {
    const struct kbs_conf *conf;
    struct store *store;
    struct courier *courier;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    struct flight flights[COLLATERAL_FLIGHTS];
    struct vendor vendors[VENDORS];
    struct missing missing[MISSING_MAX];
    size_t next_missing;
};

/* One try to get one object from its service. */
struct trip {
    struct collateral_source *source;
    const char *name;
    int64_t now, deadline_ms;
    bool forced;
    struct vendor *vendor;
};

bool collateral_source_new(const struct kbs_conf *conf, struct store *store,
    struct courier *courier, struct collateral_source **ret_source, struct err *err)
{
    static const struct vendor vendors[VENDORS] = {
        {.target = COLLATERAL_AMD_TARGET, .words = "AMD's key distribution service"},
        {.target = COLLATERAL_INTEL_TARGET, .words = "Intel's certification service (or PCCS)"},
        {.target = COLLATERAL_CRL_TARGET, .words = "the address of Intel's root CRL"}};
    struct collateral_source *source = calloc(1, sizeof *source);
    pthread_condattr_t attributes;
    if (!source)
        return err_nomem(err);
    source->conf = conf;
    source->store = store;
    source->courier = courier;
    memcpy(source->vendors, vendors, sizeof vendors);
    pthread_mutex_init(&source->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&source->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    *ret_source = source;
    return true;
}

void collateral_source_free(struct collateral_source *source)
{
    if (!source)
        return;
    pthread_cond_destroy(&source->changed);
    pthread_mutex_destroy(&source->lock);
    free(source);
}

int64_t collateral_source_deadline(const struct collateral_source *source)
{
    return loop_now_ms() + source->conf->server.request_ms * SHARE / 100;
}

/* With the lock; false when the time has come. loop_now_ms() goes by the same clock. */
static bool wait_until(struct collateral_source *source, int64_t at_ms)
{
    const struct timespec at = {.tv_sec = at_ms / 1000, .tv_nsec = at_ms % 1000 * 1000000};
    return pthread_cond_timedwait(&source->changed, &source->lock, &at) == 0;
}

/* -- how services are ----------------------------------------------------------------------------------- */

static struct vendor *vendor_of(struct collateral_source *source, const char *target)
{
    for (size_t i = 0; i < VENDORS; i++)
        if (strcmp(source->vendors[i].target, target) == 0)
            return &source->vendors[i];
    return NULL;
}

int64_t collateral_source_rests(
    struct collateral_source *source, const char *target, struct err *ret_why)
{
    int64_t rests = 0;
    pthread_mutex_lock(&source->lock);
    const struct vendor *vendor = vendor_of(source, target);
    if (vendor && vendor->rests_until_ms > loop_now_ms()) {
        rests = vendor->rests_until_ms - loop_now_ms();
        *ret_why = vendor->cause;
    }
    pthread_mutex_unlock(&source->lock);
    return rests;
}

/* It failed. `retry_s` < 0: it did not say for how long. */
static void let_rest(struct trip *trip, int64_t retry_s, const struct err *cause)
{
    struct vendor *vendor = trip->vendor;
    pthread_mutex_lock(&trip->source->lock);
    int64_t rest = COLLATERAL_BACKOFF_MS;
    for (unsigned i = 0; i < vendor->failures && rest < COLLATERAL_BACKOFF_MAX_MS; i++)
        rest *= 2;
    rest = rest < COLLATERAL_BACKOFF_MAX_MS ? rest : COLLATERAL_BACKOFF_MAX_MS;
    if (retry_s >= 0)
        rest = retry_s < COLLATERAL_RETRY_MAX_MS / 1000 ? retry_s * 1000 : COLLATERAL_RETRY_MAX_MS;
    vendor->said_so = retry_s >= 0;
    vendor->failures++;
    vendor->rests_until_ms = loop_now_ms() + rest;
    vendor->cause = *cause;
    pthread_mutex_unlock(&trip->source->lock);
    log_warning("%s is left alone for %lld ms: %s", vendor->words, (long long)rest, cause->message);
}

static void is_well(struct trip *trip)
{
    pthread_mutex_lock(&trip->source->lock);
    trip->vendor->failures = 0;
    trip->vendor->rests_until_ms = 0;
    pthread_mutex_unlock(&trip->source->lock);
}

/* Until the service may be asked. False: that is too late for this request. An administrator's wish ends a rest that was our own idea. */
static bool await_vendor(struct trip *trip, struct err *err)
{
    struct vendor *vendor = trip->vendor;
    bool may = false;
    pthread_mutex_lock(&trip->source->lock);
    for (;;) {
        may = vendor->rests_until_ms <= loop_now_ms() || (trip->forced && !vendor->said_so);
        if (may || !vendor->said_so || vendor->rests_until_ms >= trip->deadline_ms)
            break;
        wait_until(trip->source, vendor->rests_until_ms);
    }
    if (!may) {
        *err = vendor->cause;
        err_wrap(err, "asked again in %lld s",
            (long long)(vendor->rests_until_ms - loop_now_ms()) / 1000 + 1);
    }
    pthread_mutex_unlock(&trip->source->lock);
    return may;
}

/* With the lock. */
static struct missing *find_missing(struct collateral_source *source, const char *name)
{
    for (size_t i = 0; i < MISSING_MAX; i++)
        if (source->missing[i].until_ms > loop_now_ms() &&
            strcmp(source->missing[i].name, name) == 0)
            return &source->missing[i];
    return NULL;
}

static void note_missing(struct trip *trip, const struct err *cause)
{
    struct collateral_source *source = trip->source;
    pthread_mutex_lock(&source->lock);
    struct missing *slot = find_missing(source, trip->name);
    if (!slot)
        slot = &source->missing[source->next_missing++ % MISSING_MAX];
    snprintf(slot->name, sizeof slot->name, "%s", trip->name);
    slot->until_ms = loop_now_ms() + COLLATERAL_MISSING_MS;
    slot->cause = *cause;
    pthread_mutex_unlock(&source->lock);
}

static bool check_missing(struct trip *trip, struct err *err)
{
    if (trip->forced)
        return true;
    pthread_mutex_lock(&trip->source->lock);
    const struct missing *found = find_missing(trip->source, trip->name);
    if (found)
        *err = found->cause;
    pthread_mutex_unlock(&trip->source->lock);
    return !found;
}

/* -- one request to a service ----------------------------------------------------------------------------- */

/* A PCCS sends CRLs as hex digits. */
static bool unhex(struct bytes body, struct buf *out, struct bytes *ret_body, struct err *err)
{
    uint8_t *room;
    for (size_t i = 0; i < body.len; i++)
        if (!strchr("0123456789abcdefABCDEF", body.data[i]) || body.data[i] == '\0')
            return true;
    if (body.len == 0 || body.len % 2 != 0)
        return true;
    if (!buf_reserve(out, body.len / 2, &room, err) ||
        !hex_decode(body, "CRL", room, body.len / 2, err))
        return false;
    buf_commit(out, body.len / 2);
    *ret_body = buf_bytes(out);
    return true;
}

static bool keep(struct trip *trip, const struct collateral_url *url,
    const struct courier_response *response, struct err *err)
{
    auto_buf chain = BUF_INIT(COLLATERAL_OBJECT_MAX), plain = BUF_INIT(COLLATERAL_OBJECT_MAX);
    struct bytes body = response->body;
    bool kept = false;
    if (url->chain != COURIER_HEADER_COUNT && response->headers[url->chain].data &&
        !collateral_unescape(
            response->headers[url->chain], "issuer chain in a header", &chain, err))
        return false;
    if (strstr(trip->name, "crl") && !unhex(body, &plain, &body, err))
        return false;
    if (!collateral_cache_put(trip->source->store, trip->name, body, buf_bytes(&chain), url->target,
            trip->now, &kept, err))
        return false;
    log_notice("collateral: fetched %s from %s%s", trip->name, trip->vendor->words,
        kept ? "" : "; what is cached is newer");
    return true;
}

static int64_t retry_after(const struct courier_response *response)
{
    struct bytes text = response->headers[COURIER_RETRY_AFTER];
    char digits[16];
    int64_t seconds;
    if (!text.data || text.len == 0 || text.len >= sizeof digits)
        return -1;
    memcpy(digits, text.data, text.len);
    digits[text.len] = '\0';
    return number_int(digits, &seconds) && seconds >= 0 ? seconds : -1;
}

enum outcome { OUTCOME_KEPT, OUTCOME_MISSING, OUTCOME_BUSY, OUTCOME_DOWN };

static enum outcome ask(struct trip *trip, const struct collateral_url *url, struct err *err)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    int64_t left = trip->deadline_ms - loop_now_ms();
    const struct courier_request request = {.target = url->target,
        .method = COURIER_GET,
        .path = url->path,
        .timeout_ms = left < 1        ? 1
                      : left < ASK_MS ? left
                                      : ASK_MS,
        .response_max = COLLATERAL_CACHED_MAX};
    if (!courier_ask(trip->source->courier, &request, &message, &response, err)) {
        let_rest(trip, -1, err);
        return OUTCOME_DOWN;
    }
    if (response.status == 200) {
        is_well(trip);
        return keep(trip, url, &response, err) ? OUTCOME_KEPT : OUTCOME_MISSING;
    }
    if (response.status == 429 || response.status >= 500) {
        int64_t after = retry_after(&response);
        err_set(
            err, ERR_UNREACH, "%s answered with status %u", trip->vendor->words, response.status);
        let_rest(trip, after, err);
        return after >= 0 ? OUTCOME_BUSY : OUTCOME_DOWN;
    }
    is_well(trip);
    err_set(err, ERR_NOTFOUND, "%s answered with status %u for %.200s", trip->vendor->words,
        response.status, url->path);
    return OUTCOME_MISSING;
}

static bool own_root_crl(const struct kbs_conf *conf)
{
    return conf->collateral.intel_root_crl ||
           strcmp(conf->collateral.intel_pcs, COLLATERAL_INTEL_URL) == 0;
}

static bool find_url(const struct collateral_source *source, const char *name, bool early,
    struct collateral_url *ret_url)
{
    return collateral_url(name, early, own_root_crl(source->conf), ret_url) && source->courier &&
           courier_has(source->courier, ret_url->target);
}

bool collateral_source_fetches(const struct collateral_source *source, const char *name)
{
    struct collateral_url url;
    return find_url(source, name, true, &url);
}

/* Early publications first, where they are wanted: a PCCS may not have any. */
static bool travel(struct trip *trip, struct err *err)
{
    struct collateral_url url;
    bool early = trip->source->conf->collateral.tcb_update == KBS_TCB_EARLY;
    if (!find_url(trip->source, trip->name, early, &url))
        return err_set(err, ERR_NOTFOUND,
            "not cached, and no service is asked for it ([collateral] fetch); give it with: sealed "
            "kbs collateral import");
    trip->vendor = vendor_of(trip->source, url.target);
    if (!check_missing(trip, err))
        return false;
    for (int turn = 0; turn < TURNS; turn++) {
        if (!await_vendor(trip, err))
            return false;
        enum outcome outcome = ask(trip, &url, err);
        if (outcome == OUTCOME_KEPT)
            return true;
        if (outcome == OUTCOME_DOWN)
            return false;
        if (outcome == OUTCOME_BUSY)
            continue;
        if (!early || err->code != ERR_NOTFOUND || !strstr(url.path, "update=early"))
            break;
        early = false;
        if (!find_url(trip->source, trip->name, early, &url))
            break;
    }
    if (err->code == ERR_NOTFOUND || err->code == ERR_FORMAT)
        note_missing(trip, err);
    return false;
}

/* -- flights ----------------------------------------------------------------------------------------------- */

bool collateral_source_due(const struct collateral_source *source, const char *name, int64_t until,
    int64_t fetched, int64_t now)
{
    return now > until ||
           (collateral_changes(name) &&
               (fetched > now || now - fetched >= source->conf->collateral.refresh_ms / 1000));
}

/* Another flight may have landed since the cache was looked at. */
static bool is_here(const struct trip *trip)
{
    auto_collateral_record record = {0};
    struct err none = ERR_INIT;
    return !trip->forced && collateral_cache_get(trip->source->store, trip->name, &record, &none) &&
           !collateral_source_due(
               trip->source, trip->name, record.until, record.fetched, trip->now);
}

/* With the lock. The flight of that name, or a free slot when there is none; NULL: neither. */
static struct flight *find_flight(struct collateral_source *source, const char *name)
{
    struct flight *free_slot = NULL;
    for (size_t i = 0; i < COLLATERAL_FLIGHTS; i++) {
        struct flight *flight = &source->flights[i];
        if (flight->users > 0 && flight->flying && strcmp(flight->name, name) == 0)
            return flight;
        if (flight->users == 0)
            free_slot = flight;
    }
    return free_slot;
}

/* With the lock, which is given up meanwhile. */
static void fly(struct trip *trip, struct flight *flight)
{
    struct collateral_source *source = trip->source;
    struct err cause = ERR_INIT;
    *flight = (struct flight){.users = 1, .flying = true};
    snprintf(flight->name, sizeof flight->name, "%s", trip->name);
    pthread_mutex_unlock(&source->lock);
    bool done = is_here(trip) || travel(trip, &cause);
    pthread_mutex_lock(&source->lock);
    flight->flying = false;
    flight->done = done;
    flight->cause = cause;
    pthread_cond_broadcast(&source->changed);
}

/* True: the object is in the cache now, as good as its vendor has it. */
static bool fetch(struct trip *trip, struct err *err)
{
    struct collateral_source *source = trip->source;
    pthread_mutex_lock(&source->lock);
    struct flight *flight = find_flight(source, trip->name);
    if (!flight) {
        pthread_mutex_unlock(&source->lock);
        return err_set(err, ERR_BUSY, "%s: %d other objects are being fetched; try again",
            trip->name, COLLATERAL_FLIGHTS);
    }
    if (flight->users == 0) {
        fly(trip, flight);
    } else {
        flight->users++;
        while (flight->flying && loop_now_ms() < trip->deadline_ms)
            wait_until(source, trip->deadline_ms);
    }
    bool landed = !flight->flying, done = landed && flight->done;
    if (landed && !done)
        *err = flight->cause;
    flight->users--;
    pthread_mutex_unlock(&source->lock);
    return done || landed
               ? done
               : err_set(err, ERR_TIMEOUT,
                     "%s is still being fetched when the request's time is over", trip->name);
}

/* -- getting ------------------------------------------------------------------------------------------------- */

static bool put(const char *name, const struct collateral_record *record, struct collateral *set,
    struct err *err)
{
    return collateral_put(set, name, record->body, record->chain, err);
}

/* Past its end, and nothing newer is to be had. */
static bool serve_expired(struct collateral_source *source, const char *name,
    const struct collateral_record *record, const struct err *why, struct collateral *set,
    struct err *err)
{
    char end[CLOCK_TEXT_SIZE];
    clock_rfc3339(record->until, end);
    bool amd_crl = strncmp(name, "amd/crl/", strlen("amd/crl/")) == 0;
    if (!amd_crl && source->conf->attestation.collateral_expired != KBS_EXPIRED_REPORT) {
        *err = *why;
        err->code = ERR_STALE;
        return err_wrap(err, "expired at %s, and nothing newer is to be had", end);
    }
    log_warning(
        "collateral: %s expired at %s, is handed on as expired, and cannot be fetched anew: %s",
        name, end, why->message);
    return put(name, record, set, err);
}

bool collateral_source_get(struct collateral_source *source, const char *name, int64_t now,
    int64_t deadline_ms, struct collateral *set, struct err *err)
{
    auto_collateral_record record = {0};
    struct trip trip = {.source = source, .name = name, .now = now, .deadline_ms = deadline_ms};
    struct err why = ERR_INIT;
    bool have = collateral_cache_get(source->store, name, &record, &why);
    if (!have && why.code != ERR_NOTFOUND && why.code != ERR_FORMAT) {
        *err = why;
        return false;
    }
    if (have && !collateral_source_due(source, name, record.until, record.fetched, now))
        return put(name, &record, set, err);
    err_clear(&why);
    if (fetch(&trip, &why)) {
        collateral_record_done(&record);
        if (!collateral_cache_get(source->store, name, &record, err))
            return false;
        err_set(&why, ERR_STALE, "its service has nothing newer");
        if (now > record.until)
            note_missing(&trip, &why); /* or every request would ask for it again */
        have = true;
    }
    if (!have) {
        *err = why;
        return false;
    }
    return now <= record.until ? put(name, &record, set, err)
                               : serve_expired(source, name, &record, &why, set, err);
}

bool collateral_source_fetch(struct collateral_source *source, const char *name, int64_t now,
    int64_t deadline_ms, struct err *err)
{
    struct trip trip = {
        .source = source, .name = name, .now = now, .deadline_ms = deadline_ms, .forced = true};
    return fetch(&trip, err);
}
