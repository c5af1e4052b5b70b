/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the front of sealed-kbs and its verifier processes, over a stream socket: u32 length, then the message
 * (crypt/base/pack.h, big-endian). One request, one answer.
 *
 *     hello    u8 version (1)                          from the verifier, once its sandbox is shut
 *     request  u8 version (1)  u8 kind  fields…
 *       1 EVIDENCE   text tee, text nonce, block body of POST /attest as it came
 *       2 ENROL      block PEM roots of EK certificates, block body of POST /agent/enroll as it came;
 *                    then, outside the message, VERIFIER_CREDENTIAL_SIZE bytes of credential
 *     answer   u8 version (1)  u8 status  fields…
 *       0 accepted EVIDENCE   text class, block claims JSON, block tee-pubkey JSON
 *       0 accepted ENROL      text EK hash (hex), block AK SPKI (DER), block TPM2B_ID_OBJECT, block TPM2B_ENCRYPTED_SECRET
 *       1 refused             u8 count (1..32), each: text check, text got, text expected (printable ASCII)
 *       2 failed              text code name (err_info), text message: our own trouble, not the guest's
 *
 * The front trusts an answer's judgement but not its bytes: whoever took over a verifier by hostile evidence writes the next answer.
 */
#pragma once

#include "attest/verify/verify.h"
#include "kbs/proto.h"

#define VERIFIER_WIRE_VERSION    1
#define VERIFIER_REQUEST_MAX     (4u * 1024 * 1024)
#define VERIFIER_ANSWER_MAX      (256u * 1024)
#define VERIFIER_CLAIMS_MAX      (128u * 1024)
#define VERIFIER_PUBKEY_MAX      4096
#define VERIFIER_SPKI_MAX        1024
#define VERIFIER_BLOB_MAX        2048
#define VERIFIER_CREDENTIAL_SIZE 32
#define VERIFIER_FRAME_SIZE      4 /* the length in front of a message */

enum verifier_kind { VERIFIER_EVIDENCE = 1, VERIFIER_ENROL = 2 };
enum verifier_status { VERIFIER_ACCEPTED = 0, VERIFIER_REFUSED = 1, VERIFIER_FAILED = 2 };

struct verifier_request {
    enum verifier_kind kind;
    char tee[PROTO_TEE_MAX];         /* EVIDENCE */
    char nonce[PROTO_NONCE_MAX + 1]; /* EVIDENCE: the one that the body must name */
    struct bytes roots;              /* ENROL; borrowed */
    struct bytes body;               /* borrowed, never parsed by the front */
};

struct verifier_answer {
    enum verifier_status status;
    /* EVIDENCE, accepted; the JSON values are owned */
    char class_name[16];
    json_t *claims;
    json_t *tee_pubkey;
    /* ENROL, accepted; borrowed from the message */
    char ek_sha256[65];
    struct bytes ak_spki, id_object, encrypted_secret;
    /* refused */
    struct verify_reason reasons[VERIFY_REASONS_MAX];
    size_t reason_count;
    /* failed */
    struct err cause;
};

void verifier_answer_done(struct verifier_answer *answer);
#define auto_verifier_answer AUTO_DONE(verifier_answer_done) struct verifier_answer

bool verifier_request_encode(
    const struct verifier_request *request, struct buf *out, struct err *err) MUST_CHECK;
bool verifier_request_decode(
    struct bytes message, struct verifier_request *ret_request, struct err *err) MUST_CHECK;
bool verifier_answer_encode(enum verifier_kind kind, const struct verifier_answer *answer,
    struct buf *out, struct err *err) MUST_CHECK;
/* Claims: an object of the kind that verifiers make (text, numbers, booleans, at most two levels); tee-pubkey: exactly the members of its
 * wire form, all text. ERR_FORMAT. */
bool verifier_answer_decode(enum verifier_kind kind, struct bytes message,
    struct verifier_answer *ret_answer, struct err *err) MUST_CHECK;
