/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier_judge.h"

#include <stdio.h>

#include "attest/runtime.h"
#include "attest/verify/credential.h"
#include "crypt/base/b64.h"
#include "kbs/server/init_data.h"

#define TPM_TEXT_MAX  4096
#define CERT_TEXT_MAX 16384
#define NAME_MAX_LEN  64

/* Trouble of our own, as opposed to something wrong with what was sent. */
static bool is_ours(const struct err *err)
{
    return err->code == ERR_NOMEM || err->code == ERR_INTERNAL || err->code == ERR_CONFIG;
}

/* An error about the input becomes a reason; true unless the trouble is ours. */
static bool note(
    struct verdict *verdict, const char *check, const char *expected, const struct err *err)
{
    if (is_ours(err))
        return false;
    verdict_fail(verdict, check, err->message, expected);
    return true;
}

static void take_reasons(struct verifier_answer *answer, const struct verdict *verdict)
{
    answer->status = VERIFIER_REFUSED;
    answer->reason_count = verdict->reason_count;
    memcpy(answer->reasons, verdict->reasons, sizeof answer->reasons);
}

static void take_needs(struct verifier_answer *answer, const struct verdict *verdict)
{
    answer->status = VERIFIER_NEEDS;
    answer->need_count = verdict->need_count;
    memcpy(answer->needs, verdict->needs, sizeof answer->needs);
}

/* -- evidence ---------------------------------------------------------------------------------- */

/* What the evidence must be bound to, from the parsed request. */
struct binding {
    json_t *tee_pubkey, *init_data_claims;
    struct hash report_data, init_data;
};

static void binding_done(struct binding *binding)
{
    json_unref(binding->tee_pubkey);
    json_unref(binding->init_data_claims);
}

static bool check_init_data(const struct proto_attest *attest, struct binding *binding,
    struct verdict *verdict, struct err *err)
{
    if (!attest->init_data ||
        init_data_read(attest->init_data, &binding->init_data, &binding->init_data_claims, err))
        return true;
    return note(verdict, "init-data",
        "TOML with version, algorithm (sha256, sha384 or sha512) and a table [data] of texts", err);
}

static bool check_tee_pubkey(const struct proto_attest *attest, struct binding *binding,
    struct verdict *verdict, struct err *err)
{
    auto_jwk *key = NULL;
    if (runtime_tee_pubkey_check(attest->tee_pubkey, &binding->tee_pubkey, &key, err))
        return true;
    return note(verdict, "tee-pubkey",
        "an EC P-256 or P-521 (ECDH-ES+A256KW) or RSA (RSA-OAEP-256) JWK", err);
}

/* The parts around the evidence. *ret_binding has a tee_pubkey unless that was refused. */
static bool check_frame(const struct verifier_request *request, const struct proto_attest *attest,
    struct binding *ret_binding, struct verdict *verdict, struct err *err)
{
    auto_free char *canonical = NULL;
    if (strcmp(attest->nonce, request->nonce) != 0)
        verdict_fail(verdict, "nonce", attest->nonce, request->nonce);
    if (attest->additional[0] != '\0')
        verdict_fail(verdict, "additional-evidence", "evidence of devices",
            "\"\": evidence of additional devices is not taken by this server");
    if (!check_init_data(attest, ret_binding, verdict, err) ||
        !check_tee_pubkey(attest, ret_binding, verdict, err))
        return false;
    return !ret_binding->tee_pubkey ||
           runtime_data(request->nonce, ret_binding->tee_pubkey, attest->additional, HASH_SHA384,
               &canonical, &ret_binding->report_data, err);
}

/* What the front gave to judge by: the operator's anchors beside the pins, and collateral. */
struct ground {
    struct anchors *anchors;
    struct collateral *collateral;
};

static void ground_done(struct ground *ground)
{
    anchors_free(ground->anchors);
    collateral_free(ground->collateral);
}

static bool read_ground(
    const struct verifier_request *request, struct ground *ground, struct err *err)
{
    if ((request->anchors.len > 0 && !anchors_new(request->anchors, true, &ground->anchors, err)) ||
        (request->collateral.len > 0 &&
            !collateral_decode(request->collateral, &ground->collateral, err)))
        return err_wrap(err, "what the front gave");
    return true;
}

static bool verify(const struct verifier *verifier, const struct verifier_request *request,
    const json_t *evidence, const struct binding *binding, struct verdict *verdict, struct err *err)
{
    AUTO_DONE(ground_done) struct ground ground = {0};
    if (!read_ground(request, &ground, err))
        return false;
    const struct verify_input input = {.evidence = evidence,
        .report_data = hash_view(&binding->report_data),
        .init_data = hash_view(&binding->init_data),
        .now = request->now,
        .anchors = ground.anchors,
        .collateral = ground.collateral,
        .collateral_optional = request->collateral_optional,
        .collateral_expired_ok = request->collateral_expired_ok};
    return verify_evidence(verifier, &input, verdict, err);
}

static bool judge_evidence(
    const struct verifier_request *request, struct verifier_answer *answer, struct err *err)
{
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    AUTO_DONE(binding_done) struct binding binding = {0};
    auto_verdict verdict = {0};
    const struct verifier *verifier = verifier_find(request->tee);
    if (!verifier)
        return err_set(err, ERR_CONFIG, "no verifier for tee \"%s\"", request->tee);
    if (!proto_attest_decode(request->body, &attest, err)) {
        if (!note(&verdict, "request", "a request of /attest (RCAR 0.4.0)", err))
            return false;
        take_reasons(answer, &verdict);
        return true;
    }
    if (!check_frame(request, &attest, &binding, &verdict, err))
        return false;
    if (binding.tee_pubkey && !verify(verifier, request, attest.evidence, &binding, &verdict, err))
        return false;
    if (verdict.reason_count > 0 || verdict.need_count > 0) {
        if (verdict.reason_count > 0)
            take_reasons(answer, &verdict);
        else
            take_needs(answer, &verdict);
        return true;
    }
    snprintf(answer->class_name, sizeof answer->class_name, "%s", verdict.class_name);
    answer->claims = take_ptr(verdict.claims);
    answer->tee_pubkey = take_ptr(binding.tee_pubkey);
    return true;
}

