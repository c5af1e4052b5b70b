/* SPDX-License-Identifier: Apache-2.0 */
/* What a verifier that was taken over may answer. The first byte says what was asked. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/verifier/verifier_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_verifier_answer answer = {0};
    auto_buf again = BUF_INIT(VERIFIER_ANSWER_MAX);
    if (size == 0)
        return 0;
    enum verifier_kind kind = data[0] == VERIFIER_ENROL ? VERIFIER_ENROL : VERIFIER_EVIDENCE;
    if (!verifier_answer_decode(kind, bytes_of(data + 1, size - 1), &answer, &err))
        return 0;
    if (!verifier_answer_encode(kind, &answer, &again, &err))
        abort(); /* what was taken can be told */
    return 0;
}
