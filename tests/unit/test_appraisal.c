/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/appraisal.h"

#define DIGEST_A "abababababababababababababababababababababababababababababababab"
#define DIGEST_B "0000000000000000000000000000000000000000000000000000000000000000"

static json_t *parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 1 << 20, "test", &json, &err), &err);
    return json;
}

static void appraise_texts(const char *tee, const char *claims_text, const char *references_text,
    struct appraisal *appraisal)
{
    struct err err = ERR_INIT;
    auto_json *claims = parse(claims_text);
    auto_json *references = parse(references_text);
    assert_done(appraise(tee, claims, references, appraisal, &err), &err);
}

static json_int_t value_of(const struct appraisal *appraisal, const char *name)
{
    return json_integer_value(json_object_get(appraisal->vector, name));
}

static void appraise_tpm(const char *references, enum appraisal_status status, int executables,
    struct appraisal *appraisal)
{
    appraise_texts(
        "tpm", "{\"pcr07\":\"" DIGEST_B "\",\"pcr11\":\"" DIGEST_A "\"}", references, appraisal);
    assert_int_equal(appraisal->status, status);
    assert_int_equal(value_of(appraisal, "executables"), executables);
    assert_int_equal(value_of(appraisal, "hardware"), 2);
    assert_int_equal(value_of(appraisal, "configuration"), 0);
    assert_int_equal(json_object_size(appraisal->vector), 8);
}

static const json_t *finding(const struct appraisal *appraisal, const char *claim)
{
    size_t index;
    const json_t *each;
    json_array_foreach(appraisal->findings, index,
        each) if (strcmp(json_member_text(each, "claim"), claim) == 0) return each;
    fail_msg("no finding on %s", claim);
    return NULL;
}

static void test_tpm_match(void **state)
{
    (void)state;
    auto_appraisal one = {0}, two = {0}, several = {0}, upper = {0};
    appraise_tpm("{\"tpm_pcr11\":[\"" DIGEST_A "\"]}", APPRAISAL_AFFIRMING, 3, &one);
    appraise_tpm("{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr07\":[\"" DIGEST_B
                 "\"],\"svn\":[\"1\"]}",
        APPRAISAL_AFFIRMING, 3, &two);
    assert_int_equal(json_array_size(two.findings), 2);
    appraise_tpm(
        "{\"tpm_pcr11\":[\"" DIGEST_B "\",\"" DIGEST_A "\"]}", APPRAISAL_AFFIRMING, 3, &several);
    appraise_tpm(
        "{\"tpm_pcr11\":[\"ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB\"]}",
        APPRAISAL_AFFIRMING, 3, &upper);
}

/* Every existing reference value must match; one that does not says what came and what was expected. */
static void test_tpm_differs(void **state)
{
    (void)state;
    auto_appraisal appraisal = {0};
    appraise_tpm("{\"tpm_pcr07\":[\"" DIGEST_B "\"],\"tpm_pcr11\":[\"" DIGEST_B "\"]}",
        APPRAISAL_WARNING, 33, &appraisal);
    const json_t *bad = finding(&appraisal, "tpm.pcr11");
    assert_string_equal(json_member_text(bad, "got"), DIGEST_A);
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(bad, "expected"), 0)), DIGEST_B);
    assert_string_equal(json_member_text(bad, "rule"), "reference value tpm_pcr11");
    assert_true(json_is_false(json_object_get(bad, "match")));
    assert_true(json_is_true(json_object_get(finding(&appraisal, "tpm.pcr07"), "match")));
    assert_int_equal(json_object_size(bad), 5);
}

static void test_tpm_differs_first(void **state)
{
    (void)state;
    auto_appraisal appraisal = {0};
    appraise_tpm("{\"tpm_pcr11\":[\"" DIGEST_B "\"],\"tpm_pcr07\":[\"" DIGEST_B "\"]}",
        APPRAISAL_WARNING, 33, &appraisal);
}

