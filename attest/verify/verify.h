/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verification of evidence: a common frame and one file a TEE. A verdict lists every failed check,
 * not only the first; evidence with any failed check yields no claims. Runs in the KBS's sandboxed
 * verifier process (and offline): no files, no network, no signing key. Formats and checks:
 * verifiers.md; the holes it marks [!] are closed here.
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/hash.h"

#define VERIFY_EVIDENCE_MAX (2u * 1024 * 1024)
#define VERIFY_REASONS_MAX  32

/* One failed check, in words a person can act on. */
struct verify_reason {
    char check[48]; /* e.g. "tpm.pcr-selection" */
    char got[256];
    char expected[256];
};

struct verdict {
    json_t *claims; /* object, members of verifiers.md; NULL when refused. Includes "report_data"
                       and "init_data". */
    const char *class_name; /* "cpu", "gpu" */
    struct verify_reason reasons[VERIFY_REASONS_MAX];
    size_t reason_count;
};

void verdict_done(struct verdict *verdict);
#define auto_verdict AUTO_DONE(verdict_done) struct verdict
/* Adds a failed check; past the maximum the last slot counts. Texts are cut between characters, and
 * what is not printable UTF-8 becomes '?'. Always returns false. */
bool verdict_fail(
    struct verdict *verdict, const char *check, const char *got, const char *expected);

struct verify_input {
    const json_t *evidence;   /* primary_evidence */
    struct bytes report_data; /* expected; 48 bytes in RCAR */
    struct bytes init_data;   /* expected init-data digest; empty: none was sent */
};

struct verifier {
    const char *tee;
    /* False only for our own failure (memory…): refusal is verdict->reason_count > 0. */
    bool (*verify)(const struct verify_input *input, struct verdict *verdict, struct err *err);
};

extern const struct verifier verifier_tpm;
extern const struct verifier verifier_sample;
const struct verifier *verifier_find(const char *tee); /* NULL when there is none */
