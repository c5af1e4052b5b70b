/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/refvalue.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"

#define MESSAGE_MAX  STORE_VALUE_MAX
#define VERSION      "0.1.0"
#define NAMESPACE_OK "letters, digits and \"_.-\", segments joined by '/'"

struct message {
    const char *version, *type, *payload;
};

static const struct json_field message_fields[] = {
    {"version", JSON_FIELD_TEXT, offsetof(struct message, version), .max = 32},
    {"type", JSON_FIELD_TEXT, offsetof(struct message, type), .max = 32, .required = true},
    {"payload", JSON_FIELD_TEXT, offsetof(struct message, payload), .required = true},
};

static bool check_head(const struct message *message, struct err *err)
{
    if (strcmp(message->version, VERSION) != 0)
        return err_set(err, ERR_FORMAT,
            "reference value message of version \"%s\"; this server takes " VERSION,
            message->version);
    if (strcmp(message->type, "swid") == 0 || strcmp(message->type, "corim") == 0)
        return err_set(err, ERR_FORMAT,
            "reference values of type %s are not taken by this server; send type \"sample\" "
            "({\"NAME\":VALUE,…})",
            message->type);
    if (strcmp(message->type, "sample") != 0)
        return err_set(err, ERR_FORMAT,
            "unknown type \"%s\" of reference values; this server takes \"sample\"", message->type);
    return true;
}

static bool check_values(const json_t *values, struct err *err)
{
    const char *name;
    json_t *value;
    if (!json_is_object(values) || json_object_size(values) == 0)
        return err_set(err, ERR_FORMAT, "reference value payload: not {\"NAME\":VALUE,…}");
    if (json_object_size(values) > REFVALUE_NAMES_MAX)
        return err_set(err, ERR_FORMAT, "reference value payload: %zu names; at most %d at a time",
            json_object_size(values), REFVALUE_NAMES_MAX);
    json_object_foreach((json_t *)(uintptr_t)values, name, value)
    {
        if (!store_key_ok(name))
            return err_set(err, ERR_FORMAT,
                "reference value name \"%.80s\": " NAMESPACE_OK " are taken", name);
        if (json_is_null(value))
            return err_set(
                err, ERR_FORMAT, "reference value \"%s\" is null; delete it instead", name);
    }
    return true;
}

bool refvalue_decode(struct bytes message, json_t **ret_values, struct err *err)
{
    auto_json *json = NULL;
    auto_json *values = NULL;
    auto_buf payload = BUF_INIT(MESSAGE_MAX);
    struct message head = {.version = VERSION};
    if (!json_load_strict(message, MESSAGE_MAX, "reference value message", &json, err) ||
        !json_decode(json, message_fields, ARRAY_LEN(message_fields), true,
            "reference value message", &head, err) ||
        !check_head(&head, err) ||
        !b64_decode(B64_STD, bytes_str(head.payload), "reference value payload", &payload, err) ||
        !json_load_strict(
            buf_bytes(&payload), MESSAGE_MAX, "reference value payload", &values, err) ||
        !check_values(values, err))
        return false;
    *ret_values = take_ptr(values);
    return true;
}

static bool put(
    struct store *store, const char *name, json_t *value, int64_t expires, struct err *err)
{
    char expiration[CLOCK_TEXT_SIZE];
    auto_json *json = NULL;
    clock_rfc3339(expires, expiration);
    if (!json_build(&json, err, "{s:s,s:s,s:s,s:O}", "version", VERSION, "name", name, "expiration",
            expiration, "value", value))
        return false;
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    return store_put(store, STORE_REFERENCE, name, bytes_str(text), err);
}

bool refvalue_register(struct store *store, struct bytes message, int64_t now, struct err *err)
{
    auto_json *values = NULL;
    const char *name;
    json_t *value;
    if (!refvalue_decode(message, &values, err))
        return false;
    json_object_foreach(values, name, value)
    {
        if (!put(store, name, value, now + REFVALUE_LIFETIME_S, err))
            return err_wrap(err, "reference value %s", name);
    }
    return true;
}

