/* SPDX-License-Identifier: Apache-2.0 */
/* Where a vendor's service has a collateral object (attest/verify/collateral.h): which of the courier's targets, which path, which header has the issuer
 * chain. AMD's Key Distribution Service (57230), Intel's Provisioning Certification Service v4, or a PCCS in its place. */
#pragma once

#include "kbs/server/outbound/courier.h"

#define COLLATERAL_AMD_TARGET   "amd-kds"
#define COLLATERAL_INTEL_TARGET "intel-pcs"
#define COLLATERAL_CRL_TARGET \
    "intel-root-crl" /* where the root certificate says; a PCCS has it itself */

#define COLLATERAL_AMD_URL   "https://kdsintf.amd.com"
#define COLLATERAL_INTEL_URL "https://api.trustedservices.intel.com"
#define COLLATERAL_CRL_URL   "https://certificates.trustedservices.intel.com/IntelSGXRootCA.der"

#define COLLATERAL_URL_PATH_MAX 512

struct collateral_url {
    const char *target; /* static text */
    char path[COLLATERAL_URL_PATH_MAX];
    enum courier_header chain; /* COURIER_HEADER_COUNT: it has none */
};

/* `early`: TCB info and QE identity of the early publication. `own_root_crl`: Intel's root CRL comes from its own target, not from the PCCS. False: no
 * service has such an object. */
bool collateral_url(
    const char *name, bool early, bool own_root_crl, struct collateral_url *ret_url);
