/* SPDX-License-Identifier: Apache-2.0 */
/* Resources in PostgreSQL: one row a version, a sealed record in each. */
#include "kbs/server/store/store_pg.h"

#define NAME store_space_name(STORE_RESOURCE)

static bool sealed_only(const struct store_blob *blob, struct err *err)
{
    return store_blob_is_sealed(blob) ||
           err_set(err, ERR_CONFIG, "the database takes no plaintext; set [store] kek");
}

static bool absent(const char *key, int64_t version, struct err *err)
{
    if (version == 0)
        return err_set(err, ERR_NOTFOUND, "%s/%s does not exist", NAME, key);
    return err_set(err, ERR_NOTFOUND, "%s/%s has no version %lld (sealed kbs show lists them)",
        NAME, key, (long long)version);
}

/* Columns version, created, not_after of a row. */
static struct store_version version_of(const struct pg_rows *rows, size_t row)
{
    return (struct store_version){.version = pg_rows_int(rows, row, 0),
        .created = pg_rows_int(rows, row, 1),
        .not_after = pg_rows_int(rows, row, 2)};
}

bool pg_version_get(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct store_blob *ret_blob, struct err *err)
{
    static const struct pg_statement current = {PG_RESOURCE_GET,
        "SELECT version, created, not_after, record FROM resource WHERE key = $1::text ORDER BY "
        "version DESC LIMIT 1"};
    static const struct pg_statement one = {PG_RESOURCE_GET_VERSION,
        "SELECT version, created, not_after, record FROM resource WHERE key = $1::text AND version "
        "= $2::int8"};
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_INT(version), PG_P_END};
    const struct pg_param key_alone[] = {PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(
            store, version ? &one : &current, version ? params : key_alone, &rows, NULL, err))
        return err_wrap(err, "%s/%s", NAME, key);
    if (pg_rows_count(rows) == 0)
        return absent(key, version, err);
    if (!store_record_is(pg_rows_bytes(rows, 0, 3)))
        return err_set(err, ERR_IO, "%s/%s: no encrypted record; put it again", NAME, key);
    if (!buf_append(&ret_blob->sealed, pg_rows_bytes(rows, 0, 3), err))
        return err_wrap(err, "%s/%s", NAME, key);
    *ret_version = version_of(rows, 0);
    return true;
}

bool pg_version_list(
    struct store *store, const char *key, struct store_versions *ret_versions, struct err *err)
{
    static const struct pg_statement list = {PG_RESOURCE_VERSIONS,
        "SELECT version, created, not_after FROM resource WHERE key = $1::text ORDER BY version "
        "DESC"};
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    auto_store_versions versions = {0};
    if (!store_pg_run(store, &list, params, &rows, NULL, err))
        return err_wrap(err, "%s/%s", NAME, key);
    if (pg_rows_count(rows) == 0)
        return absent(key, 0, err);
    versions.items = calloc(pg_rows_count(rows), sizeof *versions.items);
    if (!versions.items)
        return err_nomem(err);
    for (; versions.count < pg_rows_count(rows); versions.count++)
        versions.items[versions.count] = version_of(rows, versions.count);
    *ret_versions = versions;
    versions = (struct store_versions){0};
    return true;
}

bool pg_version_next(struct store *store, const char *key, int64_t *ret_next, struct err *err)
{
    static const struct pg_statement next = {PG_RESOURCE_NEXT,
        "SELECT coalesce(max(version), 0) + 1 FROM resource WHERE key = $1::text"};
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &next, params, &rows, NULL, err))
        return err_wrap(err, "%s/%s", NAME, key);
    *ret_next = pg_rows_int(rows, 0, 0);
    return true;
}

/* A sealed record is like no other: the one that is there is the one of a try of which nothing was heard again, or another's. */
static bool is_ours(
    struct store *store, const struct pg_param *params, bool *ret_ours, struct err *err)
{
    static const struct pg_statement same = {PG_RESOURCE_SAME,
        "SELECT 1::int8 FROM resource WHERE key = $1::text AND version = $2::int8 AND record = "
        "$3::bytea"};
    auto_pg_rows *rows = NULL;
    if (!store_pg_run(store, &same, params, &rows, NULL, err))
        return false;
    *ret_ours = pg_rows_count(rows) > 0;
    return true;
}

