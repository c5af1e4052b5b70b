/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment (not part of CoCo), and what else an agent says of itself; agent_admin.c is the administrator's side. Enrolling keeps nothing until the guest has proved itself:
 *
 *     POST /agent/enroll    {"ek_public","ek_certificate","ak_public"}     -> {"id","challenge","credential","secret"}
 *     POST /agent/activate  {"challenge","credential" (as the TPM recovered it),"uuid" (of the machine; optional)} -> {"id","state"}
 *     POST /agent/leave     with the guest's token: it shuts down, and is not late for that
 *
 * The challenge is base64url of: u8 version, u64 expiry, 16 random bytes, 32 bytes SHA-256 of the EK, block AK SPKI, 32 bytes MAC. The
 * credential is HMAC(another key, all of that without the MAC): only who holds the server's key or the TPM can know it.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/pack.h"
#include "kbs/server/agents/admission.h"
#include "kbs/server/agents/agent_gate.h"
#include "kbs/server/agents/agent_reply.h"
#include "kbs/server/explain.h"
#include "kbs/server/token/session.h"
#include "kbs/server/verifier/verifier.h"

#define VERSION       1
#define RANDOM_SIZE   16
#define DIGEST_SIZE   32
#define CHALLENGE_S   300
#define CHALLENGE_MAX (AGENT_SPKI_MAX + 256)
#define ENROLL_MAX    65536
#define ACTIVATE_MAX  8192
#define ERROR         "AttestationError"
#define ENROLL_ERROR  "Enrolment failed"

/* -- challenges ---------------------------------------------------------------------------------- */

struct challenge {
    int64_t expires_at;
    struct bytes random, ek_sha256, ak_spki;
};

static bool keyed(struct server *server, const char *label, struct bytes data,
    uint8_t ret_mac[DIGEST_SIZE], struct err *err)
{
    auto_secret *key = NULL;
    return sessions_subkey(server->sessions, label, &key, err) &&
           hash_hmac_sha256(secret_bytes(key), data, ret_mac, err);
}

static bool make_credential(
    struct server *server, struct bytes payload, struct secret **ret_credential, struct err *err)
{
    auto_secret *credential = NULL;
    if (!secret_new(VERIFIER_CREDENTIAL_SIZE, &credential, err) ||
        !keyed(server, "enrolment credential", payload, secret_data(credential), err))
        return false;
    *ret_credential = take_ptr(credential);
    return true;
}

static bool write_payload(const struct challenge *challenge, struct buf *out, struct err *err)
{
    struct pack_writer pack = pack_writer(out);
    pack_put_u8(&pack, VERSION);
    pack_put_u64(&pack, (uint64_t)challenge->expires_at);
    pack_put_fixed(&pack, challenge->random);
    pack_put_fixed(&pack, challenge->ek_sha256);
    pack_put_block(&pack, challenge->ak_spki);
    return pack_written(&pack, "challenge", err);
}

/* Authentic and in time; *ret_challenge borrows from `raw`, *ret_payload is what the credential is made of. */
static bool open_challenge(struct server *server, const char *text, struct buf *raw,
    struct challenge *ret_challenge, struct bytes *ret_payload, struct err *err)
{
    uint8_t wanted[DIGEST_SIZE];
    if (!b64_decode(B64_URL, bytes_str(text), "challenge", raw, err))
        return false;
    if (raw->len <= DIGEST_SIZE)
        return err_set(err, ERR_FORMAT, "the challenge is not one of this server");
    struct bytes payload = bytes_slice(buf_bytes(raw), 0, raw->len - DIGEST_SIZE);
    if (!keyed(server, "enrolment challenge", payload, wanted, err))
        return false;
    if (!secret_equal(
            bytes_of(wanted, sizeof wanted), bytes_slice(buf_bytes(raw), payload.len, DIGEST_SIZE)))
        return err_set(err, ERR_CRYPTO, "the challenge is not one of this server");
    struct pack_reader in = pack_reader(payload);
    struct challenge challenge = {0};
    unsigned version = pack_get_u8(&in);
    challenge.expires_at = (int64_t)pack_get_u64(&in);
    challenge.random = pack_get_fixed(&in, RANDOM_SIZE);
    challenge.ek_sha256 = pack_get_fixed(&in, DIGEST_SIZE);
    challenge.ak_spki = pack_get_block(&in, AGENT_SPKI_MAX);
    if (!pack_finish(&in, "challenge", err))
        return false;
    if (version != VERSION)
        return err_set(err, ERR_FORMAT, "challenge of version %u", version);
    if (server_now(server) >= challenge.expires_at)
        return err_set(err, ERR_STALE, "the challenge has expired; enrol again");
    *ret_challenge = challenge;
    *ret_payload = payload;
    return true;
}

