/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store_pg.h"

#include <pthread.h>
#include <time.h>

#include "crypt/base/log.h"
#include "crypt/hash.h"

#define FIRST_PAUSE_MS 20
#define MOST_PAUSE_MS  1000

struct store_pg {
    struct store store; /* first: ops take a struct store */
    struct store_pg_conf conf;
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct pg_link *idle[STORE_PG_LINKS_MAX];
    size_t idle_count, open_count; /* open: idle and in use */
};

static struct store_pg *self_of(struct store *store)
{
    return (struct store_pg *)(void *)store;
}

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* -- the pool ------------------------------------------------------------------------------------------ */

/* A connection that is idle, or the right to make one (*ret_link NULL). */
static bool take_turn(
    struct store_pg *self, int64_t deadline, struct pg_link **ret_link, struct err *err)
{
    const struct timespec until = {deadline / 1000, deadline % 1000 * 1000000};
    int waited = 0;
    *ret_link = NULL;
    pthread_mutex_lock(&self->lock);
    while (self->idle_count == 0 && self->open_count == (size_t)self->conf.links && waited == 0)
        waited = pthread_cond_timedwait(&self->returned, &self->lock, &until);
    bool mine = self->idle_count > 0 || self->open_count < (size_t)self->conf.links;
    if (self->idle_count > 0)
        *ret_link = self->idle[--self->idle_count];
    else if (mine)
        self->open_count++;
    pthread_mutex_unlock(&self->lock);
    return mine || err_set(err, ERR_BUSY,
                       "all %d connections to the database are in use ([postgresql] connections)",
                       (int)self->conf.links);
}

/* Gives a connection back; NULL: it is gone, and so is every idle one, which has most probably met the same fate. */
static void give_back(struct store_pg *self, struct pg_link *link)
{
    struct pg_link *stale[STORE_PG_LINKS_MAX];
    size_t stale_count = 0;
    pthread_mutex_lock(&self->lock);
    if (link) {
        self->idle[self->idle_count++] = link;
    } else {
        stale_count = self->idle_count;
        memcpy(stale, self->idle, stale_count * sizeof *stale);
        self->open_count -= 1 + stale_count;
        self->idle_count = 0;
    }
    pthread_cond_broadcast(&self->returned);
    pthread_mutex_unlock(&self->lock);
    for (size_t i = 0; i < stale_count; i++)
        pg_link_free(stale[i]);
}

/* -- statements ------------------------------------------------------------------------------------------ */

static bool try_once(struct store_pg *self, int64_t deadline, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, enum pg_outcome *ret_outcome,
    struct err *err)
{
    struct pg_link *link = NULL;
    *ret_outcome = PG_FAILED;
    if (!take_turn(self, deadline, &link, err))
        return false;
    *ret_outcome = PG_AGAIN;
    if (!link && !pg_link_open(&self->conf.target, &link, err)) {
        give_back(self, NULL);
        return false;
    }
    bool done = pg_link_run(link, statement, params, ret_rows, ret_outcome, err);
    bool good = done || (*ret_outcome == PG_FAILED && err->code != ERR_TIMEOUT);
    if (!good)
        pg_link_free(link);
    give_back(self, good ? link : NULL);
    return done;
}

