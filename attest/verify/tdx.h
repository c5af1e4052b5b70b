/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TD quote apart from the evidence that carries it, for evidence of other TEEs that has one in it
 * (az-tdx-vtpm). The evidence `tdx` itself is verifier_tdx.
 */
#pragma once

#include "attest/verify/tdx_quote.h"
#include "attest/verify/verify.h"

/*
 * Verifies the raw quote: chain, signatures, quoting enclave and, from the input's collateral, the TCB.
 * Failed checks ("tdx.…") and missing collateral go to the verdict. The input's evidence, report data and
 * init data are not looked at: what report data and MRCONFIGID have to be is the caller's to compare.
 * *ret_quote borrows from `raw`; its body is empty when there is no such quote. *ret_claims (owned by the
 * caller) has the members of verifiers.md 2, "report_data" and "init_data" among them, and is NULL unless
 * the verdict has neither reasons nor needs. False with err: trouble of our own.
 */
bool tdx_check_quote(const struct verify_input *input, struct bytes raw, struct verdict *verdict,
    struct tdx_quote *ret_quote, json_t **ret_claims, struct err *err) MUST_CHECK;
