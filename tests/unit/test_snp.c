/* SPDX-License-Identifier: Apache-2.0 */
/* SEV-SNP evidence that tests/vectors/make_snp.py makes at build time: the good with its claims, the bad with its reason, and damage. */
#include "tests/unit/unit.h"

#include "attest/verify/snp.h"
#include "tests/unit/damage.h"
#include "tests/unit/evidence_file.h"

static struct err err;
static struct anchors *roots, *only_ark;

static void read_anchors(const char *name, struct anchors **ret_anchors)
{
    auto_buf pem = BUF_INIT(ANCHORS_PEM_MAX);
    char path[4096];
    snprintf(path, sizeof path, EVIDENCE_DIR "/%s", name);
    assert_done(file_read(path, ANCHORS_PEM_MAX, &pem, &err), &err);
    assert_done(anchors_new(buf_bytes(&pem), false, ret_anchors, &err), &err);
}

static int setup(void **state)
{
    (void)state;
    read_anchors("roots.pem", &roots);
    read_anchors("amd-only-ark.pem", &only_ark);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    anchors_free(roots);
    anchors_free(only_ark);
    return 0;
}

static void load(const char *kind, const char *name, struct evidence_file *file)
{
    char path[4096];
    snprintf(path, sizeof path, EVIDENCE_DIR "/%s/%s", kind, name);
    assert_done(evidence_file_load(path, file, &err), &err);
    file->input.anchors = roots;
}

/* Calls `look` with each file; gives their number. */
static int each(const char *kind, void (*look)(const char *name, struct evidence_file *file))
{
    char path[4096];
    int count = 0;
    snprintf(path, sizeof path, EVIDENCE_DIR "/%s", kind);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        auto_evidence_file file = {0};
        if (entry->d_name[0] == '.')
            continue;
        load(kind, entry->d_name, &file);
        look(entry->d_name, &file);
        count++;
    }
    closedir(dir);
    return count;
}

static bool has_reason(const struct verdict *verdict, const char *check)
{
    for (size_t i = 0; i < verdict->reason_count; i++)
        if (strcmp(verdict->reasons[i].check, check) == 0)
            return true;
    return false;
}

static void verify(const struct verify_input *input, struct verdict *verdict)
{
    assert_done(verify_evidence(&verifier_snp, input, verdict, &err), &err);
}

static void is_taken(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    verify(&file->input, &verdict);
    if (verdict.reason_count + verdict.need_count > 0)
        fail_msg("%s: %s: %s, wanted %s; needs %s", name, verdict.reasons[0].check,
            verdict.reasons[0].got, verdict.reasons[0].expected, verdict.needs[0]);
    assert_string_equal(verdict.class_name, "cpu");
    if (!json_equal(verdict.claims, json_object_get(file->whole, "claims")))
        fail_msg("%s: other claims", name);
}

static void good_evidence_is_taken_with_its_claims(void **state)
{
    (void)state;
    assert_true(each("good", is_taken) >= 24);
}

static void is_refused(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    const char *check = json_member_text(file->whole, "refused_by");
    verify(&file->input, &verdict);
    verdict_refuse_needs(&verdict);
    if (verdict.claims || !check || !has_reason(&verdict, check))
        fail_msg("%s: wanted %s, got %zu reasons, the first %s: %s", name, check,
            verdict.reason_count, verdict.reasons[0].check, verdict.reasons[0].got);
}

static void bad_evidence_is_refused_for_its_reason(void **state)
{
    (void)state;
    assert_true(each("bad", is_refused) > 400);
}

/* Nobody is trusted for nothing: the same evidence, and AMD's real keys. */
static void is_refused_by_the_pins(const char *name, struct evidence_file *file)
{
    auto_verdict verdict = {0};
    file->input.anchors = NULL;
    verify(&file->input, &verdict);
    if (verdict.claims || (!has_reason(&verdict, "snp.chain") && verdict.need_count == 0))
        fail_msg("%s was taken", name);
}

static void made_evidence_is_not_amds(void **state)
{
    (void)state;
    each("good", is_refused_by_the_pins);
}

