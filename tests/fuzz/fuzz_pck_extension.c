/* SPDX-License-Identifier: Apache-2.0 */
/* The SGX extension of a PCK certificate. */
#include "attest/verify/pck_extension.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct pck_extension extension;
    if (!pck_extension_parse(bytes_of(data, size), &extension, &err) && err.code != ERR_FORMAT)
        __builtin_trap();
    return 0;
}
