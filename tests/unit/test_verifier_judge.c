/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"

#include "attest/runtime.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/json.h"
#include "kbs/server/verifier/verifier_judge.h"

static char roots[8192]; /* that certified the EK of tests/vectors/tpm_keys.json */

static int read_roots(void **state)
{
    struct err err = ERR_INIT;
    auto_json *keys = NULL;
    (void)state;
    auto_free char *text = input_text("vectors/tpm_keys.json");
    assert_done(json_load_strict(bytes_str(text), 65536, "keys", &keys, &err), &err);
    snprintf(roots, sizeof roots, "%s%s", json_member_text(keys, "root_pem"),
        json_member_text(keys, "issuer_pem"));
    return 0;
}

/* All reasons, as one error: a body may be wrong in several ways, and a clock outside the EK's certificate only adds one. */
static void list_reasons(const struct verifier_answer *answer, struct err *ret_err)
{
    char text[ERR_MESSAGE_SIZE] = "";
    size_t len = 0;
    for (size_t i = 0; i < answer->reason_count && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%s: %s", i ? " | " : "",
            answer->reasons[i].check, answer->reasons[i].got);
    err_set(ret_err, ERR_CRYPTO, "%s", text);
}

/* The first byte: 0 sample, 1 tpm, 2 enrolment, as for the fuzz target. */
static bool judge(struct bytes input, struct err *ret_err)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_secret *credential = NULL;
    assert_true(input.len > 0 && input.data[0] <= 2);
    struct verifier_request request = {
        .kind = input.data[0] < 2 ? VERIFIER_EVIDENCE : VERIFIER_ENROL,
        .nonce = "AAAA",
        .device_tees = "tpm sampledevice",
        .roots = bytes_str(roots),
        .body = bytes_slice(input, 1, input.len),
    };
    strcpy(request.tee, input.data[0] == 0 ? "sample" : "tpm");
    assert_done(secret_random(VERIFIER_CREDENTIAL_SIZE, &credential, &err), &err);
    assert_done(verifier_judge(&request, credential, &text, &err), &err);
    assert_done(verifier_answer_decode(request.kind, buf_bytes(&text), &answer, &err), &err);
    if (answer.status == VERIFIER_REFUSED)
        list_reasons(&answer, ret_err);
    if (answer.status == VERIFIER_FAILED)
        *ret_err = answer.cause;
    return answer.status == VERIFIER_ACCEPTED;
}

static bool refuse(const struct secret *input, struct err *err)
{
    return judge(secret_bytes(input), err);
}

