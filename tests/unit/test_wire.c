/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>

#include "tests/unit/unit.h"

#include "attest/wire.h"
#include "crypt/base/file.h"

#define MESSAGE_MAX 65536

static void round_trip(
    const struct attest_request *request, struct attest_request *ret_request, struct buf *message)
{
    struct err err = ERR_INIT;
    assert_done(attest_request_encode(request, message, &err), &err);
    assert_done(attest_request_decode(buf_bytes(message), ret_request, &err), &err);
}

static void test_requests_round_trip(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(MESSAGE_MAX);
    struct attest_request got;
    struct attest_request evidence = {.kind = ATTEST_EVIDENCE,
        .nonce = "bm9uY2U=",
        .hash = HASH_SHA384,
        .tee_pubkey = "{\"kty\":\"EC\"}"};
    round_trip(&evidence, &got, &message);
    assert_int_equal(got.kind, ATTEST_EVIDENCE);
    assert_string_equal(got.nonce, "bm9uY2U=");
    assert_int_equal(got.hash, HASH_SHA384);
    assert_string_equal(got.tee_pubkey, "{\"kty\":\"EC\"}");

    message.len = 0;
    round_trip(&(struct attest_request){.kind = ATTEST_ENROL, .create = true}, &got, &message);
    assert_true(got.create);

    message.len = 0;
    struct attest_request activate = {
        .kind = ATTEST_ACTIVATE, .credential = bytes_str("blob"), .secret = bytes_str("encrypted")};
    round_trip(&activate, &got, &message);
    assert_true(bytes_equal(got.credential, bytes_str("blob")));
    assert_true(bytes_equal(got.secret, bytes_str("encrypted")));
}

/* Evidence may take several packets; what is to come follows from the first. */
static void test_long_answers(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    auto_free char *body = malloc(ATTEST_EVIDENCE_MAX + 1);
    assert_non_null(body);
    memset(body, 'x', ATTEST_EVIDENCE_MAX + 1);
    struct attest_answer answer = {.tee = "tpm", .body = bytes_of(body, ATTEST_EVIDENCE_MAX)}, got;
    assert_done(attest_answer_encode(ATTEST_EVIDENCE, &answer, &message, &err), &err);
    struct bytes all = buf_bytes(&message);
    for (size_t len = 13; len <= all.len; len += 1000)
        assert_int_equal(
            attest_answer_missing(ATTEST_EVIDENCE, bytes_slice(all, 0, len)), all.len - len);
    assert_int_equal(attest_answer_missing(ATTEST_EVIDENCE, all), 0);
    assert_int_equal(attest_answer_missing(ATTEST_EVIDENCE, bytes_slice(all, 0, 12)), 0);
    assert_int_equal(attest_answer_missing(ATTEST_INFO, bytes_slice(all, 0, 100)), 0);
    assert_done(attest_answer_decode(ATTEST_EVIDENCE, all, &got, &err), &err);
    assert_int_equal(got.body.len, ATTEST_EVIDENCE_MAX);
    answer.body.len++;
    assert_refused(attest_answer_encode(ATTEST_EVIDENCE, &answer, &message, &err), &err, ERR_FORMAT,
        "evidence of 196609 bytes");
    static const uint8_t lies[] = {1, 0, 0, 0, 0, 3, 't', 'p', 'm', 0xff, 0xff, 0xff, 0xff, 'x'};
    assert_int_equal(attest_answer_missing(ATTEST_EVIDENCE, bytes_of(lies, sizeof lies)), 0);
}

/* Pins the bytes that wire.h states, so that both sides cannot drift together. */
static void test_request_bytes(void **state)
{
    (void)state;
    static const uint8_t wanted[] = {1, 1, 0, 0, 0, 2, 'n', 'o', 1, 0, 0, 0, 2, '{', '}'};
    struct attest_request request = {
        .kind = ATTEST_EVIDENCE, .nonce = "no", .hash = HASH_SHA384, .tee_pubkey = "{}"};
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(MESSAGE_MAX);
    assert_done(attest_request_encode(&request, &message, &err), &err);
    assert_int_equal(message.len, sizeof wanted);
    assert_memory_equal(message.data, wanted, sizeof wanted);
}

static void test_request_limits(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(MESSAGE_MAX);
    struct attest_request request = {.kind = ATTEST_EVIDENCE, .tee_pubkey = "{}"};
    assert_refused(attest_request_encode(&request, &message, &err), &err, ERR_FORMAT, "nonce");
    static uint8_t large[ATTEST_BLOB_MAX + 1];
    request = (struct attest_request){.kind = ATTEST_ACTIVATE,
        .credential = bytes_of(large, sizeof large),
        .secret = bytes_str("s")};
    assert_refused(
        attest_request_encode(&request, &message, &err), &err, ERR_FORMAT, "credential blob");
    request.kind = (enum attest_kind)9;
    assert_refused(attest_request_encode(&request, &message, &err), &err, ERR_FORMAT, "kind 9");
    assert_int_equal(message.len, 0);
}

