/* SPDX-License-Identifier: Apache-2.0 */
/* A pattern, a newline, and the text to compare: the answer is what the definition in glob.h says, reckoned in another way. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "fs/glob.h"

#define TEXT_MAX 400u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool in_set(const char **at, unsigned char byte)
{
    const unsigned char *set = (const unsigned char *)*at + 1;
    bool inverted = *set == '!', found = false;
    set += inverted;
    for (bool first = true; first || *set != ']'; first = false) {
        unsigned char low = *set++, high = low;
        if (*set == '-' && set[1] != ']') {
            high = set[1];
            set += 2;
        }
        found = found || (byte >= low && byte <= high);
    }
    *at = (const char *)set + 1;
    return byte != '/' && found != inverted;
}

/* One token that stands for one byte; *at moves behind it. */
static bool fits_byte(const char **at, unsigned char byte)
{
    if (**at == '[')
        return in_set(at, byte);
    if (**at == '?')
        return (*at)++, byte != '/';
    if (**at == '\\')
        (*at)++;
    return (unsigned char)*(*at)++ == byte;
}

/* Which beginnings of the text the pattern so far stands for, token after token. */
static bool reckon(const char *pattern, const char *text)
{
    bool begin[TEXT_MAX + 1] = {true};
    size_t len = strlen(text);
    while (*pattern) {
        bool next[TEXT_MAX + 1] = {false};
        size_t stars = strspn(pattern, "*");
        const char *after = pattern + stars;
        for (size_t i = 0; i <= len && stars > 0; i++)
            next[i] = begin[i] || (i > 0 && next[i - 1] && (stars > 1 || text[i - 1] != '/'));
        for (size_t i = 0; i < len && stars == 0; i++) {
            after = pattern;
            next[i + 1] = fits_byte(&after, (unsigned char)text[i]) && begin[i];
        }
        if (stars == 0 && len == 0)
            return false; /* it wants a byte, and there is none */
        memcpy(begin, next, sizeof begin);
        pattern = after;
    }
    return begin[len];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
    AUTO(glob_free) struct glob *glob = NULL;
    struct err err = ERR_INIT;
    if (!end || memchr(data, '\0', size) || size - (size_t)(end - data) - 1 > TEXT_MAX)
        return 0;
    auto_free char *pattern = strndup((const char *)data, (size_t)(end - data));
    auto_free char *text = strndup((const char *)end + 1, size - (size_t)(end - data) - 1);
    if (!pattern || !text || !glob_new(pattern, &glob, &err))
        return 0;
    if (glob_matches(glob, text) != reckon(pattern, text))
        abort();
    return 0;
}
