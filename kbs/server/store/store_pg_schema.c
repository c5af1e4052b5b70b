/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema and its history. A migration is one text that runs in one transaction with the row that says so, under an advisory lock:
 * however often, and from however many machines, they are started, each is carried out once. A migration that was released is never changed; the next
 * change is one more line in the table.
 */
#include "kbs/server/store/store_pg.h"

#include <stdio.h>

#include "crypt/base/cleanup.h"

/* Of nobody else: "sealedfs" in ASCII. */
#define LOCK "7305798837990450803"

static const char *const migrations[] = {
    "CREATE TABLE record ("
    " space text COLLATE \"C\" NOT NULL,"
    " key text COLLATE \"C\" NOT NULL,"
    " value bytea NOT NULL,"
    " put_at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    " PRIMARY KEY (space, key));"
    "CREATE INDEX record_age ON record (space, put_at);"
    "CREATE TABLE resource ("
    " key text COLLATE \"C\" NOT NULL,"
    " version int8 NOT NULL CHECK (version > 0),"
    " record bytea NOT NULL,"
    " created int8 NOT NULL,"
    " not_after int8 NOT NULL,"
    " PRIMARY KEY (key, version));"
    /* Ciphertext cannot be compressed. */
    "ALTER TABLE resource ALTER COLUMN record SET STORAGE EXTERNAL;",
};

#define NEWEST ((int64_t)ARRAY_LEN(migrations))

static const struct pg_statement read_version = {
    PG_SCHEMA, "SELECT coalesce(max(version), 0)::int8 FROM sealed.schema_version"};

static bool too_new(int64_t version, struct err *err)
{
    return err_set(err, ERR_CONFIG,
        "the database's schema has version %lld, this program knows %lld; use a newer program",
        (long long)version, (long long)NEWEST);
}

bool store_pg_check_schema(struct store *store, struct err *err)
{
    const struct pg_param none[] = {PG_P_END};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &read_version, none, &rows, NULL, err))
        return err_wrap(err, "schema of the store");
    int64_t version = pg_rows_int(rows, 0, 0);
    if (version > NEWEST)
        return too_new(version, err);
    if (version < NEWEST)
        return err_set(err, ERR_CONFIG,
            "the database's schema has version %lld, this program needs %lld; run: sealed kbs "
            "store migrate",
            (long long)version, (long long)NEWEST);
    return true;
}

static bool version_now(struct pg_link *link, int64_t *ret_version, struct err *err)
{
    const struct pg_param none[] = {PG_P_END};
    auto_pg_rows *rows = NULL;
    enum pg_outcome outcome;
    if (!pg_link_run(link, &read_version, none, &rows, &outcome, err))
        return false;
    *ret_version = pg_rows_int(rows, 0, 0);
    return true;
}

static bool apply(struct pg_link *link, int64_t version, struct err *err)
{
    auto_buf text = BUF_INIT(65536);
    return (buf_printf(&text, err,
                "BEGIN; %s INSERT INTO schema_version (version) VALUES (%lld); COMMIT",
                migrations[version - 1], (long long)version) &&
               pg_link_script(link, buf_text(&text), err)) ||
           err_wrap(err, "migration %lld", (long long)version);
}

bool store_pg_migrate(
    const struct store_pg_conf *conf, int64_t *ret_from, int64_t *ret_to, struct err *err)
{
    AUTO(pg_link_free) struct pg_link *link = NULL;
    int64_t from = 0;
    /* The lock lasts as long as the connection. */
    if (!pg_link_open(&conf->target, &link, err) ||
        !pg_link_script(link, "SELECT pg_advisory_lock(" LOCK ")", err) ||
        !pg_link_script(link,
            "CREATE SCHEMA IF NOT EXISTS sealed; CREATE TABLE IF NOT EXISTS schema_version "
            "(version "
            "int8 PRIMARY KEY, applied timestamptz NOT NULL DEFAULT clock_timestamp())",
            err) ||
        !version_now(link, &from, err))
        return false;
    if (from > NEWEST)
        return too_new(from, err);
    for (int64_t version = from + 1; version <= NEWEST; version++)
        if (!apply(link, version, err))
            return false;
    *ret_from = from;
    *ret_to = NEWEST;
    return true;
}
