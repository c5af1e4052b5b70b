/* SPDX-License-Identifier: Apache-2.0 */
/* The key object: counting, what it is, and the checks that every key passes on its way in. */
#include "crypt/jwk.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdatomic.h>

#include "crypt/jwk_internal.h"

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 4096
#define RSA_E_MIN    65537

size_t jwk_field_size(enum jwk_kind kind)
{
    return kind == JWK_EC_P256 ? 32 : kind == JWK_EC_P384 ? 48 : kind == JWK_EC_P521 ? 66 : 0;
}

const char *jwk_curve(enum jwk_kind kind)
{
    switch (kind) {
    case JWK_EC_P256:
        return "P-256";
    case JWK_EC_P384:
        return "P-384";
    case JWK_EC_P521:
        return "P-521";
    case JWK_OKP_ED25519:
        return "Ed25519";
    case JWK_RSA:
    case JWK_OCT:
        break;
    }
    return NULL;
}

struct jwk *jwk_ref(struct jwk *jwk)
{
    if (jwk)
        atomic_fetch_add_explicit(&jwk->refs, 1, memory_order_relaxed);
    return jwk;
}

void jwk_unref(struct jwk *jwk)
{
    if (!jwk || atomic_fetch_sub_explicit(&jwk->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(jwk->pkey);
    secret_unref(jwk->octets);
    free(jwk->kid);
    free(jwk->alg);
    free(jwk->use);
    free(jwk);
}

enum jwk_kind jwk_kind(const struct jwk *jwk)
{
    return jwk->kind;
}

bool jwk_is_private(const struct jwk *jwk)
{
    return jwk->is_private;
}

const char *jwk_kid(const struct jwk *jwk)
{
    return jwk->kid;
}

const char *jwk_alg(const struct jwk *jwk)
{
    return jwk->alg;
}

const char *jwk_use(const struct jwk *jwk)
{
    return jwk->use;
}

EVP_PKEY *jwk_pkey(const struct jwk *jwk)
{
    return jwk->pkey;
}

struct bytes jwk_octets(const struct jwk *jwk)
{
    return jwk->octets ? secret_bytes(jwk->octets) : BYTES_EMPTY;
}

static bool find_kind(EVP_PKEY *pkey, enum jwk_kind *ret_kind, struct err *err)
{
    char group[64] = "";
    size_t len = 0;
    if (EVP_PKEY_is_a(pkey, "RSA")) {
        *ret_kind = JWK_RSA;
        return true;
    }
    if (EVP_PKEY_is_a(pkey, "ED25519")) {
        *ret_kind = JWK_OKP_ED25519;
        return true;
    }
    if (!EVP_PKEY_is_a(pkey, "EC") ||
        EVP_PKEY_get_group_name(pkey, group, sizeof group, &len) != 1) {
        ossl_forget();
        const char *name = EVP_PKEY_get0_type_name(pkey);
        return err_set(err, ERR_FORMAT,
            "key of type %s; EC on P-256, P-384 or P-521, Ed25519 and RSA are taken",
            name ? name : "unknown");
    }
    if (strcmp(group, "prime256v1") == 0 || strcmp(group, "P-256") == 0)
        *ret_kind = JWK_EC_P256;
    else if (strcmp(group, "secp384r1") == 0 || strcmp(group, "P-384") == 0)
        *ret_kind = JWK_EC_P384;
    else if (strcmp(group, "secp521r1") == 0 || strcmp(group, "P-521") == 0)
        *ret_kind = JWK_EC_P521;
    else
        return err_set(err, ERR_FORMAT, "EC key on %s; P-256, P-384 and P-521 are taken", group);
    return true;
}

static bool check_rsa(EVP_PKEY *pkey, struct err *err)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return err_set(err, ERR_FORMAT, "RSA key of %d bits; %d to %d are taken", bits,
            RSA_BITS_MIN, RSA_BITS_MAX);
    auto_bignum *n = NULL, *e = NULL;
    if (EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) != 1 ||
        EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) != 1)
        return err_set(err, ERR_FORMAT, "RSA key without n or e: %s", ossl_reason());
    if (!BN_is_odd(n))
        return err_set(err, ERR_FORMAT, "RSA modulus is even");
    if (!BN_is_odd(e) || BN_num_bits(e) > 64 || BN_get_word(e) < RSA_E_MIN)
        return err_set(
            err, ERR_FORMAT, "RSA exponent must be odd, at least %d and below 2^64", RSA_E_MIN);
    return true;
}

/* Beyond what importing checked: an EC point within range and on its curve (the cofactor is 1, so
 * that is the whole public check), a private part that belongs to the public one. */