/* -- enrolment ----------------------------------------------------------------------------------- */

static bool send_json(struct response *response, const json_t *json, struct err *err)
{
    auto_free char *text = json_text(json);
    return text ? response_json(response, text, err) : err_nomem(err);
}

static bool refuse(struct server *server, const struct verifier_answer *answer,
    struct response *response, struct err *err)
{
    auto_json *findings = json_array();
    char ref[EXPLAIN_ID_SIZE] = "";
    struct err lost = ERR_INIT;
    if (!findings)
        return err_nomem(err);
    for (size_t i = 0; i < answer->reason_count; i++) {
        auto_json *finding = NULL;
        const struct verify_reason *reason = &answer->reasons[i];
        if (!json_build(&finding, err, "{s:s, s:s, s:s, s:s, s:b}", "claim", reason->check, "got",
                reason->got, "expected", reason->expected, "rule", "check of the enrolment",
                "match", 0) ||
            json_array_append(findings, finding) != 0)
            return err->code != ERR_OK ? false : err_nomem(err);
    }
    const struct explain_entry entry = {
        .kind = "enrolment", .tee = "tpm", .summary = answer->reasons[0].got, .findings = findings};
    if (!explain_record(server, &entry, ref, &lost))
        response->cause = lost;
    /* What is wrong with the keys that it sent is no secret to the guest, and it is the one that can change it. */
    response_refuse(response, ERROR, ref, ENROLL_ERROR ": %s: %s", answer->reasons[0].check,
        answer->reasons[0].got);
    return true;
}

/*
 * The credential depends on the challenge, which names the AK that only the verifier can read; so the verifier is asked twice: for the
 * keys (with a credential that nobody will learn), then to wrap the real one.
 */
static bool ask(struct server *server, struct bytes body, const struct secret *credential,
    struct buf *message, struct verifier_answer *ret_answer, struct err *err)
{
    const struct verifier_request request = {.kind = VERIFIER_ENROL, .body = body};
    buf_truncate(message, 0);
    return verifier_ask(server->verifiers, &request, credential, message, ret_answer, err);
}

static bool make_challenge(
    struct server *server, const struct verifier_answer *keys, struct buf *payload, struct err *err)
{
    uint8_t random[RANDOM_SIZE], ek[DIGEST_SIZE];
    if (!hash_random(random, sizeof random, err) ||
        !hex_decode(bytes_str(keys->ek_sha256), "hash of the EK", ek, sizeof ek, err))
        return false;
    const struct challenge challenge = {.expires_at = server_now(server) + CHALLENGE_S,
        .random = bytes_of(random, sizeof random),
        .ek_sha256 = bytes_of(ek, sizeof ek),
        .ak_spki = keys->ak_spki};
    return write_payload(&challenge, payload, err);
}

static bool send_challenge(struct server *server, struct buf *payload,
    const struct verifier_answer *wrapped, struct response *response, struct err *err)
{
    uint8_t tag[DIGEST_SIZE];
    struct hash id;
    char id_text[AGENT_ID_SIZE];
    auto_json *json = NULL;
    if (!hash_bytes(HASH_SHA256, wrapped->ak_spki, &id, err) ||
        !keyed(server, "enrolment challenge", buf_bytes(payload), tag, err) ||
        !buf_append(payload, bytes_of(tag, sizeof tag), err))
        return false;
    hex_encode(hash_view(&id), id_text);
    auto_free char *challenge = b64_encode(B64_URL, buf_bytes(payload));
    auto_free char *object = b64_encode(B64_STD, wrapped->id_object);
    auto_free char *secret = b64_encode(B64_STD, wrapped->encrypted_secret);
    if (!challenge || !object || !secret)
        return err_nomem(err);
    return json_build(&json, err, "{s:s, s:s, s:s, s:s}", "id", id_text, "challenge", challenge,
               "credential", object, "secret", secret) &&
           send_json(response, json, err);
}

