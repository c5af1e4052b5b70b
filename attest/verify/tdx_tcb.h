/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCB info of TDX, version 3, as Intel publishes it for a kind of platform: is it about this
 * platform, does it know this TDX module, and how good are the security version numbers that the
 * PCK certificate and the quote state? The JSON is already known to be Intel's (signed_json.h).
 *
 *     {"id":"TDX","version":3,"fmspc","pceId","tcbType":0,"tdxModule":{"mrsigner","attributes","attributesMask"},
 *      "tdxModuleIdentities":[{"id":"TDX_01",… as tdxModule …,"tcbLevels":[{"tcb":{"isvsvn"},…}]}],
 *      "tcbLevels":[{"tcb":{"sgxtcbcomponents":[{"svn"} 16 times],"pcesvn","tdxtcbcomponents":[16]},…}],…}
 */
#pragma once

#include "attest/verify/pck_extension.h"
#include "attest/verify/tcb_level.h"
#include "attest/verify/tdx_quote.h"
#include "attest/verify/verify.h"

/* Kind, version and platform; the module's signer and attributes. Failed checks go to the verdict
 * ("tdx.tcb-info", "tdx.fmspc", "tdx.pceid", "tdx.module"). False with err: trouble of our own. */
bool tdx_tcb_check(const json_t *info, const struct pck_extension *pck,
    const struct tdx_quote *quote, struct verdict *verdict, struct err *err) MUST_CHECK;

/*
 * Rates the TDX module's `svn` (16 bytes: TEE_TCB_SVN, or TEE_TCB_SVN2 of a 1.5 quote) on this platform.
 * `qe`: the quoting enclave's level. No level that fits, an unknown module: failed checks "tdx.tcb",
 * "tdx.module"; *ret_rated is then false. The rating is to be ended by tcb_rating_done() either way.
 */
bool tdx_tcb_rate(const json_t *info, const struct pck_extension *pck, struct bytes svn,
    const struct tcb_level *qe, struct verdict *verdict, struct tcb_rating *ret_rating,
    bool *ret_rated, struct err *err) MUST_CHECK;
