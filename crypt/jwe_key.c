/* SPDX-License-Identifier: Apache-2.0 */
/* JWE key management (RFC 7518 sections 4.3 and 4.6): ECDH-ES+A256KW and RSA-OAEP-256. Z, the
 * wrapping key and the content key live in wiped stack memory and in OpenSSL's objects. */
#include "crypt/jwe_internal.h"

#include <openssl/rsa.h>

#include "crypt/aead.h"
#include "crypt/hash.h"

#define RSA_SIZE_MAX 512

static const struct {
    enum jwk_kind kind;
    const char *name;
} algs[] = {
    {JWK_EC_P256, "ECDH-ES+A256KW"},
    {JWK_EC_P521, "ECDH-ES+A256KW"},
    {JWK_RSA, "RSA-OAEP-256"},
};

const char *jwe_alg_for(const struct jwk *key)
{
    for (size_t i = 0; i < ARRAY_LEN(algs); i++)
        if (algs[i].kind == jwk_kind(key))
            return algs[i].name;
    return NULL;
}

bool jwe_agree(const struct jwk *own, const struct jwk *peer, struct jwe_z *ret_z, struct err *err)
{
    enum jwk_kind kind = jwk_kind(own);
    if ((kind != JWK_EC_P256 && kind != JWK_EC_P521) || jwk_kind(peer) != kind)
        return err_set(err, ERR_CRYPTO, "key agreement needs two keys on P-256 or two on P-521");
    if (!jwk_is_private(own))
        return err_set(err, ERR_CRYPTO, "key agreement needs a private key; this one is public");
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, jwk_pkey(own), NULL);
    auto_jwe_z z = {0};
    size_t want = kind == JWK_EC_P256 ? 32 : 66;
    z.len = sizeof z.data;
    /* The peer's point was checked when it became a struct jwk: not once more here. */
    if (!ctx || EVP_PKEY_derive_init(ctx) != 1 ||
        EVP_PKEY_derive_set_peer_ex(ctx, jwk_pkey(peer), 0) != 1 ||
        EVP_PKEY_derive(ctx, z.data, &z.len) != 1 || z.len != want)
        return err_set(err, ERR_CRYPTO, "key agreement: %s", ossl_reason());
    *ret_z = z;
    return true;
}

static void put_be32(uint8_t out[4], size_t value)
{
    for (int i = 0; i < 4; i++)
        out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void hash_wipe(struct hash *hash)
{
    secret_wipe(hash, sizeof *hash);
}

bool jwe_derive(const struct jwe_z *z, const char *algorithm, struct bytes apu, struct bytes apv,
    unsigned bits, struct key32 *ret_key, struct err *err)
{
    uint8_t round[4], alg_len[4], apu_len[4], apv_len[4], key_bits[4];
    put_be32(round, 1);
    put_be32(alg_len, strlen(algorithm));
    put_be32(apu_len, apu.len);
    put_be32(apv_len, apv.len);
    put_be32(key_bits, bits);
    const struct bytes pieces[] = {bytes_of(round, 4), jwe_z_bytes(z), bytes_of(alg_len, 4),
        bytes_str(algorithm), bytes_of(apu_len, 4), apu, bytes_of(apv_len, 4), apv,
        bytes_of(key_bits, 4)};
    AUTO_DONE(hash_wipe) struct hash hash;
    if (bits > 256 || bits % 8 != 0)
        return err_set(err, ERR_INTERNAL, "derived key of %u bits", bits);
    if (!hash_pieces(HASH_SHA256, pieces, ARRAY_LEN(pieces), &hash, err))
        return false;
    *ret_key = (struct key32){{0}};
    memcpy(ret_key->data, hash.data, bits / 8);
    return true;
}

/* The key that wraps the content key, from our private key and the other's public one. */
static bool derive_kek(const struct jwk *own, const struct jwk *peer, struct bytes apu,
    struct bytes apv, struct key32 *ret_kek, struct err *err)
{
    auto_jwe_z z;
    return jwe_agree(own, peer, &z, err) &&
           jwe_derive(&z, algs[0].name, apu, apv, 256, ret_kek, err);
}

/* A context for OAEP with SHA-256 as its hash and in its MGF1 (RFC 7518 section 4.3). */
static bool oaep_begin(
    const struct jwk *key, int (*init)(EVP_PKEY_CTX *), EVP_PKEY_CTX **ret_ctx, struct err *err)
{
    auto_pkey_ctx *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, jwk_pkey(key), NULL);
    if (!ctx || init(ctx) != 1 || EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1)
        return err_set(err, ERR_INTERNAL, "RSA-OAEP-256: %s", ossl_reason());
    *ret_ctx = take_ptr(ctx);
    return true;
}

