/* SPDX-License-Identifier: Apache-2.0 */
/* Whole TDX evidence: what is taken and with which claims, and everything in tests/bad/tdx_evidence by its reason. */
#include "attest/verify/tdx.h"
#include "tests/unit/tdx_file.h"

static void verify(const struct evidence_file *file, struct verdict *verdict)
{
    struct err err = ERR_INIT;
    assert_done(verify_evidence(file->verifier, &file->input, verdict, &err), &err);
}

static void assert_claims(const struct verdict *verdict)
{
    if (verdict->reason_count > 0)
        fail_msg("%s: got %s, expected %s", verdict->reasons[0].check, verdict->reasons[0].got,
            verdict->reasons[0].expected);
    assert_int_equal(verdict->need_count, 0);
    assert_non_null(verdict->claims);
    assert_string_equal(verdict->class_name, "cpu");
}

static void assert_text(const json_t *object, const char *name, const char *expected)
{
    const char *text = json_member_text(object, name);
    if (!text || strcmp(text, expected) != 0)
        fail_msg("%s: \"%s\", not \"%s\"", name, text ? text : "(no text)", expected);
}

static bool has_reason(const struct verdict *verdict, const char *check)
{
    for (size_t i = 0; i < verdict->reason_count; i++)
        if (strcmp(verdict->reasons[i].check, check) == 0)
            return true;
    return false;
}

/* -- what is taken --------------------------------------------------------------------------------- */

static const char expected_v4[] =
    "{\"td_attributes\":{\"debug\":false,\"septve_disable\":true,\"protection_keys\":false,"
    "\"key_locker\":false,\"perfmon\":false},"
    "\"platform_instance_id\":\"2f2e2d2c2b2a29282726252423222120\","
    "\"tcb_status\":\"UpToDate\",\"tcb_date\":\"2025-05-14T00:00:00Z\",\"advisory_ids\":[],"
    "\"tcb_status_current\":\"UpToDate\",\"tcb_date_current\":\"2025-05-14T00:00:00Z\","
    "\"advisory_ids_current\":[],\"earliest_issue_date\":\"2018-05-21T00:00:00Z\","
    "\"latest_issue_date\":\"2026-06-02T10:00:00Z\","
    "\"earliest_expiration_date\":\"2026-07-01T00:00:00Z\",\"collateral_expiration_status\":\"0\","
    "\"tcb_eval_num\":18,\"pck_crl_num\":7,\"root_ca_crl_num\":1,"
    "\"platform_provider_id\":\"000102030405060708090a0b0c0d0e0f\",\"sgx_type\":\"Scalable\","
    "\"is_dynamic_platform\":true,\"is_cached_keys\":true,\"is_smt_enabled\":false}";

static void test_claims(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    struct err err = ERR_INIT;
    auto_json *expected = NULL;
    tdx_file_good("v4", &file);
    verify(&file, &verdict);
    assert_claims(&verdict);
    assert_done(json_load_strict(bytes_str(expected_v4), 4096, "claims", &expected, &err), &err);
    const char *name;
    json_t *value;
    json_object_foreach(expected, name, value)
    {
        if (!json_equal(json_object_get(verdict.claims, name), value))
            fail_msg("claim %s differs", name);
    }
    assert_int_equal(json_object_size(verdict.claims), json_object_size(expected) + 4);
    assert_int_equal(strlen(json_member_text(verdict.claims, "root_key_id")), 96);
    assert_text(verdict.claims, "report_data",
        "24d7b8634a25cc74ab1ce3c78b8cd9ec5a23e33f3a66ce3a04cf6b9a48f11d56986edb023749150a64850073a9"
        "c2e04300000000000000000000000000000000");
    const json_t *quote = json_object_get(verdict.claims, "quote");
    const json_t *header = json_object_get(quote, "header"), *body = json_object_get(quote, "body");
    assert_int_equal(json_object_size(quote), 2);
    assert_int_equal(json_object_size(header), 6);
    assert_text(header, "version", "0400");
    assert_text(header, "att_key_type", "0200");
    assert_text(header, "tee_type", "81000000");
    assert_text(header, "reserved", "00000000");
    assert_text(header, "vendor_id", "939a7233f79c4ca9940a0db3957f0607");
    assert_text(header, "user_data", "000102030405060708090a0b0c0d0e0f10111213");
    assert_int_equal(json_object_size(body), 15);
    assert_text(body, "tcb_svn", "05010300000000000000000000000000");
    assert_text(body, "xfam", "e702060000000000");
    assert_text(body, "mr_config_id", json_member_text(verdict.claims, "init_data"));
}

