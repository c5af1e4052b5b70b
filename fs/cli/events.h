/* SPDX-License-Identifier: Apache-2.0 */
/* Events behind a PCR that differs, for people: what both `sealed explain` and `sealed kbs explain` show. */
#pragma once

#include "fs/cli/tool.h"

/* `of` may have "events" (eventlog_diff.h), "events_since", "events_left_out", "events_note"; each line begins with `indent`. */
bool events_print(const json_t *of, const char *indent, struct err *err) MUST_CHECK;