/* A refusal (ERR_CRYPTO here) is the guest's to hear; a failure would be an answer of 503 that it may only try again. */
static void bad_inputs_are_refusals_and_never_failures(void **state)
{
    static const struct bad_input inputs[] = {
        {"enrol-ak-cut.bin", ERR_CRYPTO, "tpm.ak: attestation key: TPM2B_PUBLIC of 281 bytes"},
        {"enrol-ak-ecdsa.bin", ERR_CRYPTO, "tpm.ak: attestation key is no RSA key"},
        {"enrol-ak-is-the-ek.bin", ERR_CRYPTO, "tpm.ak: attestation key is no signing key"},
        {"enrol-ak-number.bin", ERR_CRYPTO,
            "request: /agent/enroll request: member \"ak_public\" must be text"},
        {"enrol-ak-unrestricted.bin", ERR_CRYPTO, "tpm.ak: attestation key is not restricted"},
        {"enrol-certificate-cut.bin", ERR_CRYPTO, "tpm.ek: EK certificate is no DER X.509"},
        {"enrol-certificate-of-a-root.bin", ERR_CRYPTO, "certifies another key than the EK"},
        {"enrol-ek-4097.bin", ERR_CRYPTO, "\"ek_public\" has 4097 bytes"},
        {"enrol-ek-base64url.bin", ERR_CRYPTO, "request: ek_public: position 25"},
        {"enrol-ek-cut.bin", ERR_CRYPTO, "tpm.ek: endorsement key: TPM2B_PUBLIC of 315 bytes"},
        {"enrol-ek-is-the-ak.bin", ERR_CRYPTO, "tpm.ek: endorsement key has other attributes"},
        {"enrol-empty.bin", ERR_CRYPTO, "request: /agent/enroll request: empty"},
        {"enrol-no-ak.bin", ERR_CRYPTO, "member \"ak_public\" is missing"},
        {"enrol-no-certificate.bin", ERR_CRYPTO, "tpm.ek: this TPM shows no EK certificate"},
        {"evidence-array.bin", ERR_CRYPTO, "request: /attest request: must be a JSON object"},
        {"evidence-cut.bin", ERR_CRYPTO, "'}' expected"},
        {"evidence-empty.bin", ERR_CRYPTO, "request: /attest request: empty"},
        {"evidence-no-evidence.bin", ERR_CRYPTO, "\"tee-evidence\" is missing"},
        {"evidence-no-runtime-data.bin", ERR_CRYPTO, "\"runtime-data\" is missing"},
        {"evidence-nonce-twice.bin", ERR_CRYPTO, "duplicate object key"},
        {"devices-unknown.bin", ERR_CRYPTO, "additional-evidence: nvidia"},
        {"devices-no-json.bin", ERR_CRYPTO,
            "additional-evidence: additional_evidence: not the JSON"},
        {"devices-array.bin", ERR_CRYPTO, "additional-evidence: no object"},
        {"devices-twice.bin", ERR_CRYPTO, "duplicate object key"},
        {"devices-eight.bin", ERR_CRYPTO, "additional-evidence: too many devices"},
        {"devices-sample-not-listed.bin", ERR_CRYPTO, "additional-evidence: sample"},
        {"devices-svn-number.bin", ERR_CRYPTO, "sampledevice.evidence: sample evidence: member"},
        {"devices-text.bin", ERR_CRYPTO, "sampledevice.evidence: not a JSON object"},
        {"devices-report-data-other.bin", ERR_CRYPTO, "sampledevice.report-data: AAAA"},
        {"evidence-other-nonce.bin", ERR_CRYPTO, "nonce: AAAB"},
        {"evidence-text.bin", ERR_CRYPTO, "\"primary_evidence\" must be an object"},
        {"evidence-trailing.bin", ERR_CRYPTO, "end of file expected"},
        {"init-data-json.bin", ERR_CRYPTO, "init-data of format \"json\""},
        {"init-data-md5.bin", ERR_CRYPTO, "init-data: algorithm must be"},
        {"init-data-no-algorithm.bin", ERR_CRYPTO, "init-data: member \"algorithm\" is missing"},
        {"pubkey-oct.bin", ERR_CRYPTO, "tee-pubkey: JWK: member \"k\" belongs"},
        {"pubkey-off-curve.bin", ERR_CRYPTO, "point is not on curve"},
        {"pubkey-other-alg.bin", ERR_CRYPTO, "tee-pubkey: \"alg\" must be"},
        {"pubkey-private.bin", ERR_CRYPTO, "tee-pubkey: JWK: member \"d\" belongs"},
        {"sample-report-data-other.bin", ERR_CRYPTO, "sample.report-data: AAAA"},
        {"tpm-quote-cut.bin", ERR_CRYPTO, "tpm.quote-format: TPMS_ATTEST of 9 bytes"},
        {"tpm-sample-evidence.bin", ERR_CRYPTO,
            "tpm.evidence: TPM evidence: member \"ak_public\" is missing"},
    };
    (void)state;
    assert_all_bad("bad/verifier_judge", inputs, ARRAY_LEN(inputs), refuse);
}

/* What the bad ones were made from is refused for nothing but its report data. */
static void only_the_report_data_is_wrong(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct secret *input = input_secret("bad/verifier_judge/sample-report-data-other.bin");
    assert_false(judge(secret_bytes(input), &err));
    assert_null(strstr(err.message, " | "));
    secret_unref(input);
}

#define PUBKEY                                                                        \
    "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":"             \
    "\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\",\"y\":\"SLW_xSffzlPWrHEVI30DHM_" \
    "4egVwt3NQqeUD7nMFpps\"}"
#define INIT_DATA                                                                                \
    "version = \"0.1.0\"\nalgorithm = \"sha384\"\n[data]\nteam = \"red\"\n\"aa.toml\" = 'a.b = " \
    "1'\n"

/* {"svn","report_data"} bound to the runtime data of the guest (`additional`) or of a device (NULL). */
static json_t *sample_evidence(const char *svn, const char *additional)
{
    struct err err = ERR_INIT;
    auto_json *pubkey = NULL;
    auto_free char *canonical = NULL;
    json_t *evidence = NULL;
    struct hash digest;
    assert_done(json_load_strict(bytes_str(PUBKEY), 4096, "key", &pubkey, &err), &err);
    assert_done(
        runtime_data("AAAA", pubkey, additional, HASH_SHA384, &canonical, &digest, &err), &err);
    auto_free char *text = b64_encode(B64_STD, hash_view(&digest));
    assert_done(json_build(&evidence, &err, "{s:s, s:s}", "svn", svn, "report_data", text), &err);
    return evidence;
}

