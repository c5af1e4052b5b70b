/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/runtime.h"
#include "crypt/base/b64.h"

/* protocol.md section B, worked example: nonce bytes 00..1f, the key of RFC 7518 appendix C ("Alice"). */
#define NONCE "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
#define KEY_X "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0"
#define KEY_Y "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps"
#define PUBKEY                                                                    \
    "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" KEY_X \
    "\",\"y\":\"" KEY_Y "\"}"
#define DIGEST                                                                                     \
    "24d7b8634a25cc74ab1ce3c78b8cd9ec5a23e33f3a66ce3a04cf6b9a48f11d56986edb023749150a64850073a9c2" \
    "e043"

static json_t *load(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 8192, "test", &json, &err), &err);
    return json;
}

static void assert_digest(const json_t *pubkey, const char *wanted)
{
    struct err err = ERR_INIT;
    struct hash digest;
    char hex[2 * HASH_SIZE_MAX + 1];
    auto_free char *text = NULL;
    assert_done(runtime_data(NONCE, pubkey, "", HASH_SHA384, &text, &digest, &err), &err);
    assert_int_equal(strlen(text), 244);
    hex_encode(hash_view(&digest), hex);
    assert_string_equal(hex, wanted);
}

static void test_worked_example(void **state)
{
    (void)state;
    auto_json *received = load(PUBKEY), *pubkey = NULL;
    auto_jwk *key = NULL;
    struct err err = ERR_INIT;
    assert_done(runtime_tee_pubkey_check(received, &pubkey, &key, &err), &err);
    assert_digest(pubkey, DIGEST);
}

/* The same key and nonce, for evidence of a device (protocol.md B). */
static void test_device_has_no_additional_member(void **state)
{
    (void)state;
    auto_json *pubkey = load(PUBKEY);
    struct err err = ERR_INIT;
    struct hash digest;
    char hex[2 * HASH_SIZE_MAX + 1];
    auto_free char *text = NULL;
    assert_done(runtime_data(NONCE, pubkey, NULL, HASH_SHA384, &text, &digest, &err), &err);
    assert_null(strstr(text, "additional-evidence"));
    hex_encode(hash_view(&digest), hex);
    assert_string_equal(hex, "9bd28a38af92c4acfeb69a010a4cd777c546a6d9939fb0f3dd57e2535cddf4d6d9699"
                             "1b185c3570a4725da7d2232"
                             "70f3");
}

/* A guest that sends more members, or in another order, has hashed the known ones only. */
static void test_unknown_members_are_not_hashed(void **state)
{
    (void)state;
    auto_json *received = load("{\"y\":\"" KEY_Y "\",\"kid\":\"k\",\"use\":\"enc\",\"x\":\"" KEY_X
                               "\",\"kty\":\"EC\",\"crv\":\"P-256\",\"alg\":\"ECDH-ES+A256KW\"}");
    auto_json *pubkey = NULL;
    auto_jwk *key = NULL;
    struct err err = ERR_INIT;
    assert_done(runtime_tee_pubkey_check(received, &pubkey, &key, &err), &err);
    assert_digest(pubkey, DIGEST);
}

static void own_key_round_trip(enum jwk_kind kind, size_t members)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL, *again = NULL;
    auto_json *made = NULL, *checked = NULL;
    assert_done(jwk_generate(kind, "a-kid", &key, &err), &err);
    assert_done(runtime_tee_pubkey(key, &made, &err), &err);
    assert_int_equal(json_object_size(made), members);
    assert_null(json_object_get(made, "kid"));
    assert_done(runtime_tee_pubkey_check(made, &checked, &again, &err), &err);
    assert_true(json_equal(made, checked));
    assert_false(jwk_is_private(again));
}

static void test_own_keys(void **state)
{
    (void)state;
    own_key_round_trip(JWK_EC_P256, 5);
    own_key_round_trip(JWK_EC_P521, 5);
    own_key_round_trip(JWK_RSA, 4);
}

