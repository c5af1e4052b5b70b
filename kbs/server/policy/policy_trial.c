/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a policy would say, for an administrator who is about to set one, or wonders about the one in force. Nothing is stored,
 * released or counted:
 *
 *     POST /kbs/v0/policy-trial
 *     {"kind": "resource" (the default) or "attestation",
 *      "policy": base64url of a text; without it the one in force is asked,
 *      "token": a token, whose signature and dates do not matter here; or
 *      "claims": claims as a token has them (ear.veraison.annotated-evidence), which are appraised as in /attest,
 *      "class": of the evidence that made the claims, "cpu" unless given,
 *      "resource": "REPOSITORY/TYPE/TAG[?QUERY]"}
 *
 *     {"allowed", "line", "summary", "findings", "trace"}          resource; line 0: no rule, or not the embedded language
 *     {"status", "trust_vector", "extensions", "findings", "trace"}   attestation
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/explain.h"
#include "kbs/server/policy/policy_engine.h"
#include "kbs/server/refvalue.h"

#define MESSAGE_MAX (1024u * 1024)

struct trial {
    const char *kind, *policy, *token, *resource, *class_name;
    json_t *claims;
};

static const struct json_field fields[] = {
    {"kind", JSON_FIELD_TEXT, offsetof(struct trial, kind)},
    {"policy", JSON_FIELD_TEXT, offsetof(struct trial, policy)},
    {"token", JSON_FIELD_TEXT, offsetof(struct trial, token)},
    {"claims", JSON_FIELD_OBJECT, offsetof(struct trial, claims)},
    {"class", JSON_FIELD_TEXT, offsetof(struct trial, class_name)},
    {"resource", JSON_FIELD_TEXT, offsetof(struct trial, resource)},
};

/* The TEE whose claims these are: the member that is an object and is none of those that any evidence has. */
static const char *tee_of(const json_t *claims)
{
    static const char *const others[] = {
        "runtime_data_claims", "init_data_claims", "report_data", "init_data"};
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)claims, name, value)
    {
        bool other = !json_is_object(value);
        for (size_t i = 0; i < ARRAY_LEN(others); i++)
            other = other || strcmp(others[i], name) == 0;
        if (!other)
            return name;
    }
    return NULL;
}

/* As /attest would, or with `text` in place of the attestation policy in force. */
static bool appraise_claims(struct server *server, const struct trial *trial, struct bytes text,
    const json_t *values, struct appraisal *ret_appraisal, json_t **ret_trace, struct err *err)
{
    auto_appraisal appraisal = {0};
    auto_buf stored = BUF_INIT(POLICY_TEXT_MAX);
    char id[POLICY_ID_MAX + 1];
    struct err cause = ERR_INIT;
    const char *tee = tee_of(trial->claims);
    if (!tee)
        return err_set(err, ERR_FORMAT,
            "the claims name no TEE; they look like {\"tpm\":{…},\"report_data\":…}");
    if (!appraise(tee, json_object_get(trial->claims, tee), values, &appraisal, err))
        return false;
    snprintf(id, sizeof id, "default_%.40s", trial->class_name ? trial->class_name : "cpu");
    if (!text.data && server->conf->policy.engine == KBS_POLICY_OPA) {
        if (policy_engine_text(server, id, 0, &stored, &cause)) {
            text = buf_bytes(&stored);
        } else if (cause.code != ERR_NOTFOUND) {
            *err = cause;
            return false;
        }
    }
    if (text.data && !policy_engine_try_appraise(
                         server, text, trial->claims, values, &appraisal, ret_trace, err))
        return false;
    *ret_appraisal = appraisal;
    appraisal = (struct appraisal){0};
    return true;
}

static bool payload_of_token(const char *token, json_t **ret_payload, struct err *err)
{
    auto_buf payload = BUF_INIT(MESSAGE_MAX);
    const char *first = strchr(token, '.'), *second = first ? strchr(first + 1, '.') : NULL;
    if (!second)
        return err_set(err, ERR_FORMAT, "the token is none: it has no three parts");
    return (b64_decode(B64_URL, bytes_of(first + 1, (size_t)(second - first - 1)), "payload",
                &payload, err) &&
               json_load_strict(buf_bytes(&payload), MESSAGE_MAX, "payload", ret_payload, err)) ||
           err_wrap(err, "the token");
}