/* Without roots no certificate could be believed: nothing the guest sends would change the answer. */
static bool refuse_enrolments(struct response *response)
{
    response_refuse(response, ERROR, NULL,
        ENROLL_ERROR ": this broker takes no enrolments: its administrator has not configured "
                     "ek_roots; set [attestation] ek_roots there, or let the administrator "
                     "register this guest's key with: sealed kbs agent add");
    return true;
}

static bool post_enroll(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX), payload = BUF_INIT(CHALLENGE_MAX);
    auto_verifier_answer keys = {0}, wrapped = {0};
    auto_secret *unused = NULL, *credential = NULL;
    if (!server->conf->attestation.ek_roots)
        return refuse_enrolments(response);
    if (!secret_random(VERIFIER_CREDENTIAL_SIZE, &unused, err) ||
        !ask(server, request->body, unused, &message, &keys, err))
        return false;
    if (keys.status == VERIFIER_REFUSED)
        return refuse(server, &keys, response, err);
    if (!make_challenge(server, &keys, &payload, err) ||
        !make_credential(server, buf_bytes(&payload), &credential, err) ||
        !ask(server, request->body, credential, &message, &wrapped, err))
        return false;
    if (wrapped.status == VERIFIER_REFUSED)
        return refuse(server, &wrapped, response, err);
    return send_challenge(server, &payload, &wrapped, response, err);
}

static bool check_credential(
    struct server *server, struct bytes payload, const char *text, struct err *err)
{
    auto_secret *wanted = NULL, *got = NULL;
    if (!b64_decode_secret(B64_STD, bytes_str(text), "credential", &got, err) ||
        !make_credential(server, payload, &wanted, err))
        return false;
    return secret_equal(secret_bytes(wanted), secret_bytes(got)) ||
           err_set(err, ERR_CRYPTO,
               "the credential is wrong: the TPM with this endorsement key does not hold this "
               "attestation key");
}

struct activation {
    const char *challenge, *credential, *uuid; /* uuid: NULL when the machine has none */
};

static bool decode_activate(
    struct bytes body, json_t **ret_json, struct activation *ret_activation, struct err *err)
{
    static const struct json_field fields[] = {
        {"challenge", JSON_FIELD_TEXT, offsetof(struct activation, challenge), .required = true},
        {"credential", JSON_FIELD_TEXT, offsetof(struct activation, credential), .required = true},
        {"uuid", JSON_FIELD_TEXT, offsetof(struct activation, uuid)},
    };
    if (!json_load_strict(body, ACTIVATE_MAX, "/agent/activate request", ret_json, err) ||
        !json_decode(*ret_json, fields, ARRAY_LEN(fields), true, "/agent/activate request",
            ret_activation, err))
        return false;
    return !ret_activation->uuid || agent_uuid_ok(ret_activation->uuid) ||
           err_set(err, ERR_FORMAT, "\"%.40s\" is no UUID in lower case", ret_activation->uuid);
}

/* Two machines under one UUID: nobody can tell here which is the right one, so neither gets anything until an administrator says. */
static bool gate_both(struct server *server, const char *id, const char *other, struct err *err)
{
    char reason[128];
    snprintf(reason, sizeof reason, "another machine has its UUID: agent %.16s", id);
    if (!agent_shut_out(server, other, AGENT_DUPLICATE, reason, NULL, err))
        return false;
    snprintf(reason, sizeof reason, "another machine has its UUID: agent %.16s", other);
    return agent_shut_out(server, id, AGENT_DUPLICATE, reason, NULL, err);
}

static bool note_uuid(struct server *server, json_t *agent, const char *uuid, struct err *err)
{
    char other[AGENT_ID_SIZE];
    const char *id = json_member_text(agent, "id");
    if (!uuid || agent_state_of(agent) == AGENT_REVOKED)
        return true;
    auto_json *value = json_string(uuid);
    if (!value)
        return err_nomem(err);
    return agent_claim_uuid(server, agent, uuid, other, err) &&
           agent_note(server, id, "uuid", value, err) &&
           (!other[0] || gate_both(server, id, other, err));
}

