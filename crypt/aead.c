/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/aead.h"

#include <limits.h>

#include "crypt/ossl.h"

#define WRAP_EXTRA   8 /* RFC 3394: the wrapped key is one block of 64 bits longer */
#define WRAP_KEY_MIN 16
#define WRAP_KEY_MAX 64

static bool check_sizes(struct bytes key, struct bytes nonce, size_t len, struct err *err)
{
    if (key.len != 32)
        return err_set(err, ERR_FORMAT, "AES-256 key of %zu bytes; 32 are needed", key.len);
    if (nonce.len != AEAD_NONCE_SIZE)
        return err_set(err, ERR_FORMAT, "AES-GCM nonce of %zu bytes; %d are needed", nonce.len,
            AEAD_NONCE_SIZE);
    if (len > INT_MAX)
        return err_set(err, ERR_FORMAT, "%zu bytes are too many for one AES-GCM message", len);
    return true;
}

bool aead_open(struct bytes key32, struct bytes nonce, struct bytes aad, struct bytes ciphertext,
    struct bytes tag, struct secret **ret_plaintext, struct err *err)
{
    if (!check_sizes(key32, nonce, ciphertext.len | aad.len, err))
        return false;
    if (tag.len != AEAD_TAG_SIZE)
        return err_set(
            err, ERR_FORMAT, "AES-GCM tag of %zu bytes; %d are needed", tag.len, AEAD_TAG_SIZE);
    auto_secret *plaintext = NULL;
    if (!secret_new(ciphertext.len, &plaintext, err))
        return false;
    auto_cipher_ctx *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return err_nomem(err);

    uint8_t wanted[AEAD_TAG_SIZE]; /* OpenSSL's parameter is not const */
    memcpy(wanted, tag.data, sizeof wanted);
    int len = 0;
    bool done = EVP_DecryptInit_ex(ctx, ossl_aes256_gcm(), NULL, key32.data, nonce.data) == 1;
    if (done && aad.len > 0)
        done = EVP_DecryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1;
    if (done && ciphertext.len > 0)
        done = EVP_DecryptUpdate(
                   ctx, secret_data(plaintext), &len, ciphertext.data, (int)ciphertext.len) == 1;
    if (!done || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, sizeof wanted, wanted) != 1)
        return err_set(err, ERR_INTERNAL, "AES-256-GCM: %s", ossl_reason());
    uint8_t rest[1];
    if (EVP_DecryptFinal_ex(ctx, rest, &len) != 1) {
        ossl_forget();
        return err_set(
            err, ERR_CRYPTO, "the AES-GCM tag does not fit: wrong key, or the data was altered");
    }
    *ret_plaintext = take_ptr(plaintext);
    return true;
}

bool aead_seal(struct bytes key32, struct bytes nonce, struct bytes aad, struct bytes plaintext,
    struct buf *out, uint8_t ret_tag[AEAD_TAG_SIZE], struct err *err)
{
    if (!check_sizes(key32, nonce, plaintext.len | aad.len, err))
        return false;
    auto_free uint8_t *ciphertext = malloc(plaintext.len + 1);
    auto_cipher_ctx *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || !ciphertext)
        return err_nomem(err);

    uint8_t tag[AEAD_TAG_SIZE];
    uint8_t rest[1];
    int len = 0;
    bool done = EVP_EncryptInit_ex(ctx, ossl_aes256_gcm(), NULL, key32.data, nonce.data) == 1;
    if (done && aad.len > 0)
        done = EVP_EncryptUpdate(ctx, NULL, &len, aad.data, (int)aad.len) == 1;
    if (done && plaintext.len > 0)
        done = EVP_EncryptUpdate(ctx, ciphertext, &len, plaintext.data, (int)plaintext.len) == 1;
    if (!done || EVP_EncryptFinal_ex(ctx, rest, &len) != 1 ||
        EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, sizeof tag, tag) != 1)
        return err_set(err, ERR_INTERNAL, "AES-256-GCM: %s", ossl_reason());
    if (!buf_append(out, bytes_of(ciphertext, plaintext.len), err))
        return false;
    memcpy(ret_tag, tag, sizeof tag);
    return true;
}

