/* SPDX-License-Identifier: Apache-2.0 */
/* What a finding alone does not tell of the reference value that it is about. */
#pragma once

#include "kbs/server/server.h"

/* Gives findings whose expected value is null and whose rule begins with "reference value NAME" a member "note": when NAME expired, or
 * that there is none of that name, and which name is nearest. The store is only read when there is such a finding. */
bool explain_notes(struct server *server, json_t *findings, struct err *err) MUST_CHECK;
