/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed strings through every step of opening, as they come and as the payload of an unsigned form (so that the
 * payload's own parser is reached without a signature). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/b64.h"
#include "crypt/sealed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key_text[] =
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"QT3_slJmispaOwnAo6hxebXGLRuiveFuRCLpS4j4S4k\","
    "\"y\":\"jcDn4N4nRBQ-a7_D3qjqtb6hwOAXh_ve1wvibPSi1G0\"}";

static void open_all(struct bytes text, const struct jwk *signer, struct secret *fetched)
{
    struct err err = ERR_INIT;
    auto_sealed *sealed = NULL;
    auto_secret *plaintext = NULL;
    auto_json *json = NULL;
    const char *uri;
    size_t hint = sealed_length_hint(text);
    bool parsed = sealed_parse(text, &sealed, &err);
    if (sealed_describe(text, &json, &err) && !sealed_is_claimed(text))
        abort();
    if (!parsed)
        return;
    if (!sealed_is_claimed(text) || sealed_payload(sealed))
        abort();
    if (sealed_accept_unsigned(sealed, &err) && sealed_is_signed(sealed))
        abort();
    if (!sealed_payload(sealed) && !sealed_verify(sealed, signer, &err))
        return;
    bool in_context = sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, NULL, &err);
    if (in_context && sealed_payload(sealed)->context)
        abort();
    if (!sealed_uri(sealed, &uri, &err) || !sealed_open(sealed, fetched, &plaintext, &err))
        return;
    if (sealed_payload(sealed)->type == SEALED_ENVELOPE && secret_len(plaintext) != hint)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_secret *text = NULL, *fetched = NULL;
    auto_jwk *signer = NULL;
    uint8_t wrapping_key[32];
    for (uint8_t i = 0; i < sizeof wrapping_key; i++)
        wrapping_key[i] = i;
    if (!secret_copy(bytes_str(key_text), &text, &err) || !jwk_from_secret(text, &signer, &err) ||
        !secret_copy(bytes_of(wrapping_key, sizeof wrapping_key), &fetched, &err))
        abort();
    open_all(bytes_of(data, size), signer, fetched);
    auto_buf whole = BUF_INIT(SEALED_TEXT_MAX);
    auto_free char *payload = b64_encode(B64_URL, bytes_of(data, size));
    if (payload && buf_printf(&whole, &err, "sealed.fakejwsheader.%s.fakesignature", payload))
        open_all(buf_bytes(&whole), signer, fetched);
    return 0;
}