static void test_claims_of_1_5(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    tdx_file_good("v5-td15", &file);
    verify(&file, &verdict);
    assert_claims(&verdict);
    const json_t *quote = json_object_get(verdict.claims, "quote");
    assert_text(json_object_get(quote, "header"), "version", "0500");
    assert_text(quote, "type", "0300");
    assert_text(quote, "size", "88020000");
    assert_int_equal(json_object_size(json_object_get(quote, "body")), 17);
    assert_text(json_object_get(quote, "body"), "tee_tcb_svn2", "06010400000000000000000000000000");
    /* Launched by a module that is out of date; the one that runs now is not. */
    assert_text(verdict.claims, "tcb_status", "TDRelaunchAdvised");
    assert_text(verdict.claims, "tcb_date", "2024-03-13T00:00:00Z");
    assert_int_equal(json_array_size(json_object_get(verdict.claims, "advisory_ids")), 1);
    assert_text(verdict.claims, "tcb_status_current", "UpToDate");
    assert_text(verdict.claims, "tcb_date_current", "2025-05-14T00:00:00Z");
    assert_int_equal(json_array_size(json_object_get(verdict.claims, "advisory_ids_current")), 0);
}

static void test_claims_of_other_kinds(void **state)
{
    (void)state;
    auto_evidence_file td10 = {0}, processor = {0};
    auto_verdict first = {0}, second = {0};
    tdx_file_good("v5-td10", &td10);
    verify(&td10, &first);
    assert_claims(&first);
    assert_text(json_object_get(first.claims, "quote"), "type", "0200");
    assert_text(json_object_get(first.claims, "quote"), "size", "48020000");
    assert_int_equal(
        json_object_size(json_object_get(json_object_get(first.claims, "quote"), "body")), 15);
    tdx_file_good("v4-processor", &processor);
    verify(&processor, &second);
    assert_claims(&second);
    assert_text(second.claims, "sgx_type", "Standard");
    assert_null(json_object_get(second.claims, "platform_instance_id"));
    assert_null(json_object_get(second.claims, "is_smt_enabled"));
}

static void test_eventlog(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0}, without = {0};
    tdx_file_good("v4-log", &file);
    verify(&file, &verdict);
    assert_claims(&verdict);
    const json_t *events = json_object_get(verdict.claims, "uefi_event_logs");
    assert_int_equal(json_array_size(events), 19);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(events, 1), "index")), 1);
    /* An empty text is as good as no log: Trustee's guest sends it where there is none. */
    json_t *evidence = json_object_get(file.whole, "evidence");
    json_object_set_new(evidence, "cc_eventlog", json_string(""));
    verify(&file, &without);
    assert_claims(&without);
    assert_null(json_object_get(without.claims, "uefi_event_logs"));
}