/* The state that a new agent begins with, and its tags when a rule admits it. */
static bool first_state(struct server *server, const char *ek, const char *uuid,
    enum agent_state *ret_state, json_t **ret_tags, struct err *err)
{
    bool listed = false;
    *ret_state =
        server->conf->attestation.admit == KBS_ADMIT_AUTO ? AGENT_ADMITTED : AGENT_REGISTERED;
    if (server->conf->attestation.admit != KBS_ADMIT_LISTED)
        return true;
    if (!admission_find(server->admission, ek, uuid, ret_tags, &listed, err))
        return false;
    if (listed)
        *ret_state = AGENT_ADMITTED;
    return true;
}

/* A new agent, or the one that is there: only what is new about it is written. */
static bool register_agent(struct server *server, const struct challenge *challenge,
    const char *uuid, json_t **ret_agent, struct err *err)
{
    char ek[2 * DIGEST_SIZE + 1];
    enum agent_state state;
    auto_json *agent = NULL, *tags = NULL;
    hex_encode(challenge->ek_sha256, ek);
    if (!first_state(server, ek, uuid, &state, &tags, err) ||
        !agent_create(server, challenge->ak_spki, ek, state, &agent, err))
        return false;
    if (tags && !json_object_get(agent, "tags") &&
        !agent_note(server, json_member_text(agent, "id"), "tags", tags, err))
        return false;
    if (!note_uuid(server, agent, uuid, err) ||
        !attendance_note(server, json_member_text(agent, "id"), "enrolled", NULL, NULL, err))
        return false;
    /* Once more: it may have been shut out. */
    return agent_find(server, json_member_text(agent, "id"), ret_agent, err);
}

static bool post_activate(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    auto_buf raw = BUF_INIT(CHALLENGE_MAX);
    auto_json *json = NULL, *agent = NULL;
    struct challenge challenge;
    struct activation in = {0};
    struct bytes payload;
    struct err cause = ERR_INIT;
    if (!decode_activate(request->body, &json, &in, &cause) ||
        !open_challenge(server, in.challenge, &raw, &challenge, &payload, &cause) ||
        !check_credential(server, payload, in.credential, &cause)) {
        response_refuse(response, ERROR, NULL, ENROLL_ERROR ": %s", cause.message);
        response->strict_status = err_info(cause.code)->http_status;
        response->cause = cause;
        return true;
    }
    if (!register_agent(server, &challenge, in.uuid, &agent, err))
        return false;
    agent_audit(response, "a guest", "enrolled", agent);
    return agent_send_state(response, agent, err);
}

/* -- goodbye ------------------------------------------------------------------------------------- */

/* A guest that shuts down says so with its token, and is not late then. */
static bool post_leave(struct server *server, const struct request *request,
    struct response *response, struct err *err)
{
    char id[AGENT_ID_SIZE] = "";
    auto_json *json = NULL;
    struct err cause = ERR_INIT;
    if (!agent_of_token(server, request->authorization, id, &cause)) {
        if (response_own_fault(&cause)) {
            *err = cause;
            return false;
        }
        response_refuse(response, "TokenVerifierError", NULL, "Token Verifier error");
        response->cause = cause;
        return true;
    }
    if (!attendance_left(server, id, err))
        return false;
    snprintf(response->audit, sizeof response->audit, "agent %s left", id);
    return json_build(&json, err, "{s:s, s:s}", "id", id, "state", "left") &&
           send_json(response, json, err);
}

const struct route agent_routes[] = {
    {REQUEST_POST, "/kbs/v0/agent/enroll", AUTH_NONE, false, ENROLL_MAX, post_enroll, ERROR,
        ENROLL_ERROR},
    {REQUEST_POST, "/kbs/v0/agent/activate", AUTH_NONE, false, ACTIVATE_MAX, post_activate, ERROR,
        ENROLL_ERROR},
    {REQUEST_POST, "/kbs/v0/agent/leave", AUTH_NONE, false, ACTIVATE_MAX, post_leave, ERROR,
        "Attestation error: leaving failed"},
    {0},
};
