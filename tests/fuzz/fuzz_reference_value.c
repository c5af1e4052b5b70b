/* SPDX-License-Identifier: Apache-2.0 */
/* refvalue_decode() on any bytes; every name that comes out is fit for the store. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/refvalue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_json *values = NULL;
    const char *name;
    json_t *value;
    if (!refvalue_decode(bytes_of(data, size), &values, &err))
        return 0;
    json_object_foreach(values, name, value)
    {
        if (!store_key_ok(name) || json_is_null(value))
            abort();
    }
    return 0;
}