static bool drop_old(struct store *store, const char *key, int64_t current, struct err *err)
{
    static const struct pg_statement drop = {
        PG_RESOURCE_DROP_OLD, "DELETE FROM resource WHERE key = $1::text AND version <= $2::int8"};
    const struct pg_param params[] = {
        PG_P_TEXT(key), PG_P_INT(current - store->versions), PG_P_END};
    return current <= store->versions || store_pg_run(store, &drop, params, NULL, NULL, err);
}

bool pg_version_put(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, bool *ret_taken, struct err *err)
{
    static const struct pg_statement put = {PG_RESOURCE_PUT,
        "INSERT INTO resource (key, version, record, created, not_after) SELECT $1::text, "
        "$2::int8, "
        "$3::bytea, $4::int8, $5::int8 WHERE NOT EXISTS (SELECT FROM resource WHERE key = $1::text "
        "AND version >= $2::int8) ON CONFLICT (key, version) DO NOTHING"};
    const struct bytes record = buf_bytes(&blob->sealed);
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_INT(at->version), PG_P_BYTES(record),
        PG_P_INT(at->created), PG_P_INT(at->not_after), PG_P_END};
    const struct pg_param ours[] = {
        PG_P_TEXT(key), PG_P_INT(at->version), PG_P_BYTES(record), PG_P_END};
    auto_pg_rows *rows = NULL;
    bool unsure = false, taken;
    if (!sealed_only(blob, err))
        return false;
    if (!store_pg_run(store, &put, params, &rows, &unsure, err))
        return err_wrap(err, "%s/%s", NAME, key);
    taken = pg_rows_changed(rows) > 0;
    if (!taken && unsure && !is_ours(store, ours, &taken, err))
        return err_wrap(err, "%s/%s", NAME, key);
    if (taken && !drop_old(store, key, at->version, err))
        return err_wrap(err, "%s/%s", NAME, key);
    *ret_taken = taken;
    return true;
}

bool pg_version_remove(struct store *store, const char *key, int64_t version, struct err *err)
{
    static const struct pg_statement remove = {PG_RESOURCE_REMOVE_VERSION,
        "DELETE FROM resource WHERE key = $1::text AND version = $2::int8 AND EXISTS (SELECT FROM "
        "resource newer WHERE newer.key = $1::text AND newer.version > $2::int8)"};
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_INT(version), PG_P_END};
    auto_pg_rows *rows = NULL;
    bool unsure = false;
    if (!store_pg_run(store, &remove, params, &rows, &unsure, err))
        return err_wrap(err, "%s/%s", NAME, key);
    return unsure || pg_rows_changed(rows) > 0 || absent(key, version, err);
}

bool pg_version_swap(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *before, const struct store_blob *after, struct err *err)
{
    static const struct pg_statement swap = {PG_RESOURCE_SWAP,
        "UPDATE resource SET record = $4::bytea WHERE key = $1::text AND version = $2::int8 AND "
        "record = $3::bytea"};
    if (!sealed_only(before, err) || !sealed_only(after, err))
        return false;
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_INT(at->version),
        PG_P_BYTES(buf_bytes(&before->sealed)), PG_P_BYTES(buf_bytes(&after->sealed)), PG_P_END};
    return store_pg_run(store, &swap, params, NULL, NULL, err) || err_wrap(err, "%s/%s", NAME, key);
}

bool pg_remove_resource(struct store *store, const char *key, struct err *err)
{
    static const struct pg_statement remove = {
        PG_RESOURCE_REMOVE, "DELETE FROM resource WHERE key = $1::text"};
    const struct pg_param params[] = {PG_P_TEXT(key), PG_P_END};
    auto_pg_rows *rows = NULL;
    bool unsure = false;
    if (!store_pg_run(store, &remove, params, &rows, &unsure, err))
        return err_wrap(err, "%s/%s", NAME, key);
    return unsure || pg_rows_changed(rows) > 0 || absent(key, 0, err);
}

bool pg_list_resources(struct store *store, json_t **ret_keys, struct err *err)
{
    static const struct pg_statement list = {
        PG_RESOURCE_LIST, "SELECT DISTINCT key FROM resource ORDER BY key"};
    const struct pg_param params[] = {PG_P_END};
    auto_pg_rows *rows = NULL;
    return (store_pg_run(store, &list, params, &rows, NULL, err) &&
               store_pg_texts(rows, ret_keys, err)) ||
           err_wrap(err, "%s", NAME);
}
