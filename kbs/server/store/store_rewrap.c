/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a store is encrypted under, the change from one to the next, and the way from one store to another. */
#include <stdio.h>

#include "kbs/server/store/store_keys.h"

/* One check record for each key-encryption key that the store's values may be under: "kek-ID" in STORE_META, a sealed record of a
 * fixed text. A wrong key is so noticed at the start, not at the first read. */
#define CHECK_PREFIX "kek-"
#define CHECK_TEXT   "sealed-kbs check record"
#define CHECK_SIZE   (sizeof CHECK_PREFIX + STORE_KEK_ID_TEXT)
/* Passes over all resources, while others write under the old key; one that changes nothing is the last. */
#define PASSES 100

static void check_name(const char *id, char out[CHECK_SIZE])
{
    snprintf(out, CHECK_SIZE, CHECK_PREFIX "%s", id);
}

static const char *check_id(const char *name)
{
    size_t len = strlen(CHECK_PREFIX);
    return strncmp(name, CHECK_PREFIX, len) == 0 ? name + len : NULL;
}

static bool open_check(
    struct store *store, const struct store_keys *keys, const char *name, struct err *err)
{
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    auto_secret *text = NULL;
    if (!store_get(store, STORE_META, name, &record, err))
        return false;
    if (!store_record_open(keys, STORE_META, name, buf_bytes(&record), &text, err))
        return err_wrap(err, "check record %s", name);
    return true;
}

static bool has_key(const struct store_keys *keys, const char *id)
{
    for (size_t i = 0; i < store_keys_count(keys); i++)
        if (strcmp(store_keys_id(keys, i), id) == 0)
            return true;
    return false;
}

static bool refuse_unknown(const struct store_keys *keys, const char *id, struct err *err)
{
    if (!keys)
        return err_set(err, ERR_CONFIG,
            "the values of this store are encrypted under the key-encryption key %s; name its file "
            "in [store] kek",
            id);
    return err_set(err, ERR_CONFIG,
        "wrong key-encryption key: this store has values under %s, [store] kek is %s; name the "
        "right file there, or the other one in kek_old",
        id, store_keys_id(keys, 0));
}

/* *ret_own: whether the first key has its check record. */
static bool look_at_checks(
    struct store *store, const struct store_keys *keys, bool *ret_own, struct err *err)
{
    auto_json *names = NULL;
    bool own = false;
    if (!store_list(store, STORE_META, &names, err))
        return false;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *id = check_id(name);
        struct err cause = ERR_INIT;
        if (!id)
            continue;
        if (!has_key(keys, id))
            return refuse_unknown(keys, id, err);
        if (!open_check(store, keys, name, &cause) && cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
        own = own || strcmp(id, store_keys_id(keys, 0)) == 0;
    }
    *ret_own = own;
    return true;
}

static bool make_check(struct store *store, const struct store_keys *keys, struct err *err)
{
    const struct store_version at = {.version = 1};
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    char name[CHECK_SIZE];
    bool created, own;
    check_name(store_keys_id(keys, 0), name);
    if (!store_record_seal(keys, STORE_META, name, &at, bytes_str(CHECK_TEXT), &record, err) ||
        !store_create(store, STORE_META, name, buf_bytes(&record), &created, err))
        return false;
    /* Two that begin on an empty store at the same time, each with a key of its own, both fail. */
    struct err ignored = ERR_INIT;
    bool alone = look_at_checks(store, keys, &own, err);
    if (!alone && created && !store_delete(store, STORE_META, name, &ignored))
        err_wrap(err, "%s (%s)", name, ignored.message);
    return alone;
}

bool store_use_keys(
    struct store *store, const struct store_keys *keys, bool plain_ok, struct err *err)
{
    bool own = false;
    if (!look_at_checks(store, keys, &own, err) || (keys && !own && !make_check(store, keys, err)))
        return false;
    store->keys = keys;
    store->plain_refused = keys && !plain_ok;
    return true;
}

/* -- rewrap -------------------------------------------------------------------------------------- */

/* The same value under the first key; *ret_changed false when it is that already. */
static bool renew(struct store *store, const char *key, const struct store_version *at,
    const struct store_blob *blob, struct store_blob *after, bool *ret_changed, struct err *err)
{
    struct store_head head;
    *ret_changed = true;
    if (!store_blob_is_sealed(blob))
        return store_record_seal(
            store->keys, STORE_RESOURCE, key, at, secret_bytes(blob->plain), &after->sealed, err);
    if (!store_record_head(buf_bytes(&blob->sealed), &head, err))
        return false;
    *ret_changed = strcmp(head.kek, store_keys_id(store->keys, 0)) != 0;
    return !*ret_changed ||
           store_record_rewrap(store->keys, buf_bytes(&blob->sealed), &after->sealed, err);
}

static bool rewrap_version(
    struct store *store, const char *key, int64_t version, bool *ret_changed, struct err *err)
{
    auto_store_blob blob = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    auto_store_blob after = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    struct store_version at = {0};
    struct err cause = ERR_INIT;
    *ret_changed = false;
    if (!store->ops->version_get(store, key, version, &at, &blob, &cause)) {
        if (cause.code == ERR_NOTFOUND) /* deleted meanwhile, or beyond the limit */
            return true;
        *err = cause;
        return false;
    }
    return renew(store, key, &at, &blob, &after, ret_changed, err) &&
           (!*ret_changed || store->ops->version_swap(store, key, &at, &blob, &after, err));
}

