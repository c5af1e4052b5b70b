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

/* A log that does not lead to the quote is told of and changes nothing; one that does is not mentioned. */
static void test_tpm_event_log(void **state)
{
    (void)state;
    static const struct {
        const char *log, *got;
    } cases[] = {
        {"{\"status\":\"replayed\",\"pcrs\":[11],\"differs\":[]}", NULL},
        {"{\"status\":\"differs\",\"pcrs\":[],\"differs\":[4,11]}", "differs: PCR [4,11]"},
        {"{\"status\":\"malformed\",\"problem\":\"cut short\"}", "malformed: cut short"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_appraisal appraisal = {0};
        char claims[512];
        snprintf(
            claims, sizeof claims, "{\"pcr11\":\"" DIGEST_A "\",\"event_log\":%s}", cases[i].log);
        appraise_texts("tpm", claims, "{\"tpm_pcr11\":[\"" DIGEST_A "\"]}", &appraisal);
        assert_int_equal(appraisal.status, APPRAISAL_AFFIRMING);
        assert_int_equal(json_array_size(appraisal.findings), cases[i].got ? 2 : 1);
        if (cases[i].got)
            assert_string_equal(
                json_member_text(finding(&appraisal, "tpm.event_log"), "got"), cases[i].got);
    }
}

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

/* -- the other tables: what good evidence and reference values give, and what each difference takes away -------------------------- */

#define SNP                                                                                   \
    "\"policy_abi_major\":0,\"policy_abi_minor\":31,\"policy_smt_allowed\":true,"             \
    "\"policy_single_socket\":false,\"platform_smt_enabled\":true,\"platform_tsme_enabled\":" \
    "false,"                                                                                  \
    "\"measurement\":\"ab01\",\"reported_tcb_bootloader\":3,\"reported_tcb_tee\":0,"          \
    "\"reported_tcb_snp\":14,\"reported_tcb_microcode\":206"
#define SNP_CLAIMS "{" SNP ",\"policy_debug_allowed\":false,\"policy_migrate_ma\":false}"
#define SNP_TCB \
    "\"snp_bootloader\":[3],\"snp_microcode\":[205,206],\"snp_snp_svn\":[14],\"snp_tee_svn\":[0]"
#define SNP_CONFIG                                                                   \
    "\"snp_smt_enabled\":true,\"snp_tsme_enabled\":false,\"snp_guest_abi_major\":0," \
    "\"snp_guest_abi_minor\":31,\"snp_single_socket\":false,\"snp_smt_allowed\":true"
#define SNP_LAUNCH "\"snp_launch_measurement\":[\"AB01\"]"

#define TDX_HEADER \
    "\"header\":{\"tee_type\":\"81000000\",\"vendor_id\":\"939a7233f79c4ca9940a0db3957f0607\"}"
#define TDX_BODY "\"body\":{\"rtmr_1\":\"01\",\"rtmr_2\":\"02\",\"mr_td\":\"0a\",\"xfam\":\"e7\"}"
#define TDX_LOG                                                                                    \
    "\"uefi_event_logs\":[{\"type_name\":\"EV_EFI_BOOT_SERVICES_APPLICATION\",\"digests\":"        \
    "[{\"alg\":\"SHA-384\",\"digest\":\"aa\"}],\"details\":{\"device_paths\":[\"File(kernel)\"]}}" \
    ","                                                                                            \
    "{\"type_name\":\"EV_EVENT_TAG\",\"digests\":[{\"alg\":\"SHA-384\",\"digest\":\"bb\"}],"       \
    "\"details\""                                                                                  \
    ":{\"string\":\"LOADED_IMAGE::LoadOptions\"}}]"
#define TDX(debug, status, expired)                                                             \
    "{\"quote\":{" TDX_HEADER "," TDX_BODY "},\"td_attributes\":{\"debug\":" debug              \
    "},\"tcb_status\":\"" status "\",\"collateral_expiration_status\":\"" expired "\"," TDX_LOG \
    ",\"tpm\":{\"pcr11\":\"0b\"}}"
#define TDX_RTMR   "\"rtmr_1\":[\"01\"],\"rtmr_2\":[\"02\"]"
#define TDX_KERNEL "\"tdvfkernel\":\"aa\",\"tdvfkernelparams\":\"bb\""

#define AZ_SNP(debug)                                                                           \
    "{\"policy_abi_major\":\"0\",\"policy_abi_minor\":\"31\",\"policy_smt_allowed\":\"true\","  \
    "\"policy_migrate_ma\":\"false\",\"policy_debug_allowed\":\"" debug                         \
    "\",\"policy_single_socket\":\"false\",\"reported_tcb_bootloader\":\"3\",\"reported_tcb_"   \
    "tee\":\"0\","                                                                              \
    "\"reported_tcb_snp\":\"14\",\"reported_tcb_microcode\":\"206\",\"platform_tsme_enabled\":" \
    "\"false\","                                                                                \
    "\"platform_smt_enabled\":\"true\",\"measurement\":\"qwE=\",\"tpm\":{\"pcr11\":\"0b\"}}"
#define AZ_SNP_TCB                                                                              \
    "\"tcb_bootloader\":[\"3\"],\"tcb_microcode\":[\"206\"],\"tcb_snp\":[\"14\"],\"tcb_tee\":[" \
    "\"0\"]"
#define AZ_SNP_CONFIG                                                                \
    "\"smt_enabled\":[\"true\"],\"tsme_enabled\":[\"false\"],\"abi_major\":[\"0\"]," \
    "\"abi_minor\":[\"31\"],\"single_socket\":[\"false\"],\"smt_allowed\":[\"true\"]"

static const struct row {
    const char *tee, *claims, *references;
    int executables, hardware, configuration;
    enum appraisal_status status;
} rows[] = {
    {"snp", SNP_CLAIMS, "{" SNP_LAUNCH "," SNP_TCB "," SNP_CONFIG "}", 3, 2, 2,
        APPRAISAL_AFFIRMING},
    {"snp", SNP_CLAIMS, "{" SNP_LAUNCH "," SNP_TCB "}", 3, 2, 3, APPRAISAL_AFFIRMING},
    {"snp", SNP_CLAIMS, "{}", 33, 97, 3, APPRAISAL_CONTRAINDICATED},
    {"snp", SNP_CLAIMS, "{" SNP_TCB "," SNP_CONFIG "}", 33, 2, 2, APPRAISAL_WARNING},
    {"snp", SNP_CLAIMS, "{" SNP_LAUNCH "," SNP_CONFIG "}", 3, 97, 2, APPRAISAL_CONTRAINDICATED},
    {"snp", SNP_CLAIMS, "{\"snp_launch_measurement\":\"ab01\"," SNP_TCB "}", 33, 2, 3,
        APPRAISAL_WARNING}, /* no list */
    {"snp", SNP_CLAIMS,
        "{" SNP_LAUNCH ",\"snp_bootloader\":[\"3\"],\"snp_microcode\":[206],"
        "\"snp_snp_svn\":[14],\"snp_tee_svn\":[0]}",
        3, 97, 3, APPRAISAL_CONTRAINDICATED}, /* text is no number */
    {"snp", SNP_CLAIMS,
        "{" SNP_LAUNCH "," SNP_TCB ",\"snp_smt_enabled\":[true],"
        "\"snp_tsme_enabled\":false,\"snp_guest_abi_major\":0,\"snp_guest_abi_minor\":31,"
        "\"snp_single_socket\":false,\"snp_smt_allowed\":true}",
        3, 2, 3, APPRAISAL_AFFIRMING}, /* a list is no value */
    {"snp", "{" SNP ",\"policy_debug_allowed\":true,\"policy_migrate_ma\":false}",
        "{" SNP_LAUNCH "," SNP_TCB "," SNP_CONFIG "}", 3, 2, 36, APPRAISAL_WARNING},
    {"snp", "{" SNP ",\"policy_debug_allowed\":false,\"policy_migrate_ma\":true}",
        "{" SNP_LAUNCH "," SNP_TCB "," SNP_CONFIG "}", 3, 2, 36, APPRAISAL_WARNING},

    {"tdx", TDX("false", "UpToDate", "0"),
        "{" TDX_RTMR "," TDX_KERNEL ",\"mr_td\":[\"0A\"],\"xfam\":[\"e7\"]}", 3, 2, 2,
        APPRAISAL_AFFIRMING},
    {"tdx", TDX("false", "UpToDate", "0"),
        "{" TDX_RTMR
        ",\"tdvfkernel\":\"ab\",\"tdvfkernelparams\":\"bb\",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}",
        4, 2, 2, APPRAISAL_AFFIRMING},
    {"tdx", TDX("false", "UpToDate", "0"),
        "{" TDX_RTMR
        ",\"tdvfkernel\":[\"00\",\"AA\"],\"tdvfkernelparams\":[\"bb\"],\"mr_td\":[\"0a\"],"
        "\"xfam\":[\"e7\"]}",
        3, 2, 2, APPRAISAL_AFFIRMING},
    {"tdx", TDX("false", "UpToDate", "0"),
        "{\"rtmr_1\":[\"01\"],\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 33, 2, 2, APPRAISAL_WARNING},
    {"tdx", TDX("false", "UpToDate", "0"), "{" TDX_RTMR ",\"xfam\":[\"e7\"]}", 4, 97, 2,
        APPRAISAL_CONTRAINDICATED},
    {"tdx", TDX("false", "UpToDate", "1"), "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 4,
        97, 2, APPRAISAL_CONTRAINDICATED},
    {"tdx", TDX("false", "OutOfDate", "0"), "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}",
        4, 97, 2, APPRAISAL_CONTRAINDICATED},
    {"tdx", TDX("false", "Unverified", "0"), "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}",
        4, 32, 2, APPRAISAL_WARNING},
    {"tdx", TDX("false", "Unverified", "0"), "{" TDX_RTMR ",\"xfam\":[\"e7\"]}", 4, 97, 2,
        APPRAISAL_CONTRAINDICATED},
    {"tdx", TDX("true", "UpToDate", "0"), "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 4,
        2, 36, APPRAISAL_WARNING},
    {"tdx", TDX("false", "UpToDate", "0"), "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e6\"]}", 4,
        2, 36, APPRAISAL_WARNING},
    {"tdx", "{}", "{" TDX_RTMR ",\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 33, 97, 36,
        APPRAISAL_CONTRAINDICATED},

    {"az-snp-vtpm", AZ_SNP("false"),
        "{\"measurement\":[\"qwE=\"],\"snp_pcr11\":[\"0B\"]," AZ_SNP_TCB "," AZ_SNP_CONFIG "}", 3,
        2, 2, APPRAISAL_AFFIRMING},
    {"az-snp-vtpm", AZ_SNP("false"),
        "{\"measurement\":[\"QWE=\"],\"snp_pcr11\":[\"0b\"]," AZ_SNP_TCB "," AZ_SNP_CONFIG "}", 33,
        2, 2, APPRAISAL_WARNING}, /* base64: another value */
    {"az-snp-vtpm", AZ_SNP("false"),
        "{\"measurement\":[\"qwE=\"]," AZ_SNP_TCB "," AZ_SNP_CONFIG "}", 33, 2, 2,
        APPRAISAL_WARNING},
    {"az-snp-vtpm", AZ_SNP("false"), "{\"measurement\":[\"qwE=\"],\"snp_pcr11\":[\"0b\"]}", 3, 97,
        36, APPRAISAL_CONTRAINDICATED},
    {"az-snp-vtpm", AZ_SNP("true"),
        "{\"measurement\":[\"qwE=\"],\"snp_pcr11\":[\"0b\"]," AZ_SNP_TCB "," AZ_SNP_CONFIG "}", 3,
        2, 96, APPRAISAL_CONTRAINDICATED},
    {"az-snp-vtpm", "{}", "{" AZ_SNP_CONFIG "}", 33, 97, 96, APPRAISAL_CONTRAINDICATED},

    {"az-tdx-vtpm", TDX("false", "UpToDate", "0"),
        "{\"tdx_pcr11\":[\"0b\"],\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 3, 2, 2,
        APPRAISAL_AFFIRMING},
    {"az-tdx-vtpm", TDX("false", "UpToDate", "0"), "{\"mr_td\":[\"0a\"]}", 33, 2, 36,
        APPRAISAL_WARNING},
    {"az-tdx-vtpm", TDX("false", "Unverified", "0"),
        "{\"tdx_pcr11\":[\"0b\"],\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 3, 32, 2,
        APPRAISAL_WARNING},
    {"az-tdx-vtpm", TDX("true", "UpToDate", "0"),
        "{\"tdx_pcr11\":[\"0b\"],\"mr_td\":[\"0a\"],\"xfam\":[\"e7\"]}", 3, 2, 96,
        APPRAISAL_CONTRAINDICATED},

    {"sampledevice", "{\"svn\":\"2\"}", "{\"device_svn\":[\"1\",\"2\"]}", 33, 2, 36,
        APPRAISAL_WARNING},
    {"sampledevice", "{\"svn\":\"2\"}", "{\"svn\":[\"2\"]}", 33, 97, 36, APPRAISAL_CONTRAINDICATED},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];
        auto_appraisal appraisal = {0};
        appraise_texts(row->tee, row->claims, row->references, &appraisal);
        if (value_of(&appraisal, "executables") != row->executables ||
            value_of(&appraisal, "hardware") != row->hardware ||
            value_of(&appraisal, "configuration") != row->configuration ||
            appraisal.status != row->status) {
            auto_free char *vector = json_text(appraisal.vector);
            fail_msg(
                "row %zu, %s: %s %s", i, row->tee, appraisal_status_name(appraisal.status), vector);
        }
        assert_int_equal(json_object_size(appraisal.vector), 8);
        assert_int_equal(value_of(&appraisal, "instance-identity"), 0);
    }
}

