/* SPDX-License-Identifier: Apache-2.0 */
/* Verification of evidence of every TEE: JSON, base64, the TEE's structures, certificates, the checks. */
#include "attest/verify/tpm_structs.h"
#include "tests/unit/evidence_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    tpm_structs_silence();
    auto_evidence_file file = {0};
    if (!evidence_file_parse(bytes_of(data, size), &file, &err))
        return 0;
    auto_verdict verdict = {0};
    if (verify_evidence(file.verifier, &file.input, &verdict, &err) &&
        !verdict.claims == !(verdict.reason_count + verdict.need_count))
        __builtin_trap(); /* claims, or reasons and needs, never both or neither */
    return 0;
}
