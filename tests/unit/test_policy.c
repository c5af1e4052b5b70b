/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/policy/policy.h"
#include "tests/unit/inputs.h"

static struct err err;

static const struct bad_input bad[] = {
    {"and-at-end.policy", ERR_FORMAT, "a condition is missing"},
    {"claim-alone.policy", ERR_FORMAT, "=, in or present is missing"},
    {"claim-bare-text.policy", ERR_FORMAT, "\"quoted text\""},
    {"claim-double-equals.policy", ERR_FORMAT, "=, in or present is expected"},
    {"claim-empty-part.policy", ERR_FORMAT, "neither a condition"},
    {"claim-ends-in-dot.policy", ERR_FORMAT, "neither a condition"},
    {"claim-equals-nothing.policy", ERR_FORMAT, "a value is missing"},
    {"claim-real-number.policy", ERR_FORMAT, "\"quoted text\""},
    {"claim-slash.policy", ERR_FORMAT, "neither a condition"},
    {"comma-for-and.policy", ERR_FORMAT, "status \"affirming,\""},
    {"control-character.policy", ERR_FORMAT, "control character"},
    {"double-star-in-middle.policy", ERR_FORMAT, "stands alone and last"},
    {"double-star-in-segment.policy", ERR_FORMAT, "stands alone and last"},
    {"empty-segment.policy", ERR_FORMAT, "segments of letters"},
    {"error-in-line-three.policy", ERR_FORMAT, "line 3"},
    {"four-segments.policy", ERR_FORMAT, "has 4 segments"},
    {"if-without-condition.policy", ERR_FORMAT, "a condition is missing"},
    {"in-without-reference-value.policy", ERR_FORMAT, "\"reference-value\" is expected"},
    {"long-line.policy", ERR_FORMAT, "at most 1000"},
    {"no-if.policy", ERR_FORMAT, "\"if\" is expected"},
    {"no-pattern.policy", ERR_FORMAT, "a pattern is missing"},
    {"no-status.policy", ERR_FORMAT, "is missing"},
    {"nul.policy", ERR_FORMAT, "control character"},
    {"open-quote.policy", ERR_FORMAT, "not closed"},
    {"or.policy", ERR_FORMAT, "\"and\" is expected"},
    {"percent-in-pattern.policy", ERR_FORMAT, "segments of letters"},
    {"present-extra.policy", ERR_FORMAT, "\"and\" is expected"},
    {"quote-glued.policy", ERR_FORMAT, "a blank is missing"},
    {"quote-inside-word.policy", ERR_FORMAT, "a blank is missing"},
    {"quoted-pattern.policy", ERR_FORMAT, "not the text"},
    {"reference-value-bad-name.policy", ERR_FORMAT, "no name of a reference value"},
    {"reference-value-without-name.policy", ERR_FORMAT, "is missing"},
    {"rego.policy", ERR_FORMAT, "this is Rego, which this server does not take"},
    {"seventeen-conditions.policy", ERR_FORMAT, "more than 16 conditions"},
    {"tee-with-dot.policy", ERR_FORMAT, "no name of a TEE"},
    {"text-not-utf8.policy", ERR_FORMAT, "not UTF-8"},
    {"tier-below.policy", ERR_FORMAT, "\"<=\" is expected"},
    {"tier-overflow.policy", ERR_FORMAT, "a number from 2 to 127"},
    {"tier-word.policy", ERR_FORMAT, "a number from 2 to 127"},
    {"tier-zero.policy", ERR_FORMAT, "a number from 2 to 127"},
    {"too-long.policy", ERR_FORMAT, "at most 65536"},
    {"too-many-rules.policy", ERR_FORMAT, "more than 1024 rules"},
    {"trailing-slash.policy", ERR_FORMAT, "segments of letters"},
    {"two-segments.policy", ERR_FORMAT, "has 2 segments"},
    {"unknown-status.policy", ERR_FORMAT, "status \"good\""},
    {"unknown-tier.policy", ERR_FORMAT, "tier \"firmware\""},
    {"unknown-verb.policy", ERR_FORMAT, "allow or deny is expected"},
};

