/* SPDX-License-Identifier: Apache-2.0 */
/* Keys from locked text (JWK and PEM), from JSON and from DER: what is taken can be written and is the same key again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/jwk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_again(const struct jwk *jwk)
{
    struct err err = ERR_INIT;
    auto_jwk *again = NULL;
    auto_secret *text = NULL;
    auto_json *json = NULL;
    char first[44], second[44];
    if (!jwk_thumbprint(jwk, first, &err))
        abort();
    if (jwk_is_private(jwk)
            ? !jwk_private_text(jwk, &text, &err) || !jwk_from_secret(text, &again, &err)
            : !jwk_public_json(jwk, NULL, &json, &err) || !jwk_from_json(json, false, &again, &err))
        abort();
    if (!jwk_thumbprint(again, second, &err) || strcmp(first, second) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_secret *text = NULL;
    auto_jwk *from_text = NULL, *from_json = NULL, *from_der = NULL;
    auto_json *json = NULL;
    if (size > JWK_TEXT_MAX + 1 || !secret_copy(bytes_of(data, size), &text, &err))
        return 0;
    if (jwk_from_secret(text, &from_text, &err))
        same_again(from_text);
    if (json_load_strict(bytes_of(data, size), JWK_TEXT_MAX, "fuzz", &json, &err) &&
        jwk_from_json(json, true, &from_json, &err))
        same_again(from_json);
    if (jwk_from_spki(bytes_of(data, size), &from_der, &err))
        same_again(from_der);
    return 0;
}
