/* SPDX-License-Identifier: Apache-2.0 */
/* The raw TD quote, and behind a good format its certificate chain. */
#include "attest/verify/tdx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct verify_input input = {.now = 1781524800, .collateral_optional = true};
    struct tdx_quote quote;
    auto_verdict verdict = {0};
    auto_json *claims = NULL;
    if (tdx_check_quote(&input, bytes_of(data, size), &verdict, &quote, &claims, &err) &&
        !claims == (verdict.reason_count + verdict.need_count == 0))
        __builtin_trap(); /* claims, or why there are none */
    return 0;
}
