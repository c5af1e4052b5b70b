/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever is decoded must encode to the very same text: one text for one value. */
#include <stdlib.h>
#include <string.h>

#include "crypt/base/b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes text = bytes_of(data, size);
    struct err err;
    for (enum b64_kind kind = B64_STD; kind <= B64_URL_PAD; kind++) {
        auto_buf out = BUF_INIT(b64_decoded_max(size));
        if (!b64_decode(kind, text, "input", &out, &err))
            continue;
        auto_free char *again = b64_encode(kind, buf_bytes(&out));
        if (!again || !bytes_equal(bytes_str(again), text))
            abort();
    }
    auto_free uint8_t *digest = malloc(size / 2 + 1);
    if (digest && hex_decode(text, "input", digest, size / 2, &err)) {
        auto_free char *again = hex_encode_dup(bytes_of(digest, size / 2));
        if (!again || strlen(again) != size)
            abort();
    }
    return 0;
}
