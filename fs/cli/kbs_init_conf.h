/* SPDX-License-Identifier: Apache-2.0 */
/* The commented configuration that `sealed kbs init` writes: every key of sealed-kbs's own table, the chosen ones set, the others
 * commented out with their default. */
#pragma once

#include "crypt/base/buf.h"

struct init_setting {
    const char *section, *key, *value; /* value NULL: not set */
};

bool init_conf_text(
    const struct init_setting *settings, size_t count, struct buf *out, struct err *err) MUST_CHECK;