/* What the policy would see: the token's payload, or that of the token which these claims would get. */
static bool make_payload(struct server *server, const struct trial *trial, const json_t *values,
    json_t **ret_payload, json_t **ret_findings, struct err *err)
{
    auto_appraisal appraisal = {0};
    char name[80];
    if (!trial->token == !trial->claims)
        return err_set(err, ERR_FORMAT, "a trial needs either a token or claims");
    if (trial->token)
        return payload_of_token(trial->token, ret_payload, err);
    if (!appraise_claims(server, trial, BYTES_EMPTY, values, &appraisal, NULL, err))
        return false;
    snprintf(name, sizeof name, "%.64s0", trial->class_name ? trial->class_name : "cpu");
    if (!json_build(ret_payload, err, "{s:{s:{s:s, s:O, s:O}}}", "submods", name, "ear.status",
            appraisal_status_name(appraisal.status), "ear.trustworthiness-vector", appraisal.vector,
            "ear.veraison.annotated-evidence", trial->claims))
        return false;
    *ret_findings = take_ptr(appraisal.findings);
    return true;
}

static bool add_all(json_t *findings, const json_t *more, struct err *err)
{
    return !more || json_array_extend(findings, (json_t *)(uintptr_t)more) == 0 || err_nomem(err);
}

static bool send_json(const json_t *json, struct response *response, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool read_resource(const char *text, struct kbs_uri *ret_resource, struct err *err)
{
    char path[KBS_URI_MAX];
    if (!text)
        return err_set(err, ERR_FORMAT, "a trial of a resource policy needs a resource");
    snprintf(path, sizeof path, "%.*s", (int)strcspn(text, "?"), text);
    return kbs_uri_from_path(path, ret_resource, err);
}

static bool try_resource(struct server *server, const struct trial *trial, struct bytes text,
    const json_t *values, struct response *response, struct err *err)
{
    auto_policy_decision decision = {0};
    auto_json *payload = NULL, *findings = NULL, *trace = NULL, *answer = NULL;
    struct kbs_uri resource;
    if (!read_resource(trial->resource, &resource, err) ||
        !make_payload(server, trial, values, &payload, &findings, err))
        return false;
    const char *query = strchr(trial->resource, '?');
    const struct policy_question question = {.resource = &resource,
        .query = query ? query + 1 : NULL,
        .payload = payload,
        .values = values,
        .text = text,
        .ret_trace = &trace};
    if (!policy_engine_decide(server, &question, &decision, err) ||
        !add_all(decision.findings, findings, err))
        return false;
    if (decision.cause.code != ERR_OK && decision.cause.code != ERR_DENIED_POLICY) {
        *err = decision.cause;
        return false;
    }
    return json_build(&answer, err, "{s:b, s:i, s:s, s:O, s:O*}", "allowed", decision.allowed,
               "line", decision.line, "summary", decision.summary, "findings", decision.findings,
               "trace", trace) &&
           send_json(answer, response, err);
}

static bool try_attestation(struct server *server, const struct trial *trial, struct bytes text,
    const json_t *values, struct response *response, struct err *err)
{
    auto_appraisal appraisal = {0};
    auto_json *trace = NULL, *answer = NULL;
    if (!trial->claims)
        return err_set(err, ERR_FORMAT, "a trial of an attestation policy needs claims");
    if (text.data && server->conf->policy.engine != KBS_POLICY_OPA)
        return err_set(err, ERR_CONFIG,
            "the embedded appraisal has fixed rules; an attestation policy needs [policy] engine = "
            "opa");
    return appraise_claims(server, trial, text, values, &appraisal, &trace, err) &&
           json_build(&answer, err, "{s:s, s:O, s:O, s:O*, s:O*}", "status",
               appraisal_status_name(appraisal.status), "trust_vector", appraisal.vector,
               "findings", appraisal.findings, "extensions", appraisal.extensions, "trace",
               trace) &&
           send_json(answer, response, err);
}

static bool try_policy(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_json *json = NULL, *values = NULL;
    auto_buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct trial trial = {.kind = "resource"};
    if (!json_load_strict(request->body, MESSAGE_MAX, "trial", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), false, "trial", &trial, err) ||
        (trial.policy && !b64_decode(B64_URL, bytes_str(trial.policy), "policy", &text, err)) ||
        !refvalue_all(server->store, server_now(server), &values, err))
        return false;
    const struct bytes given = trial.policy ? bytes_of(buf_text(&text), text.len) : BYTES_EMPTY;
    if (strcmp(trial.kind, "attestation") == 0)
        return try_attestation(server, &trial, given, values, response, err);
    if (strcmp(trial.kind, "resource") == 0)
        return try_resource(server, &trial, given, values, response, err);
    return err_set(
        err, ERR_FORMAT, "kind \"%.40s\" is neither \"resource\" nor \"attestation\"", trial.kind);
}

const struct route policy_trial_routes[] = {
    {REQUEST_POST, "/kbs/v0/policy-trial", AUTH_ADMIN, false, MESSAGE_MAX, try_policy,
        "PolicyEngineError", "Policy error"},
    {0},
};
