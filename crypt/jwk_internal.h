/* SPDX-License-Identifier: Apache-2.0 */
/* How a JWK is put together, for crypt/jwk*.c only: a reader (JSON, locked JWK text, PEM) finds
 * members, one builder decodes and checks them. */
#pragma once

#include "crypt/jwk.h"
#include "crypt/ossl.h"

struct jwk {
    _Atomic unsigned refs;
    enum jwk_kind kind;
    bool is_private;
    EVP_PKEY *pkey;        /* NULL for OCT */
    struct secret *octets; /* OCT only */
    char *kid, *alg, *use;
};

/* The members of RFC 7517 section 4 and RFC 7518 section 6 that mean something to us. */
enum jwk_member {
    JWK_KTY,
    JWK_CRV,
    JWK_X,
    JWK_Y,
    JWK_N,
    JWK_E,
    JWK_D,
    JWK_P,
    JWK_Q,
    JWK_DP,
    JWK_DQ,
    JWK_QI,
    JWK_OTH,
    JWK_K,
    JWK_KID,
    JWK_ALG,
    JWK_USE,
    JWK_MEMBER_COUNT
};
#define JWK_FIRST_PRIVATE JWK_D
#define JWK_LAST_PRIVATE  JWK_K

/* The text of each member, borrowed from the input; data NULL when absent. kid, alg and use are
 * owned. */
struct jwk_members {
    struct bytes text[JWK_MEMBER_COUNT];
    char *kid, *alg, *use;
};
void jwk_members_done(struct jwk_members *members);
#define auto_jwk_members AUTO_DONE(jwk_members_done) struct jwk_members

const char *jwk_member_name(enum jwk_member member);
/* JWK_MEMBER_COUNT when the name is none of ours. */
enum jwk_member jwk_member_find(struct bytes name);

/* Numbers of a key, big-endian, borrowed; len 0 when absent. Coordinates have the full field width.
 */
struct jwk_numbers {
    enum jwk_kind kind;
    struct bytes x, y, n, e, d, p, q, dp, dq, qi;
};

/* Reads a private or public JWK object from locked memory: crypt/jwk_text.c. */
bool jwk_scan(struct bytes text, struct jwk_members *ret_members, struct err *err) MUST_CHECK;
/* PEM from locked memory: crypt/jwk_pem.c. */
bool jwk_from_pem(struct bytes text, struct jwk **ret_jwk, struct err *err) MUST_CHECK;

/* Decodes and checks: crypt/jwk_build.c. Takes kid, alg and use out of `members`. */
bool jwk_build(struct jwk_members *members, bool with_private, struct jwk **ret_jwk,
    struct err *err) MUST_CHECK;
bool jwk_build_numbers(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
    MUST_CHECK;

/* EC keys from a curve that was set up once: crypt/jwk_group.c. A public key from an uncompressed point, which must lie
 * on the curve, and a new private key. */
bool jwk_group_point(enum jwk_kind kind, struct bytes point, EVP_PKEY **ret_pkey, struct err *err)
    MUST_CHECK;
bool jwk_group_generate(enum jwk_kind kind, EVP_PKEY **ret_pkey, struct err *err) MUST_CHECK;

/* Ed25519: crypt/jwk_okp.c. The numbers are x, or d and perhaps x, each of JWK_ED25519_SIZE bytes. The check of a public key
 * is what OpenSSL leaves out: a canonical encoding of a point of the curve, and not of low order. */
#define JWK_ED25519_SIZE 32
bool jwk_okp_build(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
    MUST_CHECK;
bool jwk_okp_check(EVP_PKEY *pkey, struct err *err) MUST_CHECK;
bool jwk_okp_generate(EVP_PKEY **ret_pkey, struct err *err) MUST_CHECK;
bool jwk_okp_public(EVP_PKEY *pkey, uint8_t ret_x[JWK_ED25519_SIZE], struct err *err) MUST_CHECK;
/* `ret_d` is locked memory. */
bool jwk_okp_private(EVP_PKEY *pkey, uint8_t ret_d[JWK_ED25519_SIZE], struct err *err) MUST_CHECK;

/* Wraps a key whose type and strength are then checked; `trusted` skips the mathematical checks for
 * a key that was generated just now. Takes a reference of its own. */
bool jwk_wrap(EVP_PKEY *pkey, bool is_private, bool trusted, struct jwk **ret_jwk, struct err *err)
    MUST_CHECK;
bool jwk_wrap_octets(struct secret *octets, struct jwk **ret_jwk, struct err *err) MUST_CHECK;

size_t jwk_field_size(enum jwk_kind kind); /* bytes of an EC coordinate; 0 for others */
const char *jwk_curve(enum jwk_kind kind); /* "P-256"…, "Ed25519"; NULL for others */
