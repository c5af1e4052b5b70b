/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/b64.h"
#include "crypt/jwe_internal.h"
#include "tests/unit/inputs.h"

static struct jwk *load(const char *path)
{
    struct err err = ERR_INIT;
    struct jwk *jwk = NULL;
    auto_secret *text = input_secret(path);
    assert_done(jwk_from_secret(text, &jwk, &err), &err);
    return jwk;
}

static struct jwk *labelled(const char *path, const char *label, const char *value)
{
    struct err err = ERR_INIT;
    auto_free char *text = input_text(path);
    auto_json *json = NULL;
    auto_secret *secret = NULL;
    struct jwk *jwk = NULL;
    assert_done(json_load_strict(bytes_str(text), JWK_TEXT_MAX, "test", &json, &err), &err);
    json_object_set_new(json, label, json_string(value));
    auto_free char *again = json_text(json);
    assert_done(secret_copy(bytes_str(again), &secret, &err), &err);
    assert_done(jwk_from_secret(secret, &jwk, &err), &err);
    return jwk;
}

static void assert_hex(struct bytes got, const char *wanted)
{
    char *hex = hex_encode_dup(got);
    assert_string_equal(hex, wanted);
    free(hex);
}

/* RFC 7518 appendix C: Z from both sides, and the key for alg ECDH-ES with enc A128GCM and both parties named. */
static void agreement_of_rfc7518(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk"),
             *bob = load("vectors/jose/rfc7518-c-bob.jwk");
    struct jwe_z z, other;
    struct key32 key;
    assert_done(jwe_agree(alice, bob, &z, &err), &err);
    assert_done(jwe_agree(bob, alice, &other, &err), &err);
    assert_hex(jwe_z_bytes(&z), "9e56d91d817135d372834283bf84269cfb316ea3da806a48f6daa7798cfe90c4");
    assert_true(bytes_equal(jwe_z_bytes(&z), jwe_z_bytes(&other)));
    assert_done(
        jwe_derive(&z, "A128GCM", bytes_str("Alice"), bytes_str("Bob"), 128, &key, &err), &err);
    auto_free char *text = b64_encode(B64_URL, bytes_of(key.data, 16));
    assert_string_equal(text, "VqqN6vgjbSBcIijNcacQGg");
    /* The wrapping key of protocol.md's worked example. */
    assert_done(jwe_derive(&z, "ECDH-ES+A256KW", BYTES_EMPTY, BYTES_EMPTY, 256, &key, &err), &err);
    assert_hex(
        key32_bytes(&key), "89ab838633757805bd678cb164f2427776824e8f784152f23747096449921f46");
}

static void agreement_needs_the_right_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk");
    auto_jwk *public = load("vectors/jose/rfc7517-a1-ec.jwk"),
             *rsa = load("vectors/jose/rfc7517-c1-rsa.jwk");
    auto_jwk *p521 = NULL;
    struct jwe_z z;
    assert_done(jwk_generate(JWK_EC_P521, NULL, &p521, &err), &err);
    assert_refused(jwe_agree(alice, p521, &z, &err), &err, ERR_CRYPTO, "two on P-521");
    assert_refused(jwe_agree(p521, alice, &z, &err), &err, ERR_CRYPTO, "two on P-521");
    assert_refused(jwe_agree(public, alice, &z, &err), &err, ERR_CRYPTO, "private key");
    assert_refused(jwe_agree(alice, rsa, &z, &err), &err, ERR_CRYPTO, "P-256");
}

