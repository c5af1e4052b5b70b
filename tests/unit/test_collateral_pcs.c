/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/collateral_pcs.h"
#include "tests/unit/inputs.h"
#include "tests/unit/tdx_file.h"

#define PCS "vectors/evidence/tdx/pcs.json"

static void assert_same(
    const struct collateral *got, const struct collateral *expected, const char *name)
{
    struct bytes body, chain, expected_body, expected_chain;
    assert_true(collateral_get(expected, name, &expected_body, &expected_chain));
    if (!collateral_get(got, name, &body, &chain))
        fail_msg("%s is not there", name);
    if (!bytes_equal(body, expected_body) || !bytes_equal(chain, expected_chain))
        fail_msg("%s differs", name);
}

/* The file is re-indented, its chains are url-encoded, its CRLs hex: what comes out is what the PCS sent. */
static void test_all(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_evidence_file platform = {0}, processor = {0};
    auto_collateral *set = NULL;
    auto_free char *text = input_text(PCS);
    tdx_file_good("v4", &platform);
    tdx_file_good("v4-processor", &processor);
    assert_done(collateral_new(&set, &err), &err);
    assert_done(
        collateral_pcs_load(bytes_str(text), COLLATERAL_PCS_EARLY, NULL, 0, set, &err), &err);
    assert_int_equal(collateral_count(set), 5);
    assert_same(set, platform.collateral, "intel/tcb/90C06F000000");
    assert_same(set, platform.collateral, "intel/qe-identity");
    assert_same(set, platform.collateral, "intel/root-crl");
    assert_same(set, platform.collateral, "intel/pck-crl/platform");
    assert_same(set, processor.collateral, "intel/pck-crl/processor");
}

/* What a verdict needs is what is taken from a file of everything; then it decides. */
static void test_needs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    auto_verdict needs = {0}, verdict = {0};
    auto_collateral *set = NULL;
    auto_free char *text = input_text(PCS);
    tdx_file_good("v4-processor", &file);
    file.input.collateral = NULL;
    assert_done(verify_evidence(file.verifier, &file.input, &needs, &err), &err);
    assert_done(collateral_new(&set, &err), &err);
    assert_done(collateral_pcs_load(bytes_str(text), COLLATERAL_PCS_EARLY, needs.needs,
                    needs.need_count, set, &err),
        &err);
    assert_int_equal(collateral_count(set), 4);
    file.input.collateral = set;
    assert_done(verify_evidence(file.verifier, &file.input, &verdict, &err), &err);
    assert_int_equal(verdict.reason_count + verdict.need_count, 0);
    assert_int_equal(json_integer_value(json_object_get(verdict.claims, "tcb_eval_num")), 18);
}

static void test_standard(void **state)
{
    (void)state;
    static const char names[][COLLATERAL_NAME_MAX] = {"intel/tcb/90C06F000000"};
    struct err err = ERR_INIT;
    struct bytes body;
    auto_collateral *set = NULL;
    auto_free char *text = input_text(PCS);
    assert_done(collateral_new(&set, &err), &err);
    assert_done(
        collateral_pcs_load(bytes_str(text), COLLATERAL_PCS_STANDARD, names, 1, set, &err), &err);
    assert_int_equal(collateral_count(set), 1);
    assert_true(collateral_get(set, names[0], &body, NULL));
    assert_non_null(memmem(body.data, body.len, "\"tcbEvaluationDataNumber\":17", 28));
}

static bool load(const char *text, struct collateral **ret_set, struct err *err)
{
    return collateral_new(ret_set, err) &&
           collateral_pcs_load(bytes_str(text), COLLATERAL_PCS_EARLY, NULL, 0, *ret_set, err);
}

/* Members that a tool left out or null are passed over; a document kept as text is one, too. */
static void test_lenient(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct bytes body, chain;
    auto_collateral *set = NULL;
    assert_done(load("{\"collaterals\":{\"tcbinfos\":[{\"fmspc\":\"00a06d080000\",\"tdx_tcbinfo_"
                     "early\":null,"
                     "\"tdx_tcbinfo\":\"{\\\"tcbInfo\\\": "
                     "{}}\"},{\"fmspc\":\"00606A000000\"}],\"tdqeidentity\":null,"
                     "\"pckcacrl\":{\"platformCrl\":\"\"},\"certificates\":{\"TCB-Info-Issuer-"
                     "Chain\":\"a+b%2B%0a\"}}}",
                    &set, &err),
        &err);
    assert_int_equal(collateral_count(set), 1);
    assert_true(collateral_get(set, "intel/tcb/00A06D080000", &body, &chain));
    assert_true(bytes_equal(body, bytes_str("{\"tcbInfo\": {}}")));
    assert_true(bytes_equal(chain, bytes_str("a+b+\n")));
}

static bool refuse(const struct secret *input, struct err *err)
{
    auto_collateral *set = NULL;
    struct bytes text = secret_bytes(input);
    return collateral_new(&set, err) &&
           collateral_pcs_load(text, COLLATERAL_PCS_EARLY, NULL, 0, set, err);
}

static void test_bad(void **state)
{
    (void)state;
    static const struct bad_input inputs[] = {
        {"empty-object.json", ERR_FORMAT, "no \"collaterals\""},
        {"collaterals-array.json", ERR_FORMAT, "\"collaterals\" must be an object"},
        {"duplicate-key.json", ERR_FORMAT, "duplicate"},
        {"trailing.json", ERR_FORMAT, "end of file expected"},
        {"tcbinfos-object.json", ERR_FORMAT, "\"tcbinfos\" must be an array"},
        {"tcbinfo-number.json", ERR_FORMAT, "no object"},
        {"fmspc-missing.json", ERR_FORMAT, "fmspc"},
        {"fmspc-short.json", ERR_FORMAT, "fmspc"},
        {"fmspc-path.json", ERR_FORMAT, "fmspc"},
        {"tdx-tcbinfo-array.json", ERR_FORMAT, "\"tdx_tcbinfo\" must be an object"},
        {"identity-number.json", ERR_FORMAT, "\"tdqeidentity\" must be an object"},
        {"crl-no-hex.json", ERR_FORMAT, "rootcacrl"},
        {"crl-odd-hex.json", ERR_FORMAT, "rootcacrl"},
        {"crl-number.json", ERR_FORMAT, "\"platformCrl\" must be text"},
        {"crls-text.json", ERR_FORMAT, "\"pckcacrl\" must be an object"},
        {"chain-percent.json", ERR_FORMAT, "without two hex digits"},
        {"chain-array.json", ERR_FORMAT, "must be text"},
        {"certificates-text.json", ERR_FORMAT, "\"certificates\" must be an object"},
    };
    assert_all_bad("bad/collateral_pcs", inputs, ARRAY_LEN(inputs), refuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_standard),
        cmocka_unit_test(test_lenient),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
