/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers as people write them in configuration files and on command lines. The whole text must be
 * the number: no blanks, no sign but '-', no overflow. False: not such a number, the output is
 * untouched. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "crypt/base/cleanup.h"

/* Decimal, 0x hexadecimal or 0o octal; '-' in front. Leading zeros are refused (is 010 eight or
 * ten?). */
bool number_int(const char *text, int64_t *ret_value) MUST_CHECK;
/* Milliseconds: 250ms, 5s, 10m, 1h, 2d; the unit may be left out for 0 only. */
bool number_duration(const char *text, int64_t *ret_ms) MUST_CHECK;
/* Bytes: 512, 64K, 1M, 2G (powers of 1024). */
bool number_size(const char *text, int64_t *ret_bytes) MUST_CHECK;
/* Octal permission bits, 0..07777, e.g. 0640. */
bool number_mode(const char *text, int64_t *ret_mode) MUST_CHECK;