static void vectors_open(void **state)
{
    (void)state;
    static const char thirty_two[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    static const struct {
        const char *jwe, *key, *plaintext;
    } rows[] = {
        {"vectors/jose/coco-worked.jwe", "vectors/jose/rfc7518-c-alice.jwk", "hello"},
        {"vectors/jose/party-info.jwe", "vectors/jose/rfc7518-c-alice.jwk", "hello"},
        {"vectors/jose/unknown-members.jwe", "vectors/jose/rfc7518-c-alice.jwk", "hello"},
        {"vectors/jose/rsa-oaep-256.jwe", "vectors/jose/rfc7517-c1-rsa.jwk", "hello"},
        {"vectors/jose/p-521.jwe", "vectors/jose/p-521.jwk", "hello"},
        {"vectors/jose/trustee.jwe", "vectors/jose/trustee.pem", thirty_two},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(rows[i].jwe);
        auto_jwk *key = load(rows[i].key);
        auto_secret *plaintext = NULL;
        assert_done(jwe_decrypt(bytes_str(text), key, &plaintext, &err), &err);
        assert_true(secret_equal(secret_bytes(plaintext), bytes_str(rows[i].plaintext)));
    }
}

/* What we write with the worked example's keys is that example, byte for byte. */
static void worked_example_is_written(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk"),
             *bob = load("vectors/jose/rfc7518-c-bob.jwk");
    auto_free char *wanted = input_text("vectors/jose/coco-worked.jwe");
    auto_buf out = BUF_INIT(JWE_TEXT_MAX);
    struct key32 cek;
    uint8_t iv[12];
    for (uint8_t i = 0; i < 32; i++)
        cek.data[i] = i;
    for (uint8_t i = 0; i < 12; i++)
        iv[i] = i;
    assert_done(jwe_encrypt_fixed(alice, bob, &cek, iv, bytes_str("hello"), &out, &err), &err);
    assert_string_equal(buf_text(&out), wanted);
}

static void what_is_encrypted_opens(void **state)
{
    (void)state;
    static const enum jwk_kind kinds[] = {JWK_EC_P256, JWK_EC_P521, JWK_RSA};
    static const size_t sizes[] = {0, 1, 4096, 100000, SECRET_SIZE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err = ERR_INIT;
        auto_jwk *key = NULL, *public = NULL, *other = NULL;
        auto_json *json = NULL;
        assert_done(jwk_generate(kinds[i], NULL, &key, &err), &err);
        assert_done(jwk_generate(kinds[i], NULL, &other, &err), &err);
        assert_done(jwk_public_json(key, jwe_alg_for(key), &json, &err), &err);
        assert_done(jwk_from_json(json, false, &public, &err), &err);
        for (size_t k = 0; k < ARRAY_LEN(sizes); k++) {
            auto_secret *plaintext = NULL, *opened = NULL;
            auto_buf out = BUF_INIT(JWE_TEXT_MAX);
            assert_done(secret_random(sizes[k], &plaintext, &err), &err);
            assert_done(jwe_encrypt(public, secret_bytes(plaintext), &out, &err), &err);
            assert_done(jwe_decrypt(buf_bytes(&out), key, &opened, &err), &err);
            assert_true(secret_equal(secret_bytes(plaintext), secret_bytes(opened)));
            struct secret *none = NULL;
            assert_refused(
                jwe_decrypt(buf_bytes(&out), other, &none, &err), &err, ERR_CRYPTO, "not open");
            assert_refused(
                jwe_decrypt(buf_bytes(&out), public, &none, &err), &err, ERR_CRYPTO, "private key");
            assert_null(none);
        }
    }
}

static void the_key_decides(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *text = input_text("vectors/jose/coco-worked.jwe");
    static const char alice[] = "vectors/jose/rfc7518-c-alice.jwk";
    auto_jwk *for_signing = labelled(alice, "use", "sig"),
             *other_alg = labelled(alice, "alg", "ES256");
    auto_jwk *right = labelled(alice, "alg", "ECDH-ES+A256KW"),
             *rsa = load("vectors/jose/rfc7517-c1-rsa.jwk");
    auto_jwk *oct = load("vectors/jose/rfc7517-a3.jwk"), *p384 = NULL;
    struct secret *none = NULL;
    auto_secret *opened = NULL;
    auto_buf out = BUF_INIT(JWE_TEXT_MAX);
    auto_jwk *ed25519 = load("vectors/jose/rfc8037-a1.jwk");
    assert_refused(
        jwe_decrypt(bytes_str(text), ed25519, &none, &err), &err, ERR_CRYPTO, "another kind");
    assert_refused(
        jwe_encrypt(ed25519, BYTES_EMPTY, &out, &err), &err, ERR_CRYPTO, "P-521 or an RSA");
    assert_null(jwe_alg_for(ed25519));
    assert_done(jwk_generate(JWK_EC_P384, NULL, &p384, &err), &err);
    assert_done(jwe_decrypt(bytes_str(text), right, &opened, &err), &err);
    assert_refused(
        jwe_decrypt(bytes_str(text), for_signing, &none, &err), &err, ERR_CRYPTO, "use \"sig\"");
    assert_refused(
        jwe_decrypt(bytes_str(text), other_alg, &none, &err), &err, ERR_CRYPTO, "alg \"ES256\"");
    assert_refused(
        jwe_decrypt(bytes_str(text), rsa, &none, &err), &err, ERR_CRYPTO, "takes RSA-OAEP-256");
    assert_refused(
        jwe_decrypt(bytes_str(text), oct, &none, &err), &err, ERR_CRYPTO, "another kind");
    assert_refused(
        jwe_decrypt(bytes_str(text), p384, &none, &err), &err, ERR_CRYPTO, "another kind");
    assert_refused(jwe_encrypt(p384, BYTES_EMPTY, &out, &err), &err, ERR_CRYPTO, "P-521 or an RSA");
    assert_refused(jwe_encrypt(oct, BYTES_EMPTY, &out, &err), &err, ERR_CRYPTO, "P-521 or an RSA");
    assert_refused(
        jwe_encrypt(for_signing, BYTES_EMPTY, &out, &err), &err, ERR_CRYPTO, "use \"sig\"");
    assert_int_equal(out.len, 0);
    assert_null(none);
    assert_null(jwe_alg_for(p384));
    assert_string_equal(jwe_alg_for(rsa), "RSA-OAEP-256");
}

static void altered_rsa_key_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *rsa = load("vectors/jose/rfc7517-c1-rsa.jwk");
    auto_free char *text = input_text("vectors/jose/rsa-oaep-256.jwe");
    struct secret *none = NULL;
    char *at = strstr(text, "\"encrypted_key\":\"") + 30;
    *at = *at == 'A' ? 'B' : 'A';
    assert_refused(
        jwe_decrypt(bytes_str(text), rsa, &none, &err), &err, ERR_CRYPTO, "this RSA key");
    assert_null(none);
}