static bool check_math(EVP_PKEY *pkey, enum jwk_kind kind, bool is_private, struct err *err)
{
    if (!is_private && kind == JWK_RSA)
        return true;
    if (!is_private && kind == JWK_OKP_ED25519)
        return jwk_okp_check(pkey, err);
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    if (!ctx)
        return err_nomem(err);
    if ((is_private ? EVP_PKEY_check(ctx) : EVP_PKEY_public_check_quick(ctx)) == 1)
        return true;
    return err_set(err, ERR_CRYPTO,
        is_private ? "private and public part do not belong together: %s"
                   : "the public point is not valid: %s",
        ossl_reason());
}

bool jwk_wrap(EVP_PKEY *pkey, bool is_private, bool trusted, struct jwk **ret_jwk, struct err *err)
{
    enum jwk_kind kind;
    if (!find_kind(pkey, &kind, err) || (kind == JWK_RSA && !check_rsa(pkey, err)) ||
        (!trusted && !check_math(pkey, kind, is_private, err)))
        return false;
    struct jwk *jwk = calloc(1, sizeof *jwk);
    if (!jwk || EVP_PKEY_up_ref(pkey) != 1) {
        free(jwk);
        return err_nomem(err);
    }
    atomic_init(&jwk->refs, 1);
    jwk->kind = kind;
    jwk->is_private = is_private;
    jwk->pkey = pkey;
    *ret_jwk = jwk;
    return true;
}

bool jwk_wrap_octets(struct secret *octets, struct jwk **ret_jwk, struct err *err)
{
    struct jwk *jwk = calloc(1, sizeof *jwk);
    if (!jwk)
        return err_nomem(err);
    atomic_init(&jwk->refs, 1);
    jwk->kind = JWK_OCT;
    jwk->is_private = true;
    jwk->octets = secret_ref(octets);
    *ret_jwk = jwk;
    return true;
}

bool jwk_from_spki(struct bytes der, struct jwk **ret_jwk, struct err *err)
{
    const uint8_t *at = der.data;
    if (der.len == 0 || der.len > JWK_TEXT_MAX)
        return err_set(
            err, ERR_FORMAT, "public key of %zu bytes; 1 to %d are taken", der.len, JWK_TEXT_MAX);
    auto_pkey *pkey = d2i_PUBKEY(NULL, &at, (long)der.len);
    if (!pkey)
        return err_set(err, ERR_FORMAT, "no DER SubjectPublicKeyInfo: %s", ossl_reason());
    if (at != der.data + der.len)
        return err_set(err, ERR_FORMAT, "%zu bytes follow the DER SubjectPublicKeyInfo",
            (size_t)(der.data + der.len - at));
    return jwk_wrap(pkey, false, false, ret_jwk, err);
}

bool jwk_spki(const struct jwk *jwk, struct buf *out, struct err *err)
{
    if (!jwk->pkey)
        return err_set(err, ERR_FORMAT, "a symmetric key has no public part");
    uint8_t *der = NULL;
    int len = i2d_PUBKEY(jwk->pkey, &der);
    if (len <= 0)
        return err_set(err, ERR_INTERNAL, "encoding a public key: %s", ossl_reason());
    bool done = buf_append(out, bytes_of(der, (size_t)len), err);
    OPENSSL_free(der);
    return done;
}

static bool generate_pkey(enum jwk_kind kind, EVP_PKEY **ret_pkey, struct err *err)
{
    if (kind == JWK_OKP_ED25519)
        return jwk_okp_generate(ret_pkey, err);
    if (kind != JWK_RSA)
        return jwk_group_generate(kind, ret_pkey, err);
    EVP_PKEY *pkey = EVP_RSA_gen((unsigned)RSA_BITS_MIN);
    if (!pkey)
        return err_set(err, ERR_INTERNAL, "making a key: %s", ossl_reason());
    *ret_pkey = pkey;
    return true;
}

bool jwk_generate(enum jwk_kind kind, const char *kid, struct jwk **ret_jwk, struct err *err)
{
    auto_jwk *jwk = NULL;
    auto_pkey *pkey = NULL;
    auto_secret *octets = NULL;
    if (kind == JWK_OCT
            ? !secret_random(32, &octets, err) || !jwk_wrap_octets(octets, &jwk, err)
            : !generate_pkey(kind, &pkey, err) || !jwk_wrap(pkey, true, true, &jwk, err))
        return false;
    if (kid && !(jwk->kid = strdup(kid)))
        return err_nomem(err);
    *ret_jwk = take_ptr(jwk);
    return true;
}
