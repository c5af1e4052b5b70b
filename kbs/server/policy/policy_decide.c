/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "kbs/server/policy/policy_rules.h"

#define SHOWN_MAX 300

/* Where a guest's claims lie in a token (protocol.md D.1). */
struct facts {
    const json_t *submods;
    const json_t *claims; /* of cpu0; may be NULL */
    const json_t *vector; /* of cpu0; may be NULL */
    int rank;             /* of the worst submodule */
    const json_t *reference_values;
};

/* What a condition compared. */
struct outcome {
    bool match;
    char claim[SHOWN_MAX], got[SHOWN_MAX], expected[SHOWN_MAX];
};

static const char *const status_names[] = {"contraindicated", "none", "warning", "affirming"};

int policy_status_rank(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(status_names); i++)
        if (strcmp(status_names[i], name) == 0)
            return (int)i;
    return -1;
}

static const json_t *member(const json_t *object, const char *name)
{
    return json_object_get(object, name); /* NULL for NULL and for what is no object */
}

/* No submodule, or one whose status is unknown, counts as the worst. */
static int worst_rank(const json_t *submods)
{
    int worst = (int)ARRAY_LEN(status_names) - 1;
    void *iter = json_object_iter((json_t *)(uintptr_t)submods);
    if (!iter)
        return 0;
    for (; iter; iter = json_object_iter_next((json_t *)(uintptr_t)submods, iter)) {
        const char *status = json_member_text(json_object_iter_value(iter), "ear.status");
        int rank = status ? policy_status_rank(status) : 0;
        if (rank < worst)
            worst = rank < 0 ? 0 : rank;
    }
    return worst;
}

/* `pattern` with '*' and '?' against one segment; backs up to the last '*' only. */
static bool glob(const char *pattern, size_t pattern_len, const char *text)
{
    const char *end = pattern + pattern_len;
    const char *star = NULL;
    const char *retry = text;
    while (*text != '\0') {
        if (pattern < end && *pattern == '*') {
            star = pattern++;
            retry = text;
        } else if (pattern < end && (*pattern == '?' || *pattern == *text)) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++retry;
        } else {
            return false;
        }
    }
    while (pattern < end && *pattern == '*')
        pattern++;
    return pattern == end;
}

bool policy_pattern_matches(const char *pattern, const struct kbs_uri *resource)
{
    const char *const segments[] = {resource->repository, resource->type, resource->tag};
    for (size_t i = 0; i < ARRAY_LEN(segments); i++) {
        size_t len = strcspn(pattern, "/");
        if (len == 2 && strncmp(pattern, "**", 2) == 0)
            return true;
        if (!glob(pattern, len, segments[i]))
            return false;
        pattern += len + (pattern[len] == '/');
    }
    return true;
}

#define PATH_MAX_LEN 256

/* Names of members may have dots in them (init_data_claims has aa.toml), so each beginning of the path that names one is followed. */
static const json_t *walk(const json_t *at, const char *path)
{
    for (size_t len = strcspn(path, ".");; len += 1 + strcspn(path + len + 1, ".")) {
        char name[PATH_MAX_LEN];
        if (len >= sizeof name)
            return NULL;
        snprintf(name, sizeof name, "%.*s", (int)len, path);
        const json_t *next = member(at, name);
        if (path[len] == '\0')
            return next;
        const json_t *found = next ? walk(next, path + len + 1) : NULL;
        if (found)
            return found;
    }
}

/* `init-data` is the readable name of init_data_claims. */
static const json_t *walk_claims(const json_t *claims, const char *path)
{
    static const char shortened[] = "init-data";
    size_t len = strlen(shortened);
    if (strncmp(path, shortened, len) != 0 || (path[len] != '.' && path[len] != '\0'))
        return walk(claims, path);
    const json_t *init_data = member(claims, "init_data_claims");
    return path[len] == '.' && init_data ? walk(init_data, path + len + 1) : init_data;
}

