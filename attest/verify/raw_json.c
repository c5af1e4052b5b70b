/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/raw_json.h"

static struct bytes rest_from(struct bytes text, size_t at)
{
    return bytes_slice(text, at, text.len);
}

static struct bytes skip_blanks(struct bytes text)
{
    size_t at = 0;
    while (at < text.len && bytes_is_blank(text.data[at]))
        at++;
    return rest_from(text, at);
}

static bool starts_with(struct bytes text, uint8_t c)
{
    return text.len > 0 && text.data[0] == c;
}

/* How long the string at the front is, both quotes included; 0 when it has no end. */
static size_t string_length(struct bytes text)
{
    for (size_t at = 1; at < text.len; at++) {
        if (text.data[at] == '\\')
            at++;
        else if (text.data[at] == '"')
            return at + 1;
    }
    return 0;
}

/* How long the value at the front is: up to the comma or bracket that ends it. */
static size_t value_length(struct bytes text)
{
    size_t depth = 0, at = 0;
    while (at < text.len) {
        uint8_t c = text.data[at];
        if (c == '"') {
            size_t len = string_length(rest_from(text, at));
            if (len == 0)
                return 0;
            at += len;
            continue;
        }
        if (depth == 0 && (c == ',' || c == '}' || c == ']'))
            break;
        if (c == '{' || c == '[')
            depth++;
        else if (c == '}' || c == ']')
            depth--;
        at++;
    }
    return depth == 0 ? at : 0;
}

static bool take_value(struct bytes *rest, struct bytes *ret_value)
{
    struct bytes text = skip_blanks(*rest);
    size_t len = value_length(text);
    struct bytes value = bytes_trim(bytes_slice(text, 0, len));
    if (value.len == 0)
        return false;
    *rest = skip_blanks(rest_from(text, len));
    if (starts_with(*rest, ','))
        *rest = skip_blanks(rest_from(*rest, 1));
    *ret_value = value;
    return true;
}

bool raw_json_member(struct bytes object, const char *name, struct bytes *ret_value)
{
    struct bytes rest = skip_blanks(object);
    if (!starts_with(rest, '{'))
        return false;
    rest = skip_blanks(rest_from(rest, 1));
    while (starts_with(rest, '"')) {
        struct bytes value, key = bytes_slice(rest, 0, string_length(rest));
        rest = skip_blanks(rest_from(rest, key.len));
        if (key.len < 2 || !starts_with(rest, ':'))
            return false;
        rest = rest_from(rest, 1);
        if (!take_value(&rest, &value))
            return false;
        if (bytes_equal(bytes_of(key.data + 1, key.len - 2), bytes_str(name))) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

struct bytes raw_json_elements(struct bytes array)
{
    struct bytes text = skip_blanks(array);
    return starts_with(text, '[') ? rest_from(text, 1) : BYTES_EMPTY;
}

bool raw_json_next(struct bytes *rest, struct bytes *ret_element)
{
    struct bytes text = skip_blanks(*rest);
    if (starts_with(text, ']') || !take_value(&text, ret_element))
        return false;
    *rest = text;
    return true;
}

bool raw_json_compact(struct bytes text, struct buf *out, struct err *err)
{
    size_t from = 0, at = 0;
    while (at < text.len) {
        if (text.data[at] == '"') {
            size_t len = string_length(rest_from(text, at));
            at = len ? at + len : text.len;
            continue;
        }
        if (!bytes_is_blank(text.data[at])) {
            at++;
            continue;
        }
        if (!buf_append(out, bytes_slice(text, from, at - from), err))
            return false;
        from = ++at;
    }
    return buf_append(out, bytes_slice(text, from, at - from), err);
}
