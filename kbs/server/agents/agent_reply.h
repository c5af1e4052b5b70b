/* SPDX-License-Identifier: Apache-2.0 */
/* What the handlers of agents share: answers, and who a token is of. */
#pragma once

#include "kbs/server/agents/agent.h"

/* {"id","state"} */
bool agent_send_state(struct response *response, const json_t *agent, struct err *err) MUST_CHECK;
/* The line for the audit: WHO WHAT agent ID (now STATE). */
void agent_audit(struct response *response, const char *who, const char *what, const json_t *agent);
/* The agent that a bearer token of ours was made for. ERR_CRYPTO, ERR_STALE, ERR_FORMAT (it is of none). */
bool agent_of_token(struct server *server, const char *authorization, char ret_id[AGENT_ID_SIZE],
    struct err *err) MUST_CHECK;
