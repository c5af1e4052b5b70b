/* SPDX-License-Identifier: Apache-2.0 */
/* Init-data as a guest sends it: what is taken gives an object of claims within its limits. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kbs/server/verifier/init_data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_free char *text = strndup((const char *)data, size);
    auto_json *claims = NULL;
    struct hash digest;
    struct err err = ERR_INIT;
    if (!text || !init_data_read(text, &digest, &claims, &err))
        return 0;
    if (!json_is_object(claims) || json_is_deeper(claims, INIT_DATA_DEPTH_MAX) || digest.len < 32)
        abort();
    return 0;
}
