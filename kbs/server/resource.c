/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources (protocol.md A.3, A.5). A guest's GET goes: token, its verification (ours with the pinned
 * signer; or one of an attestation service that the configuration trusts), is its attestation key still admitted, policy, read, JWE to the token's tee key. A guest
 * learns only the class of a refusal and an id; claim, got and expected go to the stored
 * explanation.
 */
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/jwe.h"
#include "kbs/proto.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/agents/boot_record.h"
#include "kbs/server/explain.h"
#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/refvalue.h"
#include "kbs/server/resource_query.h"
#include "kbs/server/token/session.h"
#include "kbs/server/token/token_keys.h"

#define SPKI_MAX    2048
#define FOREIGN_TEE "foreign" /* in records: attested by a service elsewhere */

static void uri_key(const struct kbs_uri *uri, char key[STORE_KEY_MAX + 1])
{
    snprintf(key, STORE_KEY_MAX + 1, "%s/%s/%s", uri->repository, uri->type, uri->tag);
}

static void name_version(const char *key, int64_t version, char *out, size_t size)
{
    if (version > 0)
        snprintf(out, size, "%s?version=%" PRId64, key, version);
    else
        snprintf(out, size, "%s", key);
}

/* The session of the cookie wins over a bearer token, as upstream. */
static bool find_token(
    struct server *server, const struct request *request, char **ret_token, struct err *err)
{
    const char *bearer = request->authorization;
    if (request->cookie) {
        char *token = NULL;
        if (!session_token(server, request->cookie, &token, err))
            return false;
        if (token) {
            *ret_token = token;
            return true;
        }
    }
    if (!bearer || strncasecmp(bearer, "Bearer ", strlen("Bearer ")) != 0)
        return true;
    bearer += strlen("Bearer ");
    char *token = strdup(bearer + strspn(bearer, " "));
    if (!token)
        return err_nomem(err);
    *ret_token = token;
    return true;
}

/* Refuses with an id under which the administrator finds why. A store that cannot take the
 * explanation changes nothing for the guest; the log gets the explanation's error. */
static void refuse(struct server *server, struct response *response, const char *name,
    const char *detail, const struct explain_entry *entry)
{
    char ref[EXPLAIN_ID_SIZE] = "";
    struct err err = ERR_INIT;
    if (!explain_record(server, entry, ref, &err)) {
        err_wrap(&err, "the explanation is lost (%s)", entry->summary);
        response->cause = err;
    }
    response_refuse(response, name, ref, "%s", detail);
}

static const json_t *token_claims(const struct ear *token)
{
    const json_t *submods = json_object_get(token->payload, "submods");
    return json_object_get(json_object_get(submods, "cpu0"), "ear.veraison.annotated-evidence");
}

static const char *token_tee(const struct server *server, const json_t *claims)
{
    for (size_t i = 0; i < server->conf->attestation.tees.count; i++)
        if (json_object_get(claims, server->conf->attestation.tees.items[i]))
            return server->conf->attestation.tees.items[i];
    return NULL;
}

/* A guest of a TEE that is no longer allowed, or with an attestation key no longer admitted, is
 * refused though its token has not expired. *ret_why is static text, NULL when it may go on. */
static bool check_agent(struct server *server, const json_t *claims, const char *tee,
    char ret_agent[AGENT_ID_SIZE], const char **ret_why, struct err *err)
{
    auto_buf spki = BUF_INIT(SPKI_MAX);
    bool admitted = false;
    ret_agent[0] = '\0';
    *ret_why = NULL;
    if (!tee) {
        *ret_why = "the token's TEE is not among those that this server takes ([attestation] tees)";
        return true;
    }
    const char *ak = json_member_text(json_object_get(claims, tee), "ak_public");
    if (!ak && strcmp(tee, "tpm") != 0)
        return true; /* rooted in the hardware's own certificates, or a sample */
    if (!ak || !b64_decode(B64_STD, bytes_str(ak), "ak_public", &spki, err)) {
        *ret_why = "the token names no attestation key";
        return true;
    }
    if (!agent_admitted(server, buf_bytes(&spki), &admitted, ret_agent, err))
        return false;
    bool late = false;
    if (!admitted)
        *ret_why = "the attestation key is not admitted, or no longer (sealed kbs agent list)";
    else if (!agent_check_late(server, ret_agent, &late, err))
        return false;
    else if (late)
        *ret_why = "the guest did not attest when it was due (sealed kbs agent admit)";
    return true;
}

/* The same for each device whose evidence is in the token. */
static bool check_devices(
    struct server *server, const struct ear *token, const char **ret_why, struct err *err)
{
    const char *name;
    json_t *submod;
    json_object_foreach(json_object_get(token->payload, "submods"), name, submod)
    {
        char agent[AGENT_ID_SIZE];
        const json_t *claims = json_object_get(submod, "ear.veraison.annotated-evidence");
        if (strcmp(name, "cpu0") == 0)
            continue;
        if (!check_agent(server, claims, token_tee(server, claims), agent, ret_why, err))
            return false;
        if (*ret_why)
            return true;
    }
    return true;
}