static void test_refusal_keeps_code_and_text(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(MESSAGE_MAX);
    struct attest_answer sent = {.refused = true}, got;
    err_set(&sent.cause, ERR_ATTEST, "no key at %s", "0x81010002");
    assert_done(attest_answer_encode(ATTEST_EVIDENCE, &sent, &message, &err), &err);
    assert_done(attest_answer_decode(ATTEST_EVIDENCE, buf_bytes(&message), &got, &err), &err);
    assert_true(got.refused);
    assert_int_equal(got.cause.code, ERR_ATTEST);
    assert_string_equal(got.cause.message, "no key at 0x81010002");
}

/* A peer must not be able to have a refusal taken for success by the code it names. */
static void test_refusal_is_never_ok(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const char *const names[] = {"ok", "", "no-such-code"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        auto_buf message = BUF_INIT(MESSAGE_MAX);
        struct pack_writer to = pack_writer(&message);
        struct attest_answer got;
        pack_put_u8(&to, ATTEST_WIRE_VERSION);
        pack_put_u8(&to, 1);
        pack_put_text(&to, names[i]);
        pack_put_text(&to, "text");
        assert_done(pack_written(&to, "test", &err), &err);
        assert_done(attest_answer_decode(ATTEST_INFO, buf_bytes(&message), &got, &err), &err);
        assert_true(got.refused);
        assert_int_not_equal(got.cause.code, ERR_OK);
    }
}

static void test_answers_round_trip(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf message = BUF_INIT(MESSAGE_MAX);
    struct attest_answer got, enrol = {.ek_public = bytes_str("ek"),
                                  .ak_public = bytes_str("ak"),
                                  .ak_spki = bytes_str("spki")};
    assert_done(attest_answer_encode(ATTEST_ENROL, &enrol, &message, &err), &err);
    assert_done(attest_answer_decode(ATTEST_ENROL, buf_bytes(&message), &got, &err), &err);
    assert_false(got.refused);
    assert_true(bytes_equal(got.ek_public, bytes_str("ek")));
    assert_int_equal(got.ek_certificate.len, 0);
    assert_true(bytes_equal(got.ak_spki, bytes_str("spki")));
    /* An answer to another question does not pass for the one that was asked. */
    assert_refused(attest_answer_decode(ATTEST_ACTIVATE, buf_bytes(&message), &got, &err), &err,
        ERR_FORMAT, "attestd answer");
}

static void test_credential_in_locked_memory(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_secret *credential = NULL, *message = NULL;
    struct attest_answer got;
    assert_done(
        secret_copy(bytes_str("0123456789abcdef0123456789abcdef"), &credential, &err), &err);
    assert_done(attest_answer_encode_credential(credential, &message, &err), &err);
    assert_done(attest_answer_decode(ATTEST_ACTIVATE, secret_bytes(message), &got, &err), &err);
    assert_true(secret_equal(got.body, secret_bytes(credential)));
}

/* Every file in tests/bad/<parser>; for answers the first byte is the kind of the request. */
static void refuse_all(const char *parser, bool answers)
{
    char path[512];
    unsigned count = 0;
    snprintf(path, sizeof path, "%s/bad/%s", TEST_SOURCE_DIR, parser);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        auto_buf message = BUF_INIT(MESSAGE_MAX);
        struct err err = ERR_INIT;
        struct attest_request request;
        struct attest_answer answer;
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/bad/%s/%s", TEST_SOURCE_DIR, parser, entry->d_name);
        assert_done(file_read(path, MESSAGE_MAX, &message, &err), &err);
        struct bytes all = buf_bytes(&message), rest = bytes_slice(all, 1, all.len);
        bool taken = answers
                         ? attest_answer_decode((enum attest_kind)all.data[0], rest, &answer, &err)
                         : attest_request_decode(all, &request, &err);
        if (taken || err.code != ERR_FORMAT)
            fail_msg("%s: %s", path, taken ? "was taken" : err.message);
        count++;
    }
    closedir(dir);
    assert_true(count >= 15);
}

static void test_bad_requests(void **state)
{
    (void)state;
    refuse_all("attest_request", false);
}

static void test_bad_answers(void **state)
{
    (void)state;
    refuse_all("attest_answer", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_round_trip),
        cmocka_unit_test(test_long_answers),
        cmocka_unit_test(test_request_bytes),
        cmocka_unit_test(test_request_limits),
        cmocka_unit_test(test_refusal_keeps_code_and_text),
        cmocka_unit_test(test_refusal_is_never_ok),
        cmocka_unit_test(test_answers_round_trip),
        cmocka_unit_test(test_credential_in_locked_memory),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_bad_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
