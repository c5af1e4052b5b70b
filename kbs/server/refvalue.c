/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/refvalue.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"

#define VERSION  "0.1.0"
#define ID_BYTES 16

static bool part_prefix(const char *name, char out[STORE_KEY_MAX + 1], struct err *err)
{
    char hash[REFVALUE_HASH_SIZE];
    if (!refvalue_name_hash(name, hash, err))
        return false;
    snprintf(out, STORE_KEY_MAX + 1, REFVALUE_PARTS "%s/", hash);
    return true;
}

static bool part_key(
    const char *name, const json_t *value, char out[STORE_KEY_MAX + 1], struct err *err)
{
    char hash[REFVALUE_HASH_SIZE];
    if (!part_prefix(name, out, err) || !refvalue_value_hash(value, hash, err))
        return false;
    size_t len = strlen(out);
    snprintf(out + len, STORE_KEY_MAX + 1 - len, "%s", hash);
    return true;
}

/* Random, so that a record that is set again is another one, and nothing removed from the old one is missing in it. */
bool refvalue_record(const char *name, json_t *value, int64_t expires,
    const struct refvalue_setter *setter, char **ret_text, struct err *err)
{
    char expiration[CLOCK_TEXT_SIZE], when[CLOCK_TEXT_SIZE], id[2 * ID_BYTES + 1];
    uint8_t random[ID_BYTES];
    auto_json *json = NULL;
    if (expires == 0)
        expires = setter->now + REFVALUE_LIFETIME_S;
    if (expires <= setter->now)
        return err_set(err, ERR_FORMAT, "it would have expired already; give a time to come");
    clock_rfc3339(expires, expiration);
    clock_rfc3339(setter->now, when);
    if (!hash_random(random, sizeof random, err))
        return false;
    hex_encode(bytes_of(random, sizeof random), id);
    if (!json_build(&json, err, "{s:s,s:s,s:s,s:O,s:s*,s:s,s:s*,s:s}", "version", VERSION, "name",
            name, "expiration", expiration, "value", value, "by", setter->by, "set", when,
            "publisher", setter->publisher, "id", id))
        return false;
    *ret_text = json_text(json);
    return *ret_text || err_nomem(err);
}

