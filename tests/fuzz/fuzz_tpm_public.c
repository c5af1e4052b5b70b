/* SPDX-License-Identifier: Apache-2.0 */
/* The three parsers of TPM structures, and the checks of enrolment behind TPM2B_PUBLIC. */
#include "attest/verify/credential.h"
#include "attest/verify/tpm_structs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct tpm_public public;
    struct tpm_attest attest;
    struct tpm_signature signature;
    struct bytes input = bytes_of(data, size);
    char ek_sha256[65];
    auto_buf name = BUF_INIT(64), spki = BUF_INIT(1024);
    tpm_structs_silence();
    if (tpm_attest_parse(input, &attest, &err) && attest.extra_len > sizeof attest.extra_data)
        __builtin_trap();
    if (tpm_signature_parse(input, &signature, &err) && signature.len > sizeof signature.data)
        __builtin_trap();
    if (!tpm_public_parse(input, &public, &err) || public.modulus_len > sizeof public.modulus)
        return 0;
    if (credential_check_ak(input, &name, &spki, &err) && (name.len != 34 || spki.len == 0))
        __builtin_trap();
    if (credential_check_ek(input, BYTES_EMPTY, BYTES_EMPTY, ek_sha256, &err))
        __builtin_trap(); /* nobody vouches for it */
    return 0;
}