/* A guest with a device in it and init-data; `signed_for` is what its primary evidence vouches for. */
static char *body_with_device(const char *additional, const char *signed_for)
{
    struct err err = ERR_INIT;
    auto_json *pubkey = NULL, *body = NULL, *primary = sample_evidence("1", signed_for);
    assert_done(json_load_strict(bytes_str(PUBKEY), 4096, "key", &pubkey, &err), &err);
    assert_done(
        json_build(&body, &err, "{s:{s:s, s:s}, s:{s:s, s:O}, s:{s:O, s:s}}", "init-data", "format",
            "toml", "body", INIT_DATA, "runtime-data", "nonce", "AAAA", "tee-pubkey", pubkey,
            "tee-evidence", "primary_evidence", primary, "additional_evidence", additional),
        &err);
    return json_text(body);
}

static void judge_body(const char *tee, const char *body, struct verifier_answer *ret_answer)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(VERIFIER_ANSWER_MAX);
    struct verifier_request request = {.kind = VERIFIER_EVIDENCE,
        .nonce = "AAAA",
        .device_tees = "sampledevice",
        .body = bytes_str(body)};
    snprintf(request.tee, sizeof request.tee, "%s", tee);
    assert_done(verifier_judge(&request, NULL, &text, &err), &err);
    assert_done(verifier_answer_decode(request.kind, buf_bytes(&text), ret_answer, &err), &err);
}

static void devices_and_init_data_are_judged_too(void **state)
{
    (void)state;
    auto_json *device = sample_evidence("2", NULL),
              *devices = json_pack("{s:O}", "sampledevice", device);
    auto_free char *additional = json_text(devices);
    auto_free char *body = body_with_device(additional, additional);
    auto_verifier_answer answer = {0};
    judge_body("sample", body, &answer);
    assert_int_equal(answer.status, VERIFIER_ACCEPTED);
    assert_string_equal(answer.class_name, "cpu");
    assert_int_equal(answer.device_count, 1);
    assert_string_equal(answer.devices[0].tee, "sampledevice");
    assert_string_equal(answer.devices[0].class_name, "gpu");
    assert_string_equal(json_member_text(answer.devices[0].claims, "svn"), "2");
    assert_null(
        json_object_get(answer.devices[0].claims, "init_data")); /* the guest's, not the device's */
    assert_string_equal(json_member_text(answer.init_data_claims, "team"), "red");
    auto_free char *init = json_text(answer.init_data_claims);
    assert_string_equal(init, "{\"team\":\"red\",\"aa.toml\":{\"a\":{\"b\":1}}}");
    assert_int_equal(
        strlen(json_member_text(answer.claims, "init_data")), 64); /* base64 of SHA-384 */
}