/* What was added to an earlier list, and removed from it. */
static bool drop_parts(
    struct store *store, const json_t *keys, const char *name, size_t *count, struct err *err)
{
    char prefix[STORE_KEY_MAX + 1];
    size_t index;
    const json_t *key;
    if (!part_prefix(name, prefix, err))
        return false;
    json_array_foreach(keys, index, key)
    {
        struct err cause = ERR_INIT;
        if (strncmp(json_string_value(key), prefix, strlen(prefix)) != 0)
            continue;
        if (store_delete(store, STORE_REFERENCE, json_string_value(key), &cause)) {
            ++*count;
        } else if (cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
    }
    return true;
}

static bool set_one(struct store *store, const char *name, json_t *value,
    const struct refvalue_change *change, const struct refvalue_setter *setter, const json_t *keys,
    struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_free char *text = NULL;
    size_t dropped = 0;
    return refvalue_key(name, key, err) &&
           refvalue_record(name, value, change->expires, setter, &text, err) &&
           store_put(store, STORE_REFERENCE, key, bytes_str(text), err) &&
           drop_parts(store, keys, name, &dropped, err);
}

static bool holds(const json_t *value, const json_t *item)
{
    size_t index;
    const json_t *entry;
    if (!json_is_array(value))
        return json_equal(value, item);
    json_array_foreach(value, index, entry)
    {
        if (json_equal(entry, item))
            return true;
    }
    return false;
}

static bool hide(struct store *store, const char *name, json_t *item, const char *of,
    const char *expiration, const struct refvalue_setter *setter, struct err *err)
{
    char key[STORE_KEY_MAX + 1], when[CLOCK_TEXT_SIZE];
    auto_json *json = NULL;
    clock_rfc3339(setter->now, when);
    if (!part_key(name, item, key, err) ||
        !json_build(&json, err, "{s:s,s:s,s:s,s:O,s:s*,s:s,s:s*,s:b,s:s}", "version", VERSION,
            "name", name, "expiration", expiration, "value", item, "by", setter->by, "set", when,
            "publisher", setter->publisher, "removed", true, "of", of))
        return false;
    auto_free char *text = json_text(json);
    return text ? store_put(store, STORE_REFERENCE, key, bytes_str(text), err) : err_nomem(err);
}

static bool refuse_absent(const json_t *item, struct err *err)
{
    auto_free char *shown = json_text(item);
    return err_set(err, ERR_NOTFOUND, "it has no value %.80s", shown ? shown : "?");
}

/* Loads what may be absent: *ret_json is NULL then. */
static bool load_if(struct store *store, const char *key, json_t **ret_json,
    struct refvalue_stored *ret_stored, char *ret_hash, struct err *err)
{
    struct err cause = ERR_INIT;
    *ret_json = NULL;
    if (refvalue_load(store, key, ret_json, ret_stored, ret_hash, &cause) ||
        cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return false;
}

static bool remove_one(struct store *store, const char *name, json_t *item,
    const struct refvalue_setter *setter, struct err *err)
{
    char set_key[STORE_KEY_MAX + 1], key[STORE_KEY_MAX + 1], of[REFVALUE_HASH_SIZE];
    auto_json *set_json = NULL, *part_json = NULL;
    struct refvalue_stored set = {0}, part = {0};
    struct err cause = ERR_INIT;
    if (!refvalue_key(name, set_key, err) || !part_key(name, item, key, err) ||
        !load_if(store, set_key, &set_json, &set, of, err) ||
        !load_if(store, key, &part_json, &part, NULL, err))
        return false;
    if (set_json && holds(set.value, item)) {
        bool gone = part_json && part.removed && part.of && strcmp(part.of, of) == 0;
        return gone ? refuse_absent(item, err)
                    : hide(store, name, item, of, set.expiration, setter, err);
    }
    if (!part_json || part.removed)
        return refuse_absent(item, err);
    if (store_delete(store, STORE_REFERENCE, key, &cause) || cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return false;
}

static bool add_one(struct store *store, const char *name, json_t *item,
    const struct refvalue_change *change, const struct refvalue_setter *setter, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_free char *text = NULL;
    return part_key(name, item, key, err) &&
           refvalue_record(name, item, change->expires, setter, &text, err) &&
           store_put(store, STORE_REFERENCE, key, bytes_str(text), err);
}

/* Of one name: each value for itself. */
static bool change_singles(struct store *store, const char *name, json_t *value,
    const struct refvalue_change *change, const struct refvalue_setter *setter, struct err *err)
{
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_is_array(value) ? json_array_get(value, i) : value;
        bool done = change->operation == REFVALUE_ADD
                        ? add_one(store, name, item, change, setter, err)
                        : remove_one(store, name, item, setter, err);
        if (!done)
            return false;
    }
    return true;
}

bool refvalue_apply(struct store *store, const struct refvalue_change *change,
    const struct refvalue_setter *setter, struct err *err)
{
    auto_json *keys = NULL;
    const char *name;
    json_t *value;
    if (change->operation == REFVALUE_SET && !store_list(store, STORE_REFERENCE, &keys, err))
        return false;
    json_object_foreach(change->values, name, value)
    {
        bool done = change->operation == REFVALUE_SET
                        ? set_one(store, name, value, change, setter, keys, err)
                        : change_singles(store, name, value, change, setter, err);
        if (!done)
            return err_wrap(err, "reference value %s", name);
    }
    return true;
}

bool refvalue_delete(struct store *store, const char *name, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_json *keys = NULL;
    struct err cause = ERR_INIT;
    size_t dropped = 0;
    if (!refvalue_name_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a reference value", name);
    if (!store_list(store, STORE_REFERENCE, &keys, err) ||
        !drop_parts(store, keys, name, &dropped, err) || !refvalue_key(name, key, err))
        return false;
    if (store_delete(store, STORE_REFERENCE, key, &cause) ||
        (cause.code == ERR_NOTFOUND && dropped > 0))
        return true;
    if (cause.code == ERR_NOTFOUND)
        return err_set(err, ERR_NOTFOUND, "no reference value named %s", name);
    *err = cause;
    return err_wrap(err, "reference value %s", name);
}
