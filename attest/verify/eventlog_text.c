/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog_text.h"

#include "crypt/base/pack.h"
#include "crypt/base/utf8.h"

#define REPLACEMENT 0xfffdu

static bool append_rune(struct buf *out, uint32_t rune, struct err *err)
{
    uint8_t text[4];
    size_t len = 0;
    if (rune == 0)
        return true;
    if (rune < 0x80) {
        text[len++] = (uint8_t)rune;
    } else if (rune < 0x800) {
        text[len++] = (uint8_t)(0xc0 | rune >> 6);
    } else if (rune < 0x10000) {
        text[len++] = (uint8_t)(0xe0 | rune >> 12);
        text[len++] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
    } else {
        text[len++] = (uint8_t)(0xf0 | rune >> 18);
        text[len++] = (uint8_t)(0x80 | (rune >> 12 & 0x3f));
        text[len++] = (uint8_t)(0x80 | (rune >> 6 & 0x3f));
    }
    if (rune >= 0x80)
        text[len++] = (uint8_t)(0x80 | (rune & 0x3f));
    return buf_append(out, bytes_of(text, len), err);
}

/* One character; *ret_whole false for half a pair. */
static uint32_t next_utf16(struct pack_reader *in, bool *ret_whole)
{
    uint32_t high = pack_get_le16(in);
    *ret_whole = true;
    if (high < 0xd800 || high > 0xdfff)
        return high;
    struct pack_reader ahead = *in;
    uint32_t low = pack_get_le16(&ahead);
    if (high <= 0xdbff && !ahead.failed && low >= 0xdc00 && low <= 0xdfff) {
        *in = ahead;
        return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
    }
    *ret_whole = false;
    return REPLACEMENT;
}

bool eventlog_text_utf16(struct bytes text, struct buf *out, struct err *err)
{
    struct pack_reader in = pack_reader(bytes_slice(text, 0, text.len & ~(size_t)1));
    bool whole = true;
    while (in.rest.len > 0)
        if (!append_rune(out, next_utf16(&in, &whole), err))
            return false;
    return true;
}

bool eventlog_text_utf16_valid(struct bytes text)
{
    struct pack_reader in = pack_reader(text);
    bool whole = text.len % 2 == 0;
    while (whole && in.rest.len > 0)
        (void)next_utf16(&in, &whole);
    return whole;
}

bool eventlog_text_utf8(struct bytes text, struct buf *out, struct err *err)
{
    while (text.len > 0) {
        uint32_t rune = REPLACEMENT;
        if (!utf8_next(&text, &rune))
            text = bytes_slice(text, 1, text.len);
        if (!append_rune(out, rune, err))
            return false;
    }
    return true;
}

bool eventlog_text_printable(struct bytes text, struct buf *out, struct err *err)
{
    uint32_t rune = 0;
    if (!utf8_valid(text))
        return true;
    while (utf8_next(&text, &rune)) {
        rune = rune == 0x10 ? ' ' : rune;
        if (rune >= 0x20 && (rune < 0x7f || rune > 0x9f) && !append_rune(out, rune, err))
            return false;
    }
    return true;
}
