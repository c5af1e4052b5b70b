/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable bytes for PUBLIC data (ciphertext, JSON, protocol messages), with a hard maximum.
 * Secrets never go here: growing leaves copies behind. The bytes are always followed by a NUL that
 * is not counted, so text can be read in place. Not thread-safe.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t size;
    size_t max; /* bytes; a write past it fails with ERR_FORMAT */
};

#define BUF_INIT(limit) \
    {                   \
        .max = (limit)  \
    }

void buf_done(struct buf *buf); /* frees; the buf is then empty and reusable */
bool buf_append(struct buf *buf, struct bytes data, struct err *err) MUST_CHECK;
bool buf_append_str(struct buf *buf, const char *text, struct err *err) MUST_CHECK;
/* Room for `len` more bytes at *ret_room (valid until the next call); buf_commit() then counts
 * those written. */
bool buf_reserve(struct buf *buf, size_t len, uint8_t **ret_room, struct err *err) MUST_CHECK;
void buf_commit(struct buf *buf, size_t len);
/* Forgets everything past `len`. */
void buf_truncate(struct buf *buf, size_t len);
bool buf_printf(struct buf *buf, struct err *err, const char *format, ...) PRINTF_LIKE(3, 4)
    MUST_CHECK;
static inline struct bytes buf_bytes(const struct buf *buf)
{
    return bytes_of(buf->data, buf->len);
}
/* The text gathered so far ("" when nothing was), owned by the buf. */
const char *buf_text(const struct buf *buf);
/* Gives the malloc'd, NUL-terminated text away; NULL only when memory is out. */
char *buf_take_text(struct buf *buf);

#define auto_buf AUTO_DONE(buf_done) struct buf
