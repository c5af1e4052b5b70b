/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RCAR handshake (protocol.md A.1, A.2). /auth makes a session out of nothing; /attest hands the
 * body, unparsed, to a verifier process, and turns its verdict into a token: attestation key admitted,
 * appraisal against the reference values, signature. A guest learns that it was refused and an id.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/agents/boot_record.h"
#include "kbs/server/explain.h"
#include "kbs/server/token/session.h"
#include "kbs/server/token/token_making.h"
#include "kbs/server/verifier/verification.h"

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
    auto_json *findings = NULL;
    char summary[512];
    if (!verification_findings(answer, &findings, err))
        return false;
    snprintf(summary, sizeof summary, "the %s evidence failed %zu check%s, first %s", session->tee,
        answer->reason_count, answer->reason_count == 1 ? "" : "s", answer->reasons[0].check);
    const struct explain_entry entry = {
        .kind = "evidence", .tee = session->tee, .summary = summary, .findings = findings};
    refuse(server, response, &entry);
    return true;
}

/* `reason`: why it is in this state, or NULL. */
static bool refuse_agent(struct server *server, const struct session *session, const char *agent,
    const char *state, const char *reason, struct response *response, struct err *err)
{
    auto_json *findings = json_array();
    char remedy[200], summary[256];
    if (!findings)
        return err_nomem(err);
    if (state)
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
    if (state)
        snprintf(summary, sizeof summary,
            "the attestation key is not admitted: its agent is %s%s%s", state, reason ? ", " : "",
            reason ? reason : "");
    else
        snprintf(summary, sizeof summary, "the attestation key is not enrolled");
    const struct explain_entry entry = {.kind = "evidence",
        .tee = session->tee,
        .agent = agent,
        .summary = summary,
        .findings = findings};
    refuse(server, response, &entry);
    return true;
}

/* -- /attest ------------------------------------------------------------------------------------- */

/* Evidence signed by an attestation key is worth as much as that key. *ret_ok false: refused. *ret_agent: its id, "" when the evidence
 * needs none. */
static bool check_agent(struct server *server, const struct session *session, const char *tee,
    const json_t *claims, char ret_agent[AGENT_ID_SIZE], struct response *response, bool *ret_ok,
    struct err *err)
{
    auto_buf spki = BUF_INIT(VERIFIER_SPKI_MAX);
    auto_json *agent = NULL;
    bool late = false;
    char ended[64] = "";
    *ret_ok = false;
    ret_agent[0] = '\0';
    const char *ak = json_member_text(claims, "ak_public");
    if (!ak && strcmp(tee, "tpm") != 0) {
        *ret_ok = true;
        return true;
    }
    if (!ak || !b64_decode(B64_STD, bytes_str(ak), "ak_public", &spki, err))
        return err_set(err, ERR_FORMAT, "the verifier's claims name no attestation key");
    if (!agent_by_key(server, buf_bytes(&spki), ret_agent, &agent, err))
        return false;
    if (!agent)
        return refuse_agent(server, session, ret_agent, NULL, NULL, response, err);
    enum agent_state now = agent_state_at(agent, server_now(server));
    if (now == AGENT_EXPIRED)
        snprintf(ended, sizeof ended, "admitted until %.32s", json_member_text(agent, "until"));
    if (now != AGENT_ADMITTED)
        return refuse_agent(server, session, ret_agent, agent_state_name(now),
            now == AGENT_EXPIRED ? ended : json_member_text(agent, "reason"), response, err);
    if (!agent_check_late(server, ret_agent, &late, err))
        return false;
    if (late)
        return refuse_agent(
            server, session, ret_agent, agent_state_name(AGENT_LATE), NULL, response, err);
    *ret_ok = true;
    return true;
}

/* The agents behind the pieces of one attestation, in their order; "" where a piece needs none. */
struct party {
    char agents[TOKEN_PIECES_MAX][AGENT_ID_SIZE];
};

/* Of the primary evidence and of each device. What a verifier answers is not believed beyond what was asked of it. */
static bool check_agents(struct server *server, const struct session *session,
    const struct verifier_answer *answer, struct party *party, struct response *response,
    bool *ret_ok, struct err *err)
{
    if (!check_agent(
            server, session, session->tee, answer->claims, party->agents[0], response, ret_ok, err))
        return false;
    for (size_t i = 0; *ret_ok && i < answer->device_count; i++) {
        const struct verifier_device *device = &answer->devices[i];
        if (!kbs_conf_tee_ok(server->conf, device->tee))
            return err_set(err, ERR_FORMAT,
                "a verifier took a device of tee \"%s\", which it must not", device->tee);
        if (!check_agent(server, session, device->tee, device->claims, party->agents[1 + i],
                response, ret_ok, err))
            return false;
    }
    return true;
}

