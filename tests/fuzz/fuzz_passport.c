/* SPDX-License-Identifier: Apache-2.0 */
/* The text of a passport: whatever is taken has a token that is a text, and a private key that a resource can be encrypted to. */
#include <openssl/crypto.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kbs/passport.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    char *token = NULL;
    auto_jwk *key = NULL;
    if (size >= PASSPORT_MAX)
        size = PASSPORT_MAX - 1;
    if (!passport_parse(bytes_of(data, size), &token, &key, &err)) {
        if (token || key || err.code == ERR_OK)
            abort();
        return 0;
    }
    if (!token || strlen(token) >= size || !key || !jwk_is_private(key) ||
        jwk_kind(key) == JWK_OCT || jwk_kind(key) == JWK_OKP_ED25519)
        abort();
    OPENSSL_cleanse(token, strlen(token));
    free(token);
    return 0;
}
