/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Appraisal: verified claims and reference values become an EAR trust vector (protocol.md D.1, D.2;
 * verifiers.md 6; AR4SI tiers). Every claim that was compared is recorded as got / expected / rule,
 * so that a refusal can be explained. Outcome for tpm: hardware 2 (the AK is enrolled, or there
 * would be no verdict), configuration 0, executables 3 iff every reference value named `tpm_pcrNN`
 * that exists matches the claim pcrNN and at least one exists; else 33. All other kinds of evidence: the
 * tables of appraisal_rules.c, with Trustee's names of reference values; what no grade fits is executables 33,
 * hardware 97, configuration 36.
 */
#pragma once

#include "crypt/base/json.h"

enum appraisal_status {
    APPRAISAL_NONE,
    APPRAISAL_AFFIRMING,
    APPRAISAL_WARNING,
    APPRAISAL_CONTRAINDICATED
};

struct appraisal {
    enum appraisal_status status;
    json_t *vector;   /* {"instance-identity":0,…} all eight */
    json_t *findings; /* [{"claim","got","expected","rule","match":bool},…] */
    json_t *
        extensions; /* further members of the submod by name, from a policy of the administrator's; else NULL */
};

void appraisal_done(struct appraisal *appraisal);
#define auto_appraisal AUTO_DONE(appraisal_done) struct appraisal
const char *appraisal_status_name(enum appraisal_status status);
/*
 * The vector that a policy gave instead (protocol.md D.2): integers by the names of EAR, those that it leaves out are 0, a name that EAR
 * does not have is ERR_FORMAT. Replaces vector and status. `extensions`: NULL, or [{"name","value",…},…]; ERR_FORMAT when one would
 * replace what a token says of itself.
 */
bool appraisal_replace(struct appraisal *appraisal, const json_t *trust_claims,
    const json_t *extensions, struct err *err) MUST_CHECK;
/* What one value of a trust vector stands for (AR4SI section 2.3.2). */
enum appraisal_status appraisal_tier(int64_t value);
/* false when unknown */
bool appraisal_status_parse(const char *name, enum appraisal_status *ret_status) MUST_CHECK;
/* `reference_values`: {"tpm_pcr11":[…],…} by name. What is no list (null: expired) matches nothing. */
bool appraise(const char *tee, const json_t *claims, const json_t *reference_values,
    struct appraisal *ret_appraisal, struct err *err) MUST_CHECK;