static void test_other_kinds_of_key_are_refused(void **state)
{
    (void)state;
    static const enum jwk_kind kinds[] = {JWK_EC_P384, JWK_OKP_ED25519, JWK_OCT};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err = ERR_INIT;
        auto_jwk *key = NULL;
        auto_json *made = NULL;
        assert_done(jwk_generate(kinds[i], NULL, &key, &err), &err);
        assert_refused(runtime_tee_pubkey(key, &made, &err), &err, ERR_FORMAT, "tee-pubkey");
        assert_null(made);
    }
}

static void test_bad_received_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"{}", "tee-pubkey"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_X "\",\"y\":\"" KEY_Y "\"}", "alg"},
        {"{\"alg\":\"ECDH-ES\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_X "\",\"y\":\"" KEY_Y
         "\"}",
            "alg"},
        {"{\"alg\":\"RSA-OAEP-256\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_X
         "\",\"y\":\"" KEY_Y "\"}",
            ""},
        {"{\"alg\":7,\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_X "\",\"y\":\"" KEY_Y "\"}",
            ""},
        /* not on the curve */
        {"{\"alg\":\"ECDH-ES+A256KW\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_Y
         "\",\"y\":\"" KEY_X "\"}",
            ""},
        /* a private key does not belong on this wire */
        {"{\"alg\":\"ECDH-ES+A256KW\",\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"" KEY_X
         "\",\"y\":\"" KEY_Y "\",\"d\":\"0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo\"}",
            ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_json *received = load(cases[i].text), *pubkey = NULL;
        auto_jwk *key = NULL;
        if (runtime_tee_pubkey_check(received, &pubkey, &key, &err))
            fail_msg("taken: %s", cases[i].text);
        assert_non_null(strstr(err.message, cases[i].said));
        assert_null(pubkey);
        assert_null(key);
    }
}

static void test_nonce_limits(void **state)
{
    (void)state;
    char nonce[RUNTIME_NONCE_MAX + 2];
    struct err err = ERR_INIT;
    struct hash digest;
    auto_free char *text = NULL;
    auto_json *pubkey = load(PUBKEY);
    memset(nonce, 'n', sizeof nonce - 1);
    nonce[sizeof nonce - 1] = '\0';
    assert_refused(runtime_data(nonce, pubkey, "", HASH_SHA384, &text, &digest, &err), &err,
        ERR_FORMAT, "513");
    assert_refused(
        runtime_data("", pubkey, "", HASH_SHA384, &text, &digest, &err), &err, ERR_FORMAT, "nonce");
    assert_null(text);
    nonce[RUNTIME_NONCE_MAX] = '\0';
    assert_done(runtime_data(nonce, pubkey, "", HASH_SHA384, &text, &digest, &err), &err);
}

/* Each input changes the digest: nothing that the evidence should be bound to is left out. */
static void test_everything_is_bound(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct hash base, other;
    auto_json *pubkey = load(PUBKEY);
    auto_free char *one = NULL, *two = NULL, *three = NULL, *four = NULL;
    assert_done(runtime_data("a", pubkey, "", HASH_SHA384, &one, &base, &err), &err);
    assert_done(runtime_data("b", pubkey, "", HASH_SHA384, &two, &other, &err), &err);
    assert_false(bytes_equal(hash_view(&base), hash_view(&other)));
    assert_done(runtime_data("a", pubkey, "{}", HASH_SHA384, &three, &other, &err), &err);
    assert_false(bytes_equal(hash_view(&base), hash_view(&other)));
    json_object_set_new(pubkey, "x", json_string(KEY_Y));
    assert_done(runtime_data("a", pubkey, "", HASH_SHA384, &four, &other, &err), &err);
    assert_false(bytes_equal(hash_view(&base), hash_view(&other)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_worked_example),
        cmocka_unit_test(test_device_has_no_additional_member),
        cmocka_unit_test(test_unknown_members_are_not_hashed),
        cmocka_unit_test(test_own_keys),
        cmocka_unit_test(test_other_kinds_of_key_are_refused),
        cmocka_unit_test(test_bad_received_keys),
        cmocka_unit_test(test_nonce_limits),
        cmocka_unit_test(test_everything_is_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