/* Between half of it and all: servers that lost the database together do not come back in step. */
static void pause_for(int64_t ms)
{
    uint8_t random = 0;
    struct err ignored = ERR_INIT;
    if (hash_random(&random, sizeof random, &ignored))
        ms = ms / 2 + ms * random / 510;
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static bool run_until(struct store_pg *self, int64_t wait_ms, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, bool *ret_unsure, struct err *err)
{
    int64_t deadline = now_ms() + wait_ms, wait = FIRST_PAUSE_MS;
    bool unsure = false;
    for (int tries = 0;; tries++) {
        enum pg_outcome outcome;
        struct err cause = ERR_INIT;
        if (try_once(self, deadline, statement, params, ret_rows, &outcome, &cause)) {
            if (ret_unsure)
                *ret_unsure = unsure;
            return true;
        }
        unsure = unsure || outcome == PG_LOST;
        if (outcome == PG_FAILED || now_ms() + wait >= deadline) {
            *err = cause;
            return false;
        }
        if (tries == 0)
            log_info("%s; trying again for %d s", cause.message, (int)(wait_ms / 1000));
        else /* the first time only the idle connections were dead */
            pause_for(wait);
        wait = 2 * wait < MOST_PAUSE_MS ? 2 * wait : MOST_PAUSE_MS;
    }
}

bool store_pg_run(struct store *store, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, bool *ret_unsure, struct err *err)
{
    struct store_pg *self = self_of(store);
    return run_until(self, self->conf.retry_ms, statement, params, ret_rows, ret_unsure, err);
}

bool store_pg_texts(const struct pg_rows *rows, json_t **ret_list, struct err *err)
{
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    for (size_t i = 0; i < pg_rows_count(rows); i++) {
        struct bytes text = pg_rows_bytes(rows, i, 0);
        if (json_array_append_new(list, json_stringn((const char *)text.data, text.len)) < 0)
            return err_nomem(err);
    }
    *ret_list = take_ptr(list);
    return true;
}

/* -- records --------------------------------------------------------------------------------------------- */

static bool absent(enum store_space space, const char *key, struct err *err)
{
    return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", store_space_name(space), key);
}

static bool pg_get(
    struct store *store, enum store_space space, const char *key, struct buf *out, struct err *err)
{
    static const struct pg_statement get = {
        PG_GET, "SELECT value FROM record WHERE space = $1::text AND key = $2::text"};
    const struct pg_param params[] = {PG_P_TEXT(store_space_name(space)), PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &get, params, &rows, NULL, err))
        return err_wrap(err, "%s/%s", store_space_name(space), key);
    if (pg_rows_count(rows) == 0)
        return absent(space, key, err);
    return buf_append(out, pg_rows_bytes(rows, 0, 0), err) ||
           err_wrap(err, "%s/%s", store_space_name(space), key);
}

/* Whether what is there now is what a try of which nothing was heard again was to put there. */
static bool is_ours(
    struct store *store, const struct pg_param *params, bool *ret_ours, struct err *err)
{
    static const struct pg_statement same = {PG_SAME,
        "SELECT 1::int8 FROM record WHERE space = $1::text AND key = $2::text AND value = "
        "$3::bytea"};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &same, params, &rows, NULL, err))
        return false;
    *ret_ours = pg_rows_count(rows) > 0;
    return true;
}

static bool pg_put(struct store *store, enum store_space space, const char *key, struct bytes value,
    bool only_new, bool *ret_created, struct err *err)
{
    static const struct pg_statement put = {PG_PUT,
        "INSERT INTO record (space, key, value) VALUES ($1::text, $2::text, $3::bytea) ON CONFLICT "
        "(space, key) DO UPDATE SET value = excluded.value, put_at = clock_timestamp()"};
    static const struct pg_statement create = {PG_CREATE,
        "INSERT INTO record (space, key, value) VALUES ($1::text, $2::text, $3::bytea) ON CONFLICT "
        "(space, key) DO NOTHING"};
    const struct pg_param params[] = {
        PG_P_TEXT(store_space_name(space)), PG_P_TEXT(key), PG_P_BYTES(value), PG_P_END};
    auto_pg_rows *rows = NULL;
    bool unsure = false, created;
    if (!store_pg_run(store, only_new ? &create : &put, params, &rows, &unsure, err))
        return err_wrap(err, "%s/%s", store_space_name(space), key);
    created = pg_rows_changed(rows) > 0;
    if (only_new && !created && unsure && !is_ours(store, params, &created, err))
        return err_wrap(err, "%s/%s", store_space_name(space), key);
    if (ret_created)
        *ret_created = created;
    return true;
}

