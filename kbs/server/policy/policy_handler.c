/* SPDX-License-Identifier: Apache-2.0 */
/* The stored resource policy of the embedded language, and the administrator's calls on policies (protocol.md A.5; reading them
 * back, and their versions, are ours). */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/number.h"
#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/policy/policy_query.h"

#define KEY         POLICY_RESOURCE
#define MESSAGE_MAX (2u * POLICY_TEXT_MAX)

bool policy_load(
    struct store *store, struct buf *ret_text, struct policy **ret_policy, struct err *err)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    auto_policy *policy = NULL;
    struct err cause = ERR_INIT;
    if (!store_get(store, STORE_POLICY, KEY, &text, &cause)) {
        if (cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
        if (!buf_append_str(&text, POLICY_DEFAULT, err))
            return false;
    }
    if (!policy_parse(buf_bytes(&text), &policy, err))
        return err_wrap(err, "stored resource policy");
    if (ret_text && !buf_append(ret_text, buf_bytes(&text), err))
        return false;
    *ret_policy = take_ptr(policy);
    return true;
}

/* -- the administrator's calls --------------------------------------------------------------------- */

/* "name=123" anywhere in the query; 0 when it is not there. */
static bool query_version(const struct request *request, uint32_t *ret_version, struct err *err)
{
    auto_json *query = NULL;
    int64_t number = 0;
    if (!policy_query_parse(request->query, &query, err))
        return false;
    const char *text = json_member_text(query, "version");
    if (text && (!number_int(text, &number) || number < 1 || number > INT32_MAX))
        return err_set(err, ERR_FORMAT, "version=%.40s is no number of a version", text);
    *ret_version = (uint32_t)number;
    return true;
}

static bool set_text(struct server *server, const struct request *request, const char *id,
    struct bytes text, struct response *response, struct err *err)
{
    uint32_t version;
    if (!policy_engine_set(server, id, text, request->admin, &version, err))
        return false;
    snprintf(response->audit, sizeof response->audit, "%s set %s%s, version %u", request->admin,
        strcmp(id, POLICY_RESOURCE) == 0 ? "" : "attestation policy ", id, (unsigned)version);
    return true;
}

struct message {
    const char *type, *policy_id, *policy;
};

/* {"policy":"<base64url>"}, for an attestation policy with "policy_id" and perhaps "type":"rego". */
static bool read_message(const struct request *request, bool attestation, json_t **ret_json,
    struct message *ret_message, struct buf *text, struct err *err)
{
    static const struct json_field fields[] = {
        {"policy", JSON_FIELD_TEXT, offsetof(struct message, policy), .required = true},
        {"policy_id", JSON_FIELD_TEXT, offsetof(struct message, policy_id)},
        {"type", JSON_FIELD_TEXT, offsetof(struct message, type)},
    };
    auto_json *json = NULL;
    struct message message = {0};
    if (!json_load_strict(request->body, MESSAGE_MAX, "policy message", &json, err) ||
        !json_decode(json, fields, attestation ? ARRAY_LEN(fields) : 1, true, "policy message",
            &message, err) ||
        !b64_decode(B64_URL, bytes_str(message.policy), "policy", text, err))
        return false;
    if (message.type && strcmp(message.type, "rego") != 0)
        return err_set(
            err, ERR_FORMAT, "policy type \"%.40s\" is not known; rego is", message.type);
    if (attestation && !message.policy_id)
        return err_set(err, ERR_FORMAT, "policy message without \"policy_id\"");
    if (attestation && strcmp(message.policy_id, POLICY_RESOURCE) == 0)
        return err_set(err, ERR_FORMAT,
            "policy id \"" POLICY_RESOURCE "\" is no attestation policy's; set it by POST to "
            "/kbs/v0/resource-policy");
    *ret_json = take_ptr(json);
    *ret_message = message;
    return true;
}

static bool set_resource_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *json = NULL;
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct message message;
    return read_message(request, false, &json, &message, &text, err) &&
           set_text(server, request, POLICY_RESOURCE, buf_bytes(&text), response, err);
}

static bool set_attestation_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *json = NULL;
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct message message;
    return read_message(request, true, &json, &message, &text, err) &&
           set_text(server, request, message.policy_id, buf_bytes(&text), response, err);
}

/* Upstream answers with the ids of policies, not with their text. */
static bool list_resource_policies(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    (void)server;
    (void)request;
    return response_json(response, "[\"" POLICY_RESOURCE "\"]", err);
}