static bool refuse(const struct secret *input, struct err *cause)
{
    auto_policy *policy = NULL;
    return policy_parse(secret_bytes(input), &policy, cause);
}

static void bad_policies_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/policy", bad, ARRAY_LEN(bad), refuse);
}

#define EVIDENCE                                                               \
    "\"tpm\":{\"pcr07\":\"aa\",\"flag\":true,\"svn\":7},\"init_data\":\"00\"," \
    "\"report_data\":\"11\",\"runtime_data_claims\":{\"nonce\":\"n\"},\"init_data_claims\":%s"
#define TOKEN                                                                        \
    "{\"submods\":{\"cpu0\":{\"ear.status\":\"%s\",\"ear.trustworthiness-vector\":{" \
    "\"hardware\":2,\"executables\":33,\"configuration\":0},"                        \
    "\"ear.veraison.annotated-evidence\":{" EVIDENCE "}}%s}}"
#define VALUES                                                                                  \
    "{\"pcr07\":[\"bb\",\"aa\"],\"other\":[\"cc\"],\"scalar\":\"aa\",\"number\":7,\"expired\":" \
    "null}"

static json_t *json(const char *text)
{
    json_t *value = NULL;
    assert_done(json_load_strict(bytes_str(text), 65536, "test", &value, &err), &err);
    return value;
}

static json_t *token(const char *status, const char *init_data, const char *more)
{
    char text[2048];
    snprintf(text, sizeof text, TOKEN, status, init_data, more);
    return json(text);
}

/* Decides for default/key/1. */
static struct policy_decision decide_for(const char *text, const char *resource, json_t *payload)
{
    auto_policy *policy = NULL;
    auto_json *values = json(VALUES);
    auto_json *owned = payload;
    struct kbs_uri uri;
    struct policy_decision decision = {0};
    assert_done(kbs_uri_from_path(resource, &uri, &err), &err);
    assert_done(policy_parse(bytes_str(text), &policy, &err), &err);
    assert_done(policy_decide(policy, &uri, owned, values, &decision, &err), &err);
    return decision;
}

static bool allowed(const char *text, const char *resource, json_t *payload)
{
    auto_policy_decision decision = decide_for(text, resource, payload);
    return decision.allowed;
}

static void patterns_match_whole_segments(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *resource;
        bool match;
    } cases[] = {
        {"**", "a/b/c", true},
        {"default/key/1", "default/key/1", true},
        {"default/key/1", "default/key/10", false},
        {"default/key/1", "default/key/2", false},
        {"default/key/*", "default/key/1", true},
        {"default/*/1", "default/key/1", true},
        {"default/*/1", "default/key/2", false},
        {"*/*/*", "a/b/c", true},
        {"default/**", "default/key/1", true},
        {"default/**", "defaultx/key/1", false},
        {"default/key/**", "default/key/1", true},
        {"default/key/**", "default/keys/1", false},
        {"a/b/c?", "a/b/cd", true},
        {"a/b/c?", "a/b/c", false},
        {"a/b/*c*d", "a/b/xcxcd", true},
        {"a/b/*c*d", "a/b/xcxce", false},
        {"a/b/a*a*a", "a/b/aa", false},
        {"a/b/v1.?", "a/b/v1.2", true},
        {"a/b/v1.?", "a/b/v1x2", false},
        {"d*/key/1", "default/key/1", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "allow %s\n", cases[i].pattern);
        if (allowed(text, cases[i].resource, token("none", "null", "")) != cases[i].match)
            fail_msg("%s and %s", cases[i].pattern, cases[i].resource);
    }
}