/* -- enrolment --------------------------------------------------------------------------------- */

struct enrolment {
    struct buf ek_public, ek_certificate, ak_public, ak_name, ak_spki, id_object, secret;
};

static void enrolment_done(struct enrolment *enrolment)
{
    buf_done(&enrolment->ek_public);
    buf_done(&enrolment->ek_certificate);
    buf_done(&enrolment->ak_public);
    buf_done(&enrolment->ak_name);
    buf_done(&enrolment->ak_spki);
    buf_done(&enrolment->id_object);
    buf_done(&enrolment->secret);
}

static bool decode_enrolment(struct bytes body, struct enrolment *enrolment, struct err *err)
{
    struct message {
        const char *ek_public, *ek_certificate, *ak_public;
    } in = {.ek_certificate = ""};
    static const struct json_field fields[] = {
        {"ek_public", JSON_FIELD_TEXT, offsetof(struct message, ek_public), .max = TPM_TEXT_MAX,
            .required = true},
        {"ek_certificate", JSON_FIELD_TEXT, offsetof(struct message, ek_certificate),
            .max = CERT_TEXT_MAX},
        {"ak_public", JSON_FIELD_TEXT, offsetof(struct message, ak_public), .max = TPM_TEXT_MAX,
            .required = true},
    };
    auto_json *json = NULL;
    return json_load_strict(body, PROTO_BODY_MAX, "/agent/enroll request", &json, err) &&
           json_decode(json, fields, ARRAY_LEN(fields), true, "/agent/enroll request", &in, err) &&
           b64_decode(B64_STD, bytes_str(in.ek_public), "ek_public", &enrolment->ek_public, err) &&
           b64_decode(B64_STD, bytes_str(in.ek_certificate), "ek_certificate",
               &enrolment->ek_certificate, err) &&
           b64_decode(B64_STD, bytes_str(in.ak_public), "ak_public", &enrolment->ak_public, err);
}

static bool check_enrolment(const struct verifier_request *request, struct enrolment *enrolment,
    char ek_sha256[65], struct verdict *verdict, struct err *err)
{
    if (!decode_enrolment(request->body, enrolment, err))
        return note(verdict, "request",
            "{\"ek_public\",\"ek_certificate\",\"ak_public\"} in standard base64", err);
    if (!credential_check_ek(buf_bytes(&enrolment->ek_public),
            buf_bytes(&enrolment->ek_certificate), request->roots, ek_sha256, err) &&
        !note(verdict, "tpm.ek", "an endorsement key certified by one of [attestation] ek_roots",
            err))
        return false;
    if (!credential_check_ak(
            buf_bytes(&enrolment->ak_public), &enrolment->ak_name, &enrolment->ak_spki, err) &&
        !note(verdict, "tpm.ak", "a restricted RSA signing key of the TPM", err))
        return false;
    return true;
}

static bool judge_enrolment(const struct verifier_request *request, const struct secret *credential,
    struct enrolment *enrolment, struct verifier_answer *answer, struct err *err)
{
    auto_verdict verdict = {0};
    if (!check_enrolment(request, enrolment, answer->ek_sha256, &verdict, err))
        return false;
    if (verdict.reason_count > 0) {
        take_reasons(answer, &verdict);
        return true;
    }
    if (!credential_make(buf_bytes(&enrolment->ek_public), buf_bytes(&enrolment->ak_name),
            credential, &enrolment->id_object, &enrolment->secret, err))
        return false;
    answer->ak_spki = buf_bytes(&enrolment->ak_spki);
    answer->id_object = buf_bytes(&enrolment->id_object);
    answer->encrypted_secret = buf_bytes(&enrolment->secret);
    return true;
}

/* -- both -------------------------------------------------------------------------------------- */

bool verifier_judge(const struct verifier_request *request, const struct secret *credential,
    struct buf *ret_answer, struct err *err)
{
    AUTO_DONE(enrolment_done)
    struct enrolment enrolment = {
        .ek_public = BUF_INIT(TPM_TEXT_MAX),
        .ek_certificate = BUF_INIT(CERT_TEXT_MAX),
        .ak_public = BUF_INIT(TPM_TEXT_MAX),
        .ak_name = BUF_INIT(NAME_MAX_LEN),
        .ak_spki = BUF_INIT(VERIFIER_SPKI_MAX),
        .id_object = BUF_INIT(VERIFIER_BLOB_MAX),
        .secret = BUF_INIT(VERIFIER_BLOB_MAX),
    };
    auto_verifier_answer answer = {.status = VERIFIER_ACCEPTED};
    struct err cause = ERR_INIT;
    bool judged = request->kind == VERIFIER_EVIDENCE
                      ? judge_evidence(request, &answer, &cause)
                      : judge_enrolment(request, credential, &enrolment, &answer, &cause);
    if (judged && verifier_answer_encode(request->kind, &answer, ret_answer, &cause))
        return true;
    buf_truncate(ret_answer, 0);
    answer.status = VERIFIER_FAILED;
    answer.cause = cause;
    return verifier_answer_encode(request->kind, &answer, ret_answer, err);
}
