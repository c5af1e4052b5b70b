/* SPDX-License-Identifier: Apache-2.0 */
/* refvalue_decode() on any bytes; every name that comes out is fit for the store. */
#include <stdint.h>
#include <stdlib.h>

#include "kbs/server/refvalue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_refvalue_change change = {0};
    char key[STORE_KEY_MAX + 1];
    const char *name;
    json_t *value;
    if (!refvalue_decode(bytes_of(data, size), &change, &err))
        return 0;
    json_object_foreach(change.values, name, value)
    {
        if (json_is_null(value) || !refvalue_key(name, key, &err) || !store_key_ok(key))
            abort();
    }
    return 0;
}
