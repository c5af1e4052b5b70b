/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store_open.h"

#include <stdio.h>

#include "kbs/server/store/store_pg.h"

#define PASSWORD_MAX   1024
#define SIGNER         "token-key" /* in STORE_META */
#define THUMBPRINT_MAX 64

static bool read_keys(const struct kbs_conf *conf, struct store_keys **ret_keys, struct err *err)
{
    const struct conf_list *old = &conf->store.kek_old;
    if (conf->store.kek && !store_keys_add_file(ret_keys, conf->store.kek, err))
        return err_wrap(err, "[store] kek");
    for (size_t i = 0; i < old->count; i++)
        if (!store_keys_add_file(ret_keys, old->items[i], err))
            return err_wrap(err, "[store] kek_old");
    return true;
}

bool store_secrets_read(const struct kbs_conf *conf, struct store_secrets *secrets, struct err *err)
{
    const char *path = conf->postgresql.password_file;
    if (!read_keys(conf, &secrets->keys, err))
        return false;
    if (conf->server.store != KBS_STORE_POSTGRESQL || !path)
        return true;
    return conf_credential(path, PASSWORD_MAX, false, &secrets->password, err) ||
           err_wrap(err, "[postgresql] password_file");
}

void store_secrets_done(struct store_secrets *secrets)
{
    store_keys_free(secrets->keys);
    secret_unref(secrets->password);
    *secrets = (struct store_secrets){0};
}

static struct store_pg_conf database_of(
    const struct kbs_conf *conf, const struct store_secrets *secrets)
{
    return (struct store_pg_conf){
        .target =
            {
                .host = conf->postgresql.host,
                .port = conf->postgresql.port,
                .database = conf->postgresql.database,
                .user = conf->postgresql.user,
                .ca_file = conf->postgresql.ca_file,
                .password = secrets->password,
                .tls = (enum pg_tls)conf->postgresql.tls,
                .connect_ms = conf->postgresql.connect_ms,
                .statement_ms = conf->postgresql.statement_ms,
            },
        .links = conf->postgresql.connections,
        .retry_ms = conf->postgresql.retry_ms,
        .start_ms = conf->postgresql.start_ms,
    };
}

static bool open_kind(const struct kbs_conf *conf, const struct store_secrets *secrets,
    struct store **ret_store, struct err *err)
{
    const struct store_pg_conf database = database_of(conf, secrets);
    if (conf->server.store == KBS_STORE_POSTGRESQL)
        return store_pg_open(&database, ret_store, err) ||
               err_wrap(err, "[server] store = postgresql");
    return store_dir_open(conf->server.state_dir, ret_store, err) ||
           err_wrap(err, "[server] state_dir (it belongs to user %s)", conf->server.user);
}

bool store_open(const struct kbs_conf *conf, const struct store_secrets *secrets,
    struct store **ret_store, struct err *err)
{
    AUTO(store_free) struct store *store = NULL;
    if (!open_kind(conf, secrets, &store, err) ||
        !store_use_keys(
            store, secrets->keys, conf->store.encryption == KBS_ENCRYPTION_OPTIONAL, err))
        return false;
    store_limits(store, conf->store.versions);
    *ret_store = take_ptr(store);
    return true;
}

bool store_note_signer(
    struct store *store, const char *thumbprint, bool *ret_other, struct err *err)
{
    auto_buf before = BUF_INIT(THUMBPRINT_MAX);
    struct err cause = ERR_INIT;
    bool found = store_get(store, STORE_META, SIGNER, &before, &cause);
    if (!found && cause.code != ERR_NOTFOUND) {
        *err = cause;
        return false;
    }
    *ret_other = found && strcmp(buf_text(&before), thumbprint) != 0;
    return (found && !*ret_other) ||
           store_put(store, STORE_META, SIGNER, bytes_str(thumbprint), err);
}

/* -- work ------------------------------------------------------------------------------------------- */

static bool rewrap(const char *argument, const struct kbs_conf *conf,
    const struct store_secrets *secrets, struct err *err)
{
    AUTO(store_free) struct store *store = NULL;
    struct store_rewrapped done = {0};
    (void)argument;
    if (!store_open(conf, secrets, &store, err))
        return false;
    if (!store_rewrap(store, &done, err))
        return err_wrap(err, "%zu versions are done, run it again for the others", done.versions);
    printf("%zu resources are under %s; %zu versions were not before\n", done.resources,
        store_keys_id(secrets->keys, 0), done.versions);
    return true;
}

static bool migrate(const char *argument, const struct kbs_conf *conf,
    const struct store_secrets *secrets, struct err *err)
{
    const struct store_pg_conf database = database_of(conf, secrets);
    int64_t from = 0, to = 0;
    (void)argument;
    if (conf->server.store != KBS_STORE_POSTGRESQL)
        return err_set(err, ERR_CONFIG,
            "[server] store = directory has no schema; migrate is for store = postgresql");
    if (!store_pg_migrate(&database, &from, &to, err))
        return false;
    if (from == to)
        printf("the schema has version %lld already\n", (long long)to);
    else
        printf("the schema had version %lld and has version %lld now\n", (long long)from,
            (long long)to);
    return true;
}

/* The directory's values may be plaintext, or under any of the keys. */
static bool copy(const char *argument, const struct kbs_conf *conf,
    const struct store_secrets *secrets, struct err *err)
{
    AUTO(store_free) struct store *from = NULL;
    AUTO(store_free) struct store *to = NULL;
    size_t count = 0;
    if (conf->server.store != KBS_STORE_POSTGRESQL)
        return err_set(err, ERR_CONFIG,
            "copy takes a directory into the database of [server] store = postgresql, which is "
            "not set");
    if (!store_dir_open(argument, &from, err) || !store_open(conf, secrets, &to, err))
        return false;
    from->keys = secrets->keys;
    if (!store_copy(from, to, &count, err))
        return err_wrap(err, "copy of %s", argument);
    printf("%zu records were copied from %s\n", count, argument);
    return true;
}

bool store_work(enum store_work work, const char *argument, const struct kbs_conf *conf,
    const struct store_secrets *secrets, struct err *err)
{
    typedef bool work_fn(const char *argument, const struct kbs_conf *conf,
        const struct store_secrets *secrets, struct err *err);
    static work_fn *const works[] = {
        [STORE_WORK_REWRAP] = rewrap, [STORE_WORK_MIGRATE] = migrate, [STORE_WORK_COPY] = copy};
    return works[work](argument, conf, secrets, err);
}
