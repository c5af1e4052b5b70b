/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runtime data: what evidence is bound to (protocol.md section B, Trustee's RCAR). The canonical form (RFC 8785) of
 *     {"additional-evidence":S,"nonce":N,"tee-pubkey":JWK}
 * is hashed (SHA-384 unless the KBS selected another) and the digest becomes the report data.
 * JWK holds exactly the members of the wire form: EC {alg,crv,kty,x,y}, RSA {alg,e,kty,n}.
 */
#pragma once

#include "crypt/hash.h"
#include "crypt/jwk.h"

#define RUNTIME_NONCE_MAX 512 /* characters of the nonce text */

/* The tee-pubkey object of a P-256 or RSA key, with "alg" as jwe_alg_for() says. */
bool runtime_tee_pubkey(const struct jwk *key, json_t **ret_json, struct err *err) MUST_CHECK;
/* Takes a received tee-pubkey: checks it and rebuilds it with the known members only (unknown ones are not hashed). */
bool runtime_tee_pubkey_check(
    const json_t *received, json_t **ret_json, struct jwk **ret_key, struct err *err) MUST_CHECK;
/* Canonical text of runtime data, malloc'd, and its digest. `additional` is the additional-evidence text ("" for none) that primary evidence
 * vouches for; NULL for the evidence of a device, whose runtime data has no such member. */
bool runtime_data(const char *nonce, const json_t *tee_pubkey, const char *additional,
    enum hash_alg alg, char **ret_canonical, struct hash *ret_digest, struct err *err) MUST_CHECK;