/* What one GET gathers on its way. */
struct release {
    struct kbs_uri uri;
    char key[STORE_KEY_MAX + 1];
    char name[STORE_KEY_MAX + 48]; /* the key, with the version that was asked for */
    struct ear token;
    enum token_origin origin;
    const json_t *claims;
    const char *tee;
    char agent[AGENT_ID_SIZE];
    const char *query; /* of the request, or NULL */
    int line;          /* of the policy's rule; 0: another engine decided */
};

static void release_done(struct release *release)
{
    ear_done(&release->token);
}

static struct explain_entry entry_for(
    const struct release *release, const char *kind, const char *summary, const json_t *findings)
{
    return (struct explain_entry){
        .kind = kind,
        .resource = release->name,
        .tee = release->tee,
        .agent = release->agent[0] ? release->agent : NULL,
        .summary = summary,
        .findings = findings,
    };
}

/* One that has expired was ours, or another service's that we trust. One that nobody we know signed is nobody's refusal: a stranger
 * makes the store write nothing. */
static void refuse_token(struct server *server, const struct release *release,
    const struct err *cause, struct response *response)
{
    const struct explain_entry entry = entry_for(release, "bad token", cause->message, NULL);
    if (cause->code == ERR_STALE)
        refuse(server, response, "TokenVerifierError", "Token Verifier error", &entry);
    else
        response_refuse(response, "TokenVerifierError", NULL, "Token Verifier error");
    response->cause = *cause;
}

/* *ret_ok false: refused, the answer is made. */
static bool check_token(struct server *server, const struct request *request,
    struct release *release, struct response *response, bool *ret_ok, struct err *err)
{
    auto_free char *token = NULL;
    struct err cause = ERR_INIT;
    *ret_ok = false;
    if (!find_token(server, request, &token, err))
        return false;
    if (!token) {
        response_refuse(response, "TokenNotFound", NULL, "Attestation Token not found");
        return true;
    }
    if (strlen(token) > PROTO_TOKEN_MAX ||
        !token_keys_verify(server->token_keys, bytes_str(token), server_now(server),
            &release->token, &release->origin, &cause)) {
        refuse_token(server, release, &cause, response);
        return true;
    }
    release->claims = token_claims(&release->token);
    release->tee =
        release->origin == TOKEN_FOREIGN ? FOREIGN_TEE : token_tee(server, release->claims);
    *ret_ok = true;
    return true;
}

/* What the token's guest is like. That its last good boot cannot be read is the log's business, not the guest's. */
static bool explain_denial(struct server *server, const struct release *release,
    const json_t *values, json_t *findings, struct response *response, struct err *err)
{
    struct err cause = ERR_INIT;
    if (release->origin != TOKEN_OWN)
        return true;
    if (!explain_appraisal(release->tee, release->claims, values, findings, err))
        return false;
    if (!boot_record_explain(server, release->agent, release->tee,
            json_object_get(release->claims, release->tee), findings, &cause))
        response->cause = cause;
    return true;
}

static bool check_policy(struct server *server, struct release *release, struct response *response,
    bool *ret_ok, struct err *err)
{
    auto_json *values = NULL;
    auto_policy_decision decision = {0};
    *ret_ok = false;
    if (!refvalue_all(server->store, server_now(server), &values, err))
        return false;
    const struct policy_question question = {.resource = &release->uri,
        .query = release->query,
        .payload = release->token.payload,
        .values = values};
    if (!policy_engine_decide(server, &question, &decision, err))
        return false;
    release->line = decision.line;
    if (decision.allowed) {
        *ret_ok = true;
        return true;
    }
    if (!explain_denial(server, release, values, decision.findings, response, err))
        return false;
    const struct explain_entry entry =
        entry_for(release, "policy", decision.summary, decision.findings);
    refuse(server, response, "PolicyDeny", "Access denied by policy", &entry);
    if (decision.cause.code != ERR_OK)
        response_blame(response, &decision.cause);
    return true;
}

/* *ret_value NULL: refused, the answer is made. */
static bool read_value(struct server *server, const struct release *release,
    struct response *response, struct secret **ret_value)
{
    struct store_version at;
    auto_secret *value = NULL;
    struct err cause = ERR_INIT;
    char summary[128], until[CLOCK_TEXT_SIZE];
    bool found = store_read(server->store, release->key, release->uri.version, &at, &value, &cause);
    if (found && (at.not_after == 0 || server_now(server) < at.not_after)) {
        *ret_value = take_ptr(value);
        return true;
    }
    if (found) {
        clock_rfc3339(at.not_after, until);
        snprintf(summary, sizeof summary,
            "version %" PRId64 " was good until %s (not-after); put a new one", at.version, until);
    }
    const struct explain_entry entry =
        entry_for(release, "resource", found ? summary : cause.message, NULL);
    refuse(server, response, "PluginInternalError", "Plugin internal error", &entry);
    response->strict_status = 404;
    if (!found && cause.code != ERR_NOTFOUND)
        response_blame(response, &cause);
    return true;
}

