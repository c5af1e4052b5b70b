/* SPDX-License-Identifier: Apache-2.0 */
/* The frame, and sample evidence. */
#include "tests/unit/unit.h"

#include "attest/verify/verify.h"
#include "tests/unit/evidence_file.h"

static void test_find(void **state)
{
    (void)state;
    assert_ptr_equal(verifier_find("tpm"), &verifier_tpm);
    assert_ptr_equal(verifier_find("sample"), &verifier_sample);
    assert_null(verifier_find("TPM"));
    assert_null(verifier_find(""));
    assert_null(verifier_find("tpm2"));
}

static void test_reasons_are_bounded(void **state)
{
    (void)state;
    static struct verdict verdict;
    char text[400];
    memset(text, 'x', sizeof text);
    text[399] = '\0';
    for (int i = 0; i < 100; i++)
        assert_false(verdict_fail(&verdict, i == 99 ? "last" : "check", text, text));
    assert_int_equal(verdict.reason_count, VERIFY_REASONS_MAX);
    assert_string_equal(verdict.reasons[VERIFY_REASONS_MAX - 1].check, "last");
    assert_int_equal(strlen(verdict.reasons[0].got), sizeof verdict.reasons[0].got - 1);
    verdict_done(&verdict);
}

/* What a guest sent may stand in a reason: it must stay text, also where it is cut. */
static void test_reasons_are_text(void **state)
{
    (void)state;
    static struct verdict verdict;
    char text[256] = "";
    memset(text, 'x', 254);
    strcpy(text + 254, "\xc3");
    verdict_fail(&verdict, "a\nb\x1b\x7f", "\xff\xc3\xa4\xed\xa0\x80", text);
    assert_string_equal(verdict.reasons[0].check, "a?b??");
    assert_string_equal(verdict.reasons[0].got, "?\xc3\xa4???");
    assert_int_equal(strlen(verdict.reasons[0].expected), 255);
    assert_int_equal(verdict.reasons[0].expected[254], '?');
    char cut[258] = "";
    memset(cut, 'x', 254);
    strcpy(cut + 254, "\xc3\xa4");
    verdict_fail(&verdict, "cut", cut, "");
    assert_int_equal(strlen(verdict.reasons[1].got), 254);
    verdict_done(&verdict);
}

static void verify_sample(const char *name, struct verdict *verdict)
{
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    char path[4096];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/fuzz/corpus/evidence/%s", name);
    assert_done(evidence_file_load(path, &file, &err), &err);
    assert_done(verify_evidence(file.verifier, &file.input, verdict, &err), &err);
}

/* Trustee's claims, member for member. */
static void test_sample(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_verdict verdict = {0};
    auto_json *wanted = NULL;
    verify_sample("sample.json", &verdict);
    assert_int_equal(verdict.reason_count, 0);
    assert_string_equal(verdict.class_name, "cpu");
    assert_done(
        json_build(&wanted, &err, "{s:s, s:s, s:s, s:{s:i, s:i}, s:b}", "svn", "1", "report_data",
            "JNe4Y0olzHSrHOPHi4zZ7Foj4z86Zs46BM9rmkjxHVaYbtsCN0kVCmSFAHOpwuBD", "launch_digest",
            "abcde", "platform_version", "major", 1, "minor", 4, "debug", 0),
        &err);
    assert_true(json_equal(verdict.claims, wanted));
}

static void test_sample_init_data(void **state)
{
    (void)state;
    auto_verdict verdict = {0};
    verify_sample("sample-init-data.json", &verdict);
    assert_int_equal(verdict.reason_count, 0);
    assert_string_equal(json_member_text(verdict.claims, "init_data"), "AAEC");
}

/* Evidence of an unmodified CoCo guest is taken, with the claims that Trustee makes of it. */
static void test_like_trustee(void **state)
{
    (void)state;
    static const char *const names[] = {"coco_tpm_evidence", "coco_sample_evidence"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct err err = ERR_INIT;
        auto_evidence_file file = {0};
        auto_verdict verdict = {0};
        char path[4096];
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/vectors/%s.json", names[i]);
        assert_done(evidence_file_load(path, &file, &err), &err);
        assert_done(verify_evidence(file.verifier, &file.input, &verdict, &err), &err);
        assert_int_equal(verdict.reason_count, 0);
        assert_true(json_equal(verdict.claims, json_object_get(file.whole, "claims")));
    }
}

static void test_needs(void **state)
{
    (void)state;
    static struct verdict verdict;
    assert_false(verdict_need(&verdict, "amd/chain/%s", "Milan"));
    assert_false(verdict_need(&verdict, "amd/chain/Milan"));
    assert_int_equal(verdict.need_count, 1);
    assert_int_equal(verdict.reason_count, 0);
    assert_false(verdict_need(&verdict, "amd/../%s", "x"));
    assert_int_equal(verdict.need_count, 1);
    assert_string_equal(verdict.reasons[0].check, "collateral");
    verdict_refuse_needs(&verdict);
    assert_int_equal(verdict.need_count, 0);
    assert_int_equal(verdict.reason_count, 2);
    assert_string_equal(verdict.reasons[1].got, "not available");
    assert_string_equal(verdict.reasons[1].expected, "amd/chain/Milan");
    for (int i = 0; i <= VERIFY_NEEDS_MAX; i++)
        verdict_need(&verdict, "intel/tcb/%d", i);
    assert_int_equal(verdict.need_count, VERIFY_NEEDS_MAX);
    assert_int_equal(verdict.reason_count, 3);
    verdict_done(&verdict);
}

static bool gives_claims_and_needs(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    (void)input;
    verdict->class_name = "cpu";
    verdict_need(verdict, "intel/root-crl");
    return json_build(&verdict->claims, err, "{}");
}

static bool gives_nothing(
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    (void)input, (void)verdict, (void)err;
    return true;
}

/* Whatever a verifier does: claims only without reasons and needs, and then always. */
static void test_outcomes(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_verdict verdict = {0};
    static struct verdict empty;
    const struct verify_input input = {.now = 1};
    const struct verifier both = {"both", gives_claims_and_needs}, none = {"none", gives_nothing};
    assert_done(verify_evidence(&both, &input, &verdict, &err), &err);
    assert_null(verdict.claims);
    assert_int_equal(verdict.need_count, 1);
    assert_refused(verify_evidence(&none, &input, &empty, &err), &err, ERR_INTERNAL,
        "verifier of none gives neither");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_reasons_are_bounded),
        cmocka_unit_test(test_reasons_are_text),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_outcomes),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_sample_init_data),
        cmocka_unit_test(test_like_trustee),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