/* cpu0's, unless the path begins with the name of another submodule: gpu0.sampledevice.svn. */
static const json_t *find_claim(const struct facts *facts, const char *path)
{
    char name[PATH_MAX_LEN];
    size_t len = strcspn(path, ".");
    const char *digits = path + strcspn(path, "0123456789.");
    size_t digit_count = strspn(digits, "0123456789");
    bool is_submod = digit_count > 0 && digits + digit_count == path + len && path[len] == '.';
    snprintf(name, sizeof name, "%.*s", (int)len, path);
    const json_t *submod = is_submod ? member(facts->submods, name) : NULL;
    return submod ? walk_claims(member(submod, "ear.veraison.annotated-evidence"), path + len + 1)
                  : walk_claims(facts->claims, path);
}

static void show(const json_t *json, char *out)
{
    if (!json) {
        snprintf(out, SHOWN_MAX, "absent");
        return;
    }
    auto_free char *text = json_text(json);
    size_t len = text ? strlen(text) : 0;
    snprintf(out, SHOWN_MAX, "%.*s%s", len < SHOWN_MAX - 4 ? (int)len : 0, text ? text : "",
        len < SHOWN_MAX - 4 ? "" : "(too long to show)");
}

static void test_status(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    snprintf(outcome->claim, SHOWN_MAX, "ear.status");
    snprintf(outcome->got, SHOWN_MAX, "%s", status_names[facts->rank]);
    snprintf(outcome->expected, SHOWN_MAX, "%s%s", status_names[condition->number],
        condition->number == (int)ARRAY_LEN(status_names) - 1 ? "" : " or better");
    outcome->match = facts->rank >= condition->number;
}

/* The claims of a TEE are the member of its name; these four belong to every TEE. */
static bool is_common(const char *name)
{
    static const char *const common[] = {
        "report_data", "init_data", "runtime_data_claims", "init_data_claims"};
    for (size_t i = 0; i < ARRAY_LEN(common); i++)
        if (strcmp(common[i], name) == 0)
            return true;
    return false;
}

static void test_tee(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    const char *found = "absent";
    void *iter = json_object_iter((json_t *)(uintptr_t)facts->claims);
    for (; iter; iter = json_object_iter_next((json_t *)(uintptr_t)facts->claims, iter)) {
        const char *name = json_object_iter_key(iter);
        if (is_common(name) || !json_is_object(json_object_iter_value(iter)))
            continue;
        found = name;
        outcome->match = outcome->match || strcmp(name, condition->text) == 0;
    }
    snprintf(outcome->claim, SHOWN_MAX, "tee");
    snprintf(outcome->got, SHOWN_MAX, "%s", outcome->match ? condition->text : found);
    snprintf(outcome->expected, SHOWN_MAX, "%s", condition->text);
}

/* Values below 2 claim nothing or tell of a verifier that failed (AR4SI, tiers). */
static void test_tier(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    const json_t *value = member(facts->vector, condition->text);
    snprintf(outcome->claim, SHOWN_MAX, "tier %s", condition->text);
    show(value, outcome->got);
    snprintf(outcome->expected, SHOWN_MAX, "2 to %lld", (long long)condition->number);
    outcome->match = json_is_integer(value) && json_integer_value(value) >= 2 &&
                     json_integer_value(value) <= condition->number;
}

static void test_equals(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    const json_t *claim = find_claim(facts, condition->claim);
    snprintf(outcome->claim, SHOWN_MAX, "%s", condition->claim);
    show(claim, outcome->got);
    show(condition->value, outcome->expected);
    outcome->match = claim && json_equal(claim, condition->value);
}

static bool is_one_of(const json_t *claim, const json_t *values)
{
    if (!json_is_array(values))
        return json_equal(claim, values);
    for (size_t i = 0; i < json_array_size(values); i++)
        if (json_equal(claim, json_array_get(values, i)))
            return true;
    return false;
}

static void test_reference(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    const json_t *claim = find_claim(facts, condition->claim);
    const json_t *values = member(facts->reference_values, condition->text);
    if (json_is_null(values)) /* expired */
        values = NULL;
    snprintf(outcome->claim, SHOWN_MAX, "%s", condition->claim);
    show(claim, outcome->got);
    if (values)
        show(values, outcome->expected);
    else
        snprintf(outcome->expected, SHOWN_MAX,
            "reference value %.200s, which is not registered or expired", condition->text);
    outcome->match = claim && values && is_one_of(claim, values);
}

