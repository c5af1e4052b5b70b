/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/json.h"

#include <stdarg.h>
#include <sys/random.h>

#include "crypt/base/secret.h"

/* In front of each piece of jansson's memory, so that it can be wiped; 16 bytes keep the alignment
 * of malloc. */
union piece {
    size_t size;
    max_align_t align;
};

static void *wiping_malloc(size_t size)
{
    if (size > SIZE_MAX - sizeof(union piece))
        return NULL;
    union piece *piece = malloc(sizeof *piece + size);
    if (!piece)
        return NULL;
    piece->size = size;
    return piece + 1;
}

static void wiping_free(void *data)
{
    if (!data)
        return;
    union piece *piece = (union piece *)data - 1;
    secret_wipe(data, piece->size);
    free(piece);
}

/* The seed is given now because jansson would otherwise open /dev/urandom at its first object, when
 * a process may no longer open files. */
void json_init(void)
{
    size_t seed = 0;
    json_set_alloc_funcs(wiping_malloc, wiping_free);
    if (getrandom(&seed, sizeof seed, 0) == (ssize_t)sizeof seed && seed != 0)
        json_object_seed(seed);
}

void json_unref(json_t *json)
{
    json_decref(json);
}

/* jansson recurses to 2048 levels; this looks first, without recursion. What is no JSON is left for
 * jansson to refuse. */
static bool check_depth(struct bytes text, const char *what, struct err *err)
{
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '['))
            depth++;
        else if (!in_string && (c == '}' || c == ']'))
            depth--;
        if (depth > JSON_DEPTH_MAX)
            return err_set(
                err, ERR_FORMAT, "%s: JSON nested deeper than %d levels", what, JSON_DEPTH_MAX);
    }
    return true;
}

bool json_load_strict(
    struct bytes text, size_t max, const char *what, json_t **ret_json, struct err *err)
{
    if (text.len > max)
        return err_set(
            err, ERR_FORMAT, "%s: %zu bytes of JSON; at most %zu are taken", what, text.len, max);
    if (text.len == 0)
        return err_set(err, ERR_FORMAT, "%s: empty, where JSON is needed", what);
    if (!check_depth(text, what, err))
        return false;
    json_error_t cause;
    json_t *json = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &cause);
    if (json) {
        *ret_json = json;
        return true;
    }
    if (json_error_code(&cause) == json_error_out_of_memory)
        return err_nomem(err);
    /* jansson quotes the input after " near "; what we were sent does not belong into messages. */
    char *quote = strstr(cause.text, " near ");
    if (quote)
        *quote = '\0';
    return err_set(err, ERR_FORMAT, "%s: not the JSON that is taken: %s (line %d, column %d)", what,
        cause.text, cause.line, cause.column);
}

/* Straight into the caller's kind of memory: json_dumps would use jansson's. */
static char *text_with(const json_t *json, size_t flags)
{
    size_t len = json_dumpb(json, NULL, 0, flags);
    if (len == 0)
        return NULL;
    char *text = malloc(len + 1);
    if (!text)
        return NULL;
    if (json_dumpb(json, text, len, flags) != len) {
        free(text);
        return NULL;
    }
    text[len] = '\0';
    return text;
}

char *json_text(const json_t *json)
{
    return text_with(json, JSON_COMPACT | JSON_ENCODE_ANY);
}

char *json_text_indented(const json_t *json)
{
    return text_with(json, JSON_INDENT(2) | JSON_ENCODE_ANY);
}

const char *json_member_text(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

bool json_build(json_t **ret_json, struct err *err, const char *format, ...)
{
    json_error_t cause;
    va_list args;
    va_start(args, format);
    json_t *json = json_vpack_ex(&cause, 0, format, args);
    va_end(args);
    if (json) {
        *ret_json = json;
        return true;
    }
    if (json_error_code(&cause) == json_error_invalid_utf8)
        return err_set(err, ERR_FORMAT, "building JSON: text that is not UTF-8");
    if (json_error_code(&cause) == json_error_invalid_format)
        return err_set(err, ERR_INTERNAL, "building JSON: the format `%s` is wrong", format);
    return err_nomem(err);
}

bool json_is_deeper(const json_t *value, int levels)
{
    size_t index;
    const char *key;
    json_t *child;
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (levels == 0)
        return true;
    json_object_foreach((json_t *)(uintptr_t)value, key, child)
    {
        if (json_is_deeper(child, levels - 1))
            return true;
    }
    json_array_foreach(value, index, child)
    {
        if (json_is_deeper(child, levels - 1))
            return true;
    }
    return false;
}
