/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/eventlog.h"
#include "attest/verify/verify.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "tests/unit/evidence_file.h"
#include "tests/unit/tpm_fake.h"

#define VECTOR TEST_SOURCE_DIR "/vectors/tpm_evidence.json"
#define BAD    TEST_SOURCE_DIR "/bad/evidence"

static EVP_PKEY *ak;
static const uint8_t report_data[48] = {0x24, 0xd7, 0xb8, 0x63, 0x4a, 0x25, 0xcc, 0x74, 1, 2, 3};

static int make_key(void **state)
{
    (void)state;
    tpm_structs_silence();
    ak = EVP_RSA_gen(2048);
    return ak ? 0 : -1;
}

static int free_key(void **state)
{
    (void)state;
    EVP_PKEY_free(ak);
    return 0;
}

static struct tpm_fake good_fake(void)
{
    return tpm_fake_new(ak, bytes_of(report_data, sizeof report_data));
}

static void verify_fake(const struct tpm_fake *fake, struct bytes expected, struct verdict *verdict)
{
    struct err err = ERR_INIT;
    auto_json *evidence = NULL;
    assert_done(tpm_fake_evidence(fake, &evidence, &err), &err);
    struct verify_input input = {.evidence = evidence, .report_data = expected};
    assert_done(verifier_tpm.verify(&input, verdict, &err), &err);
}

static bool has_reason(const struct verdict *verdict, const char *check)
{
    for (size_t i = 0; i < verdict->reason_count; i++)
        if (strcmp(verdict->reasons[i].check, check) == 0)
            return true;
    return false;
}

static void assert_refused_by(const struct verdict *verdict, const char *check)
{
    assert_null(verdict->claims);
    if (verdict->reason_count != 1 || strcmp(verdict->reasons[0].check, check) != 0)
        fail_msg("wanted %s alone, got %zu reasons, the first %s: %s", check, verdict->reason_count,
            verdict->reasons[0].check, verdict->reasons[0].got);
}