static bool refuse(const struct secret *input, struct err *err)
{
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk");
    auto_secret *plaintext = NULL;
    return jwe_decrypt(secret_bytes(input), alice, &plaintext, err);
}

/* What each file of tests/bad/jwe is refused for. */
static const struct bad_input bad_inputs[] = {
    {"aad-member.json", ERR_FORMAT, "member \"aad\" is not taken; everything belongs into"},
    {"alg-dir.json", ERR_CRYPTO, "alg \"dir\"; this key takes ECDH-ES+A256KW"},
    {"alg-ecdh-es-a128kw.json", ERR_CRYPTO,
        "alg \"ECDH-ES+A128KW\"; this key takes ECDH-ES+A256KW"},
    {"alg-missing.json", ERR_FORMAT, "header: member \"alg\" is missing"},
    {"alg-none.json", ERR_CRYPTO, "alg \"none\"; this key takes ECDH-ES+A256KW"},
    {"alg-rsa-oaep-256-for-ec-key.json", ERR_CRYPTO,
        "alg \"RSA-OAEP-256\"; this key takes ECDH-ES+A256KW"},
    {"apu-not-in-derivation.json", ERR_CRYPTO,
        "encrypted_key: the wrapped key does not open: wrong"},
    {"apu-padded.json", ERR_FORMAT, "header: apu: `=` at position 2 of the base64 text,"},
    {"array.json", ERR_FORMAT, "text: must be a JSON object"},
    {"ciphertext-flipped.json", ERR_CRYPTO, "the AES-GCM tag does not fit: wrong key, or the data"},
    {"compact-form.json", ERR_FORMAT, "text: not the JSON that is taken: '[' or '{' expected"},
    {"crit.json", ERR_FORMAT, "header: \"crit\" is not taken; encrypt without it"},
    {"duplicate-member.json", ERR_FORMAT, "text: not the JSON that is taken: duplicate object key"},
    {"empty.json", ERR_FORMAT, "text: empty, where JSON is needed"},
    {"enc-a128gcm.json", ERR_CRYPTO, "enc \"A128GCM\"; only A256GCM is taken"},
    {"enc-a256cbc-hs512.json", ERR_CRYPTO, "enc \"A256CBC-HS512\"; only A256GCM is taken"},
    {"enc-missing.json", ERR_FORMAT, "header: member \"enc\" is missing"},
    {"epk-long-x.json", ERR_FORMAT, "header: epk: JWK: member \"x\" has 44 characters; 32"},
    {"epk-missing.json", ERR_FORMAT, "header: member \"epk\" is missing"},
    {"epk-not-object.json", ERR_FORMAT, "header: epk: JWK: no JSON object"},
    {"epk-off-curve.json", ERR_CRYPTO, "header: epk: JWK: the numbers are no key"},
    {"epk-p384.json", ERR_CRYPTO, "header: epk is not on P-256"},
    {"epk-private.json", ERR_FORMAT, "header: epk: JWK: member \"d\" belongs to a private key;"},
    {"epk-rsa.json", ERR_CRYPTO, "header: epk is not on P-256"},
    {"epk-short-x.json", ERR_FORMAT, "header: epk: JWK: member \"x\" has 42 characters; 32"},
    {"epk-x-over-p.json", ERR_CRYPTO, "header: epk: JWK: the numbers are no key"},
    {"epk-zero-point.json", ERR_CRYPTO, "header: epk: JWK: the numbers are no key"},
    {"header-duplicate-alg.json", ERR_FORMAT,
        "header: not the JSON that is taken: duplicate object"},
    {"header-not-object.json", ERR_FORMAT, "header: must be a JSON object"},
    {"header-reserialised.json", ERR_CRYPTO,
        "the AES-GCM tag does not fit: wrong key, or the data"},
    {"header-trailing.json", ERR_FORMAT, "header: not the JSON that is taken: end of file"},
    {"iv-16-bytes.json", ERR_FORMAT, "iv: 16 bytes, where 12 are needed"},
    {"iv-flipped.json", ERR_CRYPTO, "the AES-GCM tag does not fit: wrong key, or the data"},
    {"missing-ciphertext.json", ERR_FORMAT, "text: member \"ciphertext\" is missing"},
    {"missing-encrypted-key.json", ERR_FORMAT, "text: member \"encrypted_key\" is missing"},
    {"missing-iv.json", ERR_FORMAT, "text: member \"iv\" is missing"},
    {"missing-protected.json", ERR_FORMAT, "text: member \"protected\" is missing"},
    {"missing-tag.json", ERR_FORMAT, "text: member \"tag\" is missing"},
    {"not-json.json", ERR_FORMAT, "text: not the JSON that is taken: '[' or '{' expected"},
    {"other-recipient.json", ERR_CRYPTO, "encrypted_key: the wrapped key does not open: wrong"},
    {"padded-base64.json", ERR_FORMAT, "tag: `=` at position 22 of the base64 text, where none"},
    {"recipients.json", ERR_FORMAT, "member \"recipients\" is not taken; everything belongs"},
    {"shared-header.json", ERR_FORMAT, "member \"unprotected\" is not taken; everything belongs"},
    {"std-base64.json", ERR_FORMAT, "encrypted_key: position 27 of the base64 text is of the"},
    {"tag-empty.json", ERR_FORMAT, "tag: 0 bytes, where 16 are needed"},
    {"tag-flipped.json", ERR_CRYPTO, "the AES-GCM tag does not fit: wrong key, or the data"},
    {"tag-not-text.json", ERR_FORMAT, "text: member \"tag\" must be text"},
    {"tag-short.json", ERR_FORMAT, "tag: 12 bytes, where 16 are needed"},
    {"trailing-bytes.json", ERR_FORMAT, "text: not the JSON that is taken: end of file expected"},
    {"unprotected-header.json", ERR_FORMAT,
        "member \"header\" is not taken; everything belongs into"},
    {"wrapped-key-empty.json", ERR_FORMAT, "encrypted_key: wrapped key of 0 bytes; a 256-bit key"},
    {"wrapped-key-flipped.json", ERR_CRYPTO, "encrypted_key: the wrapped key does not open: wrong"},
    {"wrapped-key-short.json", ERR_FORMAT, "encrypted_key: wrapped key of 32 bytes; a 256-bit key"},
    {"zip.json", ERR_FORMAT, "header: \"zip\" is not taken; encrypt without it"},
};

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/jwe", bad_inputs, ARRAY_LEN(bad_inputs), refuse);
    size_t count, bytes;
    secret_stats(&count, &bytes);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agreement_of_rfc7518),
        cmocka_unit_test(agreement_needs_the_right_keys),
        cmocka_unit_test(vectors_open),
        cmocka_unit_test(worked_example_is_written),
        cmocka_unit_test(what_is_encrypted_opens),
        cmocka_unit_test(the_key_decides),
        cmocka_unit_test(altered_rsa_key_is_refused),
        cmocka_unit_test(bad_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