static void test_present(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome)
{
    const json_t *claim = find_claim(facts, condition->claim);
    snprintf(outcome->claim, SHOWN_MAX, "%s", condition->claim);
    snprintf(outcome->expected, SHOWN_MAX, "present");
    outcome->match = claim && !json_is_null(claim);
    snprintf(outcome->got, SHOWN_MAX, "%s", outcome->match ? "present" : "absent");
}

typedef void test_fn(
    const struct condition *condition, const struct facts *facts, struct outcome *outcome);

static test_fn *const tests[] = {
    [CONDITION_STATUS] = test_status,
    [CONDITION_TEE] = test_tee,
    [CONDITION_TIER] = test_tier,
    [CONDITION_EQUALS] = test_equals,
    [CONDITION_REFERENCE] = test_reference,
    [CONDITION_PRESENT] = test_present,
};

static bool record(
    json_t *findings, int line, const char *rule, const struct outcome *outcome, struct err *err)
{
    json_t *finding = NULL;
    if (!json_build(&finding, err, "{s:i,s:s,s:s,s:s,s:s,s:b}", "line", line, "rule", rule, "claim",
            outcome->claim, "got", outcome->got, "expected", outcome->expected, "match",
            outcome->match))
        return false;
    return json_array_append_new(findings, finding) == 0 || err_nomem(err);
}

/* All conditions are tested, not only up to the first that fails: an explanation lists them all. */
static bool test_rule(const struct rule *rule, const struct facts *facts, const char *resource,
    json_t *findings, bool *ret_applies, struct err *err)
{
    struct outcome outcome = {.match = true};
    bool applies = true;
    if (rule->condition_count == 0) {
        snprintf(outcome.claim, SHOWN_MAX, "resource");
        snprintf(outcome.got, SHOWN_MAX, "%.*s", SHOWN_MAX - 1, resource);
        snprintf(outcome.expected, SHOWN_MAX, "%.*s", SHOWN_MAX - 1, rule->pattern);
        if (!record(findings, rule->line, rule->text, &outcome, err))
            return false;
    }
    for (size_t i = 0; i < rule->condition_count; i++) {
        const struct condition *condition = &rule->conditions[i];
        outcome = (struct outcome){0};
        tests[condition->kind](condition, facts, &outcome);
        applies = applies && outcome.match;
        if (!record(findings, rule->line, rule->text, &outcome, err))
            return false;
    }
    *ret_applies = applies;
    return true;
}

static bool record_no_rule(json_t *findings, const char *resource, struct err *err)
{
    struct outcome outcome = {.claim = "resource", .expected = "a rule that applies"};
    snprintf(outcome.got, SHOWN_MAX, "%.*s", SHOWN_MAX - 1, resource);
    return record(findings, 0, "no match: deny", &outcome, err);
}

void policy_decision_done(struct policy_decision *decision)
{
    json_unref(decision->findings);
    decision->findings = NULL;
}

bool policy_decide(const struct policy *policy, const struct kbs_uri *resource,
    const json_t *payload, const json_t *reference_values, struct policy_decision *ret_decision,
    struct err *err)
{
    const json_t *submods = member(payload, "submods");
    const json_t *cpu = member(submods, "cpu0");
    const struct facts facts = {
        .submods = submods,
        .claims = member(cpu, "ear.veraison.annotated-evidence"),
        .vector = member(cpu, "ear.trustworthiness-vector"),
        .rank = worst_rank(submods),
        .reference_values = reference_values,
    };
    char uri[KBS_URI_MAX];
    auto_policy_decision decision = {.findings = json_array()};
    if (!decision.findings)
        return err_nomem(err);
    kbs_uri_format(resource, uri);
    for (size_t i = 0; i < policy->count; i++) {
        const struct rule *rule = &policy->rules[i];
        bool applies = false;
        if (!policy_pattern_matches(rule->pattern, resource))
            continue;
        if (!test_rule(rule, &facts, uri, decision.findings, &applies, err))
            return false;
        if (applies) {
            decision.allowed = rule->allow;
            decision.line = rule->line;
            break;
        }
    }
    if (decision.line == 0 && !record_no_rule(decision.findings, uri, err))
        return false;
    *ret_decision = decision;
    decision.findings = NULL;
    return true;
}
