/* SPDX-License-Identifier: Apache-2.0 */
/* What holds: the record of each name, with what was added and removed since. */
#include "kbs/server/refvalue.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"

static const struct json_field stored_fields[] = {
    {"name", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, name), .max = REFVALUE_NAME_MAX},
    {"expiration", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, expiration), .max = 64,
        .required = true},
    {"value", JSON_FIELD_ANY, offsetof(struct refvalue_stored, value), .required = true},
    {"by", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, by)},
    {"set", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, set)},
    {"publisher", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, publisher)},
    {"of", JSON_FIELD_TEXT, offsetof(struct refvalue_stored, of)},
    {"removed", JSON_FIELD_BOOL, offsetof(struct refvalue_stored, removed)},
};

bool refvalue_load(struct store *store, const char *key, json_t **ret_json,
    struct refvalue_stored *ret_stored, char *ret_hash, struct err *err)
{
    auto_buf text = BUF_INIT(REFVALUE_TEXT_MAX);
    auto_json *json = NULL;
    struct refvalue_stored stored = {0};
    struct hash hash;
    if (!store_get(store, STORE_REFERENCE, key, &text, err))
        return false;
    if (!json_load_strict(buf_bytes(&text), REFVALUE_TEXT_MAX, "stored value", &json, err) ||
        !json_decode(
            json, stored_fields, ARRAY_LEN(stored_fields), true, "stored value", &stored, err) ||
        !clock_parse_rfc3339(bytes_str(stored.expiration), "expiration", &stored.expires_at, err) ||
        !hash_bytes(HASH_SHA256, buf_bytes(&text), &hash, err))
        return err_wrap(err, "reference value %s", key);
    if (ret_hash)
        hex_encode(hash_view(&hash), ret_hash);
    *ret_json = take_ptr(json);
    *ret_stored = stored;
    return true;
}

/* -- gathering --------------------------------------------------------------------------------- */

/* {NAME's hash: {"name", "key", "values":[{"value","expiration","expired","by","set","publisher"},…], "single":bool}} grows in `groups`. */
static json_t *group_of(json_t *groups, const char *hash, const char *name, struct err *err)
{
    json_t *group = json_object_get(groups, hash);
    if (group)
        return group;
    if (!json_build(&group, err, "{s:s, s:[]}", "name", name, "values"))
        return NULL;
    if (json_object_set_new(groups, hash, group) != 0) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    return group;
}

static bool append(json_t *group, const struct refvalue_stored *stored, json_t *value, int64_t now,
    struct err *err)
{
    json_t *item = NULL;
    return json_build(&item, err, "{s:O, s:s, s:b, s:s?, s:s?, s:s?}", "value", value, "expiration",
               stored->expiration, "expired", stored->expires_at <= now, "by", stored->by, "set",
               stored->set, "publisher", stored->publisher) &&
           (json_array_append_new(json_object_get(group, "values"), item) == 0 || err_nomem(err));
}

/* Index of a value among those of its group; its size: none. */
static size_t find_value(const json_t *values, const json_t *value)
{
    size_t index;
    const json_t *item;
    json_array_foreach(values, index, item)
    {
        if (json_equal(json_object_get(item, "value"), value))
            return index;
    }
    return json_array_size(values);
}

static bool add_set(json_t *group, const char *text_hash, const struct refvalue_stored *stored,
    int64_t now, struct err *err)
{
    size_t index;
    json_t *item;
    bool list = json_is_array(stored->value);
    if (json_object_set_new(group, "of", json_string(text_hash)) != 0 ||
        json_object_set_new(group, "list", json_boolean(list)) != 0 ||
        json_object_set_new(group, "expiration", json_string(stored->expiration)) != 0)
        return err_nomem(err);
    if (!list)
        return append(group, stored, stored->value, now, err);
    json_array_foreach(stored->value, index, item)
    {
        if (!append(group, stored, item, now, err))
            return false;
    }
    return true;
}

/* A value that is there already holds until the later of its ends. */
static bool add_part(
    json_t *group, const struct refvalue_stored *stored, int64_t now, struct err *err)
{
    json_t *values = json_object_get(group, "values");
    size_t at = find_value(values, stored->value);
    bool there = at < json_array_size(values);
    if (stored->removed) {
        const char *of = json_member_text(group, "of");
        if (there && of && stored->of && strcmp(of, stored->of) == 0)
            json_array_remove(values, at);
        return true;
    }
    if (json_object_set_new(group, "list", json_true()) != 0)
        return err_nomem(err);
    if (there) {
        const char *until = json_member_text(json_array_get(values, at), "expiration");
        if (until && strcmp(until, stored->expiration) >= 0)
            return true;
        json_array_remove(values, at);
    }
    return append(group, stored, stored->value, now, err);
}

static bool add_key(
    struct store *store, const char *key, int64_t now, json_t *groups, struct err *err)
{
    auto_json *json = NULL;
    struct refvalue_stored stored = {0};
    struct err cause = ERR_INIT;
    char text_hash[REFVALUE_HASH_SIZE], hash[REFVALUE_HASH_SIZE];
    bool part = strncmp(key, REFVALUE_PARTS, strlen(REFVALUE_PARTS)) == 0;
    bool hashed = part || strncmp(key, "_name/", strlen("_name/")) == 0;
    if (!refvalue_load(store, key, &json, &stored, text_hash, &cause)) {
        if (cause.code == ERR_NOTFOUND) /* deleted since the listing */
            return true;
        *err = cause;
        return false;
    }
    const char *name = hashed ? stored.name : key;
    if (!name)
        return err_set(err, ERR_FORMAT, "reference value %s: the record has no name", key);
    if (!refvalue_name_hash(name, hash, err))
        return false;
    if (hashed && !strstr(key, hash))
        return err_set(err, ERR_FORMAT, "reference value %s: the record is of another name", key);
    json_t *group = group_of(groups, hash, name, err);
    return group && (part ? add_part(group, &stored, now, err)
                          : add_set(group, text_hash, &stored, now, err));
}

