/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/park_private.h"

#include <errno.h>
#include <string.h>

static size_t bucket_of(const char *path)
{
    return path_hash(0, path) % PARK_BUCKETS;
}

struct flight *flight_find(struct park *park, const char *path, const struct blob *blob)
{
    struct flight *flight;
    LIST_FOREACH(flight, &park->flights[bucket_of(path)], link)
    if (strcmp(flight->path, path) == 0 && blob_equal(flight->blob, blob))
        return flight;
    return NULL;
}

struct flight *flight_new(struct park *park, const struct park_wanted *wanted)
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

static void flight_drop(struct flight *flight, const struct park_answer *told)
{
    pthread_mutex_lock(&flight->park->lock);
    unlink_flight(flight);
    pthread_mutex_unlock(&flight->park->lock);
    park_finish_all(flight->park, flight, told);
    flight_free(flight);
}

void flight_drop_errno(struct flight *flight, int sys_errno)
{
    const struct park_answer told = {.sys_errno = sys_errno};
    flight_drop(flight, &told);
}

/* -- landing ----------------------------------------------------------------------------------- */

static void count_end(struct park *park, bool resolved, bool slow)
{
    pthread_mutex_lock(&park->lock);
    park->stats.resolved += resolved;
    park->stats.refused += !resolved;
    park->slow_until_ms = slow ? loop_now_ms() + PARK_SLOW_MS : 0;
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
    flight_drop(flight, &told);
}

static bool is_awaited(const struct flight *flight)
{
    pthread_mutex_lock(&flight->park->lock);
    bool awaited = !LIST_EMPTY(&flight->waiters);
    pthread_mutex_unlock(&flight->park->lock);
    return awaited;
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
        events->refused(events->arg, flight->path, &err, first, is_awaited(flight));
    if (lease && first && events->stale)
        events->stale(events->arg, flight->path, &err);
    flight_drop(flight, &told);
}

static void flight_start(void *arg);

/* No memory could be locked: open files hold what the cache may not count, so the cache gives way, once. */
static bool try_again(struct flight *flight, const struct err *err)
{
    struct err ignored = ERR_INIT;
    if (err->code != ERR_NOMEM || flight->again || !cache_shrink(flight->park->conf.cache))
        return false;
    flight->again = true;
    return loop_post(flight->park->conf.loop, flight_start, flight, &ignored);
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

/* -- starting ---------------------------------------------------------------------------------- */

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

static void flight_start(void *arg)
{
    struct flight *flight = arg;
    struct park *park = flight->park;
    struct err err = ERR_INIT;
    if (park->stopped) {
        flight_drop_errno(flight, ENOTCONN);
        return;
    }
    if (!start_call(flight, &err)) {
        land_error(flight, &err);
        return;
    }
    park_set_alarm(park);
}

/* Under the lock: a flight that nobody waits for. NULL: none is needed, or there is no memory. */
struct flight *flight_alone(struct park *park, const struct park_wanted *wanted)
{
    struct flight *flight =
        flight_find(park, wanted->path, wanted->blob) ? NULL : flight_new(park, wanted);
    if (flight)
        flight->started = true;
    return flight;
}

bool flight_launch(struct park *park, struct flight *flight)
{
    struct err err = ERR_INIT;
    if (loop_post(park->conf.loop, flight_start, flight, &err))
        return true;
    flight_drop_errno(flight, EIO);
    return false;
}

struct flight *flight_first(struct park *park)
{
    for (size_t i = 0; i < PARK_BUCKETS; i++) {
        struct flight *flight;
        LIST_FOREACH(flight, &park->flights[i], link)
        if (flight->call)
            return flight;
    }
    return NULL;
}