static void conditions_hold_or_not(void **state)
{
    (void)state;
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"status affirming", false},
        {"status warning", true},
        {"status none", true},
        {"status contraindicated", true},
        {"tee tpm", true},
        {"tee sample", false},
        {"tee runtime_data_claims", false},
        {"tee init_data", false},
        {"tier hardware <= 2", true},
        {"tier executables <= 32", false},
        {"tier executables <= 33", true},
        {"tier configuration <= 127", false}, /* 0 claims nothing */
        {"tier file-system <= 127", false},   /* absent */
        {"tpm.pcr07 = \"aa\"", true},
        {"tpm.pcr07 = \"AA\"", false},
        {"tpm.pcr07 = \"a\"", false},
        {"tpm.pcr08 = \"aa\"", false},
        {"tpm.flag = true", true},
        {"tpm.flag = \"true\"", false},
        {"tpm.svn = 7", true},
        {"tpm.svn = \"7\"", false},
        {"tpm = \"aa\"", false},
        {"tpm.pcr07.x = \"aa\"", false},
        {"tpm.pcr07 in reference-value pcr07", true},
        {"tpm.pcr07 in reference-value scalar", true},
        {"tpm.svn in reference-value number", true},
        {"tpm.pcr07 in reference-value other", false},
        {"tpm.pcr07 in reference-value missing", false},
        {"tpm.pcr07 in reference-value expired", false},
        {"tpm.pcr09 in reference-value pcr07", false},
        {"tpm.pcr07 present", true},
        {"tpm.pcr09 present", false},
        {"init-data present", true},
        {"init-data.k = \"v\"", true},
        {"init_data_claims.k = \"v\"", true},
        {"tpm.init-data present", false}, /* the short form is for the first word only */
        {"status warning and tee tpm", true},
        {"status warning and tee snp", false},
        {"tee snp and status warning", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "allow ** if %s\n", cases[i].condition);
        if (allowed(text, "a/b/c", token("warning", "{\"k\":\"v\"}", "")) != cases[i].holds)
            fail_msg("%s", cases[i].condition);
    }
}

