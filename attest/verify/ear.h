/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attestation tokens: EAT Attestation Results as Trustee issues them (protocol.md D.1), ES256,
 * header jwk (and x5c when there is a certificate). Tokens of our own are verified with the pinned
 * signer, never with the key from their header.
 */
#pragma once

#include "attest/verify/appraisal.h"
#include "crypt/jws.h"

struct ear_signer {
    struct jwk *key;   /* private P-256 */
    const json_t *x5c; /* its certificates, leaf first: array of standard base64 DER; NULL: none */
    const char *issuer;
    int64_t lifetime_s;
};

#define EAR_PIECES_MAX 16

/* One verified and appraised piece of evidence; all borrowed. */
struct ear_piece {
    const char *tee; /* "tpm" */
    const char
        *class_name; /* "cpu": the first such piece becomes the submod cpu0, the next cpu1… */
    const json_t *claims; /* verdict claims, report_data and init_data included */
    const json_t *
        runtime_data; /* what it was bound to, as structured: {"additional-evidence","nonce","tee-pubkey"} */
    const json_t *init_data_claims; /* or NULL */
    const struct appraisal *appraisal;
};

struct ear_input {
    const struct ear_piece *pieces; /* 1 to EAR_PIECES_MAX, the primary evidence first */
    size_t count;
    int64_t issued_at; /* unix seconds */
    bool
        unasked; /* nobody here knows whether the evidence is fresh: the token gets the claim EAR_FRESHNESS, "unchecked" */
};
#define EAR_FRESHNESS "sealed.freshness"

/* So many bytes of event log does a token hold; longer ones give way (eventlog_trim.h), so that it still fits into the head of a
 * request, of which servers take 64 KiB and more. */
#define EAR_EVENTLOG_MAX (32u * 1024)

/* Claims shaped as a policy sees them and as ear.veraison.annotated-evidence (protocol.md C). */
bool ear_shape_claims(const struct ear_piece *piece, json_t **ret_shaped, struct err *err)
    MUST_CHECK;
/* Submods of class cpu also say which containers the init-data vouches for (ear.trustee.identifiers). */
bool ear_issue(const struct ear_signer *signer, const struct ear_input *input, char **ret_token,
    struct err *err) MUST_CHECK;

/* A verified token. */
struct ear {
    json_t *payload;
    struct jwk *tee_key;          /* from runtime_data_claims */
    enum appraisal_status status; /* the worst over all submods and their trust vectors */
    int64_t expires_at;
};
void ear_done(struct ear *ear);
#define auto_ear AUTO_DONE(ear_done) struct ear
/* Checks signature with `signer`, iat/exp/nbf at `now` (60 s leeway on nbf/iat only), shape, tee
 * key. Expired is ERR_STALE, all else ERR_CRYPTO or ERR_FORMAT. */
bool ear_verify(struct bytes token, const struct jwk *signer, int64_t now, struct ear *ret_ear,
    struct err *err) MUST_CHECK;
/* A token made elsewhere, already parsed, by the key that token_trust_key() gave: the same checks, but any eat_profile (an attestation
 * service may be configured to name its own), and the algorithms in `algs`. */
bool ear_verify_foreign(const struct jws *token, const struct jwk *signer, unsigned algs,
    int64_t now, struct ear *ret_ear, struct err *err) MUST_CHECK;
