/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/check.h"

#include <stdarg.h>
#include <stdio.h>

#include "crypt/base/b64.h"

#define FIELD_MAX 64

bool check_is_ours(const struct err *err)
{
    return err->code == ERR_NOMEM || err->code == ERR_INTERNAL;
}

bool check_error(
    struct verdict *verdict, const char *check, const char *expected, const struct err *err)
{
    if (check_is_ours(err))
        return false;
    verdict_fail(verdict, check, err->message, expected);
    return true;
}

bool check_fail(
    struct verdict *verdict, const char *check, const char *expected, const char *got_format, ...)
{
    char got[ERR_MESSAGE_SIZE];
    va_list args;
    va_start(args, got_format);
    vsnprintf(got, sizeof got, got_format, args);
    va_end(args);
    return verdict_fail(verdict, check, got, expected);
}

bool check_fail_hex(
    struct verdict *verdict, const char *check, struct bytes got, struct bytes expected)
{
    char got_text[2 * FIELD_MAX + 1] = "", expected_text[2 * FIELD_MAX + 1] = "";
    hex_encode(bytes_slice(got, 0, FIELD_MAX), got_text);
    hex_encode(bytes_slice(expected, 0, FIELD_MAX), expected_text);
    return verdict_fail(verdict, check, got_text, expected_text);
}

bool check_padded(
    struct verdict *verdict, const char *check, struct bytes field, struct bytes expected)
{
    uint8_t padded[FIELD_MAX] = {0};
    struct bytes wanted = bytes_of(padded, field.len);
    struct bytes cut = bytes_slice(expected, 0, field.len);
    if (field.len > sizeof padded)
        return check_fail(verdict, check, "at most 64 bytes", "a field of %zu bytes", field.len);
    if (cut.len > 0)
        memcpy(padded, cut.data, cut.len);
    return bytes_equal(field, wanted) || check_fail_hex(verdict, check, field, wanted);
}
