/* SPDX-License-Identifier: Apache-2.0 */
/* Resources as callers see them: versions, and what is encrypted on its way in and out. */
#include "crypt/base/clock.h"
#include "kbs/server/store/store_keys.h"

/* Others that put the same resource at the same time come first this often at most. */
#define TRIES 100

void store_versions_done(struct store_versions *versions)
{
    free(versions->items);
    *versions = (struct store_versions){0};
}

void store_blob_done(struct store_blob *blob)
{
    buf_done(&blob->sealed);
    secret_unref(blob->plain);
    blob->plain = NULL;
}

bool store_blob_is_sealed(const struct store_blob *blob)
{
    return !blob->plain;
}

void store_limits(struct store *store, int64_t versions)
{
    store->versions = versions;
}

static bool check_key(const char *key, struct err *err)
{
    return store_key_ok(key) ||
           err_set(err, ERR_FORMAT,
               "\"%.80s\" is no name: segments joined by '/', each of letters, digits and "
               "\"_.-\", not beginning with '.'",
               key);
}

static bool open_blob(const struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, struct secret **ret_value, struct err *err)
{
    struct store_head head;
    if (!store_blob_is_sealed(blob)) {
        if (store->plain_refused)
            return err_set(err, ERR_CONFIG,
                "it is stored in plaintext, which is not read here ([store] encryption = "
                "required); "
                "encrypt what is there with: sealed kbs store rewrap");
        *ret_value = secret_ref(blob->plain);
        return true;
    }
    if (!store_record_head(buf_bytes(&blob->sealed), &head, err))
        return false;
    if (head.at.version != at->version)
        return err_set(err, ERR_IO, "version %lld holds the record of version %lld; put it again",
            (long long)at->version, (long long)head.at.version);
    return store_record_open(
        store->keys, STORE_RESOURCE, key, buf_bytes(&blob->sealed), ret_value, err);
}

bool store_read(struct store *store, const char *key, int64_t version,
    struct store_version *ret_version, struct secret **ret_value, struct err *err)
{
    auto_store_blob blob = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    struct store_version at = {0};
    if (!check_key(key, err) || !store->ops->version_get(store, key, version, &at, &blob, err))
        return false;
    if (!open_blob(store, key, &at, &blob, ret_value, err))
        return err_wrap(err, "%s/%s", store_space_name(STORE_RESOURCE), key);
    if (ret_version)
        *ret_version = at;
    return true;
}

bool store_list_versions(
    struct store *store, const char *key, struct store_versions *ret_versions, struct err *err)
{
    return check_key(key, err) && store->ops->version_list(store, key, ret_versions, err);
}

static bool check_value(
    const struct store *store, const char *key, const struct secret *value, struct err *err)
{
    if (secret_len(value) > STORE_VALUE_MAX)
        return err_set(err, ERR_FORMAT, "%s: %zu bytes; at most %u are stored", key,
            secret_len(value), STORE_VALUE_MAX);
    if (!store->keys && store->must_seal)
        return err_set(err, ERR_CONFIG, "this store takes no plaintext; set [store] kek");
    if (!store->keys && store_record_is(secret_bytes(value)))
        return err_set(err, ERR_FORMAT,
            "%s: a value that begins with \"" STORE_RECORD_MAGIC
            "\" cannot be told from an encrypted one; it needs [store] kek",
            key);
    return true;
}

bool store_write(struct store *store, const char *key, const struct secret *value,
    int64_t not_after, int64_t *ret_version, struct err *err)
{
    if (!check_key(key, err) || !check_value(store, key, value, err))
        return false;
    for (int i = 0; i < TRIES; i++) {
        auto_store_blob blob = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
        struct store_version at = {.created = clock_wall_s(), .not_after = not_after};
        bool taken = false;
        if (!store->ops->version_next(store, key, &at.version, err))
            return false;
        if (!store->keys)
            blob.plain = secret_ref((struct secret *)(uintptr_t)value);
        else if (!store_record_seal(
                     store->keys, STORE_RESOURCE, key, &at, secret_bytes(value), &blob.sealed, err))
            return false;
        if (!store->ops->version_put(store, key, &at, &blob, &taken, err))
            return false;
        if (!taken)
            continue;
        if (ret_version)
            *ret_version = at.version;
        return true;
    }
    return err_set(err, ERR_BUSY, "%s: too many others put it at the same time; try again", key);
}

bool store_delete_version(struct store *store, const char *key, int64_t version, struct err *err)
{
    auto_store_versions versions = {0};
    if (!store_list_versions(store, key, &versions, err))
        return false;
    if (version == versions.items[0].version)
        return err_set(err, ERR_FORMAT,
            "%s: version %lld is the current one; put a new value first, or delete the resource",
            key, (long long)version);
    return store->ops->version_remove(store, key, version, err);
}

bool store_get_secret(struct store *store, enum store_space space, const char *key,
    struct secret **ret_value, struct err *err)
{
    if (space != STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "only resources are secrets");
    return store_read(store, key, 0, NULL, ret_value, err);
}

bool store_put_secret(struct store *store, enum store_space space, const char *key,
    const struct secret *value, struct err *err)
{
    if (space != STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "only resources are secrets");
    return store_write(store, key, value, 0, NULL, err);
}
