/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ed25519 keys (RFC 8032, RFC 8037 section 2): 32 bytes of public key, 32 bytes of private key. OpenSSL takes any 32 bytes
 * for a public key, even those for which anybody can make signatures; what it does not check is checked here.
 */
#include "crypt/jwk_internal.h"

/* RFC 8032 section 5.1.3: the encoding is y, little-endian, and above it the sign of x. */
#define SIGN_BIT 0x80

/* y of the points whose order divides 8, but for 1 and -1: order 4, and the two of order 8. */
static const uint8_t low_order[][JWK_ED25519_SIZE] = {
    {0},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0,
        0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc,
        0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f,
        0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03,
        0x7a},
};

bool jwk_okp_public(EVP_PKEY *pkey, uint8_t ret_x[JWK_ED25519_SIZE], struct err *err)
{
    size_t len = JWK_ED25519_SIZE;
    if (EVP_PKEY_get_raw_public_key(pkey, ret_x, &len) != 1 || len != JWK_ED25519_SIZE)
        return err_set(err, ERR_INTERNAL, "reading a public key: %s", ossl_reason());
    return true;
}

bool jwk_okp_private(EVP_PKEY *pkey, uint8_t ret_d[JWK_ED25519_SIZE], struct err *err)
{
    size_t len = JWK_ED25519_SIZE;
    if (EVP_PKEY_get_raw_private_key(pkey, ret_d, &len) != 1 || len != JWK_ED25519_SIZE)
        return err_set(err, ERR_INTERNAL, "reading a private key: %s", ossl_reason());
    return true;
}

/* *ret_root is the Jacobi symbol of (y^2 - 1) (121666 - 121665 y^2) 121666 modulo p: 1 when y belongs to a point, -1 when
 * it does not, 0 for 1 and -1. (RFC 8032 section 5.1: x^2 = (y^2 - 1) / (d y^2 + 1) with d = -121665/121666.) */
static bool find_root(const BIGNUM *y, const BIGNUM *p, int *ret_root, struct err *err)
{
    AUTO(BN_CTX_free) BN_CTX *ctx = BN_CTX_new();
    auto_bignum *square = BN_new(), *first = NULL, *second = NULL, *limit = BN_new();
    if (!ctx || !square || !limit || BN_mod_sqr(square, y, p, ctx) != 1 ||
        !(first = BN_dup(square)) || !(second = BN_dup(square)) ||
        /* (y^2 - 1) 121666 */
        BN_sub_word(first, 1) != 1 || BN_mul_word(first, 121666) != 1 ||
        /* 121666 - 121665 y^2 */
        BN_mul_word(second, 121665) != 1 || BN_set_word(limit, 121666) != 1 ||
        BN_sub(second, limit, second) != 1 || BN_mod_mul(first, first, second, p, ctx) != 1)
        return err_nomem(err);
    int root = BN_kronecker(first, p, ctx);
    if (root < -1)
        return err_nomem(err);
    *ret_root = root;
    return true;
}

static bool check_point(const uint8_t y_bytes[JWK_ED25519_SIZE], struct err *err)
{
    auto_bignum *y = BN_lebin2bn(y_bytes, JWK_ED25519_SIZE, NULL), *p = NULL;
    int root = 0;
    if (!y ||
        BN_hex2bn(&p, "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed") == 0)
        return err_nomem(err);
    if (BN_cmp(y, p) >= 0)
        return err_set(
            err, ERR_CRYPTO, "the Ed25519 public key is not canonical (x beyond 2^255 - 19)");
    for (size_t i = 0; i < ARRAY_LEN(low_order); i++)
        if (bytes_equal(
                bytes_of(y_bytes, JWK_ED25519_SIZE), bytes_of(low_order[i], JWK_ED25519_SIZE)))
            return err_set(err, ERR_CRYPTO, "the Ed25519 public key is of low order");
    if (!find_root(y, p, &root, err))
        return false;
    if (root == 0)
        return err_set(err, ERR_CRYPTO, "the Ed25519 public key is of low order");
    if (root < 0)
        return err_set(err, ERR_CRYPTO, "the Ed25519 public key is no point of the curve");
    return true;
}

bool jwk_okp_check(EVP_PKEY *pkey, struct err *err)
{
    uint8_t x[JWK_ED25519_SIZE];
    if (!jwk_okp_public(pkey, x, err))
        return false;
    x[JWK_ED25519_SIZE - 1] &= (uint8_t)~SIGN_BIT;
    return check_point(x, err);
}

static bool build_private(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
{
    auto_pkey *pkey =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, numbers->d.data, numbers->d.len);
    uint8_t x[JWK_ED25519_SIZE];
    if (!pkey)
        return err_set(err, ERR_CRYPTO, "the numbers are no key: %s", ossl_reason());
    if (!jwk_okp_public(pkey, x, err))
        return false;
    /* PKCS #8 has no x: then it is the one that follows from d. */
    if (numbers->x.len > 0 && !bytes_equal(numbers->x, bytes_of(x, sizeof x)))
        return err_set(err, ERR_CRYPTO,
            "private and public part do not belong together: x does not follow from d");
    return jwk_wrap(pkey, true, false, ret_jwk, err);
}

bool jwk_okp_build(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
{
    if (numbers->d.len > 0)
        return build_private(numbers, ret_jwk, err);
    auto_pkey *pkey =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, numbers->x.data, numbers->x.len);
    if (!pkey)
        return err_set(err, ERR_CRYPTO, "the numbers are no key: %s", ossl_reason());
    return jwk_wrap(pkey, false, false, ret_jwk, err);
}

bool jwk_okp_generate(EVP_PKEY **ret_pkey, struct err *err)
{
    EVP_PKEY *pkey = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
    if (!pkey)
        return err_set(err, ERR_INTERNAL, "making a key: %s", ossl_reason());
    *ret_pkey = pkey;
    return true;
}
