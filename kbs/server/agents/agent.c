/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/agent.h"

#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"
#include "kbs/server/agents/boot_record.h"

#define RECORD_MAX 8192
#define HEX        "0123456789abcdef"

#define KEY_MAX (AGENT_ID_SIZE + 8)

static const char *const state_names[AGENT_STATE_COUNT] = {
    [AGENT_REGISTERED] = "registered",
    [AGENT_ADMITTED] = "admitted",
    [AGENT_FAILED] = "failed",
    [AGENT_LATE] = "late",
    [AGENT_DUPLICATE] = "duplicate",
    [AGENT_REVOKED] = "revoked",
    [AGENT_EXPIRED] = "expired",
};

const char *agent_state_name(enum agent_state state)
{
    return state_names[state];
}

enum agent_state agent_state_of(const json_t *agent)
{
    const char *text = json_member_text(agent, "state");
    if (text && strcmp(text, "pending") == 0) /* as it was called at first */
        return AGENT_REGISTERED;
    for (size_t i = 0; text && i < AGENT_STATE_COUNT; i++)
        if (strcmp(state_names[i], text) == 0)
            return (enum agent_state)i;
    return AGENT_REVOKED;
}

enum agent_state agent_state_at(const json_t *agent, int64_t now)
{
    const json_t *until = json_object_get(agent, "until");
    enum agent_state state = agent_state_of(agent);
    int64_t end = 0;
    struct err ignored = ERR_INIT;
    if (state != AGENT_ADMITTED || !until)
        return state;
    bool lasts =
        json_is_string(until) &&
        clock_parse_rfc3339(bytes_str(json_string_value(until)), "until", &end, &ignored) &&
        now < end;
    return lasts ? AGENT_ADMITTED : AGENT_EXPIRED;
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

bool agent_by_key(struct server *server, struct bytes ak_spki, char ret_id[AGENT_ID_SIZE],
    json_t **ret_agent, struct err *err)
{
    return agent_id(ak_spki, ret_id, err) && load(server, ret_id, ret_agent, err);
}

bool agent_admitted(struct server *server, struct bytes ak_spki, bool *ret_admitted,
    char ret_id[AGENT_ID_SIZE], struct err *err)
{
    char id[AGENT_ID_SIZE];
    auto_json *agent = NULL;
    if (!agent_id(ak_spki, id, err) || !load(server, id, &agent, err))
        return false;
    *ret_admitted = agent && agent_state_at(agent, server_now(server)) == AGENT_ADMITTED;
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

/* Other records of agents lie in the space, too. */
static bool is_id(const char *key)
{
    return strlen(key) == AGENT_ID_SIZE - 1 && strspn(key, HEX) == AGENT_ID_SIZE - 1;
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
        if (!is_id(json_string_value(id)) || strncmp(json_string_value(id), name, len) != 0)
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

bool agent_uuid_ok(const char *uuid)
{
    for (size_t i = 0; i < AGENT_UUID_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (uuid[i] == '\0' || (dash ? uuid[i] != '-' : !strchr(HEX, uuid[i])))
            return false;
    }
    return uuid[AGENT_UUID_SIZE - 1] == '\0';
}

/* *ret_owner NULL: nobody's. */
static bool load_uuid(struct server *server, const char *uuid, json_t **ret_owner, struct err *err)
{
    char key[KEY_MAX];
    auto_buf text = BUF_INIT(RECORD_MAX);
    struct err cause = ERR_INIT;
    snprintf(key, sizeof key, "uuid/%s", uuid);
    if (store_get(server->store, STORE_AGENT, key, &text, &cause))
        return json_load_strict(buf_bytes(&text), RECORD_MAX, "owner of a UUID", ret_owner, err);
    *ret_owner = NULL;
    if (cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return err_wrap(err, "UUID %s", uuid);
}

static bool find_by_uuid(
    struct server *server, const char *uuid, json_t **ret_agent, struct err *err)
{
    auto_json *owner = NULL;
    json_t *agent = NULL;
    if (!load_uuid(server, uuid, &owner, err))
        return false;
    const char *id = owner ? json_member_text(owner, "id") : NULL;
    if (id && is_id(id) && !load(server, id, &agent, err))
        return false;
    if (!agent)
        return err_set(err, ERR_NOTFOUND, "no agent %s", uuid);
    *ret_agent = agent;
    return true;
}

bool agent_find(struct server *server, const char *name, json_t **ret_agent, struct err *err)
{
    char id[AGENT_ID_SIZE];
    json_t *agent = NULL;
    size_t len = strlen(name);
    if (agent_uuid_ok(name))
        return find_by_uuid(server, name, ret_agent, err);
    if (len < AGENT_PREFIX_MIN || len >= AGENT_ID_SIZE || strspn(name, HEX) != len)
        return err_set(err, ERR_FORMAT,
            "an agent is named by the first %d to %d hex digits of its id, or by its UUID",
            AGENT_PREFIX_MIN, AGENT_ID_SIZE - 1);
    if (!resolve(server, name, id, err) || !load(server, id, &agent, err))
        return false;
    if (!agent)
        return err_set(err, ERR_NOTFOUND, "no agent %s", name);
    *ret_agent = agent;
    return true;
}

bool agent_put(struct server *server, const json_t *agent, struct err *err)
{
    auto_free char *text = json_text(agent);
    if (!text)
        return err_nomem(err);
    return store_put(
        server->store, STORE_AGENT, json_member_text(agent, "id"), bytes_str(text), err);
}

bool agent_note(
    struct server *server, const char *id, const char *name, json_t *value, struct err *err)
{
    auto_json *agent = NULL;
    if (!load(server, id, &agent, err))
        return false;
    if (!agent || json_equal(json_object_get(agent, name), value))
        return true;
    if (json_object_set(agent, name, value) != 0)
        return err_nomem(err);
    return agent_put(server, agent, err);
}

static bool set_text(json_t *agent, const char *name, const char *value, struct err *err)
{
    if (!value) {
        json_object_del(agent, name);
        return true;
    }
    return json_object_set_new(agent, name, json_string(value)) == 0 || err_nomem(err);
}

bool agent_set_state(struct server *server, json_t *agent, enum agent_state state, const char *by,
    const char *reason, struct err *err)
{
    char when[CLOCK_TEXT_SIZE];
    clock_rfc3339(server_now(server), when);
    return set_text(agent, "state", state_names[state], err) &&
           set_text(agent, "since", when, err) && set_text(agent, "by", by, err) &&
           set_text(agent, "reason", reason, err) && agent_put(server, agent, err);
}

bool agent_gate(struct server *server, const char *id, enum agent_state state, const char *reason,
    bool *ret_gated, struct err *err)
{
    auto_json *agent = NULL;
    *ret_gated = false;
    if (!load(server, id, &agent, err))
        return false;
    enum agent_state was = agent ? agent_state_of(agent) : AGENT_REVOKED;
    if (was != AGENT_ADMITTED && !(was == AGENT_REGISTERED && state == AGENT_DUPLICATE))
        return true;
    if (!agent_set_state(server, agent, state, NULL, reason, err))
        return false;
    *ret_gated = true;
    return true;
}

/* -- UUIDs --------------------------------------------------------------------------------------- */

static bool uuid_record(const json_t *agent, char **ret_text, struct err *err)
{
    auto_json *owner = NULL;
    if (!json_build(&owner, err, "{s:s, s:s?}", "id", json_member_text(agent, "id"), "ek_sha256",
            json_member_text(agent, "ek_sha256")))
        return false;
    *ret_text = json_text(owner);
    return *ret_text || err_nomem(err);
}

bool agent_assign_uuid(
    struct server *server, const json_t *agent, const char *uuid, struct err *err)
{
    char key[KEY_MAX];
    auto_free char *text = NULL;
    snprintf(key, sizeof key, "uuid/%s", uuid);
    return uuid_record(agent, &text, err) &&
           store_put(server->store, STORE_AGENT, key, bytes_str(text), err);
}

bool agent_claim_uuid(struct server *server, const json_t *agent, const char *uuid,
    char ret_other[AGENT_ID_SIZE], struct err *err)
{
    char key[KEY_MAX];
    auto_json *owner = NULL;
    auto_free char *text = NULL;
    bool created = false;
    ret_other[0] = '\0';
    snprintf(key, sizeof key, "uuid/%s", uuid);
    if (!uuid_record(agent, &text, err) ||
        !store_create(server->store, STORE_AGENT, key, bytes_str(text), &created, err))
        return false;
    if (created || !load_uuid(server, uuid, &owner, err))
        return created;
    const char *id = owner ? json_member_text(owner, "id") : NULL;
    const char *ek = owner ? json_member_text(owner, "ek_sha256") : NULL;
    const char *own_ek = json_member_text(agent, "ek_sha256");
    if (!id || strcmp(id, json_member_text(agent, "id")) == 0)
        return true;
    if (ek && own_ek && strcmp(ek, own_ek) == 0)
        return agent_assign_uuid(server, agent, uuid, err);
    snprintf(ret_other, AGENT_ID_SIZE, "%s", id);
    return true;
}

bool agent_delete(struct server *server, const json_t *agent, struct err *err)
{
    char key[KEY_MAX];
    auto_json *owner = NULL;
    const char *id = json_member_text(agent, "id"), *uuid = json_member_text(agent, "uuid");
    struct err absent = ERR_INIT;
    if (!store_delete(server->store, STORE_AGENT, id, err) || !boot_record_forget(server, id, err))
        return false;
    if (!uuid || !agent_uuid_ok(uuid) || !load_uuid(server, uuid, &owner, err))
        return !uuid || !agent_uuid_ok(uuid);
    const char *has = owner ? json_member_text(owner, "id") : NULL;
    snprintf(key, sizeof key, "uuid/%s", uuid);
    return !has || strcmp(has, id) != 0 || store_delete(server->store, STORE_AGENT, key, &absent) ||
           absent.code == ERR_NOTFOUND || err_set(err, absent.code, "%s", absent.message);
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
        if (!is_id(json_string_value(id)))
            continue;
        if (!load(server, json_string_value(id), &agent, err))
            return false;
        if (agent && json_array_append(agents, agent) != 0)
            return err_nomem(err);
    }
    *ret_agents = take_ptr(agents);
    return true;
}
