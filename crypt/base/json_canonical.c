/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 8785, the JSON Canonicalization Scheme (JCS): what both ends of RCAR hash. */
#include "crypt/base/json.h"

#include "crypt/base/utf8.h"

/* What we write is made of what we read, which is capped, or of our own fields. */
#define JSON_TEXT_MAX ((size_t)16 * 1024 * 1024)

/*
 * RFC 8785 section 3.2.3 orders member names by UTF-16 units, where a character above U+FFFF starts
 * with a surrogate and so comes before U+E000..U+FFFF. Both names are valid UTF-8: jansson takes
 * nothing else.
 */
static uint32_t first_unit(uint32_t rune)
{
    return rune < 0x10000 ? rune : 0xd800 + ((rune - 0x10000) >> 10);
}

static int compare_names(const void *a, const void *b)
{
    struct bytes left = bytes_str(*(const char *const *)a),
                 right = bytes_str(*(const char *const *)b);
    uint32_t x, y;
    while (utf8_next(&left, &x)) {
        if (!utf8_next(&right, &y))
            return 1;
        if (x == y)
            continue;
        uint32_t p = first_unit(x), q = first_unit(y);
        return p != q ? (p < q ? -1 : 1) : (x < y ? -1 : 1);
    }
    return right.len > 0 ? -1 : 0;
}

/* RFC 8785 section 3.2.2.2: short escapes where JSON has them, \u00xx for the other controls, all
 * else as it is. */
static bool put_string(struct buf *out, struct bytes text, struct err *err)
{
    static const char shorts[0x20] = {
        ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (!buf_append_str(out, "\"", err))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool done;
        if (c == '"' || c == '\\')
            done = buf_printf(out, err, "\\%c", c);
        else if (c >= 0x20)
            done = buf_append(out, bytes_of(&c, 1), err);
        else if (shorts[c])
            done = buf_printf(out, err, "\\%c", shorts[c]);
        else
            done = buf_printf(out, err, "\\u%04x", c);
        if (!done)
            return false;
    }
    return buf_append_str(out, "\"", err);
}

static bool put_value(struct buf *out, const json_t *json, int depth, struct err *err);

static bool put_members(struct buf *out, const json_t *json, const char **names, size_t count,
    int depth, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!buf_append_str(out, i ? "," : "", err) || !put_string(out, bytes_str(names[i]), err) ||
            !buf_append_str(out, ":", err) ||
            !put_value(out, json_object_get(json, names[i]), depth, err))
            return false;
    return true;
}

static bool put_object(struct buf *out, const json_t *json, int depth, struct err *err)
{
    auto_free const char **names = calloc(json_object_size(json) + 1, sizeof *names);
    if (!names)
        return err_nomem(err);
    size_t count = 0;
    /* jansson's iterator takes no const; reading does not change the object. */
    json_t *object = (json_t *)(uintptr_t)json;
    for (void *iter = json_object_iter(object); iter; iter = json_object_iter_next(object, iter))
        names[count++] = json_object_iter_key(iter);
    qsort(names, count, sizeof *names, compare_names);
    return buf_append_str(out, "{", err) && put_members(out, json, names, count, depth, err) &&
           buf_append_str(out, "}", err);
}

static bool put_array(struct buf *out, const json_t *json, int depth, struct err *err)
{
    if (!buf_append_str(out, "[", err))
        return false;
    for (size_t i = 0; i < json_array_size(json); i++)
        if (!buf_append_str(out, i ? "," : "", err) ||
            !put_value(out, json_array_get(json, i), depth, err))
            return false;
    return buf_append_str(out, "]", err);
}

static bool put_integer(struct buf *out, json_int_t value, struct err *err)
{
    const json_int_t limit = (json_int_t)1 << 53;
    if (value > limit || value < -limit)
        return err_set(err, ERR_FORMAT, "an integer beyond 2^53 has no canonical JSON form");
    return buf_printf(out, err, "%" JSON_INTEGER_FORMAT, value);
}

static bool put_value(struct buf *out, const json_t *json, int depth, struct err *err)
{
    if (depth >= JSON_DEPTH_MAX && (json_is_object(json) || json_is_array(json)))
        return err_set(err, ERR_FORMAT, "JSON nested deeper than %d levels", JSON_DEPTH_MAX);
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        return put_object(out, json, depth + 1, err);
    case JSON_ARRAY:
        return put_array(out, json, depth + 1, err);
    case JSON_STRING:
        return put_string(out, bytes_of(json_string_value(json), json_string_length(json)), err);
    case JSON_INTEGER:
        return put_integer(out, json_integer_value(json), err);
    case JSON_TRUE:
        return buf_append_str(out, "true", err);
    case JSON_FALSE:
        return buf_append_str(out, "false", err);
    case JSON_NULL:
        return buf_append_str(out, "null", err);
    case JSON_REAL:
        break;
    }
    return err_set(
        err, ERR_FORMAT, "a number with fraction or exponent has no canonical form that we write");
}

bool json_canonical(const json_t *json, char **ret_text, struct err *err)
{
    auto_buf out = BUF_INIT(JSON_TEXT_MAX);
    if (!put_value(&out, json, 0, err))
        return err_wrap(err, "canonical JSON");
    char *text = buf_take_text(&out);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}
