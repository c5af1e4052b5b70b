/* SPDX-License-Identifier: Apache-2.0 */
/* TCB info and QE identity behind their signature: one object that is tried as both, on a platform that fits well. */
#include "attest/verify/tdx_qe.h"
#include "attest/verify/tdx_tcb.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t body[648] = {5, 1, 3};
    static uint8_t report[384];
    struct err err = ERR_INIT;
    struct pck_extension pck = {.pcesvn = 300, .fmspc = {0x90, 0xc0, 0x6f}};
    const struct tdx_quote quote = {.version = 5, .body = bytes_of(body, sizeof body)};
    struct tcb_level qe = {0};
    auto_verdict verdict = {0};
    auto_json *json = NULL;
    auto_tcb_rating rating = {0};
    bool found = false, rated = false;
    memset(pck.components, 9, sizeof pck.components);
    report[QE_SVN_OFFSET] = 4;
    if (!json_load_strict(bytes_of(data, size), 1u << 20, "input", &json, &err) ||
        !json_is_object(json))
        return 0;
    if (!tdx_qe_check(json, bytes_of(report, sizeof report), &verdict, &qe, &found, &err) ||
        !tdx_tcb_check(json, &pck, &quote, &verdict, &err) ||
        !tdx_tcb_rate(json, &pck, bytes_of(body, 16), &qe, &verdict, &rating, &rated, &err))
        __builtin_trap();
    return 0;
}