/* Claims of other submodules begin with its name; members whose names have dots are found. */
static void claims_of_devices_and_of_files_are_found(void **state)
{
    static const char more[] =
        ",\"gpu0\":{\"ear.status\":\"affirming\",\"ear.veraison.annotated-evidence\":{"
        "\"sampledevice\":{\"svn\":\"2\"},\"init_data_claims\":{\"k\":\"w\"}}}";
    static const char init[] =
        "{\"k\":\"v\",\"aa\":\"text\",\"aa.toml\":{\"token\":{\"kbs.v1\":{\"url\":\"u\"}}}}";
    static const struct {
        const char *condition;
        bool holds;
    } cases[] = {
        {"gpu0.sampledevice.svn = \"2\"", true},
        {"gpu0.sampledevice present", true},
        {"gpu0.init-data.k = \"w\"", true},
        {"gpu0.init-data.k = \"v\"", false},
        {"cpu0.tpm.pcr07 = \"aa\"", true},
        {"gpu1.sampledevice.svn = \"2\"", false},
        {"sampledevice.svn = \"2\"", false},
        {"gpu0 present", false},
        {"init-data.aa.toml.token.kbs.v1.url = \"u\"", true},
        {"init_data_claims.aa = \"text\"", true},
        {"init-data.aa.toml.token.kbs = \"u\"", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[256];
        snprintf(text, sizeof text, "allow ** if %s\n", cases[i].condition);
        if (allowed(text, "a/b/c", token("warning", init, more)) != cases[i].holds)
            fail_msg("%s", cases[i].condition);
    }
}

static void null_init_data_is_absent(void **state)
{
    (void)state;
    assert_false(allowed("allow ** if init-data present", "a/b/c", token("warning", "null", "")));
    assert_false(allowed(
        "allow ** if init-data in reference-value expired", "a/b/c", token("warning", "null", "")));
}

static void the_worst_submodule_counts(void **state)
{
    (void)state;
    static const char policy[] = "allow ** if status affirming\n";
    assert_true(allowed(policy, "a/b/c", token("affirming", "null", "")));
    assert_true(allowed(
        policy, "a/b/c", token("affirming", "null", ",\"gpu0\":{\"ear.status\":\"affirming\"}")));
    assert_false(allowed(
        policy, "a/b/c", token("affirming", "null", ",\"gpu0\":{\"ear.status\":\"warning\"}")));
    assert_false(
        allowed(policy, "a/b/c", token("affirming", "null", ",\"gpu0\":{\"ear.status\":5}")));
    assert_false(allowed(policy, "a/b/c", token("affirming", "null", ",\"gpu0\":{}")));
    assert_false(allowed(policy, "a/b/c", token("excellent", "null", "")));
    assert_false(allowed(policy, "a/b/c", json("{\"submods\":{}}")));
    assert_false(allowed(policy, "a/b/c", json("{\"submods\":[]}")));
    assert_false(allowed(policy, "a/b/c", json("{}")));
}

static void the_first_match_decides(void **state)
{
    (void)state;
    static const char policy[] = "# order matters\n"
                                 "deny  secret/**\n"
                                 "allow */key/* if tee snp\n"
                                 "\n"
                                 "allow default/**  # the rest\n";
    auto_policy_decision denied = decide_for(policy, "secret/key/1", token("warning", "null", ""));
    assert_false(denied.allowed);
    assert_int_equal(denied.line, 2);
    auto_policy_decision later = decide_for(policy, "default/key/1", token("warning", "null", ""));
    assert_true(later.allowed); /* the rule for snp does not apply, the next does */
    assert_int_equal(later.line, 5);
    auto_policy_decision none = decide_for(policy, "other/x/1", token("warning", "null", ""));
    assert_false(none.allowed);
    assert_int_equal(none.line, 0);
}

static void an_empty_policy_denies(void **state)
{
    (void)state;
    assert_false(allowed("", "a/b/c", token("affirming", "null", "")));
    assert_false(allowed("# nothing\r\n\n", "a/b/c", token("affirming", "null", "")));
}

static const char *text_of(const json_t *finding, const char *name)
{
    const char *text = json_member_text(finding, name);
    assert_non_null(text);
    return text;
}

static void findings_tell_every_comparison(void **state)
{
    (void)state;
    auto_policy_decision decision =
        decide_for("allow ** if status affirming and tpm.pcr07 in reference-value other and "
                   "tpm.flag = true # why\n",
            "a/b/c", token("warning", "null", ""));
    assert_int_equal(json_array_size(decision.findings), 4);
    const json_t *status = json_array_get(decision.findings, 0);
    assert_string_equal(text_of(status, "claim"), "ear.status");
    assert_string_equal(text_of(status, "got"), "warning");
    assert_string_equal(text_of(status, "expected"), "affirming");
    assert_string_equal(text_of(status, "rule"),
        "allow ** if status affirming and tpm.pcr07 in reference-value other and tpm.flag = true");
    assert_true(json_is_false(json_object_get(status, "match")));
    const json_t *pcr = json_array_get(decision.findings, 1);
    assert_string_equal(text_of(pcr, "claim"), "tpm.pcr07");
    assert_string_equal(text_of(pcr, "got"), "\"aa\"");
    assert_string_equal(text_of(pcr, "expected"), "[\"cc\"]");
    assert_true(json_is_true(json_object_get(json_array_get(decision.findings, 2), "match")));
    assert_string_equal(text_of(json_array_get(decision.findings, 3), "rule"), "no match: deny");
}

static void long_claims_do_not_flood_findings(void **state)
{
    (void)state;
    char init_data[900];
    memset(init_data, 'x', sizeof init_data);
    memcpy(init_data, "{\"k\":\"", 6);
    memcpy(init_data + sizeof init_data - 3, "\"}", 3);
    auto_policy_decision decision =
        decide_for("allow ** if init-data = 3", "a/b/c", token("warning", init_data, ""));
    assert_string_equal(text_of(json_array_get(decision.findings, 0), "got"), "(too long to show)");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_policies_are_refused),
        cmocka_unit_test(patterns_match_whole_segments),
        cmocka_unit_test(conditions_hold_or_not),
        cmocka_unit_test(claims_of_devices_and_of_files_are_found),
        cmocka_unit_test(null_init_data_is_absent),
        cmocka_unit_test(the_worst_submodule_counts),
        cmocka_unit_test(the_first_match_decides),
        cmocka_unit_test(an_empty_policy_denies),
        cmocka_unit_test(findings_tell_every_comparison),
        cmocka_unit_test(long_claims_do_not_flood_findings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
