/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own answer to "why not?": which PCRs differ between two pieces of TPM evidence that
 * this guest made. */
#pragma once

#include "crypt/base/json.h"

/* Array of {"pcr":11,"was":hex,"now":hex}; empty when nothing differs or when either text is NULL
 * or has no quote. */
bool resolve_changes(const char *accepted_evidence, const char *latest_evidence,
    json_t **ret_changes, struct err *err) MUST_CHECK;