static void test_good(void **state)
{
    (void)state;
    struct tpm_fake fake = good_fake();
    memset(fake.pcrs[11], 0xab, 32);
    auto_verdict verdict = {0};
    verify_fake(&fake, bytes_of(report_data, sizeof report_data), &verdict);
    assert_int_equal(verdict.reason_count, 0);
    assert_string_equal(verdict.class_name, "cpu");
    assert_int_equal(json_object_size(verdict.claims), 27);
    assert_string_equal(json_member_text(verdict.claims, "pcr11"),
        "abababababababababababababababababababababababababababababababab");
    assert_string_equal(json_member_text(verdict.claims, "pcr17"),
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff");
    assert_string_equal(
        json_member_text(verdict.claims, "init_data"), json_member_text(verdict.claims, "pcr08"));
    assert_memory_equal(
        json_member_text(verdict.claims, "report_data"), "24d7b8634a25cc74010203", 22);
}

/* Evidence as our attester sends it: a member more than CoCo's. */
static void verify_with_log(const json_t *log, struct verdict *verdict)
{
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    assert_done(evidence_file_load(VECTOR, &file, &err), &err);
    auto_json *evidence = json_deep_copy(file.input.evidence);
    assert_int_equal(json_object_set(evidence, "event_log", (json_t *)(uintptr_t)log), 0);
    struct verify_input input = file.input;
    input.evidence = evidence;
    assert_done(verifier_find("tpm")->verify(&input, verdict, &err), &err);
}

static void test_event_log(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_verdict verdict = {0};
    assert_done(
        file_read(TEST_SOURCE_DIR "/vectors/eventlog/tpm.bin", EVENTLOG_MAX, &raw, &err), &err);
    auto_free char *text = b64_encode(B64_STD, buf_bytes(&raw));
    auto_json *log = json_string(text);
    verify_with_log(log, &verdict); /* of another machine: the quote is as good as ever */
    assert_int_equal(verdict.reason_count, 0);
    assert_string_equal(
        json_member_text(json_object_get(verdict.claims, "event_log"), "status"), "differs");
    assert_int_equal(json_array_size(json_object_get(verdict.claims, "uefi_event_logs")), 0);
}

static void test_event_log_that_is_none(void **state)
{
    (void)state;
    auto_json *no_base64 = json_string("%%"), *number = json_integer(1), *null = json_null();
    auto_json *empty = json_string("");
    auto_verdict none = {0}, bad = {0}, wrong = {0}, nothing = {0};
    verify_with_log(null, &none);
    assert_null(json_object_get(none.claims, "event_log"));
    assert_int_equal(json_object_size(none.claims), 27);
    verify_with_log(no_base64, &bad);
    assert_refused_by(&bad, "tpm.event-log");
    verify_with_log(number, &wrong);
    assert_refused_by(&wrong, "tpm.evidence");
    verify_with_log(empty, &nothing);
    assert_string_equal(
        json_member_text(json_object_get(nothing.claims, "event_log"), "status"), "malformed");
}

static void test_real_quote(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    auto_verdict verdict = {0};
    assert_done(evidence_file_load(VECTOR, &file, &err), &err);
    assert_int_equal(file.input.init_data.len, 32);
    assert_done(verify_evidence(verifier_find("tpm"), &file.input, &verdict, &err), &err);
    assert_int_equal(verdict.reason_count, 0);
    assert_string_equal(json_member_text(verdict.claims, "pcr08"),
        "18d41cd8f047d78801cbea07de2a9312bdc86104a871d8e4f38428e707e9f5ea");
    assert_string_equal(json_member_text(verdict.claims, "ak_public"),
        json_member_text(file.input.evidence, "ak_public"));
}

/* One wrong statement each, truly signed: refused for that and for nothing else. */
static void lie_magic(struct tpm_fake *fake)
{
    fake->magic ^= 1;
}
static void lie_type(struct tpm_fake *fake)
{
    fake->type = 0x8017;
}
static void lie_relabel(struct tpm_fake *fake)
{
    fake->selections[0].bits[1] = 0x07;
}
static void lie_sha1_bank(struct tpm_fake *fake)
{
    fake->selections[0].hash = 0x0004;
}
static void lie_two_banks(struct tpm_fake *fake)
{
    fake->selections[1] = fake->selections[0];
    fake->selection_count = 2;
}
static void lie_no_bank(struct tpm_fake *fake)
{
    fake->selection_count = 0;
}
static void lie_size_4(struct tpm_fake *fake)
{
    fake->selections[0].size = 4;
}
static void lie_nonce_31(struct tpm_fake *fake)
{
    fake->extra_len = 31;
}
static void lie_nonce_33(struct tpm_fake *fake)
{
    fake->extra_len = 33;
}
static void lie_nonce(struct tpm_fake *fake)
{
    fake->extra[31] ^= 1;
}

/* Report data of a length of its own is cut or padded with zeros, as in SNP and TDX; the qualifying data counts in full. */
static void test_report_data_lengths(void **state)
{
    (void)state;
    static const uint8_t none[48];
    static const struct {
        size_t asked, quoted; /* bytes of report_data, zeros after them */
        bool good;
    } cases[] = {
        {48, 32, true},
        {32, 32, true},
        {16, 16, true},
        {1, 1, true},
        {16, 17, false},
        {17, 16, false},
        {33, 32, true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct tpm_fake fake = good_fake();
        auto_verdict verdict = {0};
        memset(fake.extra + cases[i].quoted, 0, 32 - cases[i].quoted);
        fake.extra[15] = cases[i].quoted > 15 ? 5 : 0;
        fake.extra[16] = cases[i].quoted > 16 ? 6 : 0;
        uint8_t asked[48];
        memcpy(asked, report_data, sizeof asked);
        asked[15] = 5;
        asked[16] = 6;
        verify_fake(&fake, bytes_of(asked, cases[i].asked), &verdict);
        if (cases[i].good && verdict.reason_count > 0)
            fail_msg("case %zu: %s got %s, expected %s", i, verdict.reasons[0].check,
                verdict.reasons[0].got, verdict.reasons[0].expected);
        if (!cases[i].good)
            assert_refused_by(&verdict, "tpm.nonce");
    }
    /* Nothing is not the same as zeros. */
    struct tpm_fake fake = good_fake();
    auto_verdict verdict = {0};
    memcpy(fake.extra, none, 32);
    verify_fake(&fake, BYTES_EMPTY, &verdict);
    assert_refused_by(&verdict, "tpm.nonce");
}

static void test_lies(void **state)
{
    (void)state;
    static const struct {
        void (*lie)(struct tpm_fake *fake);
        const char *check;
    } lies[] = {
        {lie_magic, "tpm.magic"},
        {lie_type, "tpm.type"},
        {lie_relabel, "tpm.pcr-selection"},
        {lie_sha1_bank, "tpm.pcr-selection"},
        {lie_two_banks, "tpm.pcr-selection"},
        {lie_no_bank, "tpm.pcr-selection"},
        {lie_size_4, "tpm.pcr-selection"},
        {lie_nonce_31, "tpm.nonce"},
        {lie_nonce_33, "tpm.nonce"},
        {lie_nonce, "tpm.nonce"},
    };
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        struct tpm_fake fake = good_fake();
        auto_verdict verdict = {0};
        lies[i].lie(&fake);
        verify_fake(&fake, bytes_of(report_data, sizeof report_data), &verdict);
        assert_refused_by(&verdict, lies[i].check);
    }
}

/* Several things wrong at once are all named, with what came and what was expected. */
static void test_all_reasons(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_fake fake = good_fake();
    lie_relabel(&fake);
    lie_nonce(&fake);
    auto_json *evidence = NULL;
    assert_done(tpm_fake_evidence(&fake, &evidence, &err), &err);
    json_t *quote = json_object_get(evidence, "tpm_quote");
    char one[65] = "", zero[33] = {0};
    memset(one, '1', 64);
    json_array_set_new(json_object_get(quote, "pcrs"), 0, json_string(one));
    struct verify_input input = {
        evidence, bytes_of(report_data, sizeof report_data), bytes_of(zero, 32)};
    auto_verdict verdict = {0};
    assert_done(verifier_tpm.verify(&input, &verdict, &err), &err);
    assert_int_equal(verdict.reason_count, 4);
    assert_true(has_reason(&verdict, "tpm.pcr-selection") && has_reason(&verdict, "tpm.nonce") &&
                has_reason(&verdict, "tpm.pcr-digest") && has_reason(&verdict, "tpm.init-data"));
    for (size_t i = 0; i < verdict.reason_count; i++)
        assert_true(verdict.reasons[i].got[0] && verdict.reasons[i].expected[0]);
}

/* Only a 32-byte digest can stand in PCR 8: another length is refused even where the hash would agree. */
static void test_init_data_length(void **state)
{
    (void)state;
    static const size_t lens[] = {1, 20, 31, 33, 48, 64};
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        struct err err = ERR_INIT;
        uint8_t extended[32 + 64] = {0};
        struct tpm_fake fake = good_fake();
        auto_json *evidence = NULL;
        auto_verdict verdict = {0};
        memset(extended + 32, 0x5a, 64);
        SHA256(extended, 32 + lens[i], fake.pcrs[8]);
        assert_done(tpm_fake_evidence(&fake, &evidence, &err), &err);
        struct verify_input input = {
            evidence, bytes_of(report_data, sizeof report_data), bytes_of(extended + 32, lens[i])};
        assert_done(verifier_tpm.verify(&input, &verdict, &err), &err);
        assert_refused_by(&verdict, "tpm.init-data");
        assert_non_null(strstr(verdict.reasons[0].expected, "32 bytes"));
    }
}

