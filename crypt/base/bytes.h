/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed view of bytes: owns nothing, is passed by value, lives no longer than what it points to.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
    const uint8_t *data;
    size_t len;
};

#define BYTES_EMPTY ((struct bytes){NULL, 0})

static inline struct bytes bytes_of(const void *data, size_t len)
{
    return (struct bytes){data, len};
}

static inline struct bytes bytes_str(const char *text)
{
    return (struct bytes){(const uint8_t *)text, strlen(text)};
}

/* For public data only: stops at the first difference. Secrets are compared with secret_equal(). */
static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* At most `len` bytes from `offset`; empty when offset is past the end. */
static inline struct bytes bytes_slice(struct bytes b, size_t offset, size_t len)
{
    if (offset >= b.len)
        return BYTES_EMPTY;
    return bytes_of(b.data + offset, len < b.len - offset ? len : b.len - offset);
}

/* The blanks that may stand around a line of text or a sealed string. */
static inline bool bytes_is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static inline struct bytes bytes_trim(struct bytes text)
{
    while (text.len > 0 && bytes_is_blank(text.data[0]))
        text = bytes_of(text.data + 1, text.len - 1);
    while (text.len > 0 && bytes_is_blank(text.data[text.len - 1]))
        text.len--;
    return text;
}
