/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The store in PostgreSQL, for any number of servers. Two tables in the schema "sealed" (store_pg_schema.c): `record` for the spaces of
 * public bytes, `resource` for the versions of resources, which are here as sealed records only (store_keys.h): a key-encryption key must be set.
 *
 * Connections are a bounded pool, made when they are needed. Every statement is a transaction of its own and may be repeated: those
 * that change something tell whether they had been carried out when the connection was lost in between. A statement that the database could
 * not take, because it restarts, is overloaded or moved to a standby, is tried again with growing pauses until retry_ms has passed;
 * then ERR_UNREACH, which a client gets as 503. Nothing is kept in the process.
 */
#pragma once

#include "kbs/server/store/pg_link.h"
#include "kbs/server/store/store_keys.h"

#define STORE_PG_LINKS_MAX 64

struct store_pg_conf {
    struct pg_target target; /* borrowed, with all that it points to: as long as the store lives */
    int64_t links;           /* 1..STORE_PG_LINKS_MAX */
    int64_t retry_ms;        /* how long one call waits for a database that does not take it */
    int64_t start_ms;        /* how long store_pg_open waits for one */
};
/* ERR_CONFIG when the schema is not there, older or newer than this program. */
bool store_pg_open(const struct store_pg_conf *conf, struct store **ret_store, struct err *err)
    MUST_CHECK;
/* Makes the schema what this program needs, under a lock that only one holder at a time gets; any number of times. *ret_from, *ret_to: its version before and
 * after. ERR_CONFIG: it is newer. */
bool store_pg_migrate(const struct store_pg_conf *conf, int64_t *ret_from, int64_t *ret_to,
    struct err *err) MUST_CHECK;

/* -- for its own files --------------------------------------------------------------------------- */

struct store_pg;

/* Runs one statement on a connection of the pool. *ret_unsure (may be NULL): a try was lost on the way, so what the statement was to
 * change may have been changed by an earlier try. */
bool store_pg_run(struct store *store, const struct pg_statement *statement,
    const struct pg_param *params, struct pg_rows **ret_rows, bool *ret_unsure, struct err *err)
    MUST_CHECK;

/* Numbers of statements, see struct pg_statement. */
enum {
    PG_GET,
    PG_PUT,
    PG_CREATE,
    PG_SAME,
    PG_REMOVE,
    PG_LIST,
    PG_PRUNE,
    PG_RESOURCE_GET,
    PG_RESOURCE_GET_VERSION,
    PG_RESOURCE_VERSIONS,
    PG_RESOURCE_NEXT,
    PG_RESOURCE_PUT,
    PG_RESOURCE_SAME,
    PG_RESOURCE_DROP_OLD,
    PG_RESOURCE_REMOVE_VERSION,
    PG_RESOURCE_REMOVE,
    PG_RESOURCE_SWAP,
    PG_RESOURCE_LIST,
    PG_SCHEMA,
    PG_HELLO
};

/* store_pg_version.c */
bool pg_version_get(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct store_blob *ret_blob, struct err *err);
bool pg_version_list(
    struct store *store, const char *key, struct store_versions *ret_versions, struct err *err);
bool pg_version_next(struct store *store, const char *key, int64_t *ret_next, struct err *err);
bool pg_version_put(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, bool *ret_taken, struct err *err);
bool pg_version_remove(struct store *store, const char *key, int64_t version, struct err *err);
bool pg_version_swap(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *before, const struct store_blob *after, struct err *err);
bool pg_remove_resource(struct store *store, const char *key, struct err *err);
bool pg_list_resources(struct store *store, json_t **ret_keys, struct err *err);
/* The first column of all rows as a JSON array. */
bool store_pg_texts(const struct pg_rows *rows, json_t **ret_list, struct err *err) MUST_CHECK;

/* store_pg_schema.c: ERR_CONFIG when the schema is not this program's. */
bool store_pg_check_schema(struct store *store, struct err *err) MUST_CHECK;
