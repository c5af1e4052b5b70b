/* SPDX-License-Identifier: Apache-2.0 */
/* The address of who asks for a credential: what is taken holds only what it may, and is the whole of the address. */
#include "fs/credential_name.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct credential_name name;
    struct err err = ERR_INIT;
    char tail[2 * CREDENTIAL_WORD_SIZE + 16];
    if (!credential_name_parse(bytes_of(data, size), &name, &err))
        return 0;
    int len = snprintf(tail, sizeof tail, "/unit/%s/%s", name.unit, name.id);
    if (!credential_id_valid(name.id) || (size_t)len >= size || data[0] != 0 ||
        memcmp(data + size - (size_t)len, tail, (size_t)len) != 0)
        abort();
    return 0;
}
