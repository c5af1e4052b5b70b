/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agent.h"

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"

#define RECORD_MAX 8192
#define HEX        "0123456789abcdef"

static const char *const state_names[] = {
    [AGENT_PENDING] = "pending", [AGENT_ADMITTED] = "admitted", [AGENT_REVOKED] = "revoked"};

const char *agent_state_name(enum agent_state state)
{
    return state_names[state];
}

static bool agent_id(struct bytes ak_spki, char ret_id[AGENT_ID_SIZE], struct err *err)
{
    struct hash hash;
    if (!hash_bytes(HASH_SHA256, ak_spki, &hash, err))
        return false;
    hex_encode(hash_view(&hash), ret_id);
    return true;
}

/* *ret_agent NULL: there is none. */
static bool load(struct server *server, const char *id, json_t **ret_agent, struct err *err)
{
    auto_buf text = BUF_INIT(RECORD_MAX);
    auto_json *agent = NULL;
    struct err cause = ERR_INIT;
    if (!store_get(server->store, STORE_AGENT, id, &text, &cause)) {
        if (cause.code == ERR_NOTFOUND) {
            *ret_agent = NULL;
            return true;
        }
        *err = cause;
        return err_wrap(err, "agent %s", id);
    }
    if (!json_load_strict(buf_bytes(&text), RECORD_MAX, "agent", &agent, err))
        return err_wrap(err, "agent %s", id);
    const char *said = json_member_text(agent, "id");
    if (!said || strcmp(said, id) != 0 || !json_member_text(agent, "state"))
        return err_set(err, ERR_FORMAT, "agent %s: the record is of another agent or broken", id);
    *ret_agent = take_ptr(agent);
    return true;
}

bool agent_admitted(struct server *server, struct bytes ak_spki, bool *ret_admitted,
    char ret_id[AGENT_ID_SIZE], struct err *err)
{
    char id[AGENT_ID_SIZE];
    auto_json *agent = NULL;
    if (!agent_id(ak_spki, id, err) || !load(server, id, &agent, err))
        return false;
    *ret_admitted =
        agent && strcmp(json_member_text(agent, "state"), state_names[AGENT_ADMITTED]) == 0;
    if (ret_id)
        memcpy(ret_id, id, sizeof id);
    return true;
}

bool agent_enrolled(struct server *server, const char *id, bool *ret_enrolled, struct err *err)
{
    auto_json *agent = NULL;
    if (!load(server, id, &agent, err))
        return false;
    *ret_enrolled = agent != NULL;
    return true;
}

bool agent_create(struct server *server, struct bytes ak_spki, const char *ek_sha256,
    enum agent_state state, json_t **ret_agent, struct err *err)
{
    char id[AGENT_ID_SIZE], when[CLOCK_TEXT_SIZE];
    auto_json *agent = NULL;
    bool created = false;
    auto_free char *spki = b64_encode(B64_STD, ak_spki);
    if (!spki)
        return err_nomem(err);
    clock_rfc3339(server_now(server), when);
    if (!agent_id(ak_spki, id, err) ||
        !json_build(&agent, err, "{s:s, s:s, s:s?, s:s, s:s}", "id", id, "ak_public", spki,
            "ek_sha256", ek_sha256, "created", when, "state", state_names[state]))
        return false;
    auto_free char *text = json_text(agent);
    if (!text)
        return err_nomem(err);
    if (!store_create(server->store, STORE_AGENT, id, bytes_str(text), &created, err))
        return err_wrap(err, "agent %s", id);
    if (!created) {
        json_unref(take_ptr(agent));
        if (!load(server, id, &agent, err))
            return false;
        if (!agent)
            return err_set(err, ERR_BUSY, "agent %s was deleted at the same time", id);
    }
    *ret_agent = take_ptr(agent);
    return true;
}

/* The one id that begins with `name`. */
static bool resolve(
    struct server *server, const char *name, char ret_id[AGENT_ID_SIZE], struct err *err)
{
    auto_json *ids = NULL;
    const char *found = NULL;
    size_t index, len = strlen(name);
    const json_t *id;
    if (!store_list(server->store, STORE_AGENT, &ids, err))
        return false;
    json_array_foreach(ids, index, id)
    {
        if (strncmp(json_string_value(id), name, len) != 0)
            continue;
        if (found)
            return err_set(err, ERR_FORMAT, "agent %s: not unique; give more digits", name);
        found = json_string_value(id);
    }
    if (!found)
        return err_set(err, ERR_NOTFOUND, "no agent %s", name);
    snprintf(ret_id, AGENT_ID_SIZE, "%s", found);
    return true;
}

bool agent_find(struct server *server, const char *name, json_t **ret_agent, struct err *err)
{
    char id[AGENT_ID_SIZE];
    json_t *agent = NULL;
    size_t len = strlen(name);
    if (len < AGENT_PREFIX_MIN || len >= AGENT_ID_SIZE || strspn(name, HEX) != len)
        return err_set(err, ERR_FORMAT,
            "an agent is named by the first %d to %d hex digits of its id", AGENT_PREFIX_MIN,
            AGENT_ID_SIZE - 1);
    if (!resolve(server, name, id, err) || !load(server, id, &agent, err))
        return false;
    if (!agent)
        return err_set(err, ERR_NOTFOUND, "no agent %s", name);
    *ret_agent = agent;
    return true;
}

bool agent_set_state(struct server *server, json_t *agent, enum agent_state state, struct err *err)
{
    if (json_object_set_new(agent, "state", json_string(state_names[state])) != 0)
        return err_nomem(err);
    auto_free char *text = json_text(agent);
    if (!text)
        return err_nomem(err);
    return store_put(
        server->store, STORE_AGENT, json_member_text(agent, "id"), bytes_str(text), err);
}

bool agent_delete(struct server *server, const json_t *agent, struct err *err)
{
    return store_delete(server->store, STORE_AGENT, json_member_text(agent, "id"), err);
}

bool agent_list(struct server *server, json_t **ret_agents, struct err *err)
{
    auto_json *ids = NULL, *agents = json_array();
    size_t index;
    const json_t *id;
    if (!agents)
        return err_nomem(err);
    if (!store_list(server->store, STORE_AGENT, &ids, err))
        return false;
    json_array_foreach(ids, index, id)
    {
        auto_json *agent = NULL;
        if (!load(server, json_string_value(id), &agent, err))
            return false;
        if (agent && json_array_append(agents, agent) != 0)
            return err_nomem(err);
    }
    *ret_agents = take_ptr(agents);
    return true;
}