struct rsa_block {
    uint8_t data[RSA_SIZE_MAX];
};

static void rsa_block_wipe(struct rsa_block *block)
{
    secret_wipe(block, sizeof *block);
}

static bool open_rsa(
    const struct jwk *recipient, struct bytes encrypted_key, struct key32 *ret_cek, struct err *err)
{
    auto_pkey_ctx *ctx = NULL;
    AUTO_DONE(rsa_block_wipe) struct rsa_block block;
    size_t len = sizeof block.data;
    if (!jwk_is_private(recipient))
        return err_set(err, ERR_CRYPTO, "opening needs a private key; this one is public");
    if (!oaep_begin(recipient, EVP_PKEY_decrypt_init, &ctx, err))
        return false;
    /* One answer, whatever went wrong inside: OAEP must not become an oracle. */
    bool done = EVP_PKEY_decrypt(ctx, block.data, &len, encrypted_key.data, encrypted_key.len) == 1;
    ossl_forget();
    if (!done || len != sizeof ret_cek->data)
        return err_set(err, ERR_CRYPTO,
            "encrypted_key does not open with this RSA key: it was made for another key, with "
            "SHA-1 OAEP, or was altered");
    memcpy(ret_cek->data, block.data, sizeof ret_cek->data);
    return true;
}

bool jwe_open_key(const struct jwk *recipient, const struct jwe_agreement *agreement,
    struct bytes encrypted_key, struct key32 *ret_cek, struct err *err)
{
    if (jwk_kind(recipient) == JWK_RSA)
        return open_rsa(recipient, encrypted_key, ret_cek, err);
    auto_key32 kek;
    return derive_kek(recipient, agreement->epk, agreement->apu, agreement->apv, &kek, err) &&
           (keywrap_unwrap_key32(key32_bytes(&kek), encrypted_key, ret_cek->data, err) ||
               err_wrap(err, "encrypted_key"));
}

static bool seal_rsa(
    const struct jwk *recipient, const struct key32 *cek, struct buf *out, struct err *err)
{
    auto_pkey_ctx *ctx = NULL;
    uint8_t block[RSA_SIZE_MAX];
    size_t len = sizeof block;
    if (!oaep_begin(recipient, EVP_PKEY_encrypt_init, &ctx, err))
        return false;
    if (EVP_PKEY_encrypt(ctx, block, &len, cek->data, sizeof cek->data) != 1)
        return err_set(err, ERR_INTERNAL, "RSA-OAEP-256: %s", ossl_reason());
    return buf_append(out, bytes_of(block, len), err);
}

bool jwe_seal_key(const struct jwk *recipient, const struct jwk *ephemeral, const struct key32 *cek,
    struct buf *out, struct err *err)
{
    if (jwk_kind(recipient) == JWK_RSA)
        return seal_rsa(recipient, cek, out, err);
    auto_key32 kek;
    return derive_kek(ephemeral, recipient, BYTES_EMPTY, BYTES_EMPTY, &kek, err) &&
           keywrap_wrap(key32_bytes(&kek), key32_bytes(cek), out, err);
}