/* A context for AES-256 key wrap in one direction, sizes checked. */
static bool wrap_begin(
    struct bytes kek, size_t key_len, bool encrypt, EVP_CIPHER_CTX **ret_ctx, struct err *err)
{
    if (kek.len != 32)
        return err_set(err, ERR_FORMAT, "wrapping key of %zu bytes; 32 are needed", kek.len);
    if (key_len < WRAP_KEY_MIN || key_len > WRAP_KEY_MAX || key_len % 8 != 0)
        return err_set(err, ERR_FORMAT,
            "AES key wrap (RFC 3394) takes keys of %d to %d bytes in steps of 8, here %zu; "
            "the wrapped form is 8 bytes longer",
            WRAP_KEY_MIN, WRAP_KEY_MAX, key_len);
    auto_cipher_ctx *ctx = EVP_CIPHER_CTX_new();
    if (!ctx)
        return err_nomem(err);
    EVP_CIPHER_CTX_set_flags(ctx, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    if (EVP_CipherInit_ex(ctx, ossl_aes256_wrap(), NULL, kek.data, NULL, encrypt) != 1)
        return err_set(err, ERR_INTERNAL, "AES-256 key wrap: %s", ossl_reason());
    *ret_ctx = take_ptr(ctx);
    return true;
}

/* `out` holds wrapped.len - 8 bytes; OpenSSL clears it when the check fails. */
static bool unwrap_to(struct bytes kek, struct bytes wrapped, uint8_t *out, struct err *err)
{
    auto_cipher_ctx *ctx = NULL;
    size_t key_len = wrapped.len > WRAP_EXTRA ? wrapped.len - WRAP_EXTRA : 0;
    if (!wrap_begin(kek, key_len, false, &ctx, err))
        return false;
    int len = 0;
    if (EVP_DecryptUpdate(ctx, out, &len, wrapped.data, (int)wrapped.len) == 1 &&
        (size_t)len == key_len)
        return true;
    ossl_forget();
    secret_wipe(out, key_len);
    return err_set(err, ERR_CRYPTO,
        "the wrapped key does not open: wrong wrapping key, or it was altered (RFC 3394 check)");
}

bool keywrap_unwrap(
    struct bytes kek, struct bytes wrapped, struct secret **ret_key, struct err *err)
{
    auto_secret *key = NULL;
    if (!secret_new(wrapped.len > WRAP_EXTRA && wrapped.len <= WRAP_KEY_MAX + WRAP_EXTRA
                        ? wrapped.len - WRAP_EXTRA
                        : 0,
            &key, err) ||
        !unwrap_to(kek, wrapped, secret_data(key), err))
        return false;
    *ret_key = take_ptr(key);
    return true;
}

bool keywrap_unwrap_key32(
    struct bytes kek, struct bytes wrapped, uint8_t ret_key[32], struct err *err)
{
    if (wrapped.len != 32 + WRAP_EXTRA)
        return err_set(err, ERR_FORMAT, "wrapped key of %zu bytes; a 256-bit key takes %d",
            wrapped.len, 32 + WRAP_EXTRA);
    auto_key32 key;
    if (!unwrap_to(kek, wrapped, key.data, err))
        return false;
    memcpy(ret_key, key.data, sizeof key.data);
    return true;
}

bool keywrap_wrap(struct bytes kek, struct bytes key, struct buf *out, struct err *err)
{
    auto_cipher_ctx *ctx = NULL;
    if (!wrap_begin(kek, key.len, true, &ctx, err))
        return false;
    uint8_t wrapped[WRAP_KEY_MAX + WRAP_EXTRA];
    int len = 0;
    if (EVP_EncryptUpdate(ctx, wrapped, &len, key.data, (int)key.len) != 1 ||
        (size_t)len != key.len + WRAP_EXTRA)
        return err_set(err, ERR_INTERNAL, "AES-256 key wrap: %s", ossl_reason());
    return buf_append(out, bytes_of(wrapped, (size_t)len), err);
}
