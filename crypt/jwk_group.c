/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Curves, set up once. OpenSSL 3 builds a curve from its numbers (Montgomery contexts, a modular inverse) for every key
 * that is imported or made by the curve's name, which takes longer than all the rest of importing a point; copying a key
 * that has the curve and nothing else does not.
 */
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <pthread.h>

#include "crypt/jwk_internal.h"

/* Parameters alone, read by all threads and never changed; NULL when OpenSSL could not make it. */
static EVP_PKEY *groups[JWK_EC_P521 + 1];

static EVP_PKEY *make_group(enum jwk_kind kind)
{
    char *curve = (char *)(uintptr_t)jwk_curve(kind); /* copied by the provider */
    OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0),
        OSSL_PARAM_construct_end()};
    EVP_PKEY *group = NULL;
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &group, EVP_PKEY_KEY_PARAMETERS, params) != 1)
        return NULL;
    return group;
}

static void make_groups(void)
{
    for (enum jwk_kind kind = JWK_EC_P256; kind <= JWK_EC_P521; kind++)
        groups[kind] = make_group(kind);
}

static bool find_group(enum jwk_kind kind, EVP_PKEY **ret_group, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_groups);
    EVP_PKEY *group = groups[kind];
    if (!group)
        return err_set(err, ERR_INTERNAL, "curve %s: %s", jwk_curve(kind), ossl_reason());
    *ret_group = group;
    return true;
}

bool jwk_group_point(enum jwk_kind kind, struct bytes point, EVP_PKEY **ret_pkey, struct err *err)
{
    EVP_PKEY *group = NULL;
    if (!find_group(kind, &group, err))
        return false;
    auto_pkey *pkey = EVP_PKEY_dup(group);
    if (!pkey)
        return err_nomem(err);
    if (EVP_PKEY_set1_encoded_public_key(pkey, point.data, point.len) != 1)
        return err_set(err, ERR_CRYPTO, "the numbers are no key: %s", ossl_reason());
    *ret_pkey = take_ptr(pkey);
    return true;
}

bool jwk_group_generate(enum jwk_kind kind, EVP_PKEY **ret_pkey, struct err *err)
{
    EVP_PKEY *group = NULL, *pkey = NULL;
    if (!find_group(kind, &group, err))
        return false;
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, group, NULL);
    if (!ctx || EVP_PKEY_keygen_init(ctx) != 1 || EVP_PKEY_keygen(ctx, &pkey) != 1)
        return err_set(err, ERR_INTERNAL, "making a key: %s", ossl_reason());
    *ret_pkey = pkey;
    return true;
}
