/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"

#include "kbs/server/verifier/verifier_wire.h"

static struct err err;

static void test_requests(void **state)
{
    (void)state;
    auto_buf evidence = BUF_INIT(VERIFIER_REQUEST_MAX), enrol = BUF_INIT(VERIFIER_REQUEST_MAX);
    struct verifier_request got;
    const struct verifier_request one = {.kind = VERIFIER_EVIDENCE,
        .tee = "tpm",
        .nonce = "AAAA",
        .now = 1700000000,
        .collateral_expired_ok = true,
        .device_tees = "tpm sampledevice",
        .anchors = bytes_str("PEM"),
        .collateral = bytes_of("\0\0", 2),
        .body = bytes_str("{\"hostile\":\xff")};
    const struct verifier_request two = {
        .kind = VERIFIER_ENROL, .roots = bytes_str("PEM"), .body = bytes_str("{}")};
    assert_done(verifier_request_encode(&one, &evidence, &err), &err);
    assert_done(verifier_request_decode(buf_bytes(&evidence), &got, &err), &err);
    assert_int_equal(got.kind, VERIFIER_EVIDENCE);
    assert_string_equal(got.tee, "tpm");
    assert_string_equal(got.nonce, "AAAA");
    assert_true(bytes_equal(got.body, one.body));
    assert_int_equal(got.now, 1700000000);
    assert_string_equal(got.device_tees, one.device_tees);
    assert_true(got.collateral_expired_ok && !got.collateral_optional);
    assert_true(bytes_equal(got.anchors, one.anchors));
    assert_true(bytes_equal(got.collateral, one.collateral));
    assert_done(verifier_request_encode(&two, &enrol, &err), &err);
    assert_done(verifier_request_decode(buf_bytes(&enrol), &got, &err), &err);
    assert_int_equal(got.kind, VERIFIER_ENROL);
    assert_true(bytes_equal(got.roots, two.roots));
    for (size_t len = 0; len < enrol.len; len++)
        assert_refused(verifier_request_decode(bytes_of(enrol.data, len), &got, &err), &err,
            ERR_FORMAT, "verifier request");
    enrol.data[1] = 4;
    assert_refused(
        verifier_request_decode(buf_bytes(&enrol), &got, &err), &err, ERR_FORMAT, "kind 4");
}

static void round_trip(enum verifier_kind kind, const struct verifier_answer *answer,
    struct buf *message, struct verifier_answer *ret_answer)
{
    assert_done(verifier_answer_encode(kind, answer, message, &err), &err);
    assert_done(verifier_answer_decode(kind, buf_bytes(message), ret_answer, &err), &err);
    assert_int_equal(ret_answer->status, answer->status);
}

static void test_accepted(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX), enrolled = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {.class_name = "cpu"}, got = {0};
    struct verifier_answer keys = {.ak_spki = bytes_str("spki"),
        .id_object = bytes_str("object"),
        .encrypted_secret = bytes_str("secret")};
    assert_done(json_build(&answer.claims, &err, "{s:s, s:{s:i}}", "svn", "1", "platform_version",
                    "major", 1),
        &err);
    assert_done(json_build(&answer.tee_pubkey, &err, "{s:s, s:s, s:s, s:s}", "alg", "RSA-OAEP-256",
                    "e", "AQAB", "kty", "RSA", "n", "AA"),
        &err);
    round_trip(VERIFIER_EVIDENCE, &answer, &message, &got);
    assert_string_equal(got.class_name, "cpu");
    assert_true(json_equal(got.claims, answer.claims));
    assert_true(json_equal(got.tee_pubkey, answer.tee_pubkey));
    memset(keys.ek_sha256, 'a', 64);
    struct verifier_answer got_keys = {0};
    round_trip(VERIFIER_ENROL, &keys, &enrolled, &got_keys);
    assert_string_equal(got_keys.ek_sha256, keys.ek_sha256);
    assert_true(bytes_equal(got_keys.ak_spki, keys.ak_spki));
    assert_true(bytes_equal(got_keys.id_object, keys.id_object));
    assert_true(bytes_equal(got_keys.encrypted_secret, keys.encrypted_secret));
}

