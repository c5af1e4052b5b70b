/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RCAR handshake (protocol.md A.1, A.2). /auth makes a session out of nothing; /attest hands the
 * body, unparsed, to a verifier process, and turns its verdict into a token: attestation key admitted,
 * appraisal against the reference values, signature. A guest learns that it was refused and an id.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/agent.h"
#include "kbs/server/explain.h"
#include "kbs/server/refvalue.h"
#include "kbs/server/session.h"
#include "kbs/server/verifier.h"

#define AUTH_BODY_MAX 65536
#define AUTH_FAILED   "Attestation error: RCAR handshake Auth failed"
#define ATTEST_FAILED "Attestation error: RCAR handshake Attest failed"
#define ERROR_NAME    "AttestationError"

/* -- /auth -------------------------------------------------------------------------------------- */

/* Exactly 0.4.0; build metadata ("0.4.0+x") is ignored, as semver does (protocol.md A.1). */
static bool version_ok(const char *version)
{
    size_t len = strlen(PROTO_VERSION);
    return strncmp(version, PROTO_VERSION, len) == 0 &&
           (version[len] == '\0' || version[len] == '+');
}

static bool post_auth(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct proto_auth auth;
    struct proto_challenge challenge = {.hash = HASH_SHA384};
    struct session session;
    struct err cause = ERR_INIT;
    auto_free char *text = NULL;
    if (!proto_auth_decode(request->body, &auth, &cause)) {
        response_refuse(response, ERROR_NAME, NULL, AUTH_FAILED ": %s", cause.message);
        response->strict_status = 400;
        return true;
    }
    if (!version_ok(auth.version)) {
        response_refuse(response, ERROR_NAME, NULL,
            AUTH_FAILED ": KBS Client Protocol Version Mismatch: expect =" PROTO_VERSION
                        " while the request is %s",
            auth.version);
        response->strict_status = 400;
        return true;
    }
    if (!kbs_conf_tee_ok(server->conf, auth.tee)) {
        response_refuse(response, ERROR_NAME, NULL,
            AUTH_FAILED ": this server takes no evidence of tee \"%s\" ([attestation] tees)",
            auth.tee);
        response->strict_status = 400;
        return true;
    }
    int64_t expires_at = server_now(server) + server->conf->attestation.session_ms / 1000;
    if (!session_start(server->sessions, auth.tee, expires_at, &session, err))
        return false;
    memcpy(challenge.nonce, session.nonce, sizeof session.nonce);
    session_cookie(&session, response->cookie);
    return proto_challenge_encode(&challenge, &text, err) && response_json(response, text, err);
}

/* -- refusals ------------------------------------------------------------------------------------ */

static bool add_finding(json_t *findings, const char *claim, const char *got, const char *expected,
    const char *rule, struct err *err)
{
    auto_json *finding = NULL;
    return json_build(&finding, err, "{s:s, s:s, s:s, s:s, s:b}", "claim", claim, "got", got,
               "expected", expected, "rule", rule, "match", 0) &&
           (json_array_append(findings, finding) == 0 || err_nomem(err));
}

/* With an id for the administrator. That the explanation cannot be stored is the log's business, not the guest's. */
static void refuse(
    struct server *server, struct response *response, const struct explain_entry *entry)
{
    char ref[EXPLAIN_ID_SIZE] = "";
    struct err err = ERR_INIT;
    if (!explain_record(server, entry, ref, &err)) {
        err_wrap(&err, "the explanation is lost (%s)", entry->summary);
        response->cause = err;
    }
    response_refuse(response, ERROR_NAME, ref, ATTEST_FAILED);
    response->strict_status = 403;
}

static bool refuse_evidence(struct server *server, const struct session *session,
    const struct verifier_answer *answer, struct response *response, struct err *err)
{
    auto_json *findings = json_array();
    char summary[512];
    if (!findings)
        return err_nomem(err);
    for (size_t i = 0; i < answer->reason_count; i++) {
        const struct verify_reason *reason = &answer->reasons[i];
        if (!add_finding(findings, reason->check, reason->got, reason->expected,
                "check of the evidence", err))
            return false;
    }
    snprintf(summary, sizeof summary, "the %s evidence failed %zu check%s, first %s", session->tee,
        answer->reason_count, answer->reason_count == 1 ? "" : "s", answer->reasons[0].check);
    const struct explain_entry entry = {
        .kind = "evidence", .tee = session->tee, .summary = summary, .findings = findings};
    refuse(server, response, &entry);
    return true;
}

