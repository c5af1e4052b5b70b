/* SPDX-License-Identifier: Apache-2.0 */
/* The claims of a TD quote that was verified, in the members and encodings of verifiers.md 2. */
#pragma once

#include "attest/verify/tcb_level.h"
#include "attest/verify/tdx_collateral.h"
#include "attest/verify/tdx_quote.h"

struct tdx_facts {
    const struct tdx_quote *quote;
    const struct pck *pck;
    const struct validity *validity;
    const struct tdx_collateral *collateral;
    /* NULL: there was no collateral, the TCB is "Unverified" */
    const struct tcb_rating *launch;  /* of the TDX module that started the TD */
    const struct tcb_rating *current; /* of the one that runs now */
};

bool tdx_claims_make(const struct tdx_facts *facts, json_t **ret_claims, struct err *err)
    MUST_CHECK;
