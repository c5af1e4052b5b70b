/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What Intel publishes about a platform, of which a quote says nothing: TCB info, the quoting enclave's
 * identity, and who was revoked. Taken from a set that nobody vouches for (collateral.h): every
 * signature, chain and date is checked here, against the root of the quote's own chain.
 */
#pragma once

#include "attest/verify/pck.h"
#include "attest/verify/signed_json.h"

struct tdx_collateral {
    struct signed_json tcb_info, qe_identity; /* json NULL: absent, or not usable */
    bool complete;                            /* none of the four objects was missing */
    uint64_t root_crl_number, pck_crl_number; /* where has_… */
    bool has_root_crl_number, has_pck_crl_number;
};

void tdx_collateral_done(struct tdx_collateral *collateral);
#define auto_tdx_collateral AUTO_DONE(tdx_collateral_done) struct tdx_collateral

/* `pck` must be good. What is missing is a need of the verdict unless the input says that it is optional.
 * Failed checks: "tdx.root-crl", "tdx.pck-crl", "tdx.revoked", "tdx.tcb-info…", "tdx.qe-identity…", and of
 * the dates. False with err: trouble of our own. */
bool tdx_collateral_check(const struct verify_input *input, const struct pck *pck,
    struct validity *validity, struct verdict *verdict, struct tdx_collateral *ret_collateral,
    struct err *err) MUST_CHECK;
