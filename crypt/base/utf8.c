/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/utf8.h"

/* RFC 3629 section 3: how the first byte gives length, payload bits and the smallest value of that
 * length. */
static const struct utf8_form {
    uint8_t mask, lead;
    uint8_t len;
    uint32_t least;
} forms[] = {
    {0x80, 0x00, 1, 0},
    {0xe0, 0xc0, 2, 0x80},
    {0xf0, 0xe0, 3, 0x800},
    {0xf8, 0xf0, 4, 0x10000},
};

static const struct utf8_form *form_of(uint8_t lead)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if ((lead & forms[i].mask) == forms[i].lead)
            return &forms[i];
    return NULL;
}

bool utf8_next(struct bytes *rest, uint32_t *ret_rune)
{
    const struct utf8_form *form = rest->len > 0 ? form_of(rest->data[0]) : NULL;
    if (!form || form->len > rest->len)
        return false;
    uint32_t rune = rest->data[0] & (uint8_t)~form->mask;
    for (size_t i = 1; i < form->len; i++) {
        if ((rest->data[i] & 0xc0) != 0x80)
            return false;
        rune = rune << 6 | (rest->data[i] & 0x3f);
    }
    if (rune < form->least || rune > 0x10ffff || (rune >= 0xd800 && rune <= 0xdfff))
        return false;
    *rest = bytes_of(rest->data + form->len, rest->len - form->len);
    *ret_rune = rune;
    return true;
}

bool utf8_valid(struct bytes text)
{
    uint32_t rune;
    while (text.len > 0)
        if (!utf8_next(&text, &rune))
            return false;
    return true;
}
