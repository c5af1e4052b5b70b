/* SPDX-License-Identifier: Apache-2.0 */
/* What a vendor's service sends, body and issuer chain: what is known of it can be asked again, and what is unescaped never grows. */
#include <stdint.h>
#include <stdlib.h>

#include "attest/verify/collateral_object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[COLLATERAL_NAME_MAX];
    struct bytes input = bytes_of(data, size);
    auto_buf plain = BUF_INIT(COLLATERAL_OBJECT_MAX);
    struct err err = ERR_INIT;
    int64_t until;
    bool unescaped = collateral_unescape(input, "header", &plain, &err);
    if (unescaped && plain.len > size)
        abort();
    if (!collateral_identify(input, name, &err))
        return 0;
    if (!collateral_name_ok(name))
        abort();
    if (collateral_examine(name, input, unescaped ? buf_bytes(&plain) : input, &until, &err) &&
        !collateral_examine(name, input, unescaped ? buf_bytes(&plain) : input, &until, &err))
        abort();
    return 0;
}
