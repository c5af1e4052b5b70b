/* SPDX-License-Identifier: Apache-2.0 */
/* ECDSA signatures as hardware writes them: two numbers of fixed size side by side, in either byte order, instead of DER. */
#pragma once

#include <openssl/types.h>

#include "crypt/hash.h"

enum ecdsa_curve { ECDSA_P256, ECDSA_P384 };
enum ecdsa_order { ECDSA_BIG_ENDIAN, ECDSA_LITTLE_ENDIAN };

/* Whether it is a key on this curve. */
bool ecdsa_key_is(EVP_PKEY *key, enum ecdsa_curve curve);
/* A public key from x || y, big-endian, on the curve. ERR_FORMAT: not a point of it. */
bool ecdsa_key_from_point(
    enum ecdsa_curve curve, struct bytes point, EVP_PKEY **ret_key, struct err *err) MUST_CHECK;
/* P-256 with SHA-256, P-384 with SHA-384. *ret_good false: it does not verify, or r or s is 0 or not below the order. `r` and `s` may have
 * leading (trailing, when little-endian) zeros. False with err: trouble of our own. */
bool ecdsa_raw_verify(EVP_PKEY *key, enum ecdsa_curve curve, struct bytes message, struct bytes r,
    struct bytes s, enum ecdsa_order order, bool *ret_good, struct err *err) MUST_CHECK;