static bool refuse_agent(struct server *server, const struct session *session, const char *agent,
    bool enrolled, struct response *response, struct err *err)
{
    auto_json *findings = json_array();
    char remedy[200];
    if (!findings)
        return err_nomem(err);
    if (enrolled)
        snprintf(
            remedy, sizeof remedy, "an admitted key: run `sealed kbs agent admit %.16s`", agent);
    else
        snprintf(remedy, sizeof remedy,
            "an enrolled key: run `sealed attest enroll` on the guest, then `sealed kbs agent "
            "admit "
            "%.16s`",
            agent);
    if (!add_finding(findings, "tpm.ak_public", agent, remedy, "enrolled attestation keys", err))
        return false;
    const struct explain_entry entry = {.kind = "evidence",
        .tee = session->tee,
        .agent = agent,
        .summary = enrolled ? "the attestation key is not admitted"
                            : "the attestation key is not enrolled",
        .findings = findings};
    refuse(server, response, &entry);
    return true;
}

/* -- /attest ------------------------------------------------------------------------------------- */

/* Evidence signed by an attestation key is worth as much as that key. *ret_ok false: refused. */
static bool check_agent(struct server *server, const struct session *session, const char *tee,
    const json_t *claims, struct response *response, bool *ret_ok, struct err *err)
{
    auto_buf spki = BUF_INIT(VERIFIER_SPKI_MAX);
    char agent[AGENT_ID_SIZE] = "";
    bool admitted = false, enrolled = false;
    *ret_ok = false;
    const char *ak = json_member_text(claims, "ak_public");
    if (!ak && strcmp(tee, "tpm") != 0) {
        *ret_ok = true;
        return true;
    }
    if (!ak || !b64_decode(B64_STD, bytes_str(ak), "ak_public", &spki, err))
        return err_set(err, ERR_FORMAT, "the verifier's claims name no attestation key");
    if (!agent_admitted(server, buf_bytes(&spki), &admitted, agent, err) ||
        !agent_enrolled(server, agent, &enrolled, err))
        return false;
    if (!admitted)
        return refuse_agent(server, session, agent, enrolled, response, err);
    *ret_ok = true;
    return true;
}

/* Of the primary evidence and of each device. What a verifier answers is not believed beyond what was asked of it. */
static bool check_agents(struct server *server, const struct session *session,
    const struct verifier_answer *answer, struct response *response, bool *ret_ok, struct err *err)
{
    if (!check_agent(server, session, session->tee, answer->claims, response, ret_ok, err))
        return false;
    for (size_t i = 0; *ret_ok && i < answer->device_count; i++) {
        const struct verifier_device *device = &answer->devices[i];
        if (!kbs_conf_tee_ok(server->conf, device->tee))
            return err_set(err, ERR_FORMAT,
                "a verifier took a device of tee \"%s\", which it must not", device->tee);
        if (!check_agent(server, session, device->tee, device->claims, response, ret_ok, err))
            return false;
    }
    return true;
}

/* What a token is made of; the arrays run over the primary evidence and then the devices. */
struct making {
    json_t *values, *runtime, *device_runtime;
    struct appraisal appraisals[1 + VERIFIER_DEVICES_MAX];
    struct ear_piece pieces[1 + VERIFIER_DEVICES_MAX];
    size_t count;
};
_Static_assert(1 + VERIFIER_DEVICES_MAX <= EAR_PIECES_MAX, "a token holds them all");

static void making_done(struct making *making)
{
    json_unref(making->values);
    json_unref(making->runtime);
    json_unref(making->device_runtime);
    for (size_t i = 0; i < making->count; i++)
        appraisal_done(&making->appraisals[i]);
}

static bool add_piece(struct making *making, const struct ear_piece *piece, struct err *err)
{
    struct appraisal *appraisal = &making->appraisals[making->count];
    if (!appraise(piece->tee, piece->claims, making->values, appraisal, err))
        return false;
    making->pieces[making->count] = *piece;
    making->pieces[making->count++].appraisal = appraisal;
    return true;
}

/* The runtime data of evidence with devices has their evidence in it, as text: the token leaves it out, since it holds their claims. */
static bool make_runtime(struct making *making, const struct session *session,
    const struct verifier_answer *answer, struct err *err)
{
    const char *additional = answer->device_count == 0 ? "" : NULL;
    return json_build(&making->runtime, err, "{s:s*, s:s, s:O}", "additional-evidence", additional,
               "nonce", session->nonce, "tee-pubkey", answer->tee_pubkey) &&
           json_build(&making->device_runtime, err, "{s:s, s:O}", "nonce", session->nonce,
               "tee-pubkey", answer->tee_pubkey);
}

