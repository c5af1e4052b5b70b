/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Agents as their administrator sees them:
 *
 *     GET    /agent              [record and attendance of each: "state" is attendance_state()]
 *     GET    /agent/NAME         one; NAME is an id, its first digits, or a UUID
 *     GET    /agent/NAME/history [{"time","what","by","ref"},…]
 *     POST   /agent              {"ak_public","uuid","tags"}: an administrator vouches for a key
 *     POST   /agent/NAME/admit   {"tags","until"} or nothing;   /agent/NAME/revoke
 *     DELETE /agent/NAME
 */
#include <stdio.h>
#include <strings.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/agents/agent_reply.h"
#include "kbs/server/token/token_keys.h"

#define BODY_MAX 65536

/* -- replies --------------------------------------------------------------------------------------- */

static bool send_json(struct response *response, const json_t *json, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

bool agent_send_state(struct response *response, const json_t *agent, struct err *err)
{
    auto_json *json = NULL;
    return json_build(&json, err, "{s:s, s:s}", "id", json_member_text(agent, "id"), "state",
               agent_state_name(agent_state_of(agent))) &&
           send_json(response, json, err);
}

void agent_audit(struct response *response, const char *who, const char *what, const json_t *agent)
{
    const char *until = json_member_text(agent, "until");
    snprintf(response->audit, sizeof response->audit, "%s %s agent %s (now %s%s%.32s)", who, what,
        json_member_text(agent, "id"), agent_state_name(agent_state_of(agent)),
        until ? " until " : "", until ? until : "");
}

bool agent_of_token(
    struct server *server, const char *authorization, char ret_id[AGENT_ID_SIZE], struct err *err)
{
    auto_ear ear = {0};
    enum token_origin origin;
    auto_buf spki = BUF_INIT(AGENT_SPKI_MAX);
    bool admitted = false, late = false;
    if (!authorization || strncasecmp(authorization, "Bearer ", strlen("Bearer ")) != 0)
        return err_set(err, ERR_CRYPTO, "no bearer token");
    const char *token = authorization + strlen("Bearer ");
    if (!token_keys_verify(server->token_keys, bytes_str(token + strspn(token, " ")),
            server_now(server), &ear, &origin, err))
        return false;
    const json_t *submods = json_object_get(ear.payload, "submods");
    const json_t *claims =
        json_object_get(json_object_get(submods, "cpu0"), "ear.veraison.annotated-evidence");
    const char *ak = json_member_text(json_object_get(claims, "tpm"), "ak_public");
    if (origin != TOKEN_OWN || !ak || !b64_decode(B64_STD, bytes_str(ak), "ak_public", &spki, err))
        return err_set(err, ERR_FORMAT, "the token is of no agent");
    if (!agent_admitted(server, buf_bytes(&spki), &admitted, ret_id, err))
        return false;
    if (!admitted)
        return err_set(err, ERR_DENIED_POLICY, "the agent is not admitted");
    /* Nobody has looked yet, perhaps; and who is late cannot leave in time. */
    if (!agent_check_late(server, ret_id, &late, err))
        return false;
    return !late || err_set(err, ERR_DENIED_POLICY, "the agent did not attest when it was due");
}

/* -- looking --------------------------------------------------------------------------------------- */

static bool put_time(json_t *agent, const char *name, int64_t unix_s, struct err *err)
{
    char when[CLOCK_TEXT_SIZE];
    if (unix_s <= 0)
        return true;
    clock_rfc3339(unix_s, when);
    return json_object_set_new(agent, name, json_string(when)) == 0 || err_nomem(err);
}

/* The record becomes what people see. */
static bool describe(struct server *server, json_t *agent, struct err *err)
{
    auto_json *attendance = NULL;
    if (!attendance_load(server, json_member_text(agent, "id"), &attendance, err))
        return false;
    const char *state = attendance_state(server, agent, attendance);
    const char *status = attendance ? json_member_text(attendance, "status") : NULL;
    if (json_object_set_new(agent, "state", json_string(state)) != 0 ||
        (status && json_object_set_new(agent, "status", json_string(status)) != 0))
        return err_nomem(err);
    return put_time(agent, "attested", json_integer_value(json_object_get(attendance, "attested")),
               err) &&
           put_time(agent, "due", json_integer_value(json_object_get(attendance, "due")), err);
}

static bool get_agents(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *agents = NULL;
    size_t index;
    json_t *agent;
    (void)request;
    if (!agent_list(server, &agents, err))
        return false;
    json_array_foreach(agents, index, agent)
    {
        if (!describe(server, agent, err))
            return false;
    }
    return send_json(response, agents, err);
}

/* The agent that the path names, and the word after it ("" for none). */
static bool find(struct server *server, const struct request *request, json_t **ret_agent,
    const char **ret_verb, struct err *err)
{
    const char *slash = strchr(request->rest, '/');
    auto_free char *name = strndup(request->rest, strcspn(request->rest, "/"));
    if (!name)
        return err_nomem(err);
    *ret_verb = slash ? slash + 1 : "";
    return agent_find(server, name, ret_agent, err);
}

static bool get_agent(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *agent = NULL, *attendance = NULL, *none = json_array();
    const char *verb = NULL;
    if (!none)
        return err_nomem(err);
    if (!find(server, request, &agent, &verb, err))
        return false;
    if (verb[0] == '\0')
        return describe(server, agent, err) && send_json(response, agent, err);
    if (strcmp(verb, "history") != 0)
        return err_set(err, ERR_FORMAT, "GET /kbs/v0/agent/NAME or /kbs/v0/agent/NAME/history");
    if (!attendance_load(server, json_member_text(agent, "id"), &attendance, err))
        return false;
    const json_t *history = json_object_get(attendance, "history");
    return send_json(response, history ? history : none, err);
}

/* -- deciding -------------------------------------------------------------------------------------- */

static bool check_tags(const json_t *tags, struct err *err)
{
    const char *name;
    const json_t *value;
    bool good = json_is_object(tags) && json_object_size(tags) <= AGENT_TAGS_MAX;
    if (good)
        json_object_foreach((json_t *)(uintptr_t)tags, name, value)
        {
            good = good && name[0] && strlen(name) <= AGENT_TAG_MAX && json_is_string(value) &&
                   json_string_length(value) <= AGENT_TAG_MAX;
        }
    return good || err_set(err, ERR_FORMAT,
                       "tags: an object of at most %d texts, names and values of at most %d "
                       "characters",
                       AGENT_TAGS_MAX, AGENT_TAG_MAX);
}

struct orders {
    const char *ak_public, *uuid, *until;
    json_t *tags;
};

/* Each admission says its own end, and one without has none. */
static bool set_end(json_t *agent, const char *until, int64_t now, struct err *err)
{
    int64_t end = 0;
    if (!until) {
        json_object_del(agent, "until");
        return true;
    }
    if (!clock_parse_rfc3339(bytes_str(until), "until", &end, err))
        return false;
    if (end <= now)
        return err_set(
            err, ERR_FORMAT, "until: %.32s has passed; to shut an agent out now, revoke it", until);
    char when[CLOCK_TEXT_SIZE];
    clock_rfc3339(end, when);
    return json_object_set_new(agent, "until", json_string(when)) == 0 || err_nomem(err);
}

static bool apply_orders(json_t *agent, const struct orders *orders, struct err *err)
{
    if (orders->tags && !check_tags(orders->tags, err))
        return false;
    if (orders->uuid && !agent_uuid_ok(orders->uuid))
        return err_set(err, ERR_FORMAT, "\"%.40s\" is no UUID in lower case", orders->uuid);
    if ((orders->tags && json_object_set(agent, "tags", orders->tags) != 0) ||
        (orders->uuid && json_object_set_new(agent, "uuid", json_string(orders->uuid)) != 0))
        return err_nomem(err);
    return true;
}

/* Admitted by an administrator: its UUID is its own from now on. */
static bool admit(struct server *server, json_t *agent, const char *by, const struct orders *orders,
    struct err *err)
{
    if (!apply_orders(agent, orders, err) ||
        !set_end(agent, orders->until, server_now(server), err))
        return false;
    const char *uuid = json_member_text(agent, "uuid"), *id = json_member_text(agent, "id");
    return (!uuid || agent_assign_uuid(server, agent, uuid, err)) &&
           attendance_admitted(server, id, by, err) &&
           agent_set_state(server, agent, AGENT_ADMITTED, by, NULL, err);
}

/* A key that an administrator vouches for: machines whose TPM has no EK certificate. */
static bool post_agent(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct orders orders = {0};
    static const struct json_field fields[] = {
        {"ak_public", JSON_FIELD_TEXT, offsetof(struct orders, ak_public), .required = true},
        {"uuid", JSON_FIELD_TEXT, offsetof(struct orders, uuid)},
        {"tags", JSON_FIELD_OBJECT, offsetof(struct orders, tags)},
        {"until", JSON_FIELD_TEXT, offsetof(struct orders, until), .max = 40},
    };
    auto_json *json = NULL, *agent = NULL;
    auto_buf spki = BUF_INIT(AGENT_SPKI_MAX);
    auto_jwk *key = NULL;
    if (!json_load_strict(request->body, BODY_MAX, "/agent request", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), false, "/agent request", &orders, err) ||
        !b64_decode(B64_STD, bytes_str(orders.ak_public), "ak_public", &spki, err) ||
        !jwk_from_spki(buf_bytes(&spki), &key, err))
        return false;
    if (jwk_kind(key) != JWK_RSA)
        return err_set(err, ERR_FORMAT, "ak_public: an attestation key is an RSA key");
    if (!agent_create(server, buf_bytes(&spki), NULL, AGENT_REGISTERED, &agent, err))
        return false;
    /* One that is there stays what it is: registering is not the way to undo a revocation. */
    if (agent_state_of(agent) == AGENT_REGISTERED &&
        !admit(server, agent, request->admin, &orders, err))
        return false;
    agent_audit(response, request->admin, "registered", agent);
    return agent_send_state(response, agent, err);
}

