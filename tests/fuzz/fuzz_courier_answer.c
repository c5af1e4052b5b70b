/* SPDX-License-Identifier: Apache-2.0 */
/* What a courier that was taken over may send to the front: what is taken can be shown and stands inside the message. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/outbound/courier_wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void inside(struct bytes part, const uint8_t *data, size_t size)
{
    if (part.len > 0 && (part.data < data || part.data + part.len > data + size))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct courier_response response;
    struct err err = ERR_INIT;
    uint32_t id;
    if (!courier_answer_id(bytes_of(data, size), &id, &err) ||
        !courier_answer_decode(bytes_of(data, size), &response, &err))
        return err.code == ERR_OK ? abort(), 0 : 0;
    inside(response.body, data, size);
    for (size_t i = 0; i < COURIER_HEADER_COUNT; i++)
        inside(response.headers[i], data, size);
    return 0;
}
