/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/ecdsa_raw.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "crypt/ossl.h"

#define POINT_MAX     96
#define SIGNATURE_MAX 160 /* DER of two numbers of P-384 */

DEFINE_AUTO(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free);
DEFINE_AUTO(OSSL_PARAM, OSSL_PARAM_free);

static const struct curve {
    const char *name;
    size_t size; /* bytes of a coordinate, and of r and s */
} curves[] = {
    [ECDSA_P256] = {SN_X9_62_prime256v1, 32},
    [ECDSA_P384] = {SN_secp384r1, 48},
};

bool ecdsa_key_is(EVP_PKEY *key, enum ecdsa_curve curve)
{
    char name[32] = "";
    bool same = key && EVP_PKEY_is_a(key, "EC") &&
                EVP_PKEY_get_group_name(key, name, sizeof name, NULL) == 1 &&
                strcmp(name, curves[curve].name) == 0;
    ossl_forget();
    return same;
}

static OSSL_PARAM *point_params(enum ecdsa_curve curve, const uint8_t *point, size_t len)
{
    AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    if (!build ||
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, curves[curve].name, 0) !=
            1 ||
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, len) != 1)
        return NULL;
    return OSSL_PARAM_BLD_to_param(build);
}

bool ecdsa_key_from_point(
    enum ecdsa_curve curve, struct bytes point, EVP_PKEY **ret_key, struct err *err)
{
    uint8_t encoded[1 + POINT_MAX] = {0x04}; /* uncompressed */
    EVP_PKEY *key = NULL;
    if (point.len != 2 * curves[curve].size)
        return err_set(err, ERR_FORMAT, "EC point of %zu bytes", point.len);
    memcpy(encoded + 1, point.data, point.len);
    AUTO(OSSL_PARAM_free) OSSL_PARAM *params = point_params(curve, encoded, 1 + point.len);
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1)
        return err_nomem(err);
    bool made = EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1;
    ossl_forget();
    if (!made)
        return err_set(err, ERR_FORMAT, "not a point of %s", curves[curve].name);
    *ret_key = key;
    return true;
}

static BIGNUM *number(struct bytes digits, enum ecdsa_order order)
{
    return order == ECDSA_BIG_ENDIAN ? BN_bin2bn(digits.data, (int)digits.len, NULL)
                                     : BN_lebin2bn(digits.data, (int)digits.len, NULL);
}

/* 0: the numbers are larger than any good ones. */
static bool to_der(struct bytes r, struct bytes s, enum ecdsa_order order, size_t max_bytes,
    uint8_t der[SIGNATURE_MAX], int *ret_len, struct err *err)
{
    auto_ecdsa_sig *signature = ECDSA_SIG_new();
    auto_bignum *r_number = number(r, order), *s_number = number(s, order);
    uint8_t *at = der;
    if (!signature || !r_number || !s_number)
        return err_nomem(err);
    *ret_len = 0;
    if ((size_t)BN_num_bytes(r_number) > max_bytes || (size_t)BN_num_bytes(s_number) > max_bytes)
        return true;
    ECDSA_SIG_set0(signature, take_ptr(r_number), take_ptr(s_number));
    *ret_len = i2d_ECDSA_SIG(signature, &at);
    return *ret_len > 0 || err_nomem(err);
}

bool ecdsa_raw_verify(EVP_PKEY *key, enum ecdsa_curve curve, struct bytes message, struct bytes r,
    struct bytes s, enum ecdsa_order order, bool *ret_good, struct err *err)
{
    uint8_t der[SIGNATURE_MAX];
    int len = 0;
    const EVP_MD *digest = curve == ECDSA_P256 ? EVP_sha256() : EVP_sha384();
    *ret_good = false;
    if (!to_der(r, s, order, curves[curve].size, der, &len, err))
        return false;
    if (len == 0 || !ecdsa_key_is(key, curve))
        return true;
    auto_md_ctx *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestVerifyInit(ctx, NULL, digest, NULL, key) != 1)
        return err_nomem(err);
    *ret_good = EVP_DigestVerify(ctx, der, (size_t)len, message.data, message.len) == 1;
    ossl_forget();
    return true;
}