static bool decode_admission(
    struct bytes body, json_t **ret_json, struct orders *ret_orders, struct err *err)
{
    static const struct json_field fields[] = {
        {"tags", JSON_FIELD_OBJECT, offsetof(struct orders, tags)},
        {"until", JSON_FIELD_TEXT, offsetof(struct orders, until), .max = 40},
    };
    return body.len == 0 ||
           (json_load_strict(body, BODY_MAX, "/agent/NAME/admit request", ret_json, err) &&
               json_decode(*ret_json, fields, ARRAY_LEN(fields), false, "/agent/NAME/admit request",
                   ret_orders, err));
}

static bool change_agent(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *agent = NULL, *json = NULL;
    struct orders orders = {0};
    const char *verb = NULL;
    if (!find(server, request, &agent, &verb, err))
        return false;
    const char *id = json_member_text(agent, "id");
    if (strcmp(verb, "admit") == 0) {
        if (!decode_admission(request->body, &json, &orders, err) ||
            !admit(server, agent, request->admin, &orders, err))
            return false;
    } else if (strcmp(verb, "revoke") == 0) {
        if (!agent_set_state(server, agent, AGENT_REVOKED, request->admin, NULL, err) ||
            !attendance_note(
                server, id, agent_state_name(AGENT_REVOKED), request->admin, NULL, err))
            return false;
        agent_tell(server, id, json_member_text(agent, "uuid"), AGENT_REVOKED, NULL, NULL);
    } else {
        return err_set(
            err, ERR_FORMAT, "POST /kbs/v0/agent/NAME/admit or /kbs/v0/agent/NAME/revoke");
    }
    agent_audit(response, request->admin, verb, agent);
    return agent_send_state(response, agent, err);
}

static bool delete_agent(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *agent = NULL;
    if (!agent_find(server, request->rest, &agent, err) || !agent_delete(server, agent, err) ||
        !attendance_delete(server, json_member_text(agent, "id"), err))
        return false;
    agent_audit(response, request->admin, "deleted", agent);
    return agent_send_state(response, agent, err);
}

#define AGENT_ERROR "PluginInternalError", "Agent"

const struct route agent_admin_routes[] = {
    {REQUEST_GET, "/kbs/v0/agent", AUTH_ADMIN, false, 0, get_agents, AGENT_ERROR},
    {REQUEST_POST, "/kbs/v0/agent", AUTH_ADMIN, false, BODY_MAX, post_agent, AGENT_ERROR},
    {REQUEST_GET, "/kbs/v0/agent/*", AUTH_ADMIN, false, 0, get_agent, AGENT_ERROR},
    {REQUEST_POST, "/kbs/v0/agent/*", AUTH_ADMIN, false, BODY_MAX, change_agent, AGENT_ERROR},
    {REQUEST_DELETE, "/kbs/v0/agent/*", AUTH_ADMIN, false, 0, delete_agent, AGENT_ERROR},
    {0},
};