static void several_reasons_are_told_at_once(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    load("bad", "vmpl-1.json", &file);
    file.input.report_data = bytes_str("other");
    file.input.init_data = bytes_str("other");
    file.input.now = 4000000000;
    verify(&file.input, &verdict);
    assert_true(has_reason(&verdict, "snp.vmpl"));
    assert_true(has_reason(&verdict, "snp.report-data"));
    assert_true(has_reason(&verdict, "snp.init-data"));
    assert_true(has_reason(&verdict, "snp.date"));
    assert_false(has_reason(&verdict, "snp.signature"));
}

static void what_is_lacking_is_named(void **state)
{
    (void)state;
    auto_evidence_file turin = {0}, genoa = {0}, vlek = {0};
    auto_verdict one = {0}, two = {0}, three = {0};
    load("good", "turin-from-collateral.json", &turin);
    turin.input.collateral = NULL;
    verify(&turin.input, &one);
    assert_int_equal(one.reason_count, 0);
    assert_int_equal(one.need_count, 1);
    assert_non_null(strstr(one.needs[0], "amd/vcek/Turin/"));
    assert_int_equal(strlen(one.needs[0]),
        strlen("amd/vcek/Turin/0011223344556677/bl09_tee02_snp23_ucode219_fmc01"));
    assert_non_null(strstr(one.needs[0], "/bl09_tee02_snp23_ucode219_fmc01"));
    load("good", "milan-vcek-only.json", &genoa);
    genoa.input.anchors = only_ark;
    verify(&genoa.input, &two);
    assert_int_equal(two.reason_count, 0);
    assert_int_equal(two.need_count, 1);
    assert_string_equal(two.needs[0], "amd/chain/Milan");
    load("good", "genoa-vlek-only.json", &vlek);
    vlek.input.anchors = NULL;
    verify(&vlek.input, &three);
    assert_int_equal(three.need_count, 1);
    assert_string_equal(three.needs[0], "amd/vlek-chain/Genoa");
}

/* He leaves it to his ARK. With the ASK among the anchors as well, another one would be refused (bad/chain-ask-of-another-key). */
static void an_operators_ark_may_be_all(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    load("good", "milan.json", &file);
    file.input.anchors = only_ark;
    verify(&file.input, &verdict);
    assert_int_equal(verdict.reason_count, 0);
    assert_int_equal(verdict.need_count, 0);
    assert_non_null(verdict.claims);
}

static void an_expired_list_may_be_reported(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    load("bad", "crl-expired.json", &file);
    file.input.collateral_expired_ok = true;
    verify(&file.input, &verdict);
    assert_int_equal(verdict.reason_count, 0);
}

static void without_report_data_all_else_is_checked(void **state)
{
    (void)state;
    auto_evidence_file file = {0}, bad = {0};
    auto_verdict verdict = {0}, refused = {0};
    load("bad", "report-data-of-another.json", &file);
    file.input.unbound = true;
    verify(&file.input, &verdict);
    assert_int_equal(verdict.reason_count, 0);
    assert_non_null(verdict.claims);
    load("bad", "changed-measurement.json", &bad);
    bad.input.unbound = true;
    verify(&bad.input, &refused);
    assert_true(has_reason(&refused, "snp.signature"));
}

static void refused_or_the_same(const struct verify_input *input, const json_t *claims)
{
    auto_verdict verdict = {0};
    verify(input, &verdict);
    if (verdict.reason_count + verdict.need_count > 0)
        assert_null(verdict.claims);
    else
        assert_true(json_equal(verdict.claims, claims));
}

static void is_damaged(const char *name, struct evidence_file *file)
{
    (void)name;
    const json_t *claims = json_object_get(file->whole, "claims"), *whole = file->input.evidence;
    auto_free char *text = json_text(whole);
    size_t len = strlen(text);
    for (int i = 0; i < 60; i++) {
        auto_json *evidence = json_deep_copy(whole), *parsed = NULL;
        for (uint32_t times = 1 + damage_random(2); times > 0; times--)
            damage_json(evidence);
        file->input.evidence = evidence;
        refused_or_the_same(&file->input, claims);
        size_t at = damage_random((uint32_t)len);
        char old = text[at];
        text[at] = (char)(32 + damage_random(95));
        if (json_load_strict(bytes_of(text, len), len, "damaged", &parsed, &err)) {
            file->input.evidence = parsed;
            refused_or_the_same(&file->input, claims);
        }
        text[at] = old;
    }
    for (size_t cut = 0; cut < len; cut += 1 + len / 50) {
        auto_json *parsed = NULL;
        assert_false(json_load_strict(bytes_of(text, cut), len, "cut", &parsed, &err));
    }
}

