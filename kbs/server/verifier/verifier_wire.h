/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between the front of sealed-kbs and its verifier processes, over a stream socket: u32 length, then the message
 * (crypt/base/pack.h, big-endian). One request, one answer.
 *
 *     hello    u8 version (1)                          from the verifier, once its sandbox is shut
 *     request  u8 version (1)  u8 kind  fields…
 *       1 EVIDENCE   text tee, text nonce, u64 now (unix seconds), u8 flags (1 collateral is optional, 2 expired collateral
 *                    is told instead of refused), text names of TEEs (parted by blanks) that devices may be of, block PEM of the operator's trust anchors, block collateral
 *                    (collateral.h; empty: none), block body of POST /attest as it came
 *       2 ENROL      block PEM roots of EK certificates, block body of POST /agent/enroll as it came;
 *                    then, outside the message, VERIFIER_CREDENTIAL_SIZE bytes of credential
 *       3 REST       as EVIDENCE, without meaning in tee and nonce, with the body of POST /attestation
 *     answer   u8 version (1)  u8 status  fields…
 *       0 accepted EVIDENCE   text class, block claims JSON, block tee-pubkey JSON, block init-data claims JSON (empty: no init-data),
 *                             u8 count (0..7) of devices, each: text tee, text class, block claims JSON
 *       0 accepted ENROL      text EK hash (hex), block AK SPKI (DER), block TPM2B_ID_OBJECT, block TPM2B_ENCRYPTED_SECRET
 *       0 accepted REST       u8 count (1..7) of pieces, each: text tee, text class, block claims JSON, block runtime data JSON (any value in
 *                             an array; empty: none), block init-data claims JSON (empty: none)
 *       1 refused             u8 count (1..32), each: text check, text got, text expected (printable ASCII)
 *       2 failed              text code name (err_info), text message: our own trouble, not the guest's
 *       3 needs               u8 count (1..12), each: text name of a collateral object (EVIDENCE only): get them, ask again
 *
 * The front trusts an answer's judgement but not its bytes: whoever took over a verifier by hostile evidence writes the next answer.
 */
#pragma once

#include "attest/verify/verify.h"
#include "kbs/proto.h"

#define VERIFIER_WIRE_VERSION    1
#define VERIFIER_REQUEST_MAX     (8u * 1024 * 1024)
#define VERIFIER_ANSWER_MAX      (2u * 1024 * 1024)
#define VERIFIER_CLAIMS_MAX      (1024u * 1024) /* an event log makes most of it */
#define VERIFIER_EVENTLOG_MAX    (512u * 1024) /* of these; longer logs give way (eventlog_trim.h) */
#define VERIFIER_CLAIM_LEVELS    12    /* uefi_event_logs[].details.data, and what an event tells */
#define VERIFIER_CLAIM_COUNT     65536 /* values in all */
#define VERIFIER_PUBKEY_MAX      4096
#define VERIFIER_INIT_DATA_MAX   (128u * 1024) /* claims */
#define VERIFIER_RUNTIME_MAX     (128u * 1024) /* of REST */
#define VERIFIER_DEVICES_MAX     7
#define VERIFIER_CLASS_MAX       16
#define VERIFIER_TEES_MAX        256
#define VERIFIER_SPKI_MAX        1024
#define VERIFIER_BLOB_MAX        2048
#define VERIFIER_CREDENTIAL_SIZE 32
#define VERIFIER_FRAME_SIZE      4 /* the length in front of a message */

enum verifier_kind { VERIFIER_EVIDENCE = 1, VERIFIER_ENROL = 2, VERIFIER_REST = 3 };
enum verifier_status {
    VERIFIER_ACCEPTED = 0,
    VERIFIER_REFUSED = 1,
    VERIFIER_FAILED = 2,
    VERIFIER_NEEDS = 3
};

struct verifier_request {
    enum verifier_kind kind;
    char tee[PROTO_TEE_MAX];         /* EVIDENCE */
    char nonce[PROTO_NONCE_MAX + 1]; /* EVIDENCE: the one that the body must name */
    char device_tees
        [VERIFIER_TEES_MAX]; /* EVIDENCE: those that devices may be of; REST: all; "": none */
    int64_t now;             /* EVIDENCE: unix seconds */
    bool collateral_optional, collateral_expired_ok; /* EVIDENCE: as in struct verify_input */
    struct bytes anchors;    /* EVIDENCE: PEM that adds to the pins, borrowed; empty: none */
    struct bytes collateral; /* EVIDENCE: as collateral_encode() writes it, borrowed; empty: none */
    struct bytes roots;      /* ENROL; borrowed */
    struct bytes body;       /* borrowed, never parsed by the front */
};

/* Accepted evidence besides the primary one; of REST: each piece. */
struct verifier_device {
    char tee[PROTO_TEE_MAX];
    char class_name[VERIFIER_CLASS_MAX];
    json_t *claims;                          /* owned */
    json_t *runtime_data, *init_data_claims; /* of REST; owned; NULL: none */
};

struct verifier_answer {
    enum verifier_status status;
    /* EVIDENCE, accepted; the JSON values are owned */
    char class_name[VERIFIER_CLASS_MAX];
    json_t *claims;
    json_t *tee_pubkey;
    json_t *init_data_claims; /* object; NULL: no init-data came */
    struct verifier_device devices[VERIFIER_DEVICES_MAX];
    size_t device_count;
    /* ENROL, accepted; borrowed from the message */
    char ek_sha256[65];
    struct bytes ak_spki, id_object, encrypted_secret;
    /* refused */
    struct verify_reason reasons[VERIFY_REASONS_MAX];
    size_t reason_count;
    /* failed */
    struct err cause;
    /* needs; each name is a good one (collateral_name_ok) */
    char needs[VERIFY_NEEDS_MAX][COLLATERAL_NAME_MAX];
    size_t need_count;
};

/* `tee` is one of the names in `list`, which blanks part. */
bool verifier_tee_listed(const char *list, const char *tee);

void verifier_answer_done(struct verifier_answer *answer);
#define auto_verifier_answer AUTO_DONE(verifier_answer_done) struct verifier_answer
/* An answer that needs what nobody has becomes a refusal: each need that is not in `have` (NULL: nothing) a reason "collateral". Others
 * stay as they are. */
void verifier_answer_refuse_needs(struct verifier_answer *answer, const struct collateral *have);

bool verifier_request_encode(
    const struct verifier_request *request, struct buf *out, struct err *err) MUST_CHECK;
bool verifier_request_decode(
    struct bytes message, struct verifier_request *ret_request, struct err *err) MUST_CHECK;
bool verifier_answer_encode(enum verifier_kind kind, const struct verifier_answer *answer,
    struct buf *out, struct err *err) MUST_CHECK;
/* Claims: an object of the kind that verifiers make, bounded in depth and number of values (VERIFIER_CLAIM_*); tee-pubkey: exactly the
 * members of its wire form, all text. ERR_FORMAT. */
bool verifier_answer_decode(enum verifier_kind kind, struct bytes message,
    struct verifier_answer *ret_answer, struct err *err) MUST_CHECK;