static void test_devices(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {.class_name = "cpu",
                             .device_count = 2,
                             .devices = {{"sampledevice", "gpu", NULL}, {"tpm", "cpu", NULL}}},
                         got = {0};
    assert_done(json_build(&answer.claims, &err, "{s:s}", "svn", "1"), &err);
    assert_done(json_build(&answer.tee_pubkey, &err, "{s:s, s:s, s:s, s:s}", "alg", "RSA-OAEP-256",
                    "e", "AQAB", "kty", "RSA", "n", "AA"),
        &err);
    assert_done(
        json_build(&answer.init_data_claims, &err, "{s:{s:[s]}}", "aa.toml", "k", "v"), &err);
    assert_done(json_build(&answer.devices[0].claims, &err, "{s:s}", "svn", "2"), &err);
    assert_done(json_build(&answer.devices[1].claims, &err, "{s:s}", "pcr00", "00"), &err);
    round_trip(VERIFIER_EVIDENCE, &answer, &message, &got);
    assert_true(json_equal(got.init_data_claims, answer.init_data_claims));
    assert_int_equal(got.device_count, 2);
    assert_string_equal(got.devices[0].tee, "sampledevice");
    assert_string_equal(got.devices[0].class_name, "gpu");
    assert_true(json_equal(got.devices[1].claims, answer.devices[1].claims));
}

static void test_names_of_tees(void **state)
{
    (void)state;
    assert_true(verifier_tee_listed("tpm sampledevice", "tpm"));
    assert_true(verifier_tee_listed("tpm sampledevice", "sampledevice"));
    assert_false(verifier_tee_listed("tpm sampledevice", "sample"));
    assert_false(verifier_tee_listed("tpm", "tpm "));
    assert_false(verifier_tee_listed("tpm", "tp"));
    assert_false(verifier_tee_listed("", "tpm"));
    assert_false(verifier_tee_listed("tpm", ""));
}

/* A reason may quote what a guest sent, cut within a character of several bytes. */
static void test_refused(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    struct verifier_answer answer = {.status = VERIFIER_REFUSED,
                               .reason_count = VERIFY_REASONS_MAX},
                           got = {0};
    for (size_t i = 0; i < VERIFY_REASONS_MAX; i++) {
        memset(answer.reasons[i].check, 'c', sizeof answer.reasons[i].check - 1);
        memset(answer.reasons[i].got, '\xc3', sizeof answer.reasons[i].got - 1);
        strcpy(answer.reasons[i].expected, "a\nb\x7f");
    }
    round_trip(VERIFIER_EVIDENCE, &answer, &message, &got);
    assert_int_equal(got.reason_count, VERIFY_REASONS_MAX);
    assert_string_equal(got.reasons[0].check, answer.reasons[0].check);
    assert_int_equal(strspn(got.reasons[31].got, "?"), sizeof got.reasons[31].got - 1);
    assert_string_equal(got.reasons[31].expected, "a?b?");
}

static void test_needs(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    struct verifier_answer answer = {.status = VERIFIER_NEEDS, .need_count = 2}, got = {0};
    auto_collateral *have = NULL;
    strcpy(answer.needs[0], "amd/chain/Milan");
    strcpy(answer.needs[1], "intel/root-crl");
    round_trip(VERIFIER_EVIDENCE, &answer, &message, &got);
    assert_int_equal(got.need_count, 2);
    assert_string_equal(got.needs[1], "intel/root-crl");
    assert_refused(verifier_answer_decode(VERIFIER_ENROL, buf_bytes(&message), &got, &err), &err,
        ERR_FORMAT, "status 3");
    assert_done(collateral_new(&have, &err), &err);
    assert_done(collateral_put(have, "intel/root-crl", bytes_str("x"), BYTES_EMPTY, &err), &err);
    verifier_answer_refuse_needs(&got, have);
    assert_int_equal(got.status, VERIFIER_REFUSED);
    assert_int_equal(got.reason_count, 2);
    assert_string_equal(got.reasons[0].check, "collateral");
    assert_string_equal(got.reasons[0].got, "not available");
    assert_string_equal(got.reasons[0].expected, "amd/chain/Milan");
    assert_string_equal(got.reasons[1].got, "of no use");
}

