/* SPDX-License-Identifier: Apache-2.0 */
/* Every getter over any bytes; what was read in full is written to the same bytes again. */
#include <stdlib.h>

#include "crypt/base/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64];
    struct err err;
    struct pack_reader in = pack_reader(bytes_of(data, size));
    auto_buf buf = BUF_INIT(size + 64);
    struct pack_writer out = pack_writer(&buf);
    pack_put_u8(&out, pack_get_u8(&in));
    pack_put_u16(&out, pack_get_u16(&in));
    pack_put_u32(&out, pack_get_u32(&in));
    pack_put_u64(&out, pack_get_u64(&in));
    pack_put_fixed(&out, pack_get_fixed(&in, 3));
    pack_put_block16(&out, pack_get_block16(&in, 100));
    pack_put_block(&out, pack_get_block(&in, 100));
    pack_get_text(&in, text, sizeof text);
    pack_put_text(&out, text);
    if (!pack_finish(&in, "input", &err))
        return 0;
    if (!pack_written(&out, "output", &err) || !bytes_equal(buf_bytes(&buf), bytes_of(data, size)))
        abort();
    return 0;
}
