/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/appraisal.h"

#include <stdio.h>
#include <strings.h>

#define PCR_PREFIX "tpm_pcr"
#define PCR_COUNT  24

/* The trustworthiness vector, in the order of the token (AR4SI section 2.3). */
enum vector_claim {
    INSTANCE,
    CONFIGURATION,
    EXECUTABLES,
    FILE_SYSTEM,
    HARDWARE,
    RUNTIME,
    STORAGE,
    SOURCED,
    CLAIM_COUNT
};

static const char *const claim_names[CLAIM_COUNT] = {
    [INSTANCE] = "instance-identity",
    [CONFIGURATION] = "configuration",
    [EXECUTABLES] = "executables",
    [FILE_SYSTEM] = "file-system",
    [HARDWARE] = "hardware",
    [RUNTIME] = "runtime-opaque",
    [STORAGE] = "storage-opaque",
    [SOURCED] = "sourced-data",
};

/* AR4SI values used here. */
enum {
    NO_CLAIM = 0,
    APPROVED = 2,
    APPROVED_RUNTIME = 3,
    UNRECOGNIZED = 33,
    UNSAFE_CONFIG = 36,
    CONTRAINDICATED_HARDWARE = 97
};

static const char *const status_names[] = {
    [APPRAISAL_NONE] = "none",
    [APPRAISAL_AFFIRMING] = "affirming",
    [APPRAISAL_WARNING] = "warning",
    [APPRAISAL_CONTRAINDICATED] = "contraindicated",
};

struct rules {
    const json_t *claims;
    const json_t *references;
    json_t *findings;
    int vector[CLAIM_COUNT];
};

void appraisal_done(struct appraisal *appraisal)
{
    json_unref(appraisal->vector);
    json_unref(appraisal->findings);
    appraisal->vector = appraisal->findings = NULL;
}

const char *appraisal_status_name(enum appraisal_status status)
{
    return status_names[status];
}

bool appraisal_status_parse(const char *name, enum appraisal_status *ret_status)
{
    for (size_t i = 0; i < ARRAY_LEN(status_names); i++) {
        if (strcmp(status_names[i], name) == 0) {
            *ret_status = (enum appraisal_status)i;
            return true;
        }
    }
    return false;
}

enum appraisal_status appraisal_tier(int64_t value)
{
    if (value >= -1 && value <= 1)
        return APPRAISAL_NONE;
    if (value >= -32 && value <= 31)
        return APPRAISAL_AFFIRMING;
    return value >= -96 && value <= 95 ? APPRAISAL_WARNING : APPRAISAL_CONTRAINDICATED;
}

/* NULL got or expected is written as null. */
static bool add_finding(struct rules *rules, const char *claim, const json_t *got,
    const json_t *expected, const char *rule, bool match, struct err *err)
{
    auto_json *finding = NULL;
    auto_json *got_copy = got ? json_deep_copy(got) : json_null();
    auto_json *expected_copy = expected ? json_deep_copy(expected) : json_null();
    if (!got_copy || !expected_copy)
        return err_nomem(err);
    if (!json_build(&finding, err, "{s:s, s:O, s:O, s:s, s:b}", "claim", claim, "got", got_copy,
            "expected", expected_copy, "rule", rule, "match", match))
        return false;
    return json_array_append(rules->findings, finding) == 0 || err_nomem(err);
}

/* Rego's `value in list` for text; digests are compared without regard to the case of their digits.
 */
static bool is_listed(const json_t *value, const json_t *list, bool ignore_case)
{
    size_t index;
    const json_t *entry;
    if (!json_is_string(value) || !json_is_array(list))
        return false;
    const char *text = json_string_value(value);
    json_array_foreach(list, index, entry)
    {
        const char *listed = json_string_value(entry);
        if (listed && (ignore_case ? strcasecmp(listed, text) : strcmp(listed, text)) == 0)
            return true;
    }
    return false;
}

static bool is_int(const json_t *value, json_int_t *ret_value)
{
    if (!json_is_integer(value))
        return false;
    *ret_value = json_integer_value(value);
    return true;
}

/* Index of `tpm_pcrNN`, or -1: the name starts so but names no PCR. */
static int pcr_of(const char *name)
{
    const char *digits = name + strlen(PCR_PREFIX);
    if (strlen(digits) != 2 || digits[0] < '0' || digits[0] > '9' || digits[1] < '0' ||
        digits[1] > '9')
        return -1;
    int pcr = (digits[0] - '0') * 10 + digits[1] - '0';
    return pcr < PCR_COUNT ? pcr : -1;
}

/* One existing reference value against its claim. */
static bool compare_pcr(
    struct rules *rules, const char *name, const json_t *expected, bool *all_match, struct err *err)
{
    char claim[24], rule[96];
    int pcr = pcr_of(name);
    if (pcr < 0) {
        *all_match = false;
        return add_finding(rules, name, NULL, expected,
            "no such PCR: reference values are named tpm_pcr00 to tpm_pcr23", false, err);
    }
    snprintf(claim, sizeof claim, "pcr%02d", pcr);
    const json_t *got = json_object_get(rules->claims, claim);
    bool match = is_listed(got, expected, true);
    *all_match = *all_match && match;
    snprintf(claim, sizeof claim, "tpm.pcr%02d", pcr);
    snprintf(rule, sizeof rule, "reference value %s%s", name,
        json_is_null(expected)    ? " (expired; register it again)"
        : json_is_array(expected) ? ""
                                  : " (must be a list of digests)");
    return add_finding(rules, claim, got, expected, rule, match, err);
}