static bool pg_remove(struct store *store, enum store_space space, const char *key, struct err *err)
{
    static const struct pg_statement remove = {
        PG_REMOVE, "DELETE FROM record WHERE space = $1::text AND key = $2::text"};
    const struct pg_param params[] = {PG_P_TEXT(store_space_name(space)), PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    bool unsure = false;
    if (space == STORE_RESOURCE)
        return pg_remove_resource(store, key, err);
    if (!store_pg_run(store, &remove, params, &rows, &unsure, err))
        return err_wrap(err, "%s/%s", store_space_name(space), key);
    return unsure || pg_rows_changed(rows) > 0 || absent(space, key, err);
}

static bool pg_list(struct store *store, enum store_space space, json_t **ret_keys, struct err *err)
{
    static const struct pg_statement list = {
        PG_LIST, "SELECT key FROM record WHERE space = $1::text ORDER BY key"};
    const struct pg_param params[] = {PG_P_TEXT(store_space_name(space)), PG_P_END};
    auto_pg_rows *rows = NULL;
    if (space == STORE_RESOURCE)
        return pg_list_resources(store, ret_keys, err);
    return (store_pg_run(store, &list, params, &rows, NULL, err) &&
               store_pg_texts(rows, ret_keys, err)) ||
           err_wrap(err, "%s", store_space_name(space));
}

static bool pg_prune(
    struct store *store, enum store_space space, int64_t before, size_t *ret_count, struct err *err)
{
    static const struct pg_statement prune = {
        PG_PRUNE, "DELETE FROM record WHERE space = $1::text AND put_at < to_timestamp($2::int8)"};
    const struct pg_param params[] = {
        PG_P_TEXT(store_space_name(space)), PG_P_INT(before), PG_P_END};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &prune, params, &rows, NULL, err))
        return err_wrap(err, "%s", store_space_name(space));
    if (ret_count)
        *ret_count = pg_rows_changed(rows);
    return true;
}

static void pg_free(struct store *store)
{
    struct store_pg *self = self_of(store);
    for (size_t i = 0; i < self->idle_count; i++)
        pg_link_free(self->idle[i]);
    pthread_cond_destroy(&self->returned);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

static const struct store_ops pg_ops = {
    .get = pg_get,
    .put = pg_put,
    .remove = pg_remove,
    .list = pg_list,
    .prune = pg_prune,
    .version_get = pg_version_get,
    .version_list = pg_version_list,
    .version_next = pg_version_next,
    .version_put = pg_version_put,
    .version_remove = pg_version_remove,
    .version_swap = pg_version_swap,
    .free = pg_free,
};

static bool init_lock(struct store_pg *self, struct err *err)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return err_nomem(err);
    bool done = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&self->returned, &attr) == 0;
    pthread_condattr_destroy(&attr);
    if (!done)
        return err_nomem(err);
    if (pthread_mutex_init(&self->lock, NULL) == 0)
        return true;
    pthread_cond_destroy(&self->returned);
    return err_nomem(err);
}

/* Servers and database start in any order: the first statement waits longer than the others. */
static bool await_database(struct store_pg *self, struct err *err)
{
    static const struct pg_statement hello = {PG_HELLO, "SELECT 1::int8"};
    const struct pg_param none[] = {PG_P_END};
    return run_until(self, self->conf.start_ms, &hello, none, NULL, NULL, err);
}

bool store_pg_open(const struct store_pg_conf *conf, struct store **ret_store, struct err *err)
{
    struct store_pg *self = calloc(1, sizeof *self);
    if (!self)
        return err_nomem(err);
    self->conf = *conf;
    if (!init_lock(self, err)) {
        free(self);
        return false;
    }
    AUTO(store_free) struct store *store = &self->store;
    store->ops = &pg_ops;
    store->versions = STORE_VERSIONS_DEFAULT;
    store->must_seal = true;
    if (!await_database(self, err) || !store_pg_check_schema(store, err))
        return false;
    *ret_store = take_ptr(store);
    return true;
}
