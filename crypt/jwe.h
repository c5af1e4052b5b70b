/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON Web Encryption, flattened JSON serialisation (RFC 7516 section 7.2.2), as a KBS sends resources
 * (protocol.md A.3): alg ECDH-ES+A256KW on P-256 or P-521, or RSA-OAEP-256 (OAEP and MGF1 with SHA-256); enc A256GCM. `crit`, `zip`,
 * other algorithms, unprotected headers and an `aad` member are refused.
 *
 * Written header: `{"alg":…,"enc":"A256GCM","epk":{"crv":"P-256","kty":"EC","x":…,"y":…}}` compact and in this order, because
 * CoCo's client re-serialises the parsed header in that order to recompute the AAD. Read: the AAD is the text as received.
 * apu/apv in a received header take part in the key derivation (RFC 7518 section 4.6.2).
 */
#pragma once

#include "crypt/jwk.h"

#define JWE_TEXT_MAX (2u * 1024 * 1024)

/* Encrypts to a public P-256, P-521 or RSA key. Appends the JSON text to `out`. */
bool jwe_encrypt(const struct jwk *recipient, struct bytes plaintext, struct buf *out,
    struct err *err) MUST_CHECK;
bool jwe_decrypt(struct bytes text, const struct jwk *recipient, struct secret **ret_plaintext,
    struct err *err) MUST_CHECK;
/* The "alg" that a tee-pubkey of this key announces: "ECDH-ES+A256KW" or "RSA-OAEP-256". */
const char *jwe_alg_for(const struct jwk *key);
