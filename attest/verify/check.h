/* SPDX-License-Identifier: Apache-2.0 */
/* What every verifier needs to fill a verdict: errors of decoders as failed checks, bytes as hex, and
 * the comparison of report and init data with fields of fixed size. */
#pragma once

#include "attest/verify/verify.h"

/* Trouble of our own (memory, a bug), as opposed to something wrong with the evidence. */
bool check_is_ours(const struct err *err);
/* An error about the evidence becomes a failed check: true. Trouble of our own: false, and `err` is
 * what the verifier returns. */
bool check_error(struct verdict *verdict, const char *check, const char *expected,
    const struct err *err) MUST_CHECK;
/* verdict_fail() with a formatted `got`. Always false. */
bool check_fail(struct verdict *verdict, const char *check, const char *expected,
    const char *got_format, ...) PRINTF_LIKE(4, 5);
/* verdict_fail() with both in hex, of each at most the first 64 bytes. Always false. */
bool check_fail_hex(
    struct verdict *verdict, const char *check, struct bytes got, struct bytes expected);
/* `field` (at most 64 bytes) must be `expected`, padded with zeros or cut to the field's size
 * (verifiers.md 0). */
bool check_padded(
    struct verdict *verdict, const char *check, struct bytes field, struct bytes expected);
