/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TDX guests on Azure (CoCo's `az-tdx-vtpm`): evidence of azure.h with "td_quote". Besides what that proves, Intel's quoting enclave
 * vouches for a TD whose report data is the hash of the runtime data, and so for the vTPM's key. Claims are those of `tdx`, and the PCRs.
 */
#include "attest/verify/azure.h"
#include "attest/verify/tdx.h"

static const struct azure_kind kind = {
    .report_type = HCL_TDX,
    .part = "td_quote",
    .part_max = TDX_QUOTE_MAX,
    .old_quote = "tpm_quote",
    .old_report = "hcl_report",
};

static bool az_tdx_verify(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    AUTO_DONE(azure_done) struct azure azure = {0};
    auto_json *claims = NULL;
    struct tdx_quote quote = {0};
    if (!azure_check(&azure, &kind, input, verdict, err))
        return false;
    if (azure.part.len == 0)
        return true; /* said already */
    if (!tdx_check_quote(input, buf_bytes(&azure.part), verdict, &quote, &claims, err))
        return false;
    if (quote.body.len > 0)
        azure_check_binding(&azure, tdx_quote_field(&quote, TDX_REPORT_DATA));
    if (verdict->reason_count > 0 || verdict->need_count > 0)
        return true;
    if (!azure_claims(&azure, claims, err))
        return false;
    verdict->claims = take_ptr(claims);
    return true;
}

const struct verifier verifier_az_tdx = {.tee = "az-tdx-vtpm", .verify = az_tdx_verify};
