/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_FIRST_SIZE 256

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf)BUF_INIT(buf->max);
}

/* Doubles, so that many small appends cost little, but never asks for more than the maximum and its
 * NUL. */
static size_t next_size(const struct buf *buf, size_t needed)
{
    size_t size = buf->size < BUF_FIRST_SIZE ? BUF_FIRST_SIZE : buf->size;
    while (size < needed)
        size = size > SIZE_MAX / 2 ? needed : size * 2;
    return buf->max < SIZE_MAX && size > buf->max + 1 ? buf->max + 1 : size;
}

bool buf_reserve(struct buf *buf, size_t len, uint8_t **ret_room, struct err *err)
{
    if (len > buf->max - buf->len)
        return err_set(err, ERR_FORMAT, "%zu bytes more than the %zu that are taken",
            len - (buf->max - buf->len), buf->max);
    if (len > SIZE_MAX - 1 - buf->len)
        return err_nomem(err);
    size_t needed = buf->len + len + 1;
    if (needed > buf->size) {
        size_t size = next_size(buf, needed);
        uint8_t *data = realloc(buf->data, size);
        if (!data)
            return err_nomem(err);
        buf->data = data;
        buf->size = size;
        buf->data[buf->len] = '\0';
    }
    *ret_room = buf->data + buf->len;
    return true;
}

void buf_commit(struct buf *buf, size_t len)
{
    buf->len += len;
    buf->data[buf->len] = '\0';
}

void buf_truncate(struct buf *buf, size_t len)
{
    if (len >= buf->len)
        return;
    buf->len = len;
    buf->data[len] = '\0';
}

bool buf_append(struct buf *buf, struct bytes data, struct err *err)
{
    uint8_t *room;
    if (!buf_reserve(buf, data.len, &room, err))
        return false;
    if (data.len > 0)
        memcpy(room, data.data, data.len);
    buf_commit(buf, data.len);
    return true;
}

bool buf_append_str(struct buf *buf, const char *text, struct err *err)
{
    return buf_append(buf, bytes_str(text), err);
}

bool buf_printf(struct buf *buf, struct err *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (len < 0)
        return err_set(err, ERR_INTERNAL, "text that cannot be formatted");
    uint8_t *room;
    if (!buf_reserve(buf, (size_t)len, &room, err))
        return false;
    va_start(args, format);
    vsnprintf((char *)room, (size_t)len + 1, format, args);
    va_end(args);
    buf_commit(buf, (size_t)len);
    return true;
}

const char *buf_text(const struct buf *buf)
{
    return buf->data ? (const char *)buf->data : "";
}

char *buf_take_text(struct buf *buf)
{
    char *text = buf->data ? (char *)buf->data : strdup("");
    *buf = (struct buf)BUF_INIT(buf->max);
    return text;
}