static bool rewrap_resource(
    struct store *store, const char *key, struct store_rewrapped *done, struct err *err)
{
    auto_store_versions versions = {0};
    struct err cause = ERR_INIT;
    if (!store->ops->version_list(store, key, &versions, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return false;
    }
    for (size_t i = 0; i < versions.count; i++) {
        bool changed = false;
        if (!rewrap_version(store, key, versions.items[i].version, &changed, err))
            return false;
        done->versions += changed;
    }
    return !store->ops->settle || store->ops->settle(store, key, err);
}

static bool rewrap_pass(struct store *store, struct store_rewrapped *done, struct err *err)
{
    auto_json *keys = NULL;
    if (!store_list(store, STORE_RESOURCE, &keys, err))
        return false;
    done->resources = json_array_size(keys);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        if (!rewrap_resource(store, key, done, err))
            return err_wrap(err, "%s/%s", store_space_name(STORE_RESOURCE), key);
    }
    return true;
}

static bool drop_old_checks(struct store *store, struct err *err)
{
    auto_json *names = NULL;
    if (!store_list(store, STORE_META, &names, err))
        return false;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        const char *id = check_id(name);
        struct err cause = ERR_INIT;
        if (!id || strcmp(id, store_keys_id(store->keys, 0)) == 0)
            continue;
        if (!store_delete(store, STORE_META, name, &cause) && cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
    }
    return true;
}

bool store_rewrap(struct store *store, struct store_rewrapped *ret_done, struct err *err)
{
    struct store_rewrapped done = {0};
    if (!store->keys)
        return err_set(err, ERR_CONFIG, "there is no key to encrypt under; set [store] kek");
    for (int pass = 0; pass < PASSES; pass++) {
        size_t before = done.versions;
        if (!rewrap_pass(store, &done, err))
            return false;
        *ret_done = done;
        if (done.versions == before)
            return drop_old_checks(store, err);
    }
    return err_set(err, ERR_BUSY,
        "others go on writing under an old key; give every server the new one as [store] kek "
        "first, then run this again");
}

/* -- copy ---------------------------------------------------------------------------------------- */

static bool copy_version(struct store *from, struct store *to, const char *key,
    const struct store_version *at, bool *ret_copied, struct err *err)
{
    auto_secret *value = NULL;
    auto_store_blob blob = {.sealed = BUF_INIT(STORE_RECORD_MAX)};
    struct store_version found;
    struct err cause = ERR_INIT;
    *ret_copied = false;
    if (!store_read(from, key, at->version, &found, &value, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return false;
    }
    if (!to->keys)
        blob.plain = secret_ref(value);
    else if (!store_record_seal(
                 to->keys, STORE_RESOURCE, key, &found, secret_bytes(value), &blob.sealed, err))
        return false;
    return to->ops->version_put(to, key, &found, &blob, ret_copied, err);
}

/* Oldest first, so that a copy that was cut short goes on where it ended. */
static bool copy_resource(
    struct store *from, struct store *to, const char *key, size_t *count, struct err *err)
{
    auto_store_versions versions = {0}, there = {0};
    struct err cause = ERR_INIT;
    if (!from->ops->version_list(from, key, &versions, err))
        return false;
    bool known = to->ops->version_list(to, key, &there, &cause);
    if (!known && cause.code != ERR_NOTFOUND) {
        *err = cause;
        return false;
    }
    for (size_t i = versions.count; i-- > 0;) {
        bool copied = false;
        if (known && versions.items[i].version <= there.items[0].version)
            continue;
        if (!copy_version(from, to, key, &versions.items[i], &copied, err))
            return err_wrap(err, "%s/%s", store_space_name(STORE_RESOURCE), key);
        *count += copied;
    }
    return true;
}

static bool copy_record(struct store *from, struct store *to, enum store_space space,
    const char *key, size_t *count, struct err *err)
{
    auto_buf value = BUF_INIT(STORE_VALUE_MAX);
    bool created = false;
    struct err cause = ERR_INIT;
    if (!store_get(from, space, key, &value, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return false;
    }
    if (!store_create(to, space, key, buf_bytes(&value), &created, err))
        return false;
    *count += created;
    return true;
}

bool store_copy(struct store *from, struct store *to, size_t *ret_count, struct err *err)
{
    size_t count = 0;
    for (enum store_space space = 0; space < STORE_SPACE_COUNT; space++) {
        auto_json *keys = NULL;
        if (space == STORE_META || space == STORE_NONCE)
            continue;
        if (!store_list(from, space, &keys, err))
            return false;
        for (size_t i = 0; i < json_array_size(keys); i++) {
            const char *key = json_string_value(json_array_get(keys, i));
            if (!(space == STORE_RESOURCE ? copy_resource(from, to, key, &count, err)
                                          : copy_record(from, to, space, key, &count, err)))
                return false;
        }
    }
    *ret_count = count;
    return true;
}