static void damaged_evidence_is_refused_or_gives_the_same_claims(void **state)
{
    (void)state;
    each("good", is_damaged);
}

/* -- the bare report ---------------------------------------------------------------------------------- */

static void chain_bytes(const struct evidence_file *file, struct buf *out)
{
    size_t index;
    const json_t *value,
        *data = json_object_get(
            json_array_get(json_object_get(file->input.evidence, "cert_chain"), 0), "data");
    json_array_foreach(data, index, value)
    {
        const uint8_t byte = (uint8_t)json_integer_value(value);
        assert_done(buf_append(out, bytes_of(&byte, 1), &err), &err);
    }
}

static bool raw_is_good(struct bytes raw, struct bytes vcek, const struct verify_input *input)
{
    static struct verdict verdict;
    struct snp_report report;
    memset(&verdict, 0, sizeof verdict);
    assert_done(snp_verify_raw(raw, vcek, input, &verdict, &report, &err), &err);
    return verdict.reason_count + verdict.need_count == 0;
}

static void every_byte_of_the_bare_report_counts(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    static struct verdict verdict;
    struct snp_report report;
    auto_buf vcek = BUF_INIT(16384);
    load("good", "milan-vcek-only.json", &file);
    chain_bytes(&file, &vcek);
    assert_true(snp_report_from_json(
        json_object_get(file.input.evidence, "attestation_report"), &report, &verdict));
    assert_true(raw_is_good(bytes_of(report.raw, 1184), buf_bytes(&vcek), &file.input));
    for (size_t i = 0; i < 0x330; i++) {
        report.raw[i] ^= 1;
        if (raw_is_good(bytes_of(report.raw, 1184), buf_bytes(&vcek), &file.input))
            fail_msg("byte %zx does not count", i);
        report.raw[i] ^= 1;
    }
    for (size_t len = 0; len < 1184; len += 37)
        assert_false(raw_is_good(bytes_of(report.raw, len), buf_bytes(&vcek), &file.input));
    for (size_t len = 0; len < vcek.len; len += 13)
        assert_false(
            raw_is_good(bytes_of(report.raw, 1184), bytes_of(vcek.data, len), &file.input));
}

static void facts_of_a_report(void **state)
{
    (void)state;
    auto_evidence_file file = {0};
    static struct verdict verdict;
    struct snp_report report;
    load("good", "milan-debug-and-flags.json", &file);
    assert_true(snp_report_from_json(
        json_object_get(file.input.evidence, "attestation_report"), &report, &verdict));
    const struct snp_facts facts = snp_facts(&report);
    assert_true(
        facts.debug_allowed && facts.migrate_ma && facts.single_socket && facts.smt_allowed);
    assert_true(facts.smt_enabled && facts.tsme_enabled);
    assert_int_equal(facts.abi_major, 1);
    assert_int_equal(facts.abi_minor, 2);
    assert_int_equal(facts.reported_tcb.microcode, 219);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_evidence_is_taken_with_its_claims),
        cmocka_unit_test(bad_evidence_is_refused_for_its_reason),
        cmocka_unit_test(made_evidence_is_not_amds),
        cmocka_unit_test(several_reasons_are_told_at_once),
        cmocka_unit_test(what_is_lacking_is_named),
        cmocka_unit_test(an_operators_ark_may_be_all),
        cmocka_unit_test(an_expired_list_may_be_reported),
        cmocka_unit_test(without_report_data_all_else_is_checked),
        cmocka_unit_test(damaged_evidence_is_refused_or_gives_the_same_claims),
        cmocka_unit_test(every_byte_of_the_bare_report_counts),
        cmocka_unit_test(facts_of_a_report),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