/* Event logs are arrays of objects; how deep and how many is bounded. */
static void test_shape_of_claims(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX), deep = BUF_INIT(VERIFIER_ANSWER_MAX),
             many = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {.class_name = "cpu"}, got = {0};
    assert_done(json_build(&answer.tee_pubkey, &err, "{s:s, s:s, s:s, s:s}", "alg", "RSA-OAEP-256",
                    "e", "AQAB", "kty", "RSA", "n", "AA"),
        &err);
    assert_done(
        json_build(&answer.claims, &err, "{s:[{s:i, s:[{s:s}], s:{s:{s:[i]}}}]}", "uefi_event_logs",
            "index", 1, "digests", "alg", "SHA-384", "details", "data", "content", 1),
        &err);
    round_trip(VERIFIER_EVIDENCE, &answer, &message, &got);
    assert_true(json_equal(got.claims, answer.claims));
    for (int i = 0; i < VERIFIER_CLAIM_LEVELS; i++)
        assert_done(json_build(&answer.claims, &err, "{s:o}", "a", answer.claims), &err);
    assert_done(verifier_answer_encode(VERIFIER_EVIDENCE, &answer, &deep, &err), &err);
    assert_refused(verifier_answer_decode(VERIFIER_EVIDENCE, buf_bytes(&deep), &got, &err), &err,
        ERR_FORMAT, "claims that no verifier makes");
    json_unref(answer.claims);
    assert_done(json_build(&answer.claims, &err, "{s:[]}", "a"), &err);
    for (int i = 0; i < VERIFIER_CLAIM_COUNT - 1; i++)
        json_array_append_new(json_object_get(answer.claims, "a"), json_integer(0));
    assert_done(verifier_answer_encode(VERIFIER_EVIDENCE, &answer, &many, &err), &err);
    assert_refused(verifier_answer_decode(VERIFIER_EVIDENCE, buf_bytes(&many), &got, &err), &err,
        ERR_FORMAT, "claims that no verifier makes");
}

static void test_failed(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    struct verifier_answer answer = {.status = VERIFIER_FAILED}, got = {0};
    err_set(&answer.cause, ERR_CONFIG, "the roots are unusable");
    round_trip(VERIFIER_ENROL, &answer, &message, &got);
    assert_int_equal(got.cause.code, ERR_CONFIG);
    assert_string_equal(got.cause.message, "the roots are unusable");
}

/* As deep as an event log's claims, and the log gives way where all would be refused for its length. */
static void test_event_logs(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {.class_name = "cpu"}, got = {0};
    auto_free char *event = malloc(VERIFIER_CLAIMS_MAX + 1);
    memset(event, 'A', VERIFIER_CLAIMS_MAX);
    event[VERIFIER_CLAIMS_MAX] = '\0';
    assert_done(json_build(&answer.claims, &err, "{s:[{s:s,s:{s:{s:[[[[[[]]]]]]}},s:i}]}",
                    "uefi_event_logs", "event", event, "details", "data", "content", "index", 4) &&
                    json_build(&answer.tee_pubkey, &err, "{s:s,s:s,s:s,s:s,s:s}", "alg", "a", "crv",
                        "c", "kty", "k", "x", "x", "y", "y"),
        &err);
    assert_done(verifier_answer_encode(VERIFIER_EVIDENCE, &answer, &message, &err), &err);
    assert_done(verifier_answer_decode(VERIFIER_EVIDENCE, buf_bytes(&message), &got, &err), &err);
    assert_string_equal(json_member_text(got.claims, "uefi_event_logs_trimmed"), "event");
    const json_t *entry = json_array_get(json_object_get(got.claims, "uefi_event_logs"), 0);
    assert_non_null(json_object_get(entry, "details"));
    assert_null(json_object_get(entry, "event"));
}

static void test_too_many_claims(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {.class_name = "cpu", .tee_pubkey = json_object()};
    auto_free char *text = malloc(VERIFIER_CLAIMS_MAX + 1);
    memset(text, 'x', VERIFIER_CLAIMS_MAX);
    text[VERIFIER_CLAIMS_MAX] = '\0';
    assert_done(json_build(&answer.claims, &err, "{s:s}", "a", text), &err);
    assert_refused(verifier_answer_encode(VERIFIER_EVIDENCE, &answer, &message, &err), &err,
        ERR_FORMAT, "claims of");
}

