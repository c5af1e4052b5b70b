/* SPDX-License-Identifier: Apache-2.0 */
/* JWE as a KBS sends it: the input as the whole text, and as the protected header of a text that is otherwise whole. */
#include <stdint.h>
#include <stdlib.h>

#include "crypt/base/b64.h"
#include "crypt/jwe.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key_text[] = /* RFC 7518 appendix C, Alice */
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","
    "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\",\"d\":\"0_"
    "NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo\"}";

static void decrypt(struct bytes text, const struct jwk *key)
{
    struct err err = ERR_INIT;
    auto_secret *plaintext = NULL;
    if (jwe_decrypt(text, key, &plaintext, &err) != (plaintext != NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    auto_buf whole = BUF_INIT(JWE_TEXT_MAX);
    if (!secret_copy(bytes_str(key_text), &text, &err) || !jwk_from_secret(text, &key, &err))
        abort();
    decrypt(bytes_of(data, size), key);
    auto_free char *header = b64_encode(B64_URL, bytes_of(data, size));
    if (header && buf_printf(&whole, &err,
                      "{\"protected\":\"%s\",\"encrypted_key\":\"T0NVWKoWucQiDmmVc2dmvQ8xVyt-"
                      "7o5H1C0MnaCf5KFFpsfACs-0RQ\","
                      "\"iv\":\"AAECAwQFBgcICQoL\",\"ciphertext\":\"L2e6d6o\",\"tag\":"
                      "\"3zqRWjow7sTP8b98oZP3dA\"}",
                      header))
        decrypt(buf_bytes(&whole), key);
    return 0;
}
