/* SPDX-License-Identifier: Apache-2.0 */
/* ear_verify twice: the input as a token, and as the payload of a token that is truly signed. */
#include "tests/unit/ear_key.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct jwk *signer;
    struct err err = ERR_INIT;
    if (!signer && !ear_test_key(&signer, &err))
        __builtin_trap();
    struct bytes input = bytes_of(data, size);
    auto_ear as_token = {0}, as_payload = {0};
    auto_free char *token = NULL;
    if (ear_verify(input, signer, EAR_TEST_NOW, &as_token, &err))
        __builtin_trap(); /* nobody signed it */
    if (!jws_sign(signer, NULL, input, &token, &err))
        return 0;
    if (ear_verify(bytes_str(token), signer, EAR_TEST_NOW, &as_payload, &err) &&
        (!as_payload.tee_key || as_payload.expires_at <= EAR_TEST_NOW))
        __builtin_trap();
    return 0;
}
