/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of AMD's report keys: a chip's VCEK (issued by the generation's ASK) or a cloud's VLEK
 * (by its ASVK), and the ARK that issued both of those; RSA-4096, RSASSA-PSS with SHA-384.
 *
 * Whom we trust (anchors.h): an ARK by its key. An ASK or ASVK must bear the name of its role, be issued by such an ARK, and its own key must be
 * an anchor too, so that one which AMD replaced does not come back. An operator who gives an ARK of his own but no ASK of that generation leaves
 * the choice of ASKs to that ARK. Where no ARK certificate is at hand the pinned key of the ASK is enough: the ARK could add nothing to it.
 */
#pragma once

#include "attest/verify/snp_report.h"
#include "attest/verify/x509.h"

struct snp_chain {
    X509 *vek; /* NULL: none yet */
    bool is_vlek;
    struct x509_chain asks; /* also an ASVK travels under this name */
    struct x509_chain arks;
};
void snp_chain_done(struct snp_chain *chain);
#define auto_snp_chain AUTO_DONE(snp_chain_done) struct snp_chain

/* Member "cert_chain": null or absent, or entries {"cert_type","data"}. Failed checks are "snp.cert-chain". Then *ret_given tells whether there was
 * a chain, and *ret_good whether it can be used. */
bool snp_chain_read(const json_t *json, struct snp_chain *chain, bool *ret_given, bool *ret_good,
    struct verdict *verdict, struct err *err) MUST_CHECK;
/* Takes the VCEK that belongs to the report from collateral, or says that it is needed. *ret_good: it is there. */
bool snp_chain_find_vcek(const struct snp_report *report, const struct verify_input *input,
    struct snp_chain *chain, bool *ret_good, struct verdict *verdict, struct err *err) MUST_CHECK;
/* The links from the VEK to an anchor, dates, and the CRL where collateral has one. The CAs that evidence does not bring come from the operator's
 * anchors or from collateral. Failed checks: "snp.chain", "snp.date", "snp.crl". */
bool snp_chain_check(const struct snp_report *report, const struct verify_input *input,
    const struct snp_chain *chain, struct verdict *verdict, struct err *err) MUST_CHECK;
