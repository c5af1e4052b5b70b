/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/verifier_judge.h"

#include <stdio.h>

#include "attest/verify/credential.h"
#include "crypt/base/b64.h"

#define TPM_TEXT_MAX  4096
#define CERT_TEXT_MAX 16384
#define NAME_MAX_LEN  64

bool judge_note(
    struct verdict *verdict, const char *check, const char *expected, const struct err *err)
{
    if (err->code == ERR_NOMEM || err->code == ERR_INTERNAL || err->code == ERR_CONFIG)
        return false;
    verdict_fail(verdict, check, err->message, expected);
    return true;
}

void judge_refuse(struct verifier_answer *answer, const struct verdict *verdict)
{
    answer->status = VERIFIER_REFUSED;
    answer->reason_count = verdict->reason_count;
    memcpy(answer->reasons, verdict->reasons, sizeof answer->reasons);
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
        return judge_note(verdict, "request",
            "{\"ek_public\",\"ek_certificate\",\"ak_public\"} in standard base64", err);
    if (!credential_check_ek(buf_bytes(&enrolment->ek_public),
            buf_bytes(&enrolment->ek_certificate), request->roots, ek_sha256, err) &&
        !judge_note(verdict, "tpm.ek",
            "an endorsement key certified by one of [attestation] ek_roots", err))
        return false;
    if (!credential_check_ak(
            buf_bytes(&enrolment->ak_public), &enrolment->ak_name, &enrolment->ak_spki, err) &&
        !judge_note(verdict, "tpm.ak", "a restricted RSA signing key of the TPM", err))
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
        judge_refuse(answer, &verdict);
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
    bool judged = request->kind == VERIFIER_EVIDENCE ? judge_evidence(request, &answer, &cause)
                  : request->kind == VERIFIER_REST
                      ? judge_rest(request, &answer, &cause)
                      : judge_enrolment(request, credential, &enrolment, &answer, &cause);
    if (judged && verifier_answer_encode(request->kind, &answer, ret_answer, &cause))
        return true;
    buf_truncate(ret_answer, 0);
    answer.status = VERIFIER_FAILED;
    answer.cause = cause;
    return verifier_answer_encode(request->kind, &answer, ret_answer, err);
}
