/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/number.h"

#include <stddef.h>
#include <string.h>

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit durations[] = {
    {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
static const struct unit sizes[] = {{"", 1}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}};

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* The digits at `text`; NULL when there is none or they overflow, else where they end. */
static const char *take_digits(const char *text, int base, int64_t *ret_value)
{
    int64_t value = 0;
    const char *at = text;
    for (; digit_value(*at) < base; at++)
        if (__builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit_value(*at), &value))
            return NULL;
    if (at == text)
        return NULL;
    *ret_value = value;
    return at;
}

static bool leads_with_zero(const char *digits)
{
    return digits[0] == '0' && digit_value(digits[1]) < 10;
}

bool number_int(const char *text, int64_t *ret_value)
{
    bool negative = *text == '-';
    const char *digits = text + negative;
    int base = strncmp(digits, "0x", 2) == 0 ? 16 : strncmp(digits, "0o", 2) == 0 ? 8 : 10;
    int64_t value;
    if (base == 10 && leads_with_zero(digits))
        return false;
    const char *end = take_digits(base == 10 ? digits : digits + 2, base, &value);
    if (!end || *end)
        return false;
    *ret_value = negative ? -value : value;
    return true;
}

static bool number_with_unit(
    const char *text, const struct unit *units, size_t count, int64_t *ret_value)
{
    int64_t value;
    const char *end = leads_with_zero(text) ? NULL : take_digits(text, 10, &value);
    if (!end)
        return false;
    if (value == 0 && !*end) {
        *ret_value = 0;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) != 0)
            continue;
        if (__builtin_mul_overflow(value, units[i].factor, &value))
            return false;
        *ret_value = value;
        return true;
    }
    return false;
}

bool number_duration(const char *text, int64_t *ret_ms)
{
    return number_with_unit(text, durations, ARRAY_LEN(durations), ret_ms);
}

bool number_size(const char *text, int64_t *ret_bytes)
{
    return number_with_unit(text, sizes, ARRAY_LEN(sizes), ret_bytes);
}

bool number_mode(const char *text, int64_t *ret_mode)
{
    int64_t mode;
    const char *end = take_digits(text, 8, &mode);
    if (!end || *end || mode > 07777)
        return false;
    *ret_mode = mode;
    return true;
}