static bool send_resource(
    struct server *server, struct release *release, struct response *response, struct err *err)
{
    auto_secret *value = NULL;
    struct err cause = ERR_INIT;
    if (!read_value(server, release, response, &value))
        return false;
    if (!value)
        return true;
    response->content_type = "application/json";
    if (!jwe_encrypt(release->token.tee_key, secret_bytes(value), &response->body, &cause)) {
        const struct explain_entry entry =
            entry_for(release, "token", "nothing can be encrypted to the key in the token", NULL);
        refuse(server, response, "JweError", "JWE error", &entry);
        response_blame(response, &cause);
        return true;
    }
    char line[16] = "";
    if (release->line > 0)
        snprintf(line, sizeof line, "%d", release->line);
    snprintf(response->audit, sizeof response->audit, "released %s to %s %s (%s%s)", release->name,
        release->tee, release->agent, line[0] ? "policy line " : "Rego policy", line);
    (void)err;
    return true;
}

static bool get_resource(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    AUTO_DONE(release_done) struct release release = {0};
    const char *why = NULL;
    bool ok = false;
    snprintf(release.key, sizeof release.key, "%s", request->rest);
    snprintf(release.name, sizeof release.name, "%s", release.key);
    release.query = request->query;
    if (!check_token(server, request, &release, response, &ok, err))
        return false;
    if (!ok)
        return true;
    if (!kbs_uri_from_path(request->rest, &release.uri, err) ||
        !resource_query_version(request->query, &release.uri.version, err))
        return false;
    uri_key(&release.uri, release.key);
    name_version(release.key, release.uri.version, release.name, sizeof release.name);
    /* Of a guest that another service attested nothing is known here; its token's life bounds what it gets. */
    if (release.origin == TOKEN_OWN &&
        (!check_agent(server, release.claims, release.tee, release.agent, &why, err) ||
            (!why && !check_devices(server, &release.token, &why, err))))
        return false;
    if (why) {
        const struct explain_entry entry = entry_for(&release, "token", why, NULL);
        refuse(server, response, "PolicyDeny", "Access denied by policy", &entry);
        return true;
    }
    if (!check_policy(server, &release, response, &ok, err))
        return false;
    return !ok || send_resource(server, &release, response, err);
}

static bool parse_key(const struct request *request, char key[STORE_KEY_MAX + 1], struct err *err)
{
    struct kbs_uri uri;
    if (!kbs_uri_from_path(request->rest, &uri, err))
        return false;
    uri_key(&uri, key);
    return true;
}

static bool put_resource(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    char key[STORE_KEY_MAX + 1];
    int64_t not_after = 0, version = 0;
    auto_secret *empty = NULL;
    const struct secret *value = request->body_secret;
    if (!parse_key(request, key, err) ||
        !resource_query_not_after(request->query, server_now(server), &not_after, err))
        return false;
    if (!value) {
        if (!secret_new(0, &empty, err))
            return false;
        value = empty;
    }
    if (!store_write(server->store, key, value, not_after, &version, err))
        return false;
    response->content_type = "text/xml"; /* as upstream answers */
    snprintf(response->audit, sizeof response->audit, "%s put %s (%zu bytes, version %" PRId64 ")",
        request->admin, key, secret_len(value), version);
    return true;
}

static bool delete_resource(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    char key[STORE_KEY_MAX + 1], name[STORE_KEY_MAX + 48];
    int64_t version = 0;
    if (!parse_key(request, key, err) || !resource_query_version(request->query, &version, err))
        return false;
    if (!(version > 0 ? store_delete_version(server->store, key, version, err)
                      : store_delete(server->store, STORE_RESOURCE, key, err)))
        return false;
    response->content_type = "text/xml";
    name_version(key, version, name, sizeof name);
    snprintf(response->audit, sizeof response->audit, "%s deleted %s", request->admin, name);
    return true;
}

static bool list_resources(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *keys = NULL;
    (void)request;
    if (!store_list(server->store, STORE_RESOURCE, &keys, err))
        return false;
    auto_free char *text = json_text(keys);
    return text ? response_json(response, text, err) : err_nomem(err);
}

#define PATTERN "/kbs/v0/resource/*"
#define ERROR   "PluginInternalError", "Plugin internal error"

const struct route resource_routes[] = {
    {REQUEST_GET, PATTERN, AUTH_NONE, false, 0, get_resource, ERROR},
    {REQUEST_POST | REQUEST_PUT, PATTERN, AUTH_ADMIN, true, 0, put_resource, ERROR},
    {REQUEST_DELETE, PATTERN, AUTH_ADMIN, false, 0, delete_resource, ERROR},
    {REQUEST_GET, "/kbs/v0/resource", AUTH_ADMIN, false, 0, list_resources, ERROR},
    {0},
};
