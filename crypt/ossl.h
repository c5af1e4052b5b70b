/* SPDX-License-Identifier: Apache-2.0 */
/* What this room needs around OpenSSL's EVP: scope cleanup for its objects, 32-byte keys on the
 * stack, and its last error as text. */
#pragma once

#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include "crypt/base/cleanup.h"
#include "crypt/base/secret.h"

DEFINE_AUTO(EVP_PKEY, EVP_PKEY_free);
DEFINE_AUTO(EVP_PKEY_CTX, EVP_PKEY_CTX_free);
DEFINE_AUTO(EVP_MD_CTX, EVP_MD_CTX_free);
DEFINE_AUTO(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free);
DEFINE_AUTO(BIGNUM, BN_clear_free);
DEFINE_AUTO(BN_CTX, BN_CTX_free);
DEFINE_AUTO(ECDSA_SIG, ECDSA_SIG_free);
#define auto_pkey       AUTO(EVP_PKEY_free) EVP_PKEY
#define auto_pkey_ctx   AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX
#define auto_md_ctx     AUTO(EVP_MD_CTX_free) EVP_MD_CTX
#define auto_cipher_ctx AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX
#define auto_bignum     AUTO(BN_clear_free) BIGNUM
#define auto_ecdsa_sig  AUTO(ECDSA_SIG_free) ECDSA_SIG

/* Why the last OpenSSL call of this thread failed (static text, never NULL); empties its error
 * queue. */
const char *ossl_reason(void);
/* Looked up once. What EVP_aes_256_gcm() and the like return is a name, which each use has OpenSSL look up again. */
const EVP_CIPHER *ossl_aes256_gcm(void);
const EVP_CIPHER *ossl_aes256_wrap(void);
const EVP_MD *ossl_sha256(void);
/* A check failed as checks do: only empties the queue, so that the next reason told is not this
 * one. */
void ossl_forget(void);

/* Key material that lives for one call: on the stack, wiped however the scope ends. */
struct key32 {
    uint8_t data[32];
};
static inline void key32_wipe(struct key32 *key)
{
    secret_wipe(key, sizeof *key);
}
#define auto_key32 AUTO_DONE(key32_wipe) struct key32
static inline struct bytes key32_bytes(const struct key32 *key)
{
    return bytes_of(key->data, sizeof key->data);
}
