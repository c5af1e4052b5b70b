/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AMD SEV-SNP evidence (CoCo's `snp`): verifiers.md 1.
 *     {"attestation_report":{…snp_report.h…},"cert_chain":null|[{"cert_type","data"}…]}
 * What it proves: firmware of an AMD processor of this TCB signed a report about a guest of this
 * measurement, made for this report data. Which of those values are good is for the policy.
 * For other verifiers (az-snp-vtpm): the same over a bare report.
 */
#pragma once

#include "attest/verify/snp_report.h"

/*
 * Steps 1 to 7 of verifiers.md 1 over 1184 bytes with a certificate of the chip (DER or PEM): everything but report data and init data, which are
 * bound otherwise there. Of `input` it uses now, anchors, collateral and collateral_expired_ok. What fails is a failed check "snp.…", what is
 * lacking a need. *ret_report: zeroed when the report cannot be read.
 */
bool snp_verify_raw(struct bytes raw, struct bytes vcek, const struct verify_input *input,
    struct verdict *verdict, struct snp_report *ret_report, struct err *err) MUST_CHECK;

/* Policy, TCB and platform of a report as claims tell them; what differs between TEEs is only how they are written. */
struct snp_facts {
    unsigned abi_major, abi_minor;
    bool smt_allowed, migrate_ma, debug_allowed, single_socket;
    bool smt_enabled, tsme_enabled;
    struct snp_tcb reported_tcb;
};
struct snp_facts snp_facts(const struct snp_report *report);
