/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker reads from the one before it, which it does not trust. Whatever is taken is written the same. */
#include <stdlib.h>

#include "fs/handover.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct handover_item item;
    auto_buf out = BUF_INIT(1 << 16);
    struct err err = ERR_INIT;
    if (!handover_decode(bytes_of(data, size), &item, &err))
        return 0;
    if (item.length > SECRET_SIZE_MAX || item.age_ms < 0 || item.fresh_ms < 0 ||
        item.limit_ms < 0 || !handover_encode(&item, &out, &err) ||
        !bytes_equal(buf_bytes(&out), bytes_of(data, size)))
        abort();
    return 0;
}