/* Sets first, then what was added to them. `hash`: of the only name that is asked for; NULL: all. `key`: its record. */
static bool gather(
    struct store *store, const char *only, int64_t now, json_t **ret_groups, struct err *err)
{
    auto_json *keys = NULL, *groups = json_object();
    char hash[REFVALUE_HASH_SIZE] = "", set_key[STORE_KEY_MAX + 1] = "";
    if (!groups)
        return err_nomem(err);
    if ((only && (!refvalue_name_hash(only, hash, err) || !refvalue_key(only, set_key, err))) ||
        !store_list(store, STORE_REFERENCE, &keys, err))
        return false;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < json_array_size(keys); i++) {
            const char *key = json_string_value(json_array_get(keys, i));
            bool part = strncmp(key, REFVALUE_PARTS, strlen(REFVALUE_PARTS)) == 0;
            bool wanted = !only || (part ? strstr(key, hash) == key + strlen(REFVALUE_PARTS)
                                         : strcmp(key, set_key) == 0);
            if (part == (pass == 1) && wanted &&
                strncmp(key, "_serial/", strlen("_serial/")) != 0 &&
                !add_key(store, key, now, groups, err))
                return false;
        }
    }
    *ret_groups = take_ptr(groups);
    return true;
}

/* Not left out: a PCR whose value has expired must fail its comparison, not go uncompared. */
static bool effective(const json_t *group, json_t **ret_value, struct err *err)
{
    const json_t *values = json_object_get(group, "values");
    bool list = !json_is_false(json_object_get(group, "list"));
    auto_json *good = json_array();
    size_t index;
    const json_t *item;
    if (!good)
        return err_nomem(err);
    json_array_foreach(values, index, item)
    {
        if (json_is_false(json_object_get(item, "expired")) &&
            json_array_append(good, json_object_get(item, "value")) != 0)
            return err_nomem(err);
    }
    if (json_array_size(good) == 0 && json_array_size(values) > 0)
        *ret_value = json_null();
    else if (list || json_array_size(good) == 0)
        *ret_value = take_ptr(good);
    else
        *ret_value = json_incref(json_array_get(good, 0));
    return true;
}

/* -- reading ----------------------------------------------------------------------------------- */

/* Until when the last of its values holds. */
static const char *group_end(const json_t *group)
{
    const char *last = json_member_text(group, "expiration");
    size_t index;
    const json_t *item;
    json_array_foreach(json_object_get(group, "values"), index, item)
    {
        const char *end = json_member_text(item, "expiration");
        if (!last || (end && strcmp(end, last) > 0))
            last = end;
    }
    return last ? last : "?";
}

bool refvalue_get(
    struct store *store, const char *name, int64_t now, json_t **ret_value, struct err *err)
{
    auto_json *groups = NULL, *value = NULL;
    if (!refvalue_name_ok(name))
        return err_set(err, ERR_FORMAT, "\"%.80s\" is no name of a reference value", name);
    if (!gather(store, name, now, &groups, err))
        return false;
    const json_t *group = json_object_iter_value(json_object_iter(groups));
    if (!group ||
        !json_object_get(group, "list")) /* removals without what they were removed from */
        return err_set(err, ERR_NOTFOUND, "no reference value named %s", name);
    if (!effective(group, &value, err))
        return false;
    if (json_is_null(value))
        return err_set(err, ERR_NOTFOUND, "reference value %s expired on %s; register it again",
            name, group_end(group));
    *ret_value = take_ptr(value);
    return true;
}

bool refvalue_all(struct store *store, int64_t now, json_t **ret_values, struct err *err)
{
    auto_json *groups = NULL, *values = json_object();
    const char *hash;
    json_t *group;
    if (!values)
        return err_nomem(err);
    if (!gather(store, NULL, now, &groups, err))
        return false;
    json_object_foreach(groups, hash, group)
    {
        json_t *value = NULL;
        if (!json_object_get(group, "list"))
            continue;
        if (!effective(group, &value, err))
            return false;
        if (json_object_set_new(values, json_member_text(group, "name"), value) != 0)
            return err_nomem(err);
    }
    *ret_values = take_ptr(values);
    return true;
}

static bool describe(const json_t *group, json_t *list, struct err *err)
{
    auto_json *value = NULL;
    json_t *item = NULL;
    json_t *values = json_object_get(group, "values");
    if (!effective(group, &value, err))
        return false;
    bool expired = json_is_null(value);
    json_t *old = json_object_get(json_array_get(values, 0), "value");
    return json_build(&item, err, "{s:s,s:s,s:O,s:b,s:O}", "name", json_member_text(group, "name"),
               "expiration", group_end(group), "value", expired && old ? old : value, "expired",
               expired, "values", values) &&
           (json_array_append_new(list, item) == 0 || err_nomem(err));
}

bool refvalue_describe(struct store *store, int64_t now, json_t **ret_list, struct err *err)
{
    auto_json *groups = NULL, *list = json_array();
    const char *hash;
    json_t *group;
    if (!list)
        return err_nomem(err);
    if (!gather(store, NULL, now, &groups, err))
        return false;
    json_object_foreach(groups, hash, group)
    {
        if (json_object_get(group, "list") && !describe(group, list, err))
            return false;
    }
    *ret_list = take_ptr(list);
    return true;
}
