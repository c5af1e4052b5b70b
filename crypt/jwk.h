/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037): EC P-256, P-384 and P-521, Ed25519 (signing only), RSA
 * 2048..4096, oct (symmetric). An opaque,
 * counted, immutable key around an EVP_PKEY, with the kid, alg and use it came with. Points must lie on the curve and not be of low order,
 * coordinates have the full field width, a private part must match the public one, RSA below 2048 bits and e < 65537
 * are refused (the primes of a private RSA key are tested: some 60 ms). Private key text is read by a scanner over locked memory, never through JSON values.
 */
#pragma once

#include <openssl/types.h>

#include "crypt/base/json.h"
#include "crypt/base/secret.h"

#define JWK_TEXT_MAX 16384

enum jwk_kind { JWK_EC_P256, JWK_EC_P384, JWK_EC_P521, JWK_OKP_ED25519, JWK_RSA, JWK_OCT };

struct jwk;

struct jwk *jwk_ref(struct jwk *jwk);
void jwk_unref(struct jwk *jwk);
DEFINE_AUTO(struct jwk, jwk_unref);
#define auto_jwk AUTO(jwk_unref) struct jwk

/* A public key from JSON already loaded strictly (EC, OKP, RSA only). Private members present: refused unless
 * `private_ok`, and then ignored. Unknown members are ignored, as RFC 7517 section 4 demands. */
bool jwk_from_json(const json_t *json, bool private_ok, struct jwk **ret_jwk, struct err *err)
    MUST_CHECK;
/* Public or private JWK, or (when the text begins so) PEM, from locked memory. */
bool jwk_from_secret(const struct secret *text, struct jwk **ret_jwk, struct err *err) MUST_CHECK;
/* DER SubjectPublicKeyInfo. */
bool jwk_from_spki(struct bytes der, struct jwk **ret_jwk, struct err *err) MUST_CHECK;
/* `kid` may be NULL. RSA: 2048 bits. OCT: 32 bytes. */
bool jwk_generate(enum jwk_kind kind, const char *kid, struct jwk **ret_jwk, struct err *err)
    MUST_CHECK;

enum jwk_kind jwk_kind(const struct jwk *jwk);
bool jwk_is_private(const struct jwk *jwk);
const char *jwk_kid(const struct jwk *jwk);     /* NULL when it has none */
const char *jwk_alg(const struct jwk *jwk);     /* NULL when it has none */
const char *jwk_use(const struct jwk *jwk);     /* NULL when it has none */
EVP_PKEY *jwk_pkey(const struct jwk *jwk);      /* borrowed; NULL for OCT */
struct bytes jwk_octets(const struct jwk *jwk); /* OCT only; borrowed from locked memory */

/* The public members only: kty, crv/x/y, crv/x or n/e, and `alg` (NULL: the key's own, if any), kid when known. */
bool jwk_public_json(const struct jwk *jwk, const char *alg, json_t **ret_json, struct err *err)
    MUST_CHECK;
/* Private JWK text, built in locked memory. */
bool jwk_private_text(const struct jwk *jwk, struct secret **ret_text, struct err *err) MUST_CHECK;
/* DER SubjectPublicKeyInfo, malloc'd into `out`. */
bool jwk_spki(const struct jwk *jwk, struct buf *out, struct err *err) MUST_CHECK;
/* RFC 7638 thumbprint (SHA-256), base64url without padding: 43 characters and a NUL. */
bool jwk_thumbprint(const struct jwk *jwk, char ret_text[44], struct err *err) MUST_CHECK;