/* The primary evidence vouches for the text of the devices' evidence: none can be put beside it, taken away or exchanged. */
static void devices_are_bound_to_the_guest(void **state)
{
    (void)state;
    auto_json *device = sample_evidence("2", NULL),
              *devices = json_pack("{s:O}", "sampledevice", device);
    auto_json *other = sample_evidence("2", ""); /* bound as primary evidence is */
    auto_json *others = json_pack("{s:O}", "sampledevice", other);
    auto_free char *additional = json_text(devices), *additional_other = json_text(others);
    const struct {
        const char *additional, *signed_for, *check;
    } cases[] = {
        {additional, "", "sample.report-data"},
        {"", additional, "sample.report-data"},
        {additional, additional_other, "sample.report-data"},
        {additional_other, additional_other, "sampledevice.report-data"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *body = body_with_device(cases[i].additional, cases[i].signed_for);
        auto_verifier_answer answer = {0};
        judge_body("sample", body, &answer);
        assert_int_equal(answer.status, VERIFIER_REFUSED);
        assert_int_equal(answer.reason_count, 1);
        assert_string_equal(answer.reasons[0].check, cases[i].check);
    }
}

static void a_device_alone_is_no_guest(void **state)
{
    (void)state;
    auto_free char *body = body_with_device("", "");
    auto_verifier_answer answer = {0};
    judge_body("sampledevice", body, &answer);
    assert_int_equal(answer.status, VERIFIER_REFUSED);
    assert_string_equal(answer.reasons[0].check, "evidence");
}

static void trouble_of_our_own_is_a_failure(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct verifier_request request = {
        .kind = VERIFIER_EVIDENCE, .tee = "none", .nonce = "AAAA", .body = bytes_str("{}")};
    auto_buf text = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    assert_done(verifier_judge(&request, NULL, &text, &err), &err);
    assert_done(verifier_answer_decode(request.kind, buf_bytes(&text), &answer, &err), &err);
    assert_int_equal(answer.status, VERIFIER_FAILED);
    assert_int_equal(answer.cause.code, ERR_CONFIG);
    assert_non_null(strstr(answer.cause.message, "no verifier for tee \"none\""));
}

/* -- anchors, collateral and time, as the front hands them over --------------------------------------- */

#define SNP_AT 1750000000 /* NOW of tests/vectors/make_snp.py */

static void read_snp(const char *name, struct buf *out)
{
    struct err err = ERR_INIT;
    char path[4096];
    snprintf(path, sizeof path, SNP_EVIDENCE "/%s", name);
    assert_done(file_read(path, out->max, out, &err), &err);
}

/* `message` keeps what the answer borrows. */
static void judge_snp(const char *body_name, struct bytes anchors, struct bytes collateral,
    int64_t now, struct verifier_answer *ret_answer)
{
    struct err err = ERR_INIT;
    auto_buf body = BUF_INIT(PROTO_BODY_MAX), text = BUF_INIT(VERIFIER_ANSWER_MAX),
             packed = BUF_INIT(VERIFIER_REQUEST_MAX);
    read_snp(body_name, &body);
    const struct verifier_request asked = {.kind = VERIFIER_EVIDENCE,
        .tee = "snp",
        .nonce = "AAAA",
        .now = now,
        .anchors = anchors,
        .collateral = collateral,
        .body = buf_bytes(&body)};
    struct verifier_request request;
    assert_done(verifier_request_encode(&asked, &packed, &err), &err);
    assert_done(verifier_request_decode(buf_bytes(&packed), &request, &err), &err);
    assert_done(verifier_judge(&request, NULL, &text, &err), &err);
    assert_done(
        verifier_answer_decode(VERIFIER_EVIDENCE, buf_bytes(&text), ret_answer, &err), &err);
}

static void anchors_and_time_come_from_the_front(void **state)
{
    (void)state;
    auto_buf pem = BUF_INIT(ANCHORS_PEM_MAX);
    auto_verifier_answer good = {0}, pinned = {0}, late = {0}, broken = {0};
    read_snp("roots.pem", &pem);
    judge_snp("attest/full.json", buf_bytes(&pem), BYTES_EMPTY, SNP_AT, &good);
    assert_int_equal(good.status, VERIFIER_ACCEPTED);
    judge_snp("attest/full.json", BYTES_EMPTY, BYTES_EMPTY, SNP_AT, &pinned);
    assert_int_equal(pinned.status, VERIFIER_REFUSED);
    assert_string_equal(pinned.reasons[0].check, "snp.chain");
    judge_snp("attest/full.json", buf_bytes(&pem), BYTES_EMPTY, 4000000000, &late);
    assert_int_equal(late.status, VERIFIER_REFUSED);
    assert_string_equal(late.reasons[0].check, "snp.date");
    judge_snp("attest/full.json", bytes_str("no PEM"), BYTES_EMPTY, SNP_AT, &broken);
    assert_int_equal(broken.status, VERIFIER_FAILED);
    assert_int_equal(broken.cause.code, ERR_CONFIG);
}

static void what_is_needed_is_asked_for_and_used(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf pem = BUF_INIT(ANCHORS_PEM_MAX), ark = BUF_INIT(ANCHORS_PEM_MAX),
             block = BUF_INIT(COLLATERAL_TOTAL_MAX);
    auto_collateral *set = NULL;
    auto_verifier_answer asks = {0}, good = {0}, broken = {0};
    read_snp("roots.pem", &pem);
    read_snp("amd-only-ark.pem", &ark);
    judge_snp("attest/vcek-only.json", buf_bytes(&ark), BYTES_EMPTY, SNP_AT, &asks);
    assert_int_equal(asks.status, VERIFIER_NEEDS);
    assert_int_equal(asks.need_count, 1);
    assert_string_equal(asks.needs[0], "amd/chain/Milan");
    assert_done(collateral_new(&set, &err), &err);
    assert_done(collateral_put(set, asks.needs[0], buf_bytes(&pem), BYTES_EMPTY, &err), &err);
    assert_done(collateral_encode(set, &block, &err), &err);
    judge_snp("attest/vcek-only.json", buf_bytes(&ark), buf_bytes(&block), SNP_AT, &good);
    assert_int_equal(good.status, VERIFIER_ACCEPTED);
    judge_snp("attest/vcek-only.json", buf_bytes(&ark), bytes_str("x"), SNP_AT, &broken);
    assert_int_not_equal(broken.status, VERIFIER_ACCEPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_inputs_are_refusals_and_never_failures),
        cmocka_unit_test(only_the_report_data_is_wrong),
        cmocka_unit_test(devices_and_init_data_are_judged_too),
        cmocka_unit_test(devices_are_bound_to_the_guest),
        cmocka_unit_test(a_device_alone_is_no_guest),
        cmocka_unit_test(trouble_of_our_own_is_a_failure),
        cmocka_unit_test(anchors_and_time_come_from_the_front),
        cmocka_unit_test(what_is_needed_is_asked_for_and_used),
    };
    return cmocka_run_group_tests(tests, read_roots, NULL);
}