static bool make_token(struct server *server, const struct session *session,
    const struct verifier_answer *answer, char **ret_token, struct err *err)
{
    AUTO_DONE(making_done) struct making making = {0};
    int64_t now = server_now(server);
    if (!refvalue_all(server->store, now, &making.values, err) ||
        !make_runtime(&making, session, answer, err))
        return false;
    const struct ear_piece primary = {.tee = session->tee,
        .class_name = answer->class_name,
        .claims = answer->claims,
        .runtime_data = making.runtime,
        .init_data_claims = answer->init_data_claims};
    if (!add_piece(&making, &primary, err))
        return false;
    for (size_t i = 0; i < answer->device_count; i++) {
        const struct verifier_device *device = &answer->devices[i];
        const struct ear_piece piece = {.tee = device->tee,
            .class_name = device->class_name,
            .claims = device->claims,
            .runtime_data = making.device_runtime};
        if (!add_piece(&making, &piece, err))
            return false;
    }
    const struct ear_input input = {
        .pieces = making.pieces, .count = making.count, .issued_at = now};
    return ear_issue(&server->signer, &input, ret_token, err);
}

static bool send_token(
    const struct session *session, const char *token, struct response *response, struct err *err)
{
    auto_free char *text = NULL;
    session_cookie(session, response->cookie);
    return proto_token_encode(token, &text, err) && response_json(response, text, err);
}

/* Devices need the same permission as primary evidence. A name that is cut off permits nothing. */
static void list_tees(const struct kbs_conf *conf, char ret_list[VERIFIER_TEES_MAX])
{
    size_t len = 0;
    for (size_t i = 0; i < conf->attestation.tees.count && len < VERIFIER_TEES_MAX; i++)
        len += (size_t)snprintf(ret_list + len, VERIFIER_TEES_MAX - len, "%s%s", i > 0 ? " " : "",
            conf->attestation.tees.items[i]);
}

/* There is no source of collateral: evidence must bring what it needs, or its vendor's certificates are among [attestation] roots. */
static bool verify(struct server *server, const struct session *session, struct bytes body,
    struct buf *message, struct verifier_answer *ret_answer, struct err *err)
{
    struct verifier_request ask = {.kind = VERIFIER_EVIDENCE,
        .now = server_now(server),
        .collateral_optional = server->conf->attestation.tdx_collateral == KBS_COLLATERAL_OPTIONAL,
        .collateral_expired_ok = server->conf->attestation.collateral_expired == KBS_EXPIRED_REPORT,
        .body = body};
    snprintf(ask.tee, sizeof ask.tee, "%s", session->tee);
    snprintf(ask.nonce, sizeof ask.nonce, "%s", session->nonce);
    list_tees(server->conf, ask.device_tees);
    if (!verifier_ask(server->verifiers, &ask, NULL, message, ret_answer, err))
        return false;
    verifier_answer_refuse_needs(ret_answer, NULL);
    return true;
}

/* The nonce is unspent: verify, appraise, spend. */
static bool attest(struct server *server, const struct session *session, const struct hash *digest,
    const struct request *request, struct response *response, struct err *err)
{
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_free char *made = NULL, *token = NULL;
    bool ok = false;
    if (!verify(server, session, request->body, &message, &answer, err))
        return false;
    if (answer.status == VERIFIER_REFUSED)
        return refuse_evidence(server, session, &answer, response, err);
    if (!check_agents(server, session, &answer, response, &ok, err))
        return false;
    if (!ok)
        return true;
    if (!make_token(server, session, &answer, &made, err) ||
        !session_spend(server, session, digest, made, &token, err))
        return false;
    return send_token(session, token, response, err);
}

static bool post_attest(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    struct session session;
    struct hash digest;
    struct err cause = ERR_INIT;
    auto_free char *token = NULL;
    if (!session_find(server->sessions, request->cookie, server_now(server), &session, &cause) ||
        !hash_bytes(HASH_SHA256, request->body, &digest, &cause) ||
        !session_answer(server, &session, &digest, &token, &cause)) {
        if (response_own_fault(&cause)) {
            *err = cause;
            return false;
        }
        response_refuse(response, ERROR_NAME, NULL, ATTEST_FAILED ": %s", cause.message);
        response->strict_status = 401; /* begin again with /auth */
        response->cause = cause;
        return true;
    }
    if (!kbs_conf_tee_ok(server->conf, session.tee))
        return err_set(err, ERR_DENIED_POLICY, "tee \"%s\" is not taken any more", session.tee);
    if (token)
        return send_token(&session, token, response, err);
    return attest(server, &session, &digest, request, response, err);
}

const struct route attest_routes[] = {
    {REQUEST_POST, "/kbs/v0/auth", AUTH_NONE, false, AUTH_BODY_MAX, post_auth, ERROR_NAME,
        AUTH_FAILED},
    {REQUEST_POST, "/kbs/v0/attest", AUTH_NONE, false, 0, post_attest, ERROR_NAME, ATTEST_FAILED},
    {0},
};
