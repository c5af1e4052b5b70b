/* SPDX-License-Identifier: Apache-2.0 */
/* The block of collateral that crosses to the verifier process. */
#include <stdint.h>
#include <stdlib.h>

#include "attest/verify/collateral.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_collateral *set = NULL;
    auto_buf again = BUF_INIT(COLLATERAL_TOTAL_MAX);
    if (!collateral_decode(bytes_of(data, size), &set, &err))
        return 0;
    if (!collateral_encode(set, &again, &err) ||
        !bytes_equal(buf_bytes(&again), bytes_of(data, size)))
        abort(); /* there is one form of a set */
    return 0;
}
