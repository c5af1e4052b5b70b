/* SPDX-License-Identifier: Apache-2.0 */
/* AES-256-GCM (12-byte nonce, 16-byte tag) and AES key wrap (RFC 3394), output straight into locked
 * memory. A failed tag or wrap check is ERR_CRYPTO and leaves nothing behind. */
#pragma once

#include "crypt/base/secret.h"
#include "crypt/base/buf.h"

#define AEAD_NONCE_SIZE 12
#define AEAD_TAG_SIZE   16

bool aead_open(struct bytes key32, struct bytes nonce, struct bytes aad, struct bytes ciphertext,
    struct bytes tag, struct secret **ret_plaintext, struct err *err) MUST_CHECK;
/* Appends the ciphertext to `out` and writes the tag. */
bool aead_seal(struct bytes key32, struct bytes nonce, struct bytes aad, struct bytes plaintext,
    struct buf *out, uint8_t ret_tag[AEAD_TAG_SIZE], struct err *err) MUST_CHECK;

/* RFC 3394 with the default IV; `kek` is 32 bytes; wrapped is 8 bytes longer than the key (16..64,
 * multiple of 8). */
bool keywrap_unwrap(
    struct bytes kek, struct bytes wrapped, struct secret **ret_key, struct err *err) MUST_CHECK;
/* The same for a 256-bit key that lives on the caller's stack (wiped by him, see crypt/ossl.h). */
bool keywrap_unwrap_key32(
    struct bytes kek, struct bytes wrapped, uint8_t ret_key[32], struct err *err) MUST_CHECK;
bool keywrap_wrap(struct bytes kek, struct bytes key, struct buf *out, struct err *err) MUST_CHECK;
