/* SPDX-License-Identifier: Apache-2.0 */
/* Messages and names of reference values. */
#include "kbs/server/refvalue.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"

#define MESSAGE_MAX STORE_VALUE_MAX
#define VERSION     "0.1.0"
#define NAME_CHARS  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:/@+=,~-"
#define NAME_HELP   "letters, digits and \"_.:/@+=,~-\" are taken, no segment \".\" or \"..\""
#define IAT_MAX     ((int64_t)1 << 40)

void refvalue_change_done(struct refvalue_change *change)
{
    json_unref(change->values);
    change->values = NULL;
}

/* -- names ------------------------------------------------------------------------------------- */

bool refvalue_name_ok(const char *name)
{
    size_t len = strlen(name);
    if (len == 0 || len > REFVALUE_NAME_MAX || strspn(name, NAME_CHARS) != len || name[0] == '/' ||
        name[len - 1] == '/')
        return false;
    for (const char *at = name; at; at = strchr(at, '/')) {
        at += strspn(at, "/");
        size_t segment = strcspn(at, "/");
        if ((segment == 1 && at[0] == '.') || (segment == 2 && at[0] == '.' && at[1] == '.'))
            return false;
        at += segment;
        if (*at == '\0')
            return true;
    }
    return true;
}

static void collapse(const char *name, char out[REFVALUE_NAME_MAX + 1])
{
    size_t used = 0;
    for (; *name && used < REFVALUE_NAME_MAX; name++)
        if (*name != '/' || used == 0 || out[used - 1] != '/')
            out[used++] = *name;
    out[used] = '\0';
}

static bool hash_text(const char *text, char ret_hash[REFVALUE_HASH_SIZE], struct err *err)
{
    struct hash hash;
    if (!hash_bytes(HASH_SHA256, bytes_str(text), &hash, err))
        return false;
    hex_encode(hash_view(&hash), ret_hash);
    return true;
}

bool refvalue_name_hash(const char *name, char ret_hash[REFVALUE_HASH_SIZE], struct err *err)
{
    char one[REFVALUE_NAME_MAX + 1];
    collapse(name, one);
    return hash_text(one, ret_hash, err);
}

bool refvalue_value_hash(const json_t *value, char ret_hash[REFVALUE_HASH_SIZE], struct err *err)
{
    auto_free char *text = json_text(value);
    return text ? hash_text(text, ret_hash, err) : err_nomem(err);
}

bool refvalue_key(const char *name, char ret_key[STORE_KEY_MAX + 1], struct err *err)
{
    static const char *const own[] = {"_name", "_value", "_serial"};
    char one[REFVALUE_NAME_MAX + 1], hash[REFVALUE_HASH_SIZE];
    bool plain = store_key_ok(name);
    collapse(name, one);
    for (size_t i = 0; i < ARRAY_LEN(own); i++) {
        size_t len = strlen(own[i]);
        plain = plain && !(strncmp(one, own[i], len) == 0 && (one[len] == '/' || one[len] == '\0'));
    }
    if (plain)
        snprintf(ret_key, STORE_KEY_MAX + 1, "%s", one);
    else if (!hash_text(one, hash, err))
        return false;
    else
        snprintf(ret_key, STORE_KEY_MAX + 1, "_name/%s", hash);
    return true;
}

/* -- messages ---------------------------------------------------------------------------------- */

struct message {
    const char *version, *type, *payload, *operation, *expires;
    int64_t iat;
};

static const struct json_field message_fields[] = {
    {"version", JSON_FIELD_TEXT, offsetof(struct message, version), .max = 32},
    {"type", JSON_FIELD_TEXT, offsetof(struct message, type), .max = 32, .required = true},
    {"payload", JSON_FIELD_TEXT, offsetof(struct message, payload), .required = true},
    {"operation", JSON_FIELD_TEXT, offsetof(struct message, operation), .max = 16},
    {"expires", JSON_FIELD_TEXT, offsetof(struct message, expires), .max = 40},
    {"iat", JSON_FIELD_INT, offsetof(struct message, iat), .min = 1, .max = IAT_MAX},
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

static bool parse_operation(
    const char *text, enum refvalue_operation *ret_operation, struct err *err)
{
    static const char *const names[] = {
        [REFVALUE_SET] = "set", [REFVALUE_ADD] = "add", [REFVALUE_REMOVE] = "remove"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(names[i], text) == 0) {
            *ret_operation = (enum refvalue_operation)i;
            return true;
        }
    return err_set(err, ERR_FORMAT,
        "unknown operation \"%s\" on reference values; this server takes set, add and remove",
        text);
}

bool refvalue_is_scalar(const json_t *value)
{
    return json_is_string(value) || json_is_integer(value) || json_is_boolean(value);
}

/* Single values are found again by what they are. */
static bool check_singles(const char *name, const json_t *value, struct err *err)
{
    size_t index;
    const json_t *item;
    bool good = refvalue_is_scalar(value) || json_array_size(value) > 0;
    json_array_foreach(value, index, item)
    {
        good = good && refvalue_is_scalar(item);
    }
    return good || err_set(err, ERR_FORMAT,
                       "reference value \"%s\": a text, an integer, a boolean or a list of them "
                       "can be added and removed; set it whole instead",
                       name);
}

static bool check_values(const json_t *values, enum refvalue_operation operation, struct err *err)
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
        if (!refvalue_name_ok(name))
            return err_set(err, ERR_FORMAT,
                "reference value name \"%.80s\": up to %d characters, " NAME_HELP, name,
                REFVALUE_NAME_MAX);
        if (json_is_null(value))
            return err_set(
                err, ERR_FORMAT, "reference value \"%s\" is null; delete it instead", name);
        if (operation != REFVALUE_SET && !check_singles(name, value, err))
            return false;
    }
    return true;
}

bool refvalue_decode(struct bytes message, struct refvalue_change *ret_change, struct err *err)
{
    auto_json *json = NULL;
    auto_buf payload = BUF_INIT(MESSAGE_MAX);
    auto_refvalue_change change = {0};
    struct message head = {.version = VERSION, .operation = "set"};
    if (!json_load_strict(message, MESSAGE_MAX, "reference value message", &json, err) ||
        !json_decode(json, message_fields, ARRAY_LEN(message_fields), true,
            "reference value message", &head, err) ||
        !check_head(&head, err) || !parse_operation(head.operation, &change.operation, err) ||
        (head.expires &&
            !clock_parse_rfc3339(bytes_str(head.expires), "expires", &change.expires, err)) ||
        !b64_decode(B64_STD, bytes_str(head.payload), "reference value payload", &payload, err) ||
        !json_load_strict(
            buf_bytes(&payload), MESSAGE_MAX, "reference value payload", &change.values, err) ||
        !check_values(change.values, change.operation, err))
        return false;
    change.iat = head.iat;
    *ret_change = change;
    change.values = NULL;
    return true;
}