/* What the appraisal says of an agent that is watched ([agents] interval). *ret_ok false: it has failed, and is refused. */
static bool settle_agent(struct server *server, const struct ear_piece *piece, const char *agent,
    const struct appraisal *appraisal, struct response *response, bool *ret_ok, struct err *err)
{
    struct err cause = ERR_INIT;
    int64_t next_s = 0;
    char reason[96];
    *ret_ok = true;
    if (agent[0] == '\0' || server->conf->agents.interval_ms == 0)
        return true;
    if (appraisal->status == APPRAISAL_AFFIRMING || server->conf->agents.require == KBS_REQUIRE_ANY)
        return attendance_attested(server, agent, appraisal->status, &next_s, err);
    snprintf(reason, sizeof reason, "its evidence was appraised as %s",
        appraisal_status_name(appraisal->status));
    const struct explain_entry entry = {.kind = "agent",
        .tee = piece->tee,
        .agent = agent,
        .summary = reason,
        .findings = appraisal->findings};
    *ret_ok = false;
    if (!boot_record_explain(server, agent, piece->tee, piece->claims, appraisal->findings, &cause))
        response->cause = cause;
    refuse(server, response, &entry);
    return agent_shut_out(server, agent, AGENT_FAILED, reason, response->ref, err);
}

static bool settle_agents(struct server *server, const struct token_making *making,
    const struct party *party, struct response *response, bool *ret_ok, struct err *err)
{
    *ret_ok = true;
    for (size_t i = 0; *ret_ok && i < making->count; i++)
        if (!settle_agent(server, &making->pieces[i], party->agents[i], &making->appraisals[i],
                response, ret_ok, err))
            return false;
    return true;
}

/* For explanations to come. That it cannot be kept is no reason to refuse a good guest. */
static void remember_boot(struct server *server, const struct token_making *making,
    const struct party *party, struct response *response)
{
    struct err err = ERR_INIT;
    if (making->appraisals[0].status == APPRAISAL_AFFIRMING &&
        !boot_record_keep(
            server, party->agents[0], making->pieces[0].tee, making->pieces[0].claims, &err))
        response->cause = err;
}

static bool send_token(const struct server *server, const struct session *session,
    const char *token, struct response *response, struct err *err)
{
    auto_free char *text = NULL;
    session_cookie(session, response->cookie);
    return proto_token_encode(token, server->conf->agents.interval_ms / 1000, &text, err) &&
           response_json(response, text, err);
}

static bool verify(struct server *server, const struct session *session, struct bytes body,
    struct buf *message, struct verifier_answer *ret_answer, struct err *err)
{
    struct verifier_request ask = {.kind = VERIFIER_EVIDENCE, .body = body};
    snprintf(ask.tee, sizeof ask.tee, "%s", session->tee);
    snprintf(ask.nonce, sizeof ask.nonce, "%s", session->nonce);
    return verification_ask(server, &ask, message, ret_answer, err);
}

/* The nonce is unspent: verify, appraise, spend. */
static bool attest(struct server *server, const struct session *session, const struct hash *digest,
    const struct request *request, struct response *response, struct err *err)
{
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_token_making making = {0};
    auto_free char *made = NULL, *token = NULL;
    struct party party;
    bool ok = false;
    if (!verify(server, session, request->body, &message, &answer, err))
        return false;
    if (answer.status == VERIFIER_REFUSED)
        return refuse_evidence(server, session, &answer, response, err);
    if (!check_agents(server, session, &answer, &party, response, &ok, err))
        return false;
    if (!ok)
        return true;
    if (!token_making_appraise(server, session->tee, session->nonce, &answer, &making, err) ||
        !settle_agents(server, &making, &party, response, &ok, err))
        return false;
    if (!ok)
        return true;
    if (!token_making_issue(server, &making, &made, err))
        return false;
    if (!session_spend(server, session, digest, made, &token, err))
        return false;
    remember_boot(server, &making, &party, response);
    return send_token(server, session, token, response, err);
}

/* A session that ended, or a nonce that was spent: the guest begins again, and an administrator may want to know why it had to. A
 * cookie that is none of ours is nobody's refusal, and costs no record. */
static void refuse_session(
    struct server *server, const struct err *cause, struct response *response)
{
    bool ours = cause->code == ERR_STALE || cause->code == ERR_DENIED_POLICY;
    const struct explain_entry entry = {.kind = "session", .summary = cause->message};
    char ref[EXPLAIN_ID_SIZE] = "";
    struct err lost = ERR_INIT;
    if (ours && !explain_record(server, &entry, ref, &lost))
        err_wrap(&lost, "the explanation is lost (%s)", cause->message);
    response_refuse(response, ERROR_NAME, ref, ATTEST_FAILED ": %s", cause->message);
    response->strict_status = 401; /* begin again with /auth */
    response->cause = lost.code != ERR_OK ? lost : *cause;
}

/* The configuration changed since /auth. */
static void refuse_tee(
    struct server *server, const struct session *session, struct response *response)
{
    const struct explain_entry entry = {.kind = "session",
        .tee = session->tee,
        .summary = "evidence of this tee is not taken any more ([attestation] tees)"};
    refuse(server, response, &entry);
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
        refuse_session(server, &cause, response);
        return true;
    }
    if (!kbs_conf_tee_ok(server->conf, session.tee)) {
        refuse_tee(server, &session, response);
        return true;
    }
    if (token)
        return send_token(server, &session, token, response, err);
    return attest(server, &session, &digest, request, response, err);
}

const struct route attest_routes[] = {
    {REQUEST_POST, "/kbs/v0/auth", AUTH_NONE, false, AUTH_BODY_MAX, post_auth, ERROR_NAME,
        AUTH_FAILED},
    {REQUEST_POST, "/kbs/v0/attest", AUTH_NONE, false, 0, post_attest, ERROR_NAME, ATTEST_FAILED},
    {0},
};
