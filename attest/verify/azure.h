/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Evidence of Azure's confidential guests, `az-snp-vtpm` and `az-tdx-vtpm` (verifiers.md 4): a quote of the vTPM, the report of the
 * paravisor that binds the vTPM's key to the hardware's report, and what vouches for that. Here is what both have in common; az_snp.c and
 * az_tdx.c verify the hardware's part. Forms:
 *
 *     version 1, 2   {"version":N,"tpm_quote":{"signature":hex,"message":hex,"pcrs":[24 x hex]},"hcl_report":base64url with padding,
 *                    and "vcek" or "td_quote": base64url with padding}
 *     none           the same in arrays of numbers; SNP names them "quote", "report", and "vcek" is PEM
 *
 * Version 2 is also bound to the report data by the paravisor: "user-data" of the runtime data. Nothing signs the version, so the quote's
 * nonce is what counts; report data is mandatory.
 */
#pragma once

#include "attest/verify/hcl.h"
#include "attest/verify/tpm_quote.h"

struct azure_kind {
    enum hcl_report_type report_type;
    const char *part;                   /* "vcek", "td_quote" */
    size_t part_max;                    /* bytes */
    bool part_is_text;                  /* in the form without version */
    const char *old_quote, *old_report; /* names of members in the form without version */
};

struct azure {
    const struct verify_input *input;
    struct verdict *verdict;
    int version; /* 0: none */
    struct buf message, signature, report, part;
    struct tpm_quote quote;
    bool have_hcl; /* the report and its hash; hcl and runtime_hash are good */
    struct hcl_report hcl;
    struct hash runtime_hash;
    struct hcl_runtime runtime;
};

/* Reads the evidence and checks all that is common. What it could not read has become failed checks ("az.…"); a buffer is empty then. False
 * with err: trouble of our own. End with azure_done() in any case. */
bool azure_check(struct azure *azure, const struct azure_kind *kind,
    const struct verify_input *input, struct verdict *verdict, struct err *err) MUST_CHECK;
void azure_done(struct azure *azure);

/* The hardware's report data, at least 32 bytes, begins with the hash of the runtime data. */
void azure_check_binding(struct azure *azure, struct bytes report_data);
/* Puts tpm {pcr00…}, init_data and report_data into `claims`, replacing what is there. */
bool azure_claims(const struct azure *azure, json_t *claims, struct err *err) MUST_CHECK;