struct stored {
    const char *version, *name, *expiration;
    json_t *value;
    int64_t expires_at;
};

static const struct json_field stored_fields[] = {
    {"version", JSON_FIELD_TEXT, offsetof(struct stored, version), .max = 32},
    {"name", JSON_FIELD_TEXT, offsetof(struct stored, name)},
    {"expiration", JSON_FIELD_TEXT, offsetof(struct stored, expiration), .max = 64,
        .required = true},
    {"value", JSON_FIELD_ANY, offsetof(struct stored, value), .required = true},
};

/* *ret_json owns what *ret_stored borrows. */
static bool load(struct store *store, const char *name, json_t **ret_json,
    struct stored *ret_stored, struct err *err)
{
    auto_buf text = BUF_INIT(2 * MESSAGE_MAX);
    auto_json *json = NULL;
    struct stored stored = {0};
    if (!store_get(store, STORE_REFERENCE, name, &text, err))
        return false;
    if (!json_load_strict(buf_bytes(&text), 2 * MESSAGE_MAX, "stored value", &json, err) ||
        !json_decode(
            json, stored_fields, ARRAY_LEN(stored_fields), true, "stored value", &stored, err) ||
        !clock_parse_rfc3339(bytes_str(stored.expiration), "expiration", &stored.expires_at, err))
        return err_wrap(err, "reference value %s", name);
    *ret_json = take_ptr(json);
    *ret_stored = stored;
    return true;
}

bool refvalue_get(
    struct store *store, const char *name, int64_t now, json_t **ret_value, struct err *err)
{
    auto_json *json = NULL;
    struct stored stored;
    if (!load(store, name, &json, &stored, err))
        return false;
    if (stored.expires_at <= now)
        return err_set(err, ERR_NOTFOUND, "reference value %s expired on %s; register it again",
            name, stored.expiration);
    *ret_value = json_incref(stored.value);
    return true;
}

typedef bool each_fn(
    json_t *out, const char *name, const struct stored *stored, bool expired, struct err *err);

static bool each(struct store *store, int64_t now, each_fn *fn, json_t *out, struct err *err)
{
    auto_json *names = NULL;
    if (!store_list(store, STORE_REFERENCE, &names, err))
        return false;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const char *name = json_string_value(json_array_get(names, i));
        auto_json *json = NULL;
        struct stored stored;
        struct err gone = ERR_INIT;
        if (!load(store, name, &json, &stored, &gone)) {
            if (gone.code == ERR_NOTFOUND) /* deleted since the listing */
                continue;
            *err = gone;
            return false;
        }
        if (!fn(out, name, &stored, stored.expires_at <= now, err))
            return false;
    }
    return true;
}

static bool add_value(
    json_t *out, const char *name, const struct stored *stored, bool expired, struct err *err)
{
    /* Not left out: a PCR whose value has expired must fail its comparison, not go uncompared. */
    json_t *value = expired ? json_null() : stored->value;
    return json_object_set(out, name, value) == 0 || err_nomem(err);
}

static bool add_description(
    json_t *out, const char *name, const struct stored *stored, bool expired, struct err *err)
{
    json_t *item = NULL;
    if (!json_build(&item, err, "{s:s,s:s,s:O,s:b}", "name", name, "expiration", stored->expiration,
            "value", stored->value, "expired", expired))
        return false;
    return json_array_append_new(out, item) == 0 || err_nomem(err);
}

static bool gather(
    struct store *store, int64_t now, each_fn *fn, json_t *empty, json_t **ret_out, struct err *err)
{
    auto_json *out = empty;
    if (!out)
        return err_nomem(err);
    if (!each(store, now, fn, out, err))
        return false;
    *ret_out = take_ptr(out);
    return true;
}

bool refvalue_all(struct store *store, int64_t now, json_t **ret_values, struct err *err)
{
    return gather(store, now, add_value, json_object(), ret_values, err);
}

bool refvalue_describe(struct store *store, int64_t now, json_t **ret_list, struct err *err)
{
    return gather(store, now, add_description, json_array(), ret_list, err);
}