/* The first byte of a file: what was asked. */
static bool refuse_answer(const struct secret *input, struct err *ret_err)
{
    auto_verifier_answer answer = {0};
    struct bytes bytes = secret_bytes(input);
    return verifier_answer_decode(
        bytes.data[0], bytes_slice(bytes, 1, bytes.len), &answer, ret_err);
}

static void test_bad_inputs(void **state)
{
    static const char cut[] = "verifier answer: cut short";
    static const struct bad_input inputs[] = {
        {"empty.bin", ERR_FORMAT, "version 0"},
        {"version-2.bin", ERR_FORMAT, "version 2"},
        {"status-4.bin", ERR_FORMAT, "status 4"},
        {"needs-none.bin", ERR_FORMAT, cut},
        {"needs-13.bin", ERR_FORMAT, cut},
        {"needs-traversal.bin", ERR_FORMAT, cut},
        {"needs-of-enrolment.bin", ERR_FORMAT, "status 3"},
        {"class-gpu.bin", ERR_FORMAT, "unknown class"},
        {"class-long.bin", ERR_FORMAT, "claims"},
        {"claims-array.bin", ERR_FORMAT, "claims that no verifier makes"},
        {"claims-thirteen-levels.bin", ERR_FORMAT, "claims that no verifier makes"},
        {"claims-duplicate.bin", ERR_FORMAT, "claims"},
        {"claims-no-json.bin", ERR_FORMAT, "claims"},
        {"claims-length-4gib.bin", ERR_FORMAT, "claims"},
        {"pubkey-private.bin", ERR_FORMAT, "wire form"},
        {"pubkey-missing-y.bin", ERR_FORMAT, "wire form"},
        {"pubkey-number.bin", ERR_FORMAT, "wire form"},
        {"pubkey-empty.bin", ERR_FORMAT, "wire form"},
        {"pubkey-oct.bin", ERR_FORMAT, "wire form"},
        {"evidence-cut.bin", ERR_FORMAT, "tee-pubkey"},
        {"evidence-trailing.bin", ERR_FORMAT, "1 bytes after its end"},
        {"init-data-array.bin", ERR_FORMAT, "init-data claims that no verifier makes"},
        {"init-data-no-json.bin", ERR_FORMAT, "init-data claims"},
        {"init-data-21-levels.bin", ERR_FORMAT, "init-data claims that no verifier makes"},
        {"devices-8.bin", ERR_FORMAT, "8 devices"},
        {"devices-fewer.bin", ERR_FORMAT, "claims of a device: empty"},
        {"device-class-switch.bin", ERR_FORMAT, "a device of an unknown class"},
        {"device-no-tee.bin", ERR_FORMAT, "a device of an unknown class"},
        {"device-claims-text.bin", ERR_FORMAT, "claims that no verifier makes"},
        {"reasons-none.bin", ERR_FORMAT, cut},
        {"reasons-33.bin", ERR_FORMAT, cut},
        {"reasons-fewer.bin", ERR_FORMAT, cut},
        {"reason-control-character.bin", ERR_FORMAT, cut},
        {"reason-not-ascii.bin", ERR_FORMAT, cut},
        {"reason-check-long.bin", ERR_FORMAT, cut},
        {"reason-got-long.bin", ERR_FORMAT, cut},
        {"failed-cut.bin", ERR_FORMAT, cut},
        {"failed-ok.bin", ERR_FORMAT, cut},
        {"enrol-hash-short.bin", ERR_FORMAT, "SHA-256 in hex"},
        {"enrol-hash-upper.bin", ERR_FORMAT, "SHA-256 in hex"},
        {"enrol-no-spki.bin", ERR_FORMAT, "an empty enrolment"},
        {"enrol-no-blob.bin", ERR_FORMAT, "an empty enrolment"},
        {"enrol-spki-1025.bin", ERR_FORMAT, "an empty enrolment"},
        {"enrol-as-evidence.bin", ERR_FORMAT, "claims"},
    };
    (void)state;
    assert_all_bad("bad/verifier_answer", inputs, ARRAY_LEN(inputs), refuse_answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_devices),
        cmocka_unit_test(test_names_of_tees),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_needs),
        cmocka_unit_test(test_shape_of_claims),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_event_logs),
        cmocka_unit_test(test_too_many_claims),
        cmocka_unit_test(test_bad_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
