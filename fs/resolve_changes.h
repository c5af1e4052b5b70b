/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's own answer to "why not?": which PCRs differ between two pieces of TPM evidence that
 * this guest made, and which events of the firmware's log differ with them. */
#pragma once

#include "crypt/base/json.h"

/* Of all PCRs together. */
#define RESOLVE_EVENTS_MAX 64

/*
 * Array of {"pcr":11,"was":hex,"now":hex}; empty when nothing differs or when either text is NULL
 * or has no quote. Where the event logs of both lead to the PCR's values, also "events": those that differ, as eventlog_diff() gives them
 * (attest/verify/eventlog_diff.h); else "events_note" says why they are of no help. A log that cannot be read is no failure.
 */
bool resolve_changes(const char *accepted_evidence, const char *latest_evidence,
    json_t **ret_changes, struct err *err) MUST_CHECK;
