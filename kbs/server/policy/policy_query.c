/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/policy_query.h"

#include "crypt/base/b64.h"

/* Appends the decoded text; a malformed escape or a NUL is refused. */
static bool decode(struct bytes part, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < part.len; i++) {
        uint8_t byte = part.data[i] == '+' ? ' ' : part.data[i];
        if (part.data[i] == '%') {
            if (part.len - i < 3 ||
                !hex_decode(bytes_of(part.data + i + 1, 2), "escape", &byte, 1, err))
                return err_set(err, ERR_FORMAT, "query: a malformed escape");
            i += 2;
        }
        if (byte == '\0')
            return err_set(err, ERR_FORMAT, "query: a NUL character");
        if (!buf_append(out, bytes_of(&byte, 1), err))
            return false;
    }
    return true;
}

static bool add_pair(json_t *object, struct bytes pair, struct err *err)
{
    const uint8_t *equals = pair.len > 0 ? memchr(pair.data, '=', pair.len) : NULL;
    size_t name_len = equals ? (size_t)(equals - pair.data) : pair.len;
    auto_buf name = BUF_INIT(pair.len + 1), value = BUF_INIT(pair.len + 1);
    if (pair.len == 0)
        return true;
    if (!decode(bytes_slice(pair, 0, name_len), &name, err) ||
        !decode(bytes_slice(pair, name_len + 1, pair.len), &value, err))
        return false;
    return json_object_set_new(object, buf_text(&name), json_string(buf_text(&value))) == 0 ||
           err_set(err, ERR_FORMAT, "query: text that is not UTF-8");
}

bool policy_query_parse(const char *query, json_t **ret_query, struct err *err)
{
    auto_json *object = json_object();
    struct bytes rest = bytes_str(query ? query : "");
    if (!object)
        return err_nomem(err);
    for (size_t count = 0; rest.len > 0; count++) {
        const uint8_t *end = memchr(rest.data, '&', rest.len);
        size_t len = end ? (size_t)(end - rest.data) : rest.len;
        if (count >= POLICY_QUERY_MAX)
            return err_set(err, ERR_FORMAT, "query: more than %d parameters", POLICY_QUERY_MAX);
        if (!add_pair(object, bytes_slice(rest, 0, len), err))
            return false;
        rest = bytes_slice(rest, len + 1, rest.len);
    }
    *ret_query = take_ptr(object);
    return true;
}
