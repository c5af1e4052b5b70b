/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629 has it: no surrogates, no over-long forms, nothing above U+10FFFF. */
#pragma once

#include "crypt/base/bytes.h"

/* Takes one character off the front of *rest; false (and nothing taken) when it is empty or
 * malformed there. */
bool utf8_next(struct bytes *rest, uint32_t *ret_rune);
bool utf8_valid(struct bytes text);