static void test_tpm_fails_closed(void **state)
{
    (void)state;
    static const char *const references[] = {
        "{}",
        "{\"trusted_aks\":[\"x\"]}",
        "{\"tpm_pcr11\":\"" DIGEST_A "\"}", /* not a list, as in Rego's `in` */
        "{\"tpm_pcr11\":[]}",
        "{\"tpm_pcr11\":null}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr07\":null}", /* expired */
        "{\"tpm_pcr11\":[\"\"]}",
        "{\"tpm_pcr11\":[\"abab\"]}",
        "{\"tpm_pcr11\":[null,1]}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr05\":[\"" DIGEST_A
        "\"]}", /* the claim is missing */
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr24\":[\"" DIGEST_A "\"]}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr\":[\"" DIGEST_A "\"]}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr7\":[\"" DIGEST_A "\"]}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr011\":[\"" DIGEST_A "\"]}",
        "{\"tpm_pcr11\":[\"" DIGEST_A "\"],\"tpm_pcr1a\":[\"" DIGEST_A "\"]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(references); i++) {
        auto_appraisal appraisal = {0};
        appraise_tpm(references[i], APPRAISAL_WARNING, 33, &appraisal);
        assert_true(json_array_size(appraisal.findings) > 0);
    }
    auto_appraisal none = {0}, beyond = {0};
    appraise_tpm("{\"tpm_pcr24\":[\"" DIGEST_A "\"]}", APPRAISAL_WARNING, 33, &beyond);
    assert_non_null(strstr(json_member_text(finding(&beyond, "tpm_pcr24"), "rule"), "no such PCR"));
    appraise_tpm("{}", APPRAISAL_WARNING, 33, &none);
    assert_non_null(strstr(json_member_text(finding(&none, "tpm"), "rule"),
        "no reference value named tpm_pcrNN is registered"));
}

#define SAMPLE                                                                                   \
    "{\"svn\":\"1\",\"launch_digest\":\"abcde\",\"platform_version\":{\"major\":1,\"minor\":4}," \
    "\"debug\":false}"
#define SAMPLE_GOOD                                                                                \
    "\"launch_digest\":[\"abcde\"],\"svn\":[\"1\"],\"major_version\":1,\"minimum_minor_version\":" \
    "4"

static void test_sample(void **state)
{
    (void)state;
    static const struct {
        const char *references;
        enum appraisal_status status;
        int executables, hardware;
    } cases[] = {
        {"{" SAMPLE_GOOD "}", APPRAISAL_AFFIRMING, 3, 2},
        {"{}", APPRAISAL_CONTRAINDICATED, 33, 97},
        {"{\"svn\":[\"1\"],\"major_version\":1,\"minimum_minor_version\":3}", APPRAISAL_WARNING, 33,
            2},
        {"{\"launch_digest\":[\"abcde\"]}", APPRAISAL_CONTRAINDICATED, 3, 97},
        {"{\"launch_digest\":[\"abcde\"],\"svn\":[\"1\"],\"major_version\":1,\"minimum_minor_"
         "version\":5}",
            APPRAISAL_CONTRAINDICATED, 3, 97},
        {"{\"launch_digest\":[\"abcde\"],\"svn\":[\"1\"],\"major_version\":2,\"minimum_minor_"
         "version\":4}",
            APPRAISAL_CONTRAINDICATED, 3, 97},
        {"{\"launch_digest\":[\"abcde\"],\"svn\":[\"1\"],\"major_version\":\"1\",\"minimum_minor_"
         "version\":4}",
            APPRAISAL_CONTRAINDICATED, 3, 97},
        {"{\"launch_digest\":[\"ABCDE\"],\"svn\":[1],\"major_version\":1,\"minimum_minor_version\":"
         "4}",
            APPRAISAL_CONTRAINDICATED, 33, 97},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_appraisal appraisal = {0};
        appraise_texts("sample", SAMPLE, cases[i].references, &appraisal);
        assert_int_equal(appraisal.status, cases[i].status);
        assert_int_equal(value_of(&appraisal, "executables"), cases[i].executables);
        assert_int_equal(value_of(&appraisal, "hardware"), cases[i].hardware);
        assert_int_equal(value_of(&appraisal, "configuration"), 2);
        assert_int_equal(json_array_size(appraisal.findings), 5);
    }
    auto_appraisal debug = {0};
    appraise_texts("sample", "{\"debug\":true}", "{" SAMPLE_GOOD "}", &debug);
    assert_int_equal(value_of(&debug, "configuration"), 36);
}

static void test_unknown_tee(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_appraisal appraisal = {0};
    auto_json *nothing = parse("{}");
    assert_refused(appraise("sgx", nothing, nothing, &appraisal, &err), &err, ERR_FORMAT,
        "no appraisal rules");
    assert_null(appraisal.vector);
}

static void test_status_names(void **state)
{
    (void)state;
    for (int status = APPRAISAL_NONE; status <= APPRAISAL_CONTRAINDICATED; status++) {
        enum appraisal_status parsed = APPRAISAL_NONE;
        assert_true(
            appraisal_status_parse(appraisal_status_name((enum appraisal_status)status), &parsed));
        assert_int_equal(parsed, status);
    }
    enum appraisal_status untouched = APPRAISAL_WARNING;
    assert_false(appraisal_status_parse("Affirming", &untouched));
    assert_false(appraisal_status_parse("", &untouched));
    assert_int_equal(untouched, APPRAISAL_WARNING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tpm_match),
        cmocka_unit_test(test_tpm_differs),
        cmocka_unit_test(test_tpm_differs_first),
        cmocka_unit_test(test_tpm_fails_closed),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_unknown_tee),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
