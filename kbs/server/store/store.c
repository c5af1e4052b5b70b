/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store/store.h"

#include "kbs/uri.h"

#define SEGMENT_MAX  KBS_SEGMENT_MAX
#define SEGMENTS_MAX 6

static const char *const space_names[STORE_SPACE_COUNT] = {
    [STORE_RESOURCE] = "repository",
    [STORE_POLICY] = "kbs",
    [STORE_REFERENCE] = "reference_value",
    [STORE_AGENT] = "agent",
    [STORE_NONCE] = "nonce",
    [STORE_EXPLANATION] = "explanation",
    [STORE_BOOT] = "boot",
    [STORE_COLLATERAL] = "collateral",
    [STORE_META] = "meta",
};

const char *store_space_name(enum store_space space)
{
    return space_names[space];
}

static bool segment_ok(const char *segment, size_t len)
{
    char text[SEGMENT_MAX + 1];
    if (len == 0 || len > SEGMENT_MAX)
        return false;
    memcpy(text, segment, len);
    text[len] = '\0';
    return kbs_segment_ok(text);
}

bool store_key_ok(const char *key)
{
    size_t segments = 0;
    if (strlen(key) > STORE_KEY_MAX)
        return false;
    for (const char *segment = key;; segment++) {
        size_t len = strcspn(segment, "/");
        if (!segment_ok(segment, len) || ++segments > SEGMENTS_MAX)
            return false;
        segment += len;
        if (*segment == '\0')
            return true;
    }
}

static bool check_key(const char *key, struct err *err)
{
    if (store_key_ok(key))
        return true;
    return err_set(err, ERR_FORMAT,
        "\"%.80s\" is no name: 1 to %d segments joined by '/', each of letters, digits and "
        "\"_.-\", "
        "not beginning with '.', at most %d characters",
        key, SEGMENTS_MAX, SEGMENT_MAX);
}

static bool check_size(const char *key, size_t len, struct err *err)
{
    if (len <= STORE_VALUE_MAX)
        return true;
    return err_set(
        err, ERR_FORMAT, "%s: %zu bytes; at most %u are stored", key, len, STORE_VALUE_MAX);
}

bool store_get(
    struct store *store, enum store_space space, const char *key, struct buf *out, struct err *err)
{
    if (space == STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "a resource is read as a secret");
    return check_key(key, err) && store->ops->get(store, space, key, out, err);
}

bool store_put(struct store *store, enum store_space space, const char *key, struct bytes value,
    struct err *err)
{
    if (space == STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "a resource is written as a secret");
    return check_key(key, err) && check_size(key, value.len, err) &&
           store->ops->put(store, space, key, value, false, NULL, err);
}

bool store_create(struct store *store, enum store_space space, const char *key, struct bytes value,
    bool *ret_created, struct err *err)
{
    if (space == STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "a resource is written as a secret");
    return check_key(key, err) && check_size(key, value.len, err) &&
           store->ops->put(store, space, key, value, true, ret_created, err);
}

bool store_delete(struct store *store, enum store_space space, const char *key, struct err *err)
{
    return check_key(key, err) && store->ops->remove(store, space, key, err);
}

bool store_list(struct store *store, enum store_space space, json_t **ret_keys, struct err *err)
{
    return store->ops->list(store, space, ret_keys, err);
}

bool store_prune(
    struct store *store, enum store_space space, int64_t before, size_t *ret_count, struct err *err)
{
    if (space == STORE_RESOURCE)
        return err_set(err, ERR_INTERNAL, "resources are not pruned");
    return store->ops->prune(store, space, before, ret_count, err);
}

void store_free(struct store *store)
{
    if (store)
        store->ops->free(store);
}
