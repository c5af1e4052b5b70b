/* SPDX-License-Identifier: Apache-2.0 */
/* Wall-clock time as seconds since 1970-01-01T00:00:00Z, and its text form of RFC 3339. Deadlines
 * use loop_now_ms(). */
#pragma once

#include <stdint.h>
#include <time.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define CLOCK_TEXT_SIZE 21 /* "2026-01-31T12:00:00Z" and its NUL */

int64_t clock_wall_s(void);
/* Microseconds by this clock of clock_gettime(2): to take the time of something, or to stamp it. */
int64_t clock_us(clockid_t clock);
/* Always in UTC. Times outside the years 0..9999 become the nearest that can be written. */
void clock_rfc3339(int64_t unix_s, char out[CLOCK_TEXT_SIZE]);
/* RFC 3339 section 5.6 with any offset; a fraction is checked and dropped, a leap second counts as
 * the next second. `what` names the field in errors. */
bool clock_parse_rfc3339(struct bytes text, const char *what, int64_t *ret_unix_s, struct err *err)
    MUST_CHECK;
