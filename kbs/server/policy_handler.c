/* SPDX-License-Identifier: Apache-2.0 */
/* The stored resource policy and the administrator's calls on it (protocol.md A.5; the read-back is
 * ours). */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/policy.h"
#include "kbs/server/server.h"

#define KEY          "resource-policy"
#define KEY_PREVIOUS "resource-policy.1"
#define MESSAGE_MAX  (2u * POLICY_TEXT_MAX)

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

static bool keep_previous(struct store *store, struct err *err)
{
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct err cause = ERR_INIT;
    if (store_get(store, STORE_POLICY, KEY, &text, &cause))
        return store_put(store, STORE_POLICY, KEY_PREVIOUS, buf_bytes(&text), err);
    if (cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return false;
}

bool policy_store(struct store *store, struct bytes text, struct err *err)
{
    auto_policy *policy = NULL;
    return policy_parse(text, &policy, err) && keep_previous(store, err) &&
           store_put(store, STORE_POLICY, KEY, text, err);
}

/* {"policy":"<base64url>"} */
static bool set_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *json = NULL;
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct {
        const char *policy;
    } message = {0};
    static const struct json_field fields[] = {
        {"policy", JSON_FIELD_TEXT, 0, .required = true},
    };
    if (!json_load_strict(request->body, MESSAGE_MAX, "policy message", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "policy message", &message, err) ||
        !b64_decode(B64_URL, bytes_str(message.policy), "policy", &text, err) ||
        !policy_store(server->store, buf_bytes(&text), err))
        return false;
    snprintf(response->audit, sizeof response->audit, "%s set the resource policy", request->admin);
    return true;
}

/* Upstream answers with the ids of policies, not with their text. */
static bool list_policies(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    (void)server;
    (void)request;
    return response_json(response, "[\"" KEY "\"]", err);
}

static bool get_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_policy *policy = NULL;
    (void)request;
    response->content_type = "text/plain; charset=utf-8";
    return policy_load(server->store, &response->body, &policy, err);
}

static bool refuse_attestation_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    (void)server;
    (void)request;
    (void)response;
    return err_set(err, ERR_CONFIG,
        "the embedded appraisal of this server has fixed rules, so it takes no attestation policy; "
        "set reference values, and a resource policy that names the claims you require");
}

#define ERROR "ParsePolicyError", "Policy error"

const struct route policy_routes[] = {
    {REQUEST_POST, "/kbs/v0/resource-policy", AUTH_ADMIN, false, MESSAGE_MAX, set_policy, ERROR},
    {REQUEST_GET, "/kbs/v0/resource-policy", AUTH_ADMIN, false, 0, list_policies, ERROR},
    {REQUEST_GET, "/kbs/v0/resource-policy/" KEY, AUTH_ADMIN, false, 0, get_policy, ERROR},
    {REQUEST_POST, "/kbs/v0/attestation-policy", AUTH_ADMIN, false, 0, refuse_attestation_policy,
        ERROR},
    {0},
};
