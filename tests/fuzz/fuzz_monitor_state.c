/* SPDX-License-Identifier: Apache-2.0 */
/* What a monitor reads after it has executed anew. Whatever is taken is written the same. */
#include <stdlib.h>

#include "fs/state.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state state;
    auto_buf out = BUF_INIT(STATE_SIZE_MAX);
    struct err err = ERR_INIT;
    if (!state_decode(bytes_of(data, size), &state, &err))
        return 0;
    if (!state_encode(&state, &out, &err) || !bytes_equal(buf_bytes(&out), bytes_of(data, size)))
        abort();
    state_done(&state);
    return 0;
}
