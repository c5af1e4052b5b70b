/* SPDX-License-Identifier: Apache-2.0 */
/* What sealed-attestd reads from its socket. Whatever is taken must survive being written and read
 * again. */
#include <stdlib.h>

#include "attest/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct attest_request request, again;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    if (!attest_request_decode(bytes_of(data, size), &request, &err))
        return 0;
    if (!attest_request_encode(&request, &out, &err) ||
        !bytes_equal(buf_bytes(&out), bytes_of(data, size)) ||
        !attest_request_decode(buf_bytes(&out), &again, &err))
        abort();
    return 0;
}
