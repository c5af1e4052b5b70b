/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/hash.h"

#include <limits.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <strings.h>

#include "crypt/ossl.h"

static const struct {
    const char *name;
    size_t size;
    const EVP_MD *(*md)(void);
} hash_algs[] = {
    [HASH_SHA256] = {"sha256", 32, ossl_sha256},
    [HASH_SHA384] = {"sha384", 48, EVP_sha384},
    [HASH_SHA512] = {"sha512", 64, EVP_sha512},
};

size_t hash_size(enum hash_alg alg)
{
    return hash_algs[alg].size;
}

bool hash_alg_parse(const char *name, enum hash_alg *ret_alg)
{
    for (size_t i = 0; i < ARRAY_LEN(hash_algs); i++) {
        if (strcasecmp(name, hash_algs[i].name) == 0) {
            *ret_alg = (enum hash_alg)i;
            return true;
        }
    }
    return false;
}

bool hash_bytes(enum hash_alg alg, struct bytes data, struct hash *ret_hash, struct err *err)
{
    return hash_pieces(alg, &data, 1, ret_hash, err);
}

bool hash_pieces(enum hash_alg alg, const struct bytes *pieces, size_t count, struct hash *ret_hash,
    struct err *err)
{
    auto_md_ctx *ctx = EVP_MD_CTX_new();
    if (!ctx)
        return err_nomem(err);
    bool done = EVP_DigestInit_ex(ctx, hash_algs[alg].md(), NULL) == 1;
    for (size_t i = 0; done && i < count; i++)
        done = EVP_DigestUpdate(ctx, pieces[i].data, pieces[i].len) == 1;
    if (!done || EVP_DigestFinal_ex(ctx, ret_hash->data, NULL) != 1)
        return err_set(err, ERR_INTERNAL, "%s: %s", hash_algs[alg].name, ossl_reason());
    ret_hash->len = hash_algs[alg].size;
    return true;
}

bool hash_hmac_sha256(struct bytes key, struct bytes data, uint8_t ret_mac[32], struct err *err)
{
    unsigned len = 0;
    if (key.len > INT_MAX)
        return err_set(err, ERR_INTERNAL, "HMAC key of %zu bytes", key.len);
    /* OpenSSL takes a NULL key for "the one set before"; an empty key is not that. */
    if (!HMAC(EVP_sha256(), key.len ? key.data : (const uint8_t *)"", (int)key.len, data.data,
            data.len, ret_mac, &len) ||
        len != 32)
        return err_set(err, ERR_INTERNAL, "HMAC-SHA-256: %s", ossl_reason());
    return true;
}

bool hash_random(uint8_t *out, size_t len, struct err *err)
{
    if (len > INT_MAX || RAND_bytes(out, (int)len) != 1)
        return err_set(err, ERR_INTERNAL, "random bytes: %s", ossl_reason());
    return true;
}
