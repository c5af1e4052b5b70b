/* SPDX-License-Identifier: Apache-2.0 */
/* Compact JWS: parse and verify. Nobody here holds the private key, so only the corpus verifies. */
#include <stdint.h>
#include <stdlib.h>

#include "crypt/jws.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key_text[] = /* RFC 7515 A.3, public */
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"}";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    auto_jws *jws = NULL;
    struct bytes payload;
    if (!secret_copy(bytes_str(key_text), &text, &err) || !jwk_from_secret(text, &key, &err))
        abort();
    if (!jws_parse(bytes_of(data, size), &jws, &err))
        return 0;
    if (!jws_header(jws) || !jws_alg_name(jws_alg(jws)))
        abort();
    if (jws_verify(jws, key, ~0u, &payload, &err) && jws_alg(jws) != JWS_ES256)
        abort();
    return 0;
}
