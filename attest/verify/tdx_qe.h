/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The identity of the TD quoting enclave as Intel publishes it, version 2, against the report of the
 * enclave that certified the attestation key. The PCK signs the report of any enclave that may use
 * the provisioning key, and who owns the machine can let his own do so: only this check makes the
 * attestation key Intel's. The JSON is already known to be Intel's (signed_json.h).
 *
 *     {"id":"TD_QE","version":2,"miscselect","miscselectMask","attributes","attributesMask","mrsigner",
 *      "isvprodid","tcbLevels":[{"tcb":{"isvsvn"},…}],…}
 */
#pragma once

#include "attest/verify/tcb_level.h"
#include "attest/verify/verify.h"

/* Failed checks: "tdx.qe-identity". *ret_level is borrowed from `identity`; *ret_found false: no level
 * fits, or the identity is malformed. False with err: trouble of our own. */
bool tdx_qe_check(const json_t *identity, struct bytes qe_report, struct verdict *verdict,
    struct tcb_level *ret_level, bool *ret_found, struct err *err) MUST_CHECK;
/* Without an identity at hand: signer and product that Intel's have, and not a debug enclave. For platforms
 * that Intel itself certified. */
void tdx_qe_check_intel(struct bytes qe_report, struct verdict *verdict);
