/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attendance: when each agent attested, when it must attest next, and what became of it (push-style continuous attestation,
 * [agents] interval). In STORE_AGENT under "seen/ID":
 *
 *     {"attested":unix s or 0,"status":"affirming"…,"due":unix s or 0,"history":[{"time","what","by","ref"},…]}
 *
 * An agent that is due and has not come by the end of the grace is late: it is shut out (agent_gate.h) by whichever replica sees it first, at its
 * next request or in the sweep. One that said that it leaves is not due. `history` keeps the last ATTENDANCE_HISTORY events; of two that are written at the
 * same time one may be lost there (the audit log has both).
 */
#pragma once

#include "attest/verify/appraisal.h"
#include "kbs/server/agents/agent.h"

#define ATTENDANCE_HISTORY 64

/* What a person is told: agent_state_name(), and for an admitted one that attested "attesting" (it is due, within the grace) or "verified"
 * (it is not due yet), where continuous attestation is on. */
const char *attendance_state(
    const struct server *server, const json_t *agent, const json_t *attendance);

/* *ret_attendance NULL: nothing is known of it. */
bool attendance_load(
    struct server *server, const char *id, json_t **ret_attendance, struct err *err) MUST_CHECK;
/* It attested. *ret_next_s: in how many seconds it must again; 0: when it likes. */
bool attendance_attested(struct server *server, const char *id, enum appraisal_status status,
    int64_t *ret_next_s, struct err *err) MUST_CHECK;
/* It said goodbye: due no more until it attests again. */
bool attendance_left(struct server *server, const char *id, struct err *err) MUST_CHECK;
/* An administrator, or a rule, admitted it: nothing is due until it attests. */
bool attendance_admitted(struct server *server, const char *id, const char *by, struct err *err)
    MUST_CHECK;
/* Any other event for the history. `by`, `ref` may be NULL. */
bool attendance_note(struct server *server, const char *id, const char *what, const char *by,
    const char *ref, struct err *err) MUST_CHECK;
/* Is it due, and the grace over? */
bool attendance_is_late(struct server *server, const char *id, bool *ret_late, struct err *err)
    MUST_CHECK;
bool attendance_delete(struct server *server, const char *id, struct err *err) MUST_CHECK;
