/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Signatures, compact serialisation (RFC 7515): ES256, ES384, ES512, RS256 and EdDSA with Ed25519 (RFC 8037). The algorithm must be one that the
 * key's type and its own alg and use permit, and one that the caller allows. `crit` is refused, and `b64` unless it is true. The payload
 * is handed out only by jws_verify: nothing parses it before.
 */
#pragma once

#include "crypt/jwk.h"

#define JWS_TEXT_MAX (2u * 1024 * 1024)

enum jws_alg { JWS_ES256, JWS_ES384, JWS_ES512, JWS_RS256, JWS_EDDSA, JWS_ALG_COUNT };
#define JWS_ALLOW(alg) (1u << (alg))

/* The algorithm that jws_sign takes for this key; ERR_CRYPTO when it cannot sign. */
bool jws_alg_of(const struct jwk *key, enum jws_alg *ret_alg, struct err *err) MUST_CHECK;

struct jws; /* a parsed, NOT verified signature */

/* `text` is copied. */
bool jws_parse(struct bytes text, struct jws **ret_jws, struct err *err) MUST_CHECK;
void jws_free(struct jws *jws);
DEFINE_AUTO(struct jws, jws_free);
#define auto_jws AUTO(jws_free) struct jws

enum jws_alg jws_alg(const struct jws *jws);
const char *jws_alg_name(enum jws_alg alg);
const char *jws_kid(
    const struct jws *jws); /* NULL when absent. Unverified: a hint for finding the key. */
const json_t *jws_header(const struct jws *jws); /* borrowed, unverified */
/* For display only (`sealed inspect`): the payload bytes without any check. */
struct bytes jws_unverified_payload(const struct jws *jws);

/* `allowed` is a set of JWS_ALLOW(). On success *ret_payload borrows from jws. ERR_CRYPTO otherwise. */
bool jws_verify(const struct jws *jws, const struct jwk *key, unsigned allowed,
    struct bytes *ret_payload, struct err *err) MUST_CHECK;

/* Signs with the algorithm of the key's kind (P-256 ES256, P-384 ES384, P-521 ES512, RSA RS256, Ed25519 EdDSA). `header` members come after
 * alg (and kid, when the key has one and the header does not); NULL for none. malloc'd text. */
bool jws_sign(const struct jwk *key, const json_t *header, struct bytes payload, char **ret_text,
    struct err *err) MUST_CHECK;
