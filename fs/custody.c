/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/custody.h"

#define DOUBT_MS 30000

struct custody {
    struct custody_conf conf;
    struct resolver *resolver;
    struct leases *leases;
    struct cache *cache;
    struct loop_timer *sweep;
    int64_t sweep_at_ms;         /* 0: the alarm is not set */
    struct resolver_call *doubt; /* the guest is being attested anew */
};

/* -- age ----------------------------------------------------------------------------------------- */

static void on_alarm_wanted(void *arg, int64_t delay_ms)
{
    struct custody *custody = arg;
    int64_t at = loop_now_ms() + delay_ms + 1;
    if (custody->sweep_at_ms != 0 && custody->sweep_at_ms <= at)
        return;
    custody->sweep_at_ms = at;
    loop_timer_set(custody->sweep, delay_ms + 1);
}

static void on_sweep(void *arg)
{
    struct custody *custody = arg;
    custody->sweep_at_ms = 0;
    int64_t next = cache_sweep(custody->cache);
    if (next >= 0)
        on_alarm_wanted(custody, next);
    if (custody->conf.swept)
        custody->conf.swept(custody->conf.arg);
}

/* -- the end of a plaintext ---------------------------------------------------------------------- */

static void withdraw(struct custody *custody, const char *path)
{
    (void)leases_revoke(custody->leases, path);
    if (custody->conf.over)
        custody->conf.over(custody->conf.arg, path, NULL);
}

size_t custody_flush(struct custody *custody)
{
    size_t flushed = cache_flush(custody->cache);
    withdraw(custody, NULL);
    return flushed;
}

static void on_distrusted(void *arg, const struct err *err)
{
    struct custody *custody = arg;
    (void)custody_flush(custody);
    if (custody->conf.distrusted)
        custody->conf.distrusted(custody->conf.arg, err);
}

/* -- what comes of asking ------------------------------------------------------------------------ */

/* Whatever came of it has been told: the resolver calls on_distrusted. */
static void on_asked_again(void *arg, const struct resolve_result *result, const struct err *err)
{
    struct custody *custody = arg;
    (void)result;
    (void)err;
    custody->doubt = NULL;
}

/* Is it the secret, or the guest? A broker that refuses the guest may say the same of each resource, so each is asked for a new token. */
static void doubt(struct custody *custody)
{
    struct resolver *resolver = custody->resolver;
    struct err err = ERR_INIT;
    if (custody->doubt || !resolver->probe)
        return;
    if (!resolver->probe(resolver, true, DOUBT_MS, on_asked_again, custody, &custody->doubt, &err))
        custody->doubt = NULL;
}

static void on_refused(void *arg, const char *path, const struct err *err, bool first, bool awaited)
{
    struct custody *custody = arg;
    if (err->code == ERR_REVOKED)
        withdraw(custody, path);
    if (first)
        doubt(custody);
    if (custody->conf.refused)
        custody->conf.refused(custody->conf.arg, path, err, awaited);
}

static void on_stale(void *arg, const char *path, const struct err *err)
{
    struct custody *custody = arg;
    if (custody->conf.stale)
        custody->conf.stale(custody->conf.arg, path, err);
}

static void on_arrived(void *arg, const char *path, struct lease *lease, enum cache_news news,
    const struct conf_settings *settings)
{
    struct custody *custody = arg;
    if (custody->conf.arrived)
        custody->conf.arrived(custody->conf.arg, path);
    if (news == CACHE_CHANGED && custody->conf.over)
        custody->conf.over(custody->conf.arg, path, lease);
    if (news != CACHE_SAME && custody->conf.changed)
        custody->conf.changed(custody->conf.arg, path, settings, news == CACHE_FIRST);
}

struct park_events custody_events(struct custody *custody)
{
    return (struct park_events){
        .refused = on_refused, .stale = on_stale, .arrived = on_arrived, .arg = custody};
}

/* -- life ---------------------------------------------------------------------------------------- */

struct cache *custody_cache(struct custody *custody)
{
    return custody->cache;
}

struct leases *custody_leases(struct custody *custody)
{
    return custody->leases;
}

bool custody_new(const struct custody_conf *conf, struct resolver *resolver,
    struct custody **ret_custody, struct err *err)
{
    AUTO(custody_free) struct custody *custody = calloc(1, sizeof *custody);
    if (!custody)
        return err_nomem(err);
    custody->conf = *conf;
    const struct cache_conf cache = {.error_ttl_ms = conf->error_ttl_ms,
        .memory = conf->memory,
        .alarm = on_alarm_wanted,
        .arg = custody};
    if (!leases_new(&custody->leases, err) || !cache_new(&cache, &custody->cache, err) ||
        !loop_timer_new(conf->loop, on_sweep, custody, &custody->sweep, err))
        return false;
    custody->resolver = resolver;
    resolver->distrusted = on_distrusted;
    resolver->distrusted_arg = custody;
    *ret_custody = take_ptr(custody);
    return true;
}

void custody_free(struct custody *custody)
{
    if (!custody)
        return;
    if (custody->resolver)
        custody->resolver->distrusted = NULL;
    if (custody->doubt)
        custody->resolver->cancel(custody->resolver, custody->doubt);
    loop_timer_free(custody->sweep);
    cache_free(custody->cache);
    leases_free(custody->leases);
    free(custody);
}
