/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attestation service alone, for relying parties that do their own handshake (protocol.md D.3; [attestation] rest = yes):
 *
 *     POST /attestation  evidence in, a token as bare text out     POST /challenge  a fresh nonce as text
 *
 * Whoever asks chose what the evidence is bound to, so that only the one who asked knows whether it is fresh: the token says
 * "sealed.freshness":"unchecked", and this broker itself gives nothing for it. Evidence of a TPM needs an admitted agent here as well.
 * GET and POST /policy are the administrator's, as /kbs/v0/attestation-policy is, and need its ACL.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/admin.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/explain.h"
#include "kbs/server/token/session.h"
#include "kbs/server/token/token_making.h"
#include "kbs/server/verifier/verification.h"

#define ERROR_NAME    "AttestationError"
#define FAILED        "Attestation error: the evidence was not accepted"
#define CHALLENGE_MAX 65536
#define REFUSED       403
#define POLICY_PATH   "/kbs/v0/attestation-policy"

static bool refuse(
    struct server *server, struct response *response, const char *summary, const json_t *findings)
{
    char ref[EXPLAIN_ID_SIZE] = "";
    struct err lost = ERR_INIT;
    const struct explain_entry entry = {
        .kind = "evidence", .summary = summary, .findings = findings};
    if (!explain_record(server, &entry, ref, &lost))
        response->cause = lost;
    response_refuse(response, ERROR_NAME, ref, FAILED);
    response->status = REFUSED;
    return true;
}

static bool is_on(struct server *server, struct response *response)
{
    if (server->conf->attestation.rest)
        return true;
    response_refuse(response, "InvalidRequestPath", NULL,
        "this server offers no REST interface of an attestation service ([attestation] rest)");
    return false;
}

/* *ret_ok false: refused. Evidence that an attestation key signed is worth as much as that key. */
static bool check_keys(struct server *server, const struct verifier_answer *answer,
    struct response *response, bool *ret_ok, struct err *err)
{
    *ret_ok = true;
    for (size_t i = 0; *ret_ok && i < answer->device_count; i++) {
        auto_buf spki = BUF_INIT(VERIFIER_SPKI_MAX);
        char agent[AGENT_ID_SIZE], summary[192];
        bool late = false;
        const struct verifier_device *piece = &answer->devices[i];
        const char *ak = json_member_text(piece->claims, "ak_public");
        if (!kbs_conf_tee_ok(server->conf, piece->tee) || (!ak && strcmp(piece->tee, "tpm") == 0))
            return err_set(err, ERR_FORMAT, "a verifier took what it must not");
        if (!ak)
            continue;
        if (!b64_decode(B64_STD, bytes_str(ak), "ak_public", &spki, err) ||
            !agent_admitted(server, buf_bytes(&spki), ret_ok, agent, err))
            return false;
        snprintf(summary, sizeof summary, "the attestation key of agent %s is %s", agent,
            *ret_ok ? "of a guest that did not attest when it was due" : "not admitted");
        if (*ret_ok && !agent_check_late(server, agent, &late, err))
            return false;
        *ret_ok = *ret_ok && !late;
        if (!*ret_ok)
            return refuse(server, response, summary, NULL);
    }
    return true;
}

static bool post_attestation(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_token_making making = {0};
    auto_json *findings = NULL;
    auto_free char *token = NULL;
    struct verifier_request ask = {.kind = VERIFIER_REST, .body = request->body};
    bool ok = false;
    if (!is_on(server, response))
        return true;
    if (!verification_ask(server, &ask, &message, &answer, err))
        return false;
    if (answer.status == VERIFIER_REFUSED)
        return verification_findings(&answer, &findings, err) &&
               refuse(server, response, answer.reasons[0].check, findings);
    if (!check_keys(server, &answer, response, &ok, err))
        return false;
    if (!ok)
        return true;
    if (!token_making_rest(server, &answer, &making, err) ||
        !token_making_issue(server, &making, &token, err))
        return false;
    response->content_type = "text/plain";
    return buf_append_str(&response->body, token, err);
}

/* Stateless: whoever asked compares it with what the evidence is bound to. */
static bool post_challenge(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct in {
        const char *tee;
    } in = {0};
    static const struct json_field fields[] = {
        {"tee", JSON_FIELD_TEXT, offsetof(struct in, tee), .max = PROTO_TEE_MAX - 1,
            .required = true},
    };
    auto_json *json = NULL;
    uint8_t nonce[SESSION_NONCE];
    if (!is_on(server, response))
        return true;
    if (!json_load_strict(request->body, CHALLENGE_MAX, "/challenge request", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "/challenge request", &in, err))
        return false;
    if (!kbs_conf_tee_ok(server->conf, in.tee))
        return err_set(err, ERR_FORMAT, "no evidence of tee \"%s\" is taken here", in.tee);
    if (!hash_random(nonce, sizeof nonce, err))
        return false;
    auto_free char *text = b64_encode(B64_STD, bytes_of(nonce, sizeof nonce));
    response->content_type = "text/plain";
    return text ? buf_append_str(&response->body, text, err) : err_nomem(err);
}

/* The attestation policies under their names of this interface; the same text, the same checks, the same administrators. */
static bool as_policy_request(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct request same = *request;
    struct err cause = ERR_INIT;
    if (!is_on(server, response))
        return true;
    if (!admin_check(server->admin, request->authorization, POLICY_PATH, server_now(server),
            same.admin, &cause)) {
        response_refuse(
            response, "AdminAuthAccess", NULL, "Admin access denied: %s", cause.message);
        response->cause = cause;
        return true;
    }
    const struct route *route = route_find(request->method, POLICY_PATH);
    return route ? route->handler(server, &same, response, err)
                 : err_set(err, ERR_INTERNAL, "no route for attestation policies");
}

const struct route rest_routes[] = {
    {REQUEST_POST, "/attestation", AUTH_NONE, false, 0, post_attestation, ERROR_NAME, FAILED},
    {REQUEST_POST, "/challenge", AUTH_NONE, false, CHALLENGE_MAX, post_challenge, ERROR_NAME,
        "Attestation error: no challenge"},
    {REQUEST_GET | REQUEST_POST, "/policy", AUTH_NONE, false, 0, as_policy_request,
        "ParsePolicyError", "Policy error"},
    {0},
};