/* A guest may be newer than its broker and send more; but not in the place of the log. */
static void test_unknown_members(void **state)
{
    (void)state;
    static const struct {
        const char *drop, *add;
        bool good;
    } cases[] = {
        {NULL, "td_report", true},
        {NULL, "aa_eventlog", true},
        {"cc_eventlog", NULL, true},
        {"cc_eventlog", "aa_eventlog", true},
        {"cc_eventlog", "cc_eventlOg", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_evidence_file file = {0};
        auto_verdict verdict = {0};
        tdx_file_good("v4", &file);
        json_t *evidence = json_object_get(file.whole, "evidence");
        json_object_set_new(evidence, "cc_eventlog", json_null());
        if (cases[i].drop)
            json_object_del(evidence, cases[i].drop);
        if (cases[i].add)
            json_object_set_new(evidence, cases[i].add, json_string("bG9n"));
        verify(&file, &verdict);
        if (cases[i].good) {
            assert_claims(&verdict);
            continue;
        }
        assert_int_equal(verdict.reason_count, 1);
        assert_string_equal(verdict.reasons[0].check, "tdx.evidence");
    }
}

/* -- what is missing ----------------------------------------------------------------------------------- */

static void test_needs(void **state)
{
    (void)state;
    static const char *const needs[] = {
        "intel/root-crl", "intel/pck-crl/platform", "intel/tcb/90C06F000000", "intel/qe-identity"};
    auto_evidence_file file = {0};
    auto_verdict all = {0}, refused = {0};
    tdx_file_good("v4", &file);
    file.input.collateral = NULL;
    verify(&file, &all);
    assert_int_equal(all.reason_count, 0);
    assert_null(all.claims);
    assert_int_equal(all.need_count, ARRAY_LEN(needs));
    for (size_t i = 0; i < ARRAY_LEN(needs); i++)
        assert_string_equal(all.needs[i], needs[i]);
    /* What would be refused anyway is refused now. */
    file.input.report_data = bytes_slice(file.input.report_data, 0, 47);
    verify(&file, &refused);
    assert_int_equal(refused.reason_count, 1);
    assert_string_equal(refused.reasons[0].check, "tdx.report-data");
}

/* Each object alone is missed, and a chain that nobody vouches for makes nobody fetch anything. */
static void test_each_need(void **state)
{
    (void)state;
    auto_json *whole = tdx_file_json(TDX_GOOD_DIR, "v4-processor.json");
    const char *name;
    json_t *object;
    json_object_foreach(json_object_get(whole, "collateral"), name, object)
    {
        auto_evidence_file file = {0};
        auto_verdict verdict = {0}, optional = {0};
        auto_json *copy = json_deep_copy(whole);
        json_object_del(json_object_get(copy, "collateral"), name);
        tdx_file_of(copy, &file);
        verify(&file, &verdict);
        assert_int_equal(verdict.reason_count, 0);
        assert_int_equal(verdict.need_count, 1);
        assert_string_equal(verdict.needs[0], name);
        file.input.collateral_optional = true;
        verify(&file, &optional);
        assert_claims(&optional);
        assert_text(optional.claims, "tcb_status", "Unverified");
    }
    auto_evidence_file file = {0};
    auto_verdict untrusted = {0};
    json_object_del(whole, "collateral");
    json_object_del(whole, "roots");
    tdx_file_of(whole, &file);
    verify(&file, &untrusted);
    assert_int_equal(untrusted.need_count, 0);
    assert_true(has_reason(&untrusted, "tdx.root"));
}

static void test_optional(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict none = {0}, whole = {0}, late = {0}, later = {0};
    tdx_file_good("v4", &file);
    file.input.collateral_optional = true;
    verify(&file, &whole);
    assert_claims(&whole);
    assert_text(whole.claims, "tcb_status", "UpToDate");
    file.input.collateral = NULL;
    verify(&file, &none);
    assert_claims(&none);
    assert_text(none.claims, "tcb_status", "Unverified");
    assert_int_equal(json_object_size(none.claims), 6);
    /* The quote's own chain has dates, too. */
    file.input.now = 2000000000;
    verify(&file, &late);
    assert_true(has_reason(&late, "tdx.date"));
    file.input.collateral_expired_ok = true;
    verify(&file, &later);
    assert_claims(&later);
    assert_text(later.claims, "collateral_expiration_status", "1");
}

static void test_optional_is_not_lenient(void **state)
{
    (void)state;
    static const char *const names[] = {"revoked-leaf.json", "tcb-info-signed-by-another.json",
        "signature-by-another-key.json", "qe-another-signer.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_evidence_file file = {0};
        auto_verdict verdict = {0};
        auto_json *bad = tdx_file_json(TDX_BAD_DIR, names[i]);
        auto_json *whole = tdx_file_merge(bad);
        tdx_file_of(whole, &file);
        file.input.collateral_optional = true;
        verify(&file, &verdict);
        assert_true(verdict.reason_count > 0);
    }
}

static void test_expired_as_claim(void **state)
{
    (void)state;
    static const char *const names[] = {"tcb-info-expired.json", "qe-identity-expired.json",
        "root-crl-expired.json", "pck-crl-expired.json", "leaf-expired.json",
        "tcb-info-signer-expired.json", "at-a-year-later.json"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_evidence_file file = {0};
        auto_verdict verdict = {0};
        auto_json *bad = tdx_file_json(TDX_BAD_DIR, names[i]);
        auto_json *whole = tdx_file_merge(bad);
        tdx_file_of(whole, &file);
        file.input.collateral_expired_ok = true;
        verify(&file, &verdict);
        assert_claims(&verdict);
        assert_text(verdict.claims, "collateral_expiration_status", "1");
        assert_text(verdict.claims, "tcb_status", "UpToDate");
    }
}

/* -- what is refused ------------------------------------------------------------------------------------ */

static bool is_expected(const json_t *expected, const char *check)
{
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (strcmp(json_string_value(json_array_get(expected, i)), check) == 0)
            return true;
    return false;
}

static void check_bad(const char *name)
{
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    auto_json *bad = tdx_file_json(TDX_BAD_DIR, name);
    auto_json *whole = tdx_file_merge(bad);
    const json_t *expected = json_object_get(bad, "refused_by");
    tdx_file_of(whole, &file);
    verify(&file, &verdict);
    if (verdict.claims || verdict.need_count > 0)
        fail_msg("%s: %s", name, verdict.claims ? "taken" : "undecided");
    for (size_t i = 0; i < verdict.reason_count; i++)
        if (!is_expected(expected, verdict.reasons[i].check))
            fail_msg("%s: refused by %s: got %s, expected %s", name, verdict.reasons[i].check,
                verdict.reasons[i].got, verdict.reasons[i].expected);
    for (size_t i = 0; i < json_array_size(expected); i++)
        if (!has_reason(&verdict, json_string_value(json_array_get(expected, i))))
            fail_msg("%s: not refused by %s", name, json_string_value(json_array_get(expected, i)));
}

static void test_bad(void **state)
{
    (void)state;
    size_t count = 0;
    DIR *dir = opendir(TDX_BAD_DIR);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        check_bad(entry->d_name);
        count++;
    }
    closedir(dir);
    assert_true(count >= 190);
}

/* Every failed check is listed, not only the first. */
static void test_all_reasons(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    auto_json *bad = tdx_file_json(TDX_BAD_DIR, "signature-by-another-key.json");
    auto_json *more = tdx_file_json(TDX_BAD_DIR, "revoked-leaf.json");
    json_object_set(bad, "collateral", json_object_get(more, "collateral"));
    auto_json *whole = tdx_file_merge(bad);
    tdx_file_of(whole, &file);
    file.input.report_data = bytes_slice(file.input.report_data, 1, 47);
    file.input.now = 0;
    verify(&file, &verdict);
    assert_true(has_reason(&verdict, "tdx.signature"));
    assert_true(has_reason(&verdict, "tdx.revoked"));
    assert_true(has_reason(&verdict, "tdx.report-data"));
    assert_true(has_reason(&verdict, "tdx.date"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claims),
        cmocka_unit_test(test_claims_of_1_5),
        cmocka_unit_test(test_claims_of_other_kinds),
        cmocka_unit_test(test_eventlog),
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_each_need),
        cmocka_unit_test(test_optional),
        cmocka_unit_test(test_optional_is_not_lenient),
        cmocka_unit_test(test_expired_as_claim),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_all_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
