/* SPDX-License-Identifier: Apache-2.0 */
/* An agent is shut out: its record, its history, the log and the webhook, in that order. */
#pragma once

#include "kbs/server/agents/attendance.h"

/* AGENT_FAILED, AGENT_LATE or AGENT_DUPLICATE. `ref`: id of the explanation, or NULL. An agent that was not let in is left as it is. False
 * only when the store failed. */
bool agent_shut_out(struct server *server, const char *id, enum agent_state state,
    const char *reason, const char *ref, struct err *err) MUST_CHECK;
/* Tells log and webhook alone: an administrator revoked it. */
void agent_tell(struct server *server, const char *id, const char *uuid, enum agent_state state,
    const char *reason, const char *ref);
/* Shuts out whoever is late; *ret_late (may be NULL) whether this one is. */
bool agent_check_late(struct server *server, const char *id, bool *ret_late, struct err *err)
    MUST_CHECK;
bool agent_sweep_late(struct server *server, struct err *err) MUST_CHECK;
