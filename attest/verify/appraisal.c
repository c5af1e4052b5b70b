/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/appraisal.h"

#include <stdio.h>
#include <strings.h>

#include "attest/verify/appraisal_rules.h"

#define PCR_PREFIX        "tpm_pcr"
#define PCR_COUNT         24
#define EVENT_DIGESTS_MAX 16 /* in a finding */

static const char *const claim_names[APPRAISAL_CLAIM_COUNT] = {
    [INSTANCE] = "instance-identity",
    [CONFIGURATION] = "configuration",
    [EXECUTABLES] = "executables",
    [FILE_SYSTEM] = "file-system",
    [HARDWARE] = "hardware",
    [RUNTIME] = "runtime-opaque",
    [STORAGE] = "storage-opaque",
    [SOURCED] = "sourced-data",
};

static const char *const status_names[] = {
    [APPRAISAL_NONE] = "none",
    [APPRAISAL_AFFIRMING] = "affirming",
    [APPRAISAL_WARNING] = "warning",
    [APPRAISAL_CONTRAINDICATED] = "contraindicated",
};

struct rules {
    const char *tee;
    const json_t *claims;
    const json_t *references;
    json_t *findings;
    int vector[APPRAISAL_CLAIM_COUNT];
};

void appraisal_done(struct appraisal *appraisal)
{
    json_unref(appraisal->vector);
    json_unref(appraisal->findings);
    json_unref(appraisal->extensions);
    appraisal->vector = appraisal->findings = appraisal->extensions = NULL;
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

/* Rego's ==: of the same type, too. Digests are compared without regard to the case of their digits. */
static bool is_same(const json_t *value, const json_t *other, bool ignore_case)
{
    const char *text = json_string_value(value), *wanted = json_string_value(other);
    if (text && wanted)
        return (ignore_case ? strcasecmp(text, wanted) : strcmp(text, wanted)) == 0;
    return (json_is_integer(value) || json_is_boolean(value)) && json_equal(value, other);
}

/* Rego's `value in list`. */
static bool is_listed(const json_t *value, const json_t *list, bool ignore_case)
{
    size_t index;
    const json_t *entry;
    if (!json_is_array(list))
        return false;
    json_array_foreach(list, index, entry)
    {
        if (is_same(value, entry, ignore_case))
            return true;
    }
    return false;
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

/* A log that leads elsewhere than the quote decides nothing, but whoever looks for a reason should know that it is of no help. */
static bool report_log(struct rules *rules, struct err *err)
{
    static const char rule[] = "the event log leads to the quoted PCRs (it explains, and decides "
                               "nothing: PCRs that differ are not explained)";
    const json_t *log = json_object_get(rules->claims, "event_log");
    const char *status = json_member_text(log, "status");
    const char *problem = json_member_text(log, "problem");
    auto_buf got = BUF_INIT(1024);
    if (!status || strcmp(status, "replayed") == 0)
        return true;
    auto_free char *pcrs = json_text(json_object_get(log, "differs"));
    if (!buf_printf(&got, err, "%.32s: %s%.400s", status, problem ? "" : "PCR ",
            problem ? problem
            : pcrs  ? pcrs
                    : "?"))
        return false;
    auto_json *text = json_string(buf_text(&got)), *expected = json_string("replayed");
    if (!text || !expected)
        return err_nomem(err);
    return add_finding(rules, "tpm.event_log", text, expected, rule, false, err);
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
    if (!report_log(rules, err))
        return false;
    rules->vector[EXECUTABLES] = compared > 0 && all_match ? APPROVED_BOOT : UNRECOGNIZED;
    rules->vector[HARDWARE] = APPROVED;
    return true;
}

/* -- tests of the tables ------------------------------------------------------------------------- */

static const json_t *find_claim(const json_t *claims, const char *path)
{
    char name[64];
    for (;;) {
        size_t len = strcspn(path, ".");
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        claims = json_object_get(claims, name);
        if (path[len] == '\0')
            return claims;
        path += len + 1;
    }
}

/* The event whose digest a reference value names: TDVF's measurements of the kernel and of its command line. */
static bool is_event(const json_t *event, const char *name)
{
    const json_t *details = json_object_get(event, "details");
    const char *type = json_member_text(event, "type_name"),
               *text = json_member_text(details, "string");
    auto_json *kernel = json_string("File(kernel)");
    if (!type)
        return false;
    if (strcmp(name, "tdvfkernel") == 0)
        return strcmp(type, "EV_EFI_BOOT_SERVICES_APPLICATION") == 0 &&
               is_listed(kernel, json_object_get(details, "device_paths"), false);
    return strcmp(type, "EV_EVENT_TAG") == 0 && text &&
           strcmp(text, "LOADED_IMAGE::LoadOptions") == 0;
}

/* The digests of these events, as far as a finding holds them; and whether the reference value (a digest, or a list) is among them. */
static bool collect_digests(const json_t *log, const char *name, const json_t *expected,
    json_t *found, bool *ret_match, struct err *err)
{
    size_t i, j;
    const json_t *event, *entry;
    json_array_foreach(log, i, event)
    {
        if (!is_event(event, name))
            continue;
        json_array_foreach(json_object_get(event, "digests"), j, entry)
        {
            json_t *digest = json_object_get(entry, "digest");
            *ret_match =
                *ret_match || is_same(digest, expected, true) || is_listed(digest, expected, true);
            if (digest && json_array_size(found) < EVENT_DIGESTS_MAX &&
                json_array_append(found, digest) != 0)
                return err_nomem(err);
        }
    }
    return true;
}

/* One test: what was found and what was wanted, and the rule in words. */
struct outcome {
    const json_t *got;
    json_t *expected; /* owned */
    char rule[128];
    bool match;
};

static void outcome_done(struct outcome *outcome)
{
    json_unref(outcome->expected);
}

static const char *const value_words[] = {
    [TEST_IN] = "a list that holds it",
    [TEST_IN_HEX] = "a list that holds it",
    [TEST_EQUALS] = "one value, equal to the claim",
    [TEST_AT_LEAST] = "one integer, at most the claim",
    [TEST_EVENT] = "the digest of such an event in the log",
};

static void compare_value(
    const struct appraisal_test *test, const json_t *expected, struct outcome *outcome)
{
    const json_t *got = outcome->got;
    switch (test->kind) {
    case TEST_IN:
    case TEST_IN_HEX:
        outcome->match = is_listed(got, expected, test->kind == TEST_IN_HEX);
        break;
    case TEST_EQUALS:
        outcome->match = is_same(got, expected, false);
        break;
    default:
        outcome->match = json_is_integer(got) && json_is_integer(expected) &&
                         json_integer_value(got) >= json_integer_value(expected);
        break;
    }
}

/* Against a reference value. */
static void test_value(
    const struct rules *rules, const struct appraisal_test *test, struct outcome *outcome)
{
    json_t *expected = json_object_get(rules->references, test->name);
    outcome->expected = json_incref(expected);
    snprintf(outcome->rule, sizeof outcome->rule, "reference value %s (%s)", test->name,
        json_is_null(expected) ? "expired; register it again" : value_words[test->kind]);
    compare_value(test, expected, outcome);
}

/* Against a constant. */
static bool test_constant(
    const struct appraisal_test *test, struct outcome *outcome, struct err *err)
{
    const char *text = json_string_value(outcome->got);
    if (test->kind == TEST_IS) {
        outcome->expected = json_string(test->name);
        outcome->match = text && strcmp(text, test->name) == 0;
        snprintf(outcome->rule, sizeof outcome->rule, "must be %s", test->name);
    } else {
        outcome->expected = text ? json_string("false") : json_false();
        outcome->match = json_is_false(outcome->got) || (text && strcmp(text, "false") == 0);
        snprintf(outcome->rule, sizeof outcome->rule, "%s is off", test->claim);
    }
    return outcome->expected || err_nomem(err);
}

static bool is_recorded(const json_t *findings, const char *claim, const char *rule)
{
    size_t index;
    const json_t *finding;
    json_array_foreach(findings, index, finding)
    {
        if (strcmp(json_member_text(finding, "claim"), claim) == 0 &&
            strcmp(json_member_text(finding, "rule"), rule) == 0)
            return true;
    }
    return false;
}

static bool run_test(struct rules *rules, const struct appraisal_test *test, bool silent,
    bool *ret_holds, struct err *err)
{
    char claim[96];
    auto_json *digests = json_array();
    AUTO_DONE(outcome_done)
    struct outcome outcome = {.got = find_claim(rules->claims, test->claim)};
    if (!digests)
        return err_nomem(err);
    if (test->kind == TEST_IS || test->kind == TEST_OFF || test->kind == TEST_NOT_OFF) {
        if (!test_constant(test, &outcome, err))
            return false;
    } else {
        test_value(rules, test, &outcome);
    }
    if (test->kind == TEST_EVENT) {
        outcome.match = false;
        if (!collect_digests(
                outcome.got, test->name, outcome.expected, digests, &outcome.match, err))
            return false;
        outcome.got = digests;
    }
    *ret_holds = outcome.match != (test->kind == TEST_NOT_OFF);
    snprintf(claim, sizeof claim, "%s.%s", rules->tee, test->claim);
    return silent || is_recorded(rules->findings, claim, outcome.rule) ||
           add_finding(
               rules, claim, outcome.got, outcome.expected, outcome.rule, outcome.match, err);
}

/* Every test of every grade is run, so that an explanation lists all that differs. */
static bool appraise_grades(
    struct rules *rules, const struct appraisal_rules *table, struct err *err)
{
    bool graded[APPRAISAL_CLAIM_COUNT] = {false};
    rules->vector[EXECUTABLES] = UNRECOGNIZED;
    rules->vector[HARDWARE] = CONTRAINDICATED_HARDWARE;
    rules->vector[CONFIGURATION] = UNKNOWN_CONFIG;
    for (size_t i = 0; i < table->count; i++) {
        const struct appraisal_grade *grade = &table->grades[i];
        bool all = true;
        for (const struct appraisal_test *test = grade->tests; test->kind != TEST_END; test++) {
            bool holds = false;
            if (!run_test(rules, test, grade->silent, &holds, err))
                return false;
            all = all && holds;
        }
        if (all && !graded[grade->claim]) {
            rules->vector[grade->claim] = grade->value;
            graded[grade->claim] = true;
        }
    }
    return true;
}

static bool make_vector(const struct rules *rules, struct appraisal *appraisal, struct err *err)
{
    appraisal->vector = json_object();
    if (!appraisal->vector)
        return err_nomem(err);
    for (size_t i = 0; i < APPRAISAL_CLAIM_COUNT; i++) {
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
    const struct appraisal_rules *table = appraisal_rules_find(tee);
    bool is_tpm = strcmp(tee, "tpm") == 0;
    if (!table && !is_tpm)
        return err_set(err, ERR_FORMAT, "no appraisal rules for evidence of kind \"%.32s\"", tee);
    auto_appraisal appraisal = {.status = APPRAISAL_NONE, .findings = json_array()};
    if (!appraisal.findings)
        return err_nomem(err);
    struct rules rules = {.tee = tee,
        .claims = claims,
        .references = reference_values,
        .findings = appraisal.findings,
        .vector = {NO_CLAIM}};
    if (!(is_tpm ? appraise_tpm(&rules, err) : appraise_grades(&rules, table, err)) ||
        !make_vector(&rules, &appraisal, err))
        return false;
    *ret_appraisal = appraisal;
    appraisal = (struct appraisal){0};
    return true;
}

/* -- a policy of the administrator's ------------------------------------------------------------- */

/* The claims of EAR (draft-ietf-rats-ar4si section 2.3.3), and nothing else. */
static bool take_claim(struct rules *rules, const char *name, const json_t *value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(claim_names); i++) {
        if (strcmp(claim_names[i], name) != 0)
            continue;
        json_int_t number = json_integer_value(value);
        if (!json_is_integer(value) || number < -128 || number > 127)
            return err_set(
                err, ERR_FORMAT, "trust_claims: \"%s\" is no integer from -128 to 127", name);
        rules->vector[i] = (int)number;
        return true;
    }
    return err_set(err, ERR_FORMAT,
        "trust_claims: \"%.64s\" is no trust claim; EAR has instance-identity, configuration, "
        "executables, file-system, hardware, runtime-opaque, storage-opaque and sourced-data",
        name);
}

static bool take_extension(json_t *extensions, const json_t *extension, struct err *err)
{
    static const char *const taken[] = {"ear.status", "ear.trustworthiness-vector",
        "ear.appraisal-policy-id", "ear.veraison.annotated-evidence"};
    const char *name = json_member_text(extension, "name");
    json_t *value = json_object_get(extension, "value");
    if (!name || !name[0] || strlen(name) > 128 || !value)
        return err_set(err, ERR_FORMAT, "extensions: one has no \"name\" or no \"value\"");
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        if (strcmp(taken[i], name) == 0)
            return err_set(err, ERR_FORMAT, "extensions: \"%s\" is the token's own", name);
    return json_object_set(extensions, name, value) == 0 || err_nomem(err);
}

bool appraisal_replace(struct appraisal *appraisal, const json_t *trust_claims,
    const json_t *extensions, struct err *err)
{
    struct rules rules = {0};
    auto_appraisal made = {.extensions = json_object()};
    const char *name;
    json_t *value;
    if (!made.extensions)
        return err_nomem(err);
    if (!json_is_object(trust_claims))
        return err_set(err, ERR_FORMAT, "trust_claims is no object");
    if (extensions && !json_is_array(extensions))
        return err_set(err, ERR_FORMAT, "extensions is no array");
    json_object_foreach((json_t *)(uintptr_t)trust_claims, name, value)
    {
        if (!take_claim(&rules, name, value, err))
            return false;
    }
    for (size_t i = 0; i < json_array_size(extensions); i++)
        if (!take_extension(made.extensions, json_array_get(extensions, i), err))
            return false;
    made.status = APPRAISAL_NONE;
    if (!make_vector(&rules, &made, err))
        return false;
    made.findings = take_ptr(appraisal->findings);
    appraisal_done(appraisal);
    *appraisal = made;
    made = (struct appraisal){0};
    return true;
}
