/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/policy_versions.h"

#include <stdio.h>

#include "crypt/base/clock.h"
#include "kbs/server/policy/policy.h"

#define ENTRY_MAX (6u * POLICY_TEXT_MAX + 4096) /* a byte becomes at most six in JSON */
#define ATTEMPTS  100
#define DIGITS    8

static void key_of(const char *id, uint32_t number, char key[STORE_KEY_MAX + 1])
{
    snprintf(key, STORE_KEY_MAX + 1, "versions/%s/%08u", id, (unsigned)number);
}

/* 0: no version of this policy. */
static uint32_t number_of(const char *key, const char *id)
{
    char prefix[STORE_KEY_MAX + 1];
    int len = snprintf(prefix, sizeof prefix, "versions/%s/", id);
    if (strncmp(key, prefix, (size_t)len) != 0 || strlen(key + len) != DIGITS ||
        strspn(key + len, "0123456789") != DIGITS)
        return 0;
    return (uint32_t)strtoul(key + len, NULL, 10);
}

/* Rising; at most the newest POLICY_VERSIONS_MAX. */
struct numbers {
    uint32_t items[POLICY_VERSIONS_MAX];
    size_t count;
};

static bool find_numbers(
    struct store *store, const char *id, struct numbers *ret_numbers, struct err *err)
{
    auto_json *keys = NULL;
    size_t index;
    json_t *key;
    ret_numbers->count = 0;
    if (!store_list(store, STORE_POLICY, &keys, err))
        return false;
    json_array_foreach(keys, index, key)
    {
        uint32_t number = number_of(json_string_value(key), id);
        if (number == 0)
            continue;
        if (ret_numbers->count == POLICY_VERSIONS_MAX)
            memmove(ret_numbers->items, ret_numbers->items + 1,
                sizeof ret_numbers->items[0] * --ret_numbers->count);
        ret_numbers->items[ret_numbers->count++] = number;
    }
    return true;
}

static bool make_entry(const struct policy_version *version, uint32_t number, struct bytes text,
    char **ret_entry, struct err *err)
{
    auto_json *entry = NULL;
    char when[CLOCK_TEXT_SIZE];
    clock_rfc3339(version->now, when);
    if (!json_build(&entry, err, "{s:i, s:s, s:s?, s:s%}", "version", (int)number, "set_at", when,
            "set_by", version->who, "policy", (const char *)text.data, text.len))
        return false;
    *ret_entry = json_text(entry);
    return *ret_entry || err_nomem(err);
}

static bool prune(struct store *store, const char *id, const struct numbers *numbers, int64_t keep,
    struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    for (size_t i = 0; (int64_t)(numbers->count - i) >= keep && i < numbers->count; i++) {
        struct err gone = ERR_INIT;
        key_of(id, numbers->items[i], key);
        if (!store_delete(store, STORE_POLICY, key, &gone) && gone.code != ERR_NOTFOUND) {
            *err = gone;
            return false;
        }
    }
    return true;
}

bool policy_versions_add(struct store *store, const struct policy_version *version,
    struct bytes text, uint32_t *ret_number, struct err *err)
{
    struct numbers numbers;
    char key[STORE_KEY_MAX + 1];
    if (!find_numbers(store, version->id, &numbers, err))
        return false;
    uint32_t number = numbers.count > 0 ? numbers.items[numbers.count - 1] : 0;
    for (int i = 0; i < ATTEMPTS; i++) { /* another replica may take the same number */
        auto_free char *entry = NULL;
        bool created = false;
        key_of(version->id, ++number, key);
        if (!make_entry(version, number, text, &entry, err) ||
            !store_create(store, STORE_POLICY, key, bytes_str(entry), &created, err))
            return false;
        if (!created)
            continue;
        *ret_number = number;
        return prune(store, version->id, &numbers, version->keep, err);
    }
    return err_set(err, ERR_BUSY, "others set this policy all the time; try again");
}

static bool load(
    struct store *store, const char *id, uint32_t number, json_t **ret_entry, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    auto_buf text = BUF_INIT(ENTRY_MAX);
    key_of(id, number, key);
    return store_get(store, STORE_POLICY, key, &text, err) &&
           (json_load_strict(buf_bytes(&text), ENTRY_MAX, "stored policy", ret_entry, err) ||
               err_wrap(err, "%s", key));
}

bool policy_versions_list(struct store *store, const char *id, json_t **ret_list, struct err *err)
{
    struct numbers numbers;
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    if (!find_numbers(store, id, &numbers, err))
        return false;
    for (size_t i = numbers.count; i-- > 0;) {
        auto_json *entry = NULL, *shown = NULL;
        struct err gone = ERR_INIT;
        if (!load(store, id, numbers.items[i], &entry, &gone)) {
            if (gone.code == ERR_NOTFOUND) /* pruned meanwhile */
                continue;
            *err = gone;
            return false;
        }
        const char *text = json_member_text(entry, "policy");
        if (!json_build(&shown, err, "{s:i, s:s?, s:s?, s:i}", "version", (int)numbers.items[i],
                "set_at", json_member_text(entry, "set_at"), "set_by",
                json_member_text(entry, "set_by"), "bytes", (int)(text ? strlen(text) : 0)))
            return false;
        if (json_array_append(list, shown) != 0)
            return err_nomem(err);
    }
    *ret_list = take_ptr(list);
    return true;
}

bool policy_versions_get(
    struct store *store, const char *id, uint32_t number, struct buf *text, struct err *err)
{
    auto_json *entry = NULL;
    struct err cause = ERR_INIT;
    if (!load(store, id, number, &entry, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            err_set(&cause, ERR_NOTFOUND,
                "version %u is not kept; sealed kbs policy versions lists those that are",
                (unsigned)number);
        *err = cause;
        return false;
    }
    const char *policy = json_member_text(entry, "policy");
    return policy ? buf_append_str(text, policy, err)
                  : err_set(err, ERR_FORMAT, "version %u has no text", (unsigned)number);
}
