/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of evidence: a common frame and one file a TEE. A verdict lists every failed check,
 * not only the first; evidence with any failed check yields no claims. Runs in the KBS's sandboxed
 * verifier process (and offline): no files, no network, no clock, no signing key. Formats and checks:
 * verifiers.md; the holes it marks [!] are closed here.
 *
 * Some TEEs need objects that their vendor publishes (collateral.h). A verifier that lacks one names it with
 * verdict_need() and checks everything else it can. Then there are three outcomes:
 *     reasons > 0             refused, whatever it needs
 *     reasons 0, needs > 0    undecided: who asked gets the objects and asks again, or verdict_refuse_needs()
 *     reasons 0, needs 0      claims
 */
#pragma once

#include "attest/verify/anchors.h"
#include "attest/verify/collateral.h"
#include "crypt/base/json.h"
#include "crypt/hash.h"

#define VERIFY_EVIDENCE_MAX (2u * 1024 * 1024)
#define VERIFY_REASONS_MAX  32
#define VERIFY_NEEDS_MAX    12

/* One failed check, in words a person can act on. */
struct verify_reason {
    char check[48]; /* e.g. "tpm.pcr-selection" */
    char got[256];
    char expected[256];
};

struct verdict {
    json_t *claims; /* object, members of verifiers.md; NULL when refused or undecided. Includes
                       "report_data" and "init_data". */
    const char *class_name; /* "cpu", "gpu" */
    struct verify_reason reasons[VERIFY_REASONS_MAX];
    size_t reason_count;
    char needs[VERIFY_NEEDS_MAX][COLLATERAL_NAME_MAX]; /* names of missing collateral objects */
    size_t need_count;
};

void verdict_done(struct verdict *verdict);
#define auto_verdict AUTO_DONE(verdict_done) struct verdict
/* Adds a failed check; past the maximum the last slot counts. Texts are cut between characters, and
 * what is not printable UTF-8 becomes '?'. Always returns false. */
bool verdict_fail(
    struct verdict *verdict, const char *check, const char *got, const char *expected);
/* Names a collateral object that is missing; once. Names that are none and those past the maximum become a failed check. Always
 * false. */
bool verdict_need(struct verdict *verdict, const char *format, ...) PRINTF_LIKE(2, 3);
/* For whoever cannot get what is needed: each need becomes a failed check "collateral". */
void verdict_refuse_needs(struct verdict *verdict);

struct verify_input {
    const json_t *evidence;              /* primary_evidence */
    struct bytes report_data;            /* expected; 48 bytes in RCAR */
    struct bytes init_data;              /* expected init-data digest; empty: none was sent */
    int64_t now;                         /* unix seconds; every date is judged by it */
    const struct anchors *anchors;       /* NULL: the built-in pins */
    const struct collateral *collateral; /* NULL: none at hand */
    bool collateral_optional;   /* without it: unverified instead of undecided (tdx). For the
                                            last time of asking: nothing is named as needed then */
    bool collateral_expired_ok; /* expiry becomes a claim instead of a failed check */
    bool unbound; /* there is no report data to expect: the caller says so where it counts */
};

struct verifier {
    const char *tee;
    /* False only for our own failure (memory…): refusal is verdict->reason_count > 0. Called by verify_evidence() only. */
    bool (*verify)(const struct verify_input *input, struct verdict *verdict, struct err *err);
};
/* Runs it and keeps the promise above: claims only without reasons and needs, and then always. `verdict` must be zeroed. */
bool verify_evidence(const struct verifier *verifier, const struct verify_input *input,
    struct verdict *verdict, struct err *err) MUST_CHECK;

extern const struct verifier verifier_tpm;
extern const struct verifier verifier_tdx;
extern const struct verifier verifier_sample;
extern const struct verifier verifier_sampledevice;
extern const struct verifier verifier_az_snp;
extern const struct verifier verifier_az_tdx;
extern const struct verifier verifier_snp;
const struct verifier *verifier_find(const char *tee); /* NULL when there is none */