static bool send_json(const json_t *json, struct response *response, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool list_attestation_policies(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *ids = NULL;
    (void)request;
    return policy_engine_ids(server, &ids, err) && send_json(ids, response, err);
}

static bool send_text(struct server *server, const struct request *request, const char *id,
    struct response *response, struct err *err)
{
    uint32_t version;
    response->content_type = "text/plain; charset=utf-8";
    return query_version(request, &version, err) &&
           policy_engine_text(server, id, version, &response->body, err);
}

static bool send_versions(
    struct server *server, const char *id, struct response *response, struct err *err)
{
    auto_json *list = NULL;
    return policy_engine_versions(server, id, &list, err) && send_json(list, response, err);
}

/* An old text becomes the newest version: nothing in the history changes. */
static bool restore(struct server *server, const struct request *request, const char *id,
    struct response *response, struct err *err)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    uint32_t version;
    if (!query_version(request, &version, err))
        return false;
    if (version == 0)
        return err_set(err, ERR_FORMAT, "which version? ?version=N names it");
    return policy_engine_text(server, id, version, &text, err) &&
           set_text(server, request, id, buf_bytes(&text), response, err);
}

static bool get_resource_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    return send_text(server, request, POLICY_RESOURCE, response, err);
}

static bool resource_policy_versions(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    (void)request;
    return send_versions(server, POLICY_RESOURCE, response, err);
}

static bool restore_resource_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    return restore(server, request, POLICY_RESOURCE, response, err);
}

static bool unset(struct server *server, const struct request *request, const char *id,
    struct response *response, struct err *err)
{
    snprintf(response->audit, sizeof response->audit, "%s deleted policy %s", request->admin, id);
    if (policy_engine_unset(server, id, err))
        return true;
    response->audit[0] = '\0';
    return false;
}

static bool unset_resource_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    return unset(server, request, POLICY_RESOURCE, response, err);
}

/* "ID" or "ID/WORD". */
static bool split_rest(const struct request *request, char id[POLICY_ID_MAX + 1],
    const char **ret_word, struct err *err)
{
    const char *slash = strchr(request->rest, '/');
    size_t len = slash ? (size_t)(slash - request->rest) : strlen(request->rest);
    if (len > POLICY_ID_MAX)
        return err_set(err, ERR_NOTFOUND, "no policy has an id of %zu characters", len);
    snprintf(id, POLICY_ID_MAX + 1, "%.*s", (int)len, request->rest);
    if (strcmp(id, POLICY_RESOURCE) == 0)
        return err_set(err, ERR_NOTFOUND, POLICY_RESOURCE " is no attestation policy");
    *ret_word = slash ? slash + 1 : "";
    return true;
}

static bool attestation_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    char id[POLICY_ID_MAX + 1];
    const char *word = "";
    if (!split_rest(request, id, &word, err))
        return false;
    if (request->method == REQUEST_DELETE && !word[0])
        return unset(server, request, id, response, err);
    if (request->method == REQUEST_GET && !word[0])
        return send_text(server, request, id, response, err);
    if (request->method == REQUEST_GET && strcmp(word, "versions") == 0)
        return send_versions(server, id, response, err);
    if (request->method == REQUEST_POST && strcmp(word, "restore") == 0)
        return restore(server, request, id, response, err);
    return err_set(err, ERR_NOTFOUND, "there is nothing at %.100s", request->path);
}

#define ERROR       "ParsePolicyError", "Policy error"
#define RESOURCE    "/kbs/v0/resource-policy"
#define ATTESTATION "/kbs/v0/attestation-policy"
#define ANY         (REQUEST_GET | REQUEST_POST | REQUEST_DELETE)

const struct route policy_routes[] = {
    {REQUEST_POST, RESOURCE, AUTH_ADMIN, false, MESSAGE_MAX, set_resource_policy, ERROR},
    {REQUEST_GET, RESOURCE, AUTH_ADMIN, false, 0, list_resource_policies, ERROR},
    {REQUEST_GET, RESOURCE "/" KEY, AUTH_ADMIN, false, 0, get_resource_policy, ERROR},
    {REQUEST_DELETE, RESOURCE "/" KEY, AUTH_ADMIN, false, 0, unset_resource_policy, ERROR},
    {REQUEST_GET, RESOURCE "/" KEY "/versions", AUTH_ADMIN, false, 0, resource_policy_versions,
        ERROR},
    {REQUEST_POST, RESOURCE "/" KEY "/restore", AUTH_ADMIN, false, 0, restore_resource_policy,
        ERROR},
    {REQUEST_POST, ATTESTATION, AUTH_ADMIN, false, MESSAGE_MAX, set_attestation_policy, ERROR},
    {REQUEST_GET, ATTESTATION, AUTH_ADMIN, false, 0, list_attestation_policies, ERROR},
    {ANY, ATTESTATION "/*", AUTH_ADMIN, false, 0, attestation_policy, ERROR},
    {0},
};
