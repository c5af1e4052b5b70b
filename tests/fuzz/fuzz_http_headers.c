/* SPDX-License-Identifier: Apache-2.0 */
/* Header lines of an answer: what is kept can be sent back and shown. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/http_headers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_headers headers = {0};
    struct err err = ERR_INIT;
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t len = end ? (size_t)(end - data) + 1 : size;
        if (!http_headers_line(&headers, bytes_of(data, len), &err))
            break;
        data += len;
        size -= len;
    }
    if (!http_header_ok(headers.set_cookie) || !http_header_ok(headers.content_type))
        abort();
    return 0;
}
