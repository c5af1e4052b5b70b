/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default policies as tables (verifiers.md 6; Trustee's ear_default_policy_cpu.rego and _gpu.rego): what evidence of each TEE must
 * claim, and by which reference values, to be given each value of the trust vector. appraisal.c evaluates them.
 */
#pragma once

#include <stddef.h>
#include <stdbool.h>

/* The trustworthiness vector, in the order of the token (AR4SI section 2.3). */
enum appraisal_claim {
    INSTANCE,
    CONFIGURATION,
    EXECUTABLES,
    FILE_SYSTEM,
    HARDWARE,
    RUNTIME,
    STORAGE,
    SOURCED,
    APPRAISAL_CLAIM_COUNT
};

/* AR4SI values used here. */
enum {
    NO_CLAIM = 0,
    APPROVED = 2,
    APPROVED_BOOT = 3,           /* executables: only approved ones were loaded during boot */
    SAFE_CONFIG = 3,             /* configuration: no known vulnerability in it */
    APPROVED_FILES = 4,          /* executables: as 3, known by fewer measurements */
    UNSAFE_HARDWARE = 32,        /* genuine, but perhaps with known vulnerabilities */
    UNRECOGNIZED = 33,           /* executables */
    UNKNOWN_CONFIG = 36,         /* configuration: relevant parts are unavailable */
    CONTRAINDICATED_CONFIG = 96, /* configuration: exposes what it must protect */
    CONTRAINDICATED_HARDWARE = 97
};

enum appraisal_test_kind {
    TEST_END,
    TEST_IN, /* the reference value `name` is a list that holds the claim: text, integer or boolean */
    TEST_IN_HEX,   /* the same for digests, without regard to the case of their digits */
    TEST_EQUALS,   /* the reference value `name` is the claim */
    TEST_AT_LEAST, /* the reference value `name` is an integer, at most the claim */
    TEST_IS,       /* the claim is the text `name` */
    TEST_OFF,      /* the claim is false, or the text "false" of Azure's claims */
    TEST_NOT_OFF,
    TEST_EVENT, /* an event of the log, the one that `name` measures, has the reference value `name` as digest */
};

struct appraisal_test {
    const char *claim; /* dotted path in the verifier's claims */
    enum appraisal_test_kind kind;
    const char *name;
};

#define APPRAISAL_TESTS_MAX 9

/* Of the grades of one vector claim the first whose tests all hold counts. */
struct appraisal_grade {
    enum appraisal_claim claim;
    int value;
    bool silent; /* what fails here is no finding: another grade names it */
    struct appraisal_test tests[APPRAISAL_TESTS_MAX]; /* ends with TEST_END */
};

struct appraisal_rules {
    const char *tee;
    const struct appraisal_grade *grades;
    size_t count;
};

/* NULL: none for this TEE. tpm has its own rules in appraisal.c: its reference values have no fixed names. */
const struct appraisal_rules *appraisal_rules_find(const char *tee);
