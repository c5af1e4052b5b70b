/* SPDX-License-Identifier: Apache-2.0 */
/* What a client of sealed-attestd reads. The first byte is the kind of the request that was sent.
 */
#include <stdlib.h>

#include "attest/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attest_answer answer;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    if (size < 1)
        return 0;
    enum attest_kind kind = (enum attest_kind)(1 + (data[0] + 3) % 4);
    struct bytes message = bytes_of(data + 1, size - 1);
    if (!attest_answer_decode(kind, message, &answer, &err))
        return 0;
    if (!attest_answer_encode(kind, &answer, &out, &err))
        abort();
    if (!answer.refused && !bytes_equal(buf_bytes(&out), message))
        abort();
    return 0;
}
