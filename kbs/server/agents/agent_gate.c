/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/agent_gate.h"

#include "crypt/base/clock.h"
#include "crypt/base/log.h"
#include "kbs/server/agents/webhook.h"

#define LATE "it did not attest when it was due"

void agent_tell(struct server *server, const char *id, const char *uuid, enum agent_state state,
    const char *reason, const char *ref)
{
    char when[CLOCK_TEXT_SIZE];
    auto_json *event = NULL;
    struct err err = ERR_INIT;
    const struct log_field fields[] = {{"AGENT", id}, {"ID", ref}};
    clock_rfc3339(server_now(server), when);
    log_text(LOG_LEVEL_WARNING, fields, ARRAY_LEN(fields), "agent %.16s is %s%s%s", id,
        agent_state_name(state), reason ? ": " : "", reason ? reason : "");
    if (!json_build(&event, &err, "{s:s, s:s, s:s?, s:s, s:s?, s:s?}", "event",
            agent_state_name(state), "agent", id, "uuid", uuid, "time", when, "reason", reason,
            "explanation", ref))
        log_err(LOG_LEVEL_WARNING, &err, "event for the webhook");
    else
        webhook_send(server->webhook, event);
}

bool agent_shut_out(struct server *server, const char *id, enum agent_state state,
    const char *reason, const char *ref, struct err *err)
{
    auto_json *agent = NULL;
    bool gated = false;
    if (!agent_gate(server, id, state, reason, &gated, err))
        return false;
    if (!gated)
        return true;
    struct err lost = ERR_INIT;
    if (!agent_find(server, id, &agent, &lost))
        agent = NULL;
    agent_tell(server, id, agent ? json_member_text(agent, "uuid") : NULL, state, reason, ref);
    return attendance_note(server, id, agent_state_name(state), NULL, ref, err);
}

bool agent_check_late(struct server *server, const char *id, bool *ret_late, struct err *err)
{
    bool late = false;
    if (!attendance_is_late(server, id, &late, err))
        return false;
    if (ret_late)
        *ret_late = late;
    return !late || agent_shut_out(server, id, AGENT_LATE, LATE, NULL, err);
}

bool agent_sweep_late(struct server *server, struct err *err)
{
    auto_json *agents = NULL;
    size_t index;
    const json_t *agent;
    if (server->conf->agents.interval_ms == 0)
        return true;
    if (!agent_list(server, &agents, err))
        return false;
    json_array_foreach(agents, index, agent)
    {
        if (agent_state_at(agent, server_now(server)) == AGENT_ADMITTED &&
            !agent_check_late(server, json_member_text(agent, "id"), NULL, err))
            return false;
    }
    return true;
}