/* Each comparison is a finding, once, with what was found, wanted and why; that of an unverified TCB names the status only. */
static void test_findings_explain(void **state)
{
    (void)state;
    auto_appraisal snp = {0}, tdx = {0}, debug = {0};
    appraise_texts("snp", SNP_CLAIMS, "{\"snp_bootloader\":[4],\"snp_microcode\":null}", &snp);
    assert_int_equal(json_array_size(snp.findings), 13);
    const json_t *bootloader = finding(&snp, "snp.reported_tcb_bootloader");
    assert_int_equal(json_integer_value(json_object_get(bootloader, "got")), 3);
    assert_string_equal(json_member_text(bootloader, "rule"),
        "reference value snp_bootloader (a list that holds it)");
    assert_true(json_is_false(json_object_get(bootloader, "match")));
    assert_non_null(
        strstr(json_member_text(finding(&snp, "snp.reported_tcb_microcode"), "rule"), "expired"));
    assert_true(json_is_null(json_object_get(finding(&snp, "snp.measurement"), "expected")));
    appraise_texts("tdx", TDX("false", "Unverified", "0"), "{\"tdvfkernel\":\"00\"}", &tdx);
    assert_int_equal(json_array_size(tdx.findings), 11);
    const json_t *status = finding(&tdx, "tdx.tcb_status");
    assert_string_equal(json_member_text(status, "got"), "Unverified");
    assert_string_equal(json_member_text(status, "rule"), "must be UpToDate");
    const json_t *digests = json_object_get(finding(&tdx, "tdx.uefi_event_logs"), "got");
    assert_string_equal(json_string_value(json_array_get(digests, 0)), "aa");
    appraise_texts("az-snp-vtpm", AZ_SNP("true"), "{}", &debug);
    const json_t *off = finding(&debug, "az-snp-vtpm.policy_debug_allowed");
    assert_true(json_is_false(json_object_get(off, "match")));
    assert_string_equal(json_member_text(off, "rule"), "policy_debug_allowed is off");
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
        cmocka_unit_test(test_tpm_event_log),
        cmocka_unit_test(test_sample),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_findings_explain),
        cmocka_unit_test(test_unknown_tee),
        cmocka_unit_test(test_status_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
