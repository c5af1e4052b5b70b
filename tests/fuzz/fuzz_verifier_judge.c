/* SPDX-License-Identifier: Apache-2.0 */
/* The bodies of /attest, /agent/enroll and /attestation as others send them. The first byte chooses: 0 sample, 1 tpm, 3 /attestation, else
 * enrolment. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "kbs/server/verifier/verifier_judge.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_secret *credential = NULL;
    if (size == 0)
        return 0;
    struct verifier_request request = {
        .kind = data[0] < 2    ? VERIFIER_EVIDENCE
                : data[0] == 3 ? VERIFIER_REST
                               : VERIFIER_ENROL,
        .nonce = "AAAA",
        .device_tees = "tpm sample sampledevice",
        .body = bytes_of(data + 1, size - 1),
    };
    snprintf(request.tee, sizeof request.tee, "%s", data[0] == 0 ? "sample" : "tpm");
    if (!secret_new(VERIFIER_CREDENTIAL_SIZE, &credential, &err))
        return 0;
    if (!verifier_judge(&request, credential, &text, &err) ||
        !verifier_answer_decode(request.kind, buf_bytes(&text), &answer, &err))
        abort(); /* whatever came in, the front can read the answer */
    return 0;
}
