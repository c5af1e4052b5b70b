/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-2, HMAC-SHA-256 and random bytes on OpenSSL's EVP. Thread-safe. */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define HASH_SIZE_MAX 64

enum hash_alg { HASH_SHA256, HASH_SHA384, HASH_SHA512 };

struct hash {
    uint8_t data[HASH_SIZE_MAX];
    size_t len;
};

size_t hash_size(enum hash_alg alg);
/* "sha256", "sha384", "sha512", case-insensitive; false when unknown. */
bool hash_alg_parse(const char *name, enum hash_alg *ret_alg) MUST_CHECK;
bool hash_bytes(enum hash_alg alg, struct bytes data, struct hash *ret_hash, struct err *err)
    MUST_CHECK;
/* Over the concatenation of `count` pieces. */
bool hash_pieces(enum hash_alg alg, const struct bytes *pieces, size_t count, struct hash *ret_hash,
    struct err *err) MUST_CHECK;
bool hash_hmac_sha256(struct bytes key, struct bytes data, uint8_t ret_mac[32], struct err *err)
    MUST_CHECK;
/* Public randomness: nonces, ids. Keys come from secret_random(). */
bool hash_random(uint8_t *out, size_t len, struct err *err) MUST_CHECK;
static inline struct bytes hash_view(const struct hash *hash)
{
    return bytes_of(hash->data, hash->len);
}
