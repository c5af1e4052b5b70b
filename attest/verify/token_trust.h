/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose attestation tokens are believed beside our own (passport mode of the broker): as a Trustee KBS decides it (protocol.md A.5,
 * "Token verification"), without its insecure_header_jwk.
 *  - A header with `jwk`, as CoCo's attestation service makes it: the key is one of a trusted JWK set; or it comes with its certificates
 *    (`x5c`, leaf first, standard or url base64 of DER), the leaf certifies this key and leads to one of the trusted authorities, all
 *    certificates within their dates.
 *  - A header without: `kid` names a key of one of the trusted JWK sets.
 * ES256, ES384 and RS256 keys. Sets may be replaced while others look keys up (a set that comes by URL is fetched again).
 */
#pragma once

#include "crypt/jws.h"

#define TOKEN_TRUST_SETS     16
#define TOKEN_TRUST_KEYS     64 /* of one set */
#define TOKEN_TRUST_SET_MAX  (256u * 1024)
#define TOKEN_TRUST_X5C      8
#define TOKEN_TRUST_CERT_MAX 16384 /* bytes of one certificate in DER */
#define TOKEN_TRUST_PEM_MAX  (256u * 1024)
#define TOKEN_TRUST_ALGS     (JWS_ALLOW(JWS_ES256) | JWS_ALLOW(JWS_ES384) | JWS_ALLOW(JWS_RS256))

struct token_trust;

bool token_trust_new(struct token_trust **ret_trust, struct err *err) MUST_CHECK;
void token_trust_free(struct token_trust *trust);
DEFINE_AUTO(struct token_trust, token_trust_free);

/* Authorities (PEM, one or many; any of them may end a chain). Before the first lookup. `where` names the source in errors. */
bool token_trust_add_authorities(
    struct token_trust *trust, struct bytes pem, const char *where, struct err *err) MUST_CHECK;
/* A JWK set (RFC 7517 section 5). `where` names it: one that is there already is replaced, whole or not at all. Keys for encryption
 * (`use`: "enc") or of other kinds are left out; a set without a usable key is ERR_FORMAT. Thread-safe. */
bool token_trust_set_keys(
    struct token_trust *trust, struct bytes jwks, const char *where, struct err *err) MUST_CHECK;
/* Whether anything was added. */
bool token_trust_any(const struct token_trust *trust);

/* The key that `token` must verify with, from its unverified header. ERR_CRYPTO when nobody trusted vouches for it. Thread-safe. */
bool token_trust_key(struct token_trust *trust, const struct jws *token, int64_t now,
    struct jwk **ret_key, struct err *err) MUST_CHECK;