static void test_bad_files(void **state)
{
    (void)state;
    DIR *dir = opendir(BAD);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct err err = ERR_INIT;
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, BAD "/%s", entry->d_name);
        auto_evidence_file file = {0};
        auto_verdict verdict = {0};
        assert_done(evidence_file_load(path, &file, &err), &err);
        assert_done(verify_evidence(file.verifier, &file.input, &verdict, &err), &err);
        const char *check = json_member_text(file.whole, "refused_by");
        if (verdict.claims || !check || !has_reason(&verdict, check))
            fail_msg("%s: wanted %s, got %zu reasons, the first %s: %s", entry->d_name, check,
                verdict.reason_count, verdict.reasons[0].check, verdict.reasons[0].got);
        count++;
    }
    closedir(dir);
    assert_true(count > 70);
}

/* --- random damage: refused, or the claims are the same ------------------------------------------------------------ */

static uint64_t random_state = 0x9e3779b97f4a7c15;

static uint32_t next_random(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % below;
}

static void assert_refused_or_same(
    const json_t *evidence, const struct verify_input *good, const json_t *claims)
{
    struct err err = ERR_INIT;
    auto_verdict verdict = {0};
    struct verify_input input = *good;
    input.evidence = evidence;
    assert_done(verifier_tpm.verify(&input, &verdict, &err), &err);
    if (verdict.reason_count == 0)
        assert_true(json_equal(verdict.claims, claims));
    else
        assert_null(verdict.claims);
}

