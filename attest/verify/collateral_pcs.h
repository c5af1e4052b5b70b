/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file that Intel's PCS Client Tool writes (`pcsclient fetch`), and PCCS and Trustee read, as
 * collateral objects. Nothing in it is verified here; a verifier does that.
 *
 *     {"collaterals":{"tcbinfos":[{"fmspc":hex,"tdx_tcbinfo":{…},"tdx_tcbinfo_early":{…},…}],
 *       "tdqeidentity":{…},"tdqeidentity_early":{…},"pckcacrl":{"processorCrl":hex,"platformCrl":hex},
 *       "rootcacrl":hex,"certificates":{"TCB-Info-Issuer-Chain":url-encoded PEM,
 *         "SGX-Enclave-Identity-Issuer-Chain":…,"SGX-PCK-Certificate-Issuer-Chain":{"PROCESSOR":…,"PLATFORM":…}},…},…}
 *
 * Members that are missing or null are passed over, and so is what concerns SGX; signed documents keep
 * their text, but for blanks between tokens.
 */
#pragma once

#include "attest/verify/collateral.h"

#define COLLATERAL_PCS_MAX (32u * 1024 * 1024)

/* Which of two publications of TCB info and identity: the early one where the file has it, or the
 * standard one only (which lags behind by design). */
enum collateral_pcs_update { COLLATERAL_PCS_EARLY, COLLATERAL_PCS_STANDARD };

/* Calls `take` with each object, borrowed; it may refuse. ERR_FORMAT names the member. */
bool collateral_pcs_read(struct bytes file, enum collateral_pcs_update update,
    bool (*take)(
        void *context, const char *name, struct bytes body, struct bytes chain, struct err *err),
    void *context, struct err *err) MUST_CHECK;
/* Into a set: those of the `count` names (a verdict's needs), or all when `names` is NULL. A file has TCB info of
 * every platform that there is, so all may be more than a set takes. */
bool collateral_pcs_load(struct bytes file, enum collateral_pcs_update update,
    const char (*names)[COLLATERAL_NAME_MAX], size_t count, struct collateral *collateral,
    struct err *err) MUST_CHECK;
