/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RCAR messages (protocol.md A.1, A.2, A.4; Confidential Containers KBS attestation protocol 0.4.0): one struct a message,
 * each with encode and decode, for the client and the server alike. Unknown members are ignored (upstream does), mandatory ones are
 * mandatory, sizes are capped. Decoded texts are owned by the struct: end it with its _done.
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/hash.h"

#define PROTO_VERSION   "0.4.0"
#define PROTO_BODY_MAX  (2u * 1024 * 1024)
#define PROTO_NONCE_MAX 512
#define PROTO_TEE_MAX   32
#define PROTO_TOKEN_MAX (256u * 1024)

/* POST /kbs/v0/auth */
struct proto_auth {
    char version[32];
    char tee[PROTO_TEE_MAX];
};
bool proto_auth_encode(const struct proto_auth *auth, char **ret_text, struct err *err) MUST_CHECK;
bool proto_auth_decode(struct bytes body, struct proto_auth *ret_auth, struct err *err) MUST_CHECK;

/* its answer */
struct proto_challenge {
    char nonce[PROTO_NONCE_MAX + 1];
    enum hash_alg hash; /* selected-hash-algorithm, SHA-384 when absent */
};
bool proto_challenge_encode(
    const struct proto_challenge *challenge, char **ret_text, struct err *err) MUST_CHECK;
bool proto_challenge_decode(
    struct bytes body, struct proto_challenge *ret_challenge, struct err *err) MUST_CHECK;

/* POST /kbs/v0/attest. `evidence` and `tee_pubkey` are owned (json_unref by proto_attest_done). */
struct proto_attest {
    char nonce[PROTO_NONCE_MAX + 1];
    json_t *tee_pubkey;
    json_t *evidence; /* primary_evidence */
    char *additional; /* additional_evidence text, "" for none */
    char *init_data;  /* body text of a {"format":"toml"} init-data, or NULL */
};
void proto_attest_done(struct proto_attest *attest);
/* `evidence_text` is put in as it is (attestd made it): no re-encoding of evidence. */
bool proto_attest_encode(const char *nonce, const json_t *tee_pubkey, struct bytes evidence_text,
    char **ret_text, struct err *err) MUST_CHECK;
bool proto_attest_decode(struct bytes body, struct proto_attest *ret_attest, struct err *err)
    MUST_CHECK;

/* {"token":"…"}, and from a sealed-kbs that wants to see the guest again "attest-in": seconds until its next attestation (0: it has no
 * wish; a CoCo client ignores it). */
#define PROTO_ATTEST_IN_MAX (7 * 24 * 3600)
bool proto_token_encode(const char *token, int64_t attest_in_s, char **ret_text, struct err *err)
    MUST_CHECK;
bool proto_token_decode(
    struct bytes body, char **ret_token, int64_t *ret_attest_in_s, struct err *err) MUST_CHECK;
/* What a JWT says about itself, without checking its signature: for the client's own timing and display (A.2, D.1). */
struct proto_token_claims {
    int64_t
        issued_at; /* iat, unix seconds by the KBS's clock; 0 when absent, as are the next two */
    int64_t not_before; /* nbf */
    int64_t expires_at; /* exp */
    bool affirming;     /* there are submods, and ear.status of each is "affirming" */
};
bool proto_token_claims(const char *token, struct proto_token_claims *ret_claims, struct err *err)
    MUST_CHECK;

/* {"type":"https://github.com/confidential-containers/kbs/errors/<Name>","detail":"…"} (A.4) */
struct proto_error {
    char name[64];
    char detail[512];
};
bool proto_error_encode(const struct proto_error *error, char **ret_text, struct err *err)
    MUST_CHECK;
/* Never fails: a body that is no such JSON becomes name "" and a detail that says so (with the first printable bytes). */
void proto_error_decode(struct bytes body, struct proto_error *ret_error);
/* Our KBS appends " [id <ID>]" to the detail of a refusal; "" when there is none. */
void proto_error_ref(const struct proto_error *error, char ret_ref[ERR_REF_SIZE]);