static bool appraise_tpm(struct rules *rules, struct err *err)
{
    static const char none[] = "no reference value named tpm_pcrNN is registered: register the "
                               "PCRs that a good guest has, e.g. tpm_pcr11";
    bool all_match = true;
    size_t compared = 0;
    const char *name;
    const json_t *expected;
    json_object_foreach((json_t *)(uintptr_t)rules->references, name, expected)
    {
        if (strncmp(name, PCR_PREFIX, strlen(PCR_PREFIX)) != 0)
            continue;
        compared++;
        if (!compare_pcr(rules, name, expected, &all_match, err))
            return false;
    }
    if (compared == 0 && !add_finding(rules, "tpm", NULL, NULL, none, false, err))
        return false;
    rules->vector[EXECUTABLES] = compared > 0 && all_match ? APPROVED_RUNTIME : UNRECOGNIZED;
    rules->vector[HARDWARE] = APPROVED;
    return true;
}

static bool compare_list(struct rules *rules, const char *claim, const json_t *got,
    const char *name, bool *ret_match, struct err *err)
{
    char rule[96];
    const json_t *expected = json_object_get(rules->references, name);
    *ret_match = is_listed(got, expected, false);
    snprintf(rule, sizeof rule, "reference value %s (a list that holds it)", name);
    return add_finding(rules, claim, got, expected, rule, *ret_match, err);
}

/* platform_version: `minimum` tells >= from ==. As in Trustee's policy the reference value is one
 * integer, not a list. */
static bool compare_int(struct rules *rules, const char *claim, const json_t *got, const char *name,
    bool minimum, bool *ret_match, struct err *err)
{
    char rule[96];
    json_int_t have = 0, want = 0;
    const json_t *expected = json_object_get(rules->references, name);
    *ret_match =
        is_int(got, &have) && is_int(expected, &want) && (minimum ? have >= want : have == want);
    snprintf(rule, sizeof rule, "reference value %s (one integer, %s)", name,
        minimum ? "at most the claim" : "equal to the claim");
    return add_finding(rules, claim, got, expected, rule, *ret_match, err);
}

/* The sample rules of Trustee's default policy for the class cpu. */
static bool appraise_sample(struct rules *rules, struct err *err)
{
    const json_t *debug = json_object_get(rules->claims, "debug");
    const json_t *version = json_object_get(rules->claims, "platform_version");
    bool launch = false, svn = false, major = false, minor = false;
    auto_json *no_debug = json_false();
    if (!compare_list(rules, "sample.launch_digest",
            json_object_get(rules->claims, "launch_digest"), "launch_digest", &launch, err) ||
        !compare_list(
            rules, "sample.svn", json_object_get(rules->claims, "svn"), "svn", &svn, err) ||
        !compare_int(rules, "sample.platform_version.major", json_object_get(version, "major"),
            "major_version", false, &major, err) ||
        !compare_int(rules, "sample.platform_version.minor", json_object_get(version, "minor"),
            "minimum_minor_version", true, &minor, err) ||
        !add_finding(
            rules, "sample.debug", debug, no_debug, "debug is off", json_is_false(debug), err))
        return false;
    rules->vector[EXECUTABLES] = launch ? APPROVED_RUNTIME : UNRECOGNIZED;
    rules->vector[HARDWARE] = svn && major && minor ? APPROVED : CONTRAINDICATED_HARDWARE;
    rules->vector[CONFIGURATION] = json_is_false(debug) ? APPROVED : UNSAFE_CONFIG;
    return true;
}

static const struct {
    const char *tee;
    bool (*appraise)(struct rules *rules, struct err *err);
} tees[] = {
    {"tpm", appraise_tpm},
    {"sample", appraise_sample},
};

static bool make_vector(const struct rules *rules, struct appraisal *appraisal, struct err *err)
{
    appraisal->vector = json_object();
    if (!appraisal->vector)
        return err_nomem(err);
    for (size_t i = 0; i < CLAIM_COUNT; i++) {
        if (json_object_set_new(
                appraisal->vector, claim_names[i], json_integer(rules->vector[i])) != 0)
            return err_nomem(err);
        enum appraisal_status tier = appraisal_tier(rules->vector[i]);
        if (tier > appraisal->status)
            appraisal->status = tier;
    }
    return true;
}

bool appraise(const char *tee, const json_t *claims, const json_t *reference_values,
    struct appraisal *ret_appraisal, struct err *err)
{
    size_t row = 0;
    while (row < ARRAY_LEN(tees) && strcmp(tees[row].tee, tee) != 0)
        row++;
    if (row == ARRAY_LEN(tees))
        return err_set(err, ERR_FORMAT, "no appraisal rules for evidence of kind \"%.32s\"", tee);
    auto_appraisal appraisal = {.status = APPRAISAL_NONE, .findings = json_array()};
    if (!appraisal.findings)
        return err_nomem(err);
    struct rules rules = {.claims = claims,
        .references = reference_values,
        .findings = appraisal.findings,
        .vector = {NO_CLAIM}};
    if (!tees[row].appraise(&rules, err) || !make_vector(&rules, &appraisal, err))
        return false;
    *ret_appraisal = appraisal;
    appraisal = (struct appraisal){0};
    return true;
}
