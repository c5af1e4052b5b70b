/* SPDX-License-Identifier: Apache-2.0 */
/* Text in event data, as UTF-8. NUL characters are dropped: our JSON takes none, and in a log they only end or pad. */
#pragma once

#include "crypt/base/buf.h"

/* UTF-16, little-endian; an odd last byte is left out, half a surrogate pair becomes U+FFFD. */
bool eventlog_text_utf16(struct bytes text, struct buf *out, struct err *err) MUST_CHECK;
/* Whole units and pairs. */
bool eventlog_text_utf16_valid(struct bytes text);
/* What is no UTF-8 becomes U+FFFD. */
bool eventlog_text_utf8(struct bytes text, struct buf *out, struct err *err) MUST_CHECK;
/* As upstream shows EV_PLATFORM_CONFIG_FLAGS: U+0010 becomes a blank, other control characters (Cc) go; what is no UTF-8 gives "". */
bool eventlog_text_printable(struct bytes text, struct buf *out, struct err *err) MUST_CHECK;
