/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The certificate chain of a Provisioning Certification Key: what Intel says about a machine. Exactly
 * leaf, intermediate (Platform CA or Processor CA) and root, each signed with ECDSA P-256 and SHA-256,
 * the root's key one that is trusted.
 */
#pragma once

#include "attest/verify/pck_extension.h"
#include "attest/verify/validity.h"

enum pck_ca { PCK_CA_PLATFORM, PCK_CA_PROCESSOR };

struct pck {
    struct x509_chain chain;
    X509 *leaf, *intermediate, *root; /* borrowed from the chain; NULL: no such chain */
    enum pck_ca ca;
    struct pck_extension extension;
    bool good;  /* every link holds, and the rest of this struct may be relied on */
    bool intel; /* the root is Intel's own, not one of the operator's */
};

void pck_done(struct pck *pck);
#define auto_pck AUTO_DONE(pck_done) struct pck

/* Failed checks: "tdx.chain", "tdx.root", "tdx.pck", and of the dates. False with err: trouble of our own. */
bool pck_check(const struct verify_input *input, struct bytes pem, struct validity *validity,
    struct verdict *verdict, struct pck *ret_pck, struct err *err) MUST_CHECK;
const char *pck_ca_name(enum pck_ca ca); /* "platform", as in names of collateral */