/* Damages one byte of a base64 member, decoded, so that the damage reaches the parser behind base64. */
static void damage_member(json_t *object, const char *name)
{
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(8192);
    assert_done(
        b64_decode(B64_STD, bytes_str(json_member_text(object, name)), name, &raw, &err), &err);
    raw.data[next_random((uint32_t)raw.len)] ^= (uint8_t)(1u << next_random(8));
    if (next_random(8) == 0)
        raw.len -= next_random((uint32_t)raw.len);
    assert_done(tpm_fake_set_b64(object, name, buf_bytes(&raw), &err), &err);
}

static void damage(json_t *evidence)
{
    json_t *quote = json_object_get(evidence, "tpm_quote");
    char digit[2] = {"0123456789abcdefABCDEFg"[next_random(23)], '\0'};
    switch (next_random(4)) {
    case 0:
        damage_member(quote, "message");
        break;
    case 1:
        damage_member(quote, "signature");
        break;
    case 2:
        damage_member(evidence, "ak_public");
        break;
    default: {
        json_t *pcrs = json_object_get(quote, "pcrs");
        size_t index = next_random(24);
        auto_free char *text = strdup(json_string_value(json_array_get(pcrs, index)));
        text[next_random(64)] = digit[0];
        json_array_set_new(pcrs, index, json_string(text));
    }
    }
}

static void test_damage(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    auto_verdict good = {0};
    assert_done(evidence_file_load(VECTOR, &file, &err), &err);
    assert_done(verifier_tpm.verify(&file.input, &good, &err), &err);
    assert_int_equal(good.reason_count, 0);
    auto_free char *text = json_text(file.input.evidence);
    size_t len = strlen(text);
    for (int i = 0; i < 1500; i++) {
        auto_json *evidence = json_deep_copy(file.input.evidence);
        damage(evidence);
        assert_refused_or_same(evidence, &file.input, good.claims);
        auto_json *parsed = NULL;
        size_t at = next_random((uint32_t)len);
        char old = text[at];
        text[at] = (char)(32 + next_random(95));
        if (json_load_strict(bytes_of(text, len), len, "damaged", &parsed, &err))
            assert_refused_or_same(parsed, &file.input, good.claims);
        text[at] = old;
    }
}

/* Every byte that is signed or signs matters: none of them may be changed, whatever the change. */
static void test_every_byte(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_evidence_file file = {0};
    assert_done(evidence_file_load(VECTOR, &file, &err), &err);
    static const char *const names[] = {"message", "signature"};
    for (size_t n = 0; n < ARRAY_LEN(names); n++) {
        auto_buf raw = BUF_INIT(8192);
        json_t *quote = json_object_get(file.input.evidence, "tpm_quote");
        auto_free char *text = strdup(json_member_text(quote, names[n]));
        assert_done(b64_decode(B64_STD, bytes_str(text), names[n], &raw, &err), &err);
        for (size_t at = 0; at < raw.len; at++) {
            auto_verdict verdict = {0};
            raw.data[at] ^= 0x01;
            assert_done(tpm_fake_set_b64(quote, names[n], buf_bytes(&raw), &err), &err);
            assert_done(verifier_tpm.verify(&file.input, &verdict, &err), &err);
            assert_true(verdict.reason_count > 0 && !verdict.claims);
            raw.data[at] ^= 0x01;
        }
        json_object_set_new(quote, names[n], json_string(text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_event_log),
        cmocka_unit_test(test_event_log_that_is_none),
        cmocka_unit_test(test_real_quote),
        cmocka_unit_test(test_lies),
        cmocka_unit_test(test_report_data_lengths),
        cmocka_unit_test(test_all_reasons),
        cmocka_unit_test(test_init_data_length),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_every_byte),
    };
    return cmocka_run_group_tests(tests, make_key, free_key);
}
