/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/jws.h"
#include "tests/unit/inputs.h"

#define ALLOW_ALL                                                                                \
    (JWS_ALLOW(JWS_ES256) | JWS_ALLOW(JWS_ES384) | JWS_ALLOW(JWS_ES512) | JWS_ALLOW(JWS_RS256) | \
        JWS_ALLOW(JWS_EDDSA))

static struct jwk *load(const char *path)
{
    struct err err = ERR_INIT;
    struct jwk *jwk = NULL;
    auto_secret *text = input_secret(path);
    assert_done(jwk_from_secret(text, &jwk, &err), &err);
    return jwk;
}

/* RFC 7515 A.2 (RS256), A.3 (ES256) and A.4 (ES512). */
static void rfc7515_examples(void **state)
{
    (void)state;
    static const char claims[] =
        "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
    static const struct {
        const char *jws, *key, *other, *payload;
        enum jws_alg alg;
    } rows[] = {
        {"vectors/jose/rfc7515-a2.jws", "vectors/jose/rfc7515-a2.jwk",
            "vectors/jose/rfc7517-a1-rsa.jwk", claims, JWS_RS256},
        {"vectors/jose/rfc7515-a3.jws", "vectors/jose/rfc7515-a3.jwk",
            "vectors/jose/rfc7518-c-alice.jwk", claims, JWS_ES256},
        {"vectors/jose/rfc7515-a4.jws", "vectors/jose/rfc7515-a4.jwk", "vectors/jose/p-521.jwk",
            "Payload", JWS_ES512},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(rows[i].jws);
        auto_jwk *key = load(rows[i].key), *other = load(rows[i].other);
        auto_jws *jws = NULL;
        struct bytes got = BYTES_EMPTY;
        assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
        assert_int_equal(jws_alg(jws), rows[i].alg);
        assert_null(jws_kid(jws));
        assert_refused(
            jws_verify(jws, other, ALLOW_ALL, &got, &err), &err, ERR_CRYPTO, "does not fit");
        assert_refused(jws_verify(jws, key, ALLOW_ALL & ~JWS_ALLOW(rows[i].alg), &got, &err), &err,
            ERR_CRYPTO, "not allowed here");
        assert_null(got.data);
        assert_done(jws_verify(jws, key, JWS_ALLOW(rows[i].alg), &got, &err), &err);
        assert_true(bytes_equal(got, bytes_str(rows[i].payload)));
    }
}

/* RFC 8037 A.4 and A.5. The signature is a function of key and text, so signing makes it again. */
static void rfc8037_example(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *text = input_text("vectors/jose/rfc8037-a4.jws"), *made = NULL;
    auto_jwk *private = load("vectors/jose/rfc8037-a1.jwk");
    auto_jwk *public = load("vectors/jose/rfc8037-a2.jwk"), *other = NULL;
    auto_jws *jws = NULL;
    struct bytes got = BYTES_EMPTY;
    assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
    assert_int_equal(jws_alg(jws), JWS_EDDSA);
    assert_string_equal(jws_alg_name(JWS_EDDSA), "EdDSA");
    assert_refused(jws_verify(jws, public, ALLOW_ALL & ~JWS_ALLOW(JWS_EDDSA), &got, &err), &err,
        ERR_CRYPTO, "alg EdDSA is not allowed here");
    assert_done(jwk_generate(JWK_OKP_ED25519, NULL, &other, &err), &err);
    assert_refused(jws_verify(jws, other, ALLOW_ALL, &got, &err), &err, ERR_CRYPTO, "does not fit");
    assert_null(got.data);
    assert_done(jws_verify(jws, public, JWS_ALLOW(JWS_EDDSA), &got, &err), &err);
    assert_true(bytes_equal(got, bytes_str("Example of Ed25519 signing")));
    assert_done(jws_sign(private, NULL, got, &made, &err), &err);
    assert_string_equal(made, text);
}

static void refuse_with(const struct jwk *key, const char *text, const char *why)
{
    struct err err = ERR_INIT;
    auto_jws *jws = NULL;
    struct bytes got = BYTES_EMPTY;
    bool done = jws_parse(bytes_str(text), &jws, &err) && jws_verify(jws, key, ~0u, &got, &err);
    assert_refused(done, &err, err.code, why);
    assert_null(got.data);
}

/* Every other algorithm, and every other length and text, against one Ed25519 key. */
static void an_ed25519_key_takes_eddsa_only(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *good = input_text("vectors/jose/rfc8037-a4.jws");
    auto_free char *es256 = input_text("vectors/jose/rfc7515-a3.jws");
    auto_jwk *key = load("vectors/jose/rfc8037-a2.jwk"), *ec = load("vectors/jose/rfc7515-a3.jwk");
    auto_jwk *labelled = load("fuzz/corpus/jwk/ed25519-public.txt");
    size_t len = strlen(good);
    char text[256];
    refuse_with(key, es256, "alg ES256 does not go with a key of this type (Ed25519)");
    refuse_with(ec, good, "alg EdDSA does not go with a key of this type (P-256)");
    refuse_with(key, "eyJhbGciOiJub25lIn0.e30.", "alg \"none\" is not taken");
    /* 63 and 65 bytes (the last character then holds no stray bits), and none */
    snprintf(text, sizeof text, "%.*s", (int)len - 2, good);
    refuse_with(key, text, "signature of 63 bytes; EdDSA with this key makes 64");
    snprintf(text, sizeof text, "%sA", good);
    refuse_with(key, text, "signature of 65 bytes; EdDSA with this key makes 64");
    snprintf(text, sizeof text, "%.*s", (int)(strrchr(good, '.') + 1 - good), good);
    refuse_with(key, text, "signature of 0 bytes; EdDSA with this key makes 64");
    /* the payload's first character, R and S */
    const size_t places[] = {(size_t)(strchr(good, '.') + 1 - good), len - 80, len - 10};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        snprintf(text, sizeof text, "%s", good);
        text[places[i]] = text[places[i]] == 'A' ? 'B' : 'A';
        refuse_with(key, text, "the EdDSA signature does not fit");
    }
    auto_jws *jws = NULL;
    struct bytes got;
    assert_done(jws_parse(bytes_str(good), &jws, &err), &err);
    assert_done(jws_verify(jws, labelled, ALLOW_ALL, &got, &err), &err);
}

static void what_is_signed_verifies(void **state)
{
    (void)state;
    static const enum jwk_kind kinds[] = {
        JWK_EC_P256, JWK_EC_P384, JWK_EC_P521, JWK_OKP_ED25519, JWK_RSA};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct err err = ERR_INIT;
        auto_jwk *key = NULL;
        auto_json *header = NULL, *public_json = NULL;
        auto_jwk *public = NULL;
        auto_free char *text = NULL;
        auto_jws *jws = NULL;
        struct bytes got;
        assert_done(jwk_generate(kinds[i], "signer", &key, &err), &err);
        assert_done(jwk_public_json(key, NULL, &public_json, &err), &err);
        assert_done(jwk_from_json(public_json, false, &public, &err), &err);
        assert_done(json_build(&header, &err, "{s:s}", "typ", "JWT"), &err);
        assert_done(jws_sign(key, header, bytes_of("a\0b", 3), &text, &err), &err);
        assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
        assert_string_equal(jws_kid(jws), "signer");
        auto_free char *printed = json_text(jws_header(jws));
        char wanted[128];
        snprintf(wanted, sizeof wanted, "{\"alg\":\"%s\",\"kid\":\"signer\",\"typ\":\"JWT\"}",
            jws_alg_name(jws_alg(jws)));
        assert_string_equal(printed, wanted);
        assert_done(jws_verify(jws, public, ALLOW_ALL, &got, &err), &err);
        assert_true(bytes_equal(got, bytes_of("a\0b", 3)));
        assert_true(bytes_equal(got, jws_unverified_payload(jws)));
        struct jws *none = NULL;
        char *no_text = NULL;
        assert_refused(
            jws_sign(public, NULL, got, &no_text, &err), &err, ERR_CRYPTO, "private key");
        assert_null(none);
    }
}

/* r and s keep their width when they begin with zero bytes. */
static void many_signatures_verify(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *key = load("vectors/jose/rfc7515-a3.jwk");
    for (int i = 0; i < 400; i++) {
        auto_free char *text = NULL;
        auto_jws *jws = NULL;
        struct bytes got;
        assert_done(jws_sign(key, NULL, bytes_of(&i, sizeof i), &text, &err), &err);
        assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
        assert_done(jws_verify(jws, key, JWS_ALLOW(JWS_ES256), &got, &err), &err);
    }
}

static void the_header_may_not_set_alg(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *key = load("vectors/jose/rfc7515-a3.jwk");
    auto_json *alg = NULL, *kid = NULL;
    auto_free char *text = NULL;
    auto_jws *jws = NULL;
    assert_done(json_build(&alg, &err, "{s:s}", "alg", "none"), &err);
    assert_refused(jws_sign(key, alg, BYTES_EMPTY, &text, &err), &err, ERR_INTERNAL, "alg");
    assert_done(json_build(&kid, &err, "{s:s}", "kid", "mine"), &err);
    assert_done(jws_sign(key, kid, BYTES_EMPTY, &text, &err), &err);
    assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
    assert_string_equal(jws_kid(jws), "mine");
}

/* alg and use of the key bind; the key is the same otherwise. */
static void the_key_decides(void **state)
{
    (void)state;
    static const struct {
        const char *label, *value, *text;
    } rows[] = {
        {"alg", "ES384", "the key is for alg \"ES384\""},
        {"alg", "ECDH-ES+A256KW", "the key is for alg"},
        {"use", "enc", "the key is for use \"enc\""},
    };
    auto_free char *text = input_text("vectors/jose/rfc7515-a3.jws");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_jwk *plain = load("vectors/jose/rfc7515-a3.jwk"), *key = NULL;
        auto_json *json = NULL;
        auto_jws *jws = NULL;
        struct bytes got;
        assert_done(jwk_public_json(plain, NULL, &json, &err), &err);
        json_object_set_new(json, rows[i].label, json_string(rows[i].value));
        assert_done(jwk_from_json(json, false, &key, &err), &err);
        assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
        assert_refused(jws_verify(jws, key, ALLOW_ALL, &got, &err), &err, ERR_CRYPTO, rows[i].text);
    }
    struct err err = ERR_INIT;
    auto_jwk *oct = load("vectors/jose/rfc7517-a3.jwk"), *p521 = load("vectors/jose/p-521.jwk");
    auto_jws *jws = NULL;
    struct bytes got;
    char *none = NULL;
    assert_done(jws_parse(bytes_str(text), &jws, &err), &err);
    assert_refused(jws_verify(jws, oct, ALLOW_ALL, &got, &err), &err, ERR_CRYPTO, "(oct)");
    assert_refused(jws_verify(jws, p521, ALLOW_ALL, &got, &err), &err, ERR_CRYPTO, "(P-521)");
    assert_refused(jws_sign(oct, NULL, BYTES_EMPTY, &none, &err), &err, ERR_CRYPTO, "cannot sign");
}

static void too_long_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t len = JWS_TEXT_MAX + 1;
    auto_free char *text = malloc(len);
    assert_non_null(text);
    memset(text, 'A', len);
    struct jws *none = NULL;
    assert_refused(jws_parse(bytes_of(text, len), &none, &err), &err, ERR_FORMAT, "at most");
    assert_null(none);
}

static bool refuse(const struct secret *input, struct err *err)
{
    auto_jwk *key = load("vectors/jose/rfc7515-a3.jwk");
    auto_jws *jws = NULL;
    struct bytes payload;
    return jws_parse(secret_bytes(input), &jws, err) &&
           jws_verify(jws, key, ALLOW_ALL, &payload, err);
}

/* What each file of tests/bad/jws is refused for. */
static const struct bad_input bad_inputs[] = {
    {"alg-lower-case.txt", ERR_FORMAT,
        "alg \"es256\" is not taken; sign with ES256, ES384, ES512, RS256 or"},
    {"alg-missing.txt", ERR_FORMAT, "JWS header: member \"alg\" is missing"},
    {"alg-none-mixed-case.txt", ERR_FORMAT,
        "alg \"nOnE\" is not taken; sign with ES256, ES384, ES512, RS256 or EdDSA"},
    {"alg-none.txt", ERR_FORMAT,
        "alg \"none\" is not taken; sign with ES256, ES384, ES512, RS256 or EdDSA"},
    {"alg-number.txt", ERR_FORMAT, "JWS header: member \"alg\" must be text"},
    {"b64-false.txt", ERR_FORMAT, "JWS header: \"b64\" is not taken; sign without it"},
    {"b64-null.txt", ERR_FORMAT, "JWS header: \"b64\" is not taken; sign without it"},
    {"b64-number.txt", ERR_FORMAT, "JWS header: \"b64\" is not taken; sign without it"},
    {"b64-text.txt", ERR_FORMAT, "JWS header: \"b64\" is not taken; sign without it"},
    {"crit-b64.txt", ERR_FORMAT, "JWS header: \"crit\" is not taken; sign without it"},
    {"crit-null.txt", ERR_FORMAT, "JWS header: \"crit\" is not taken; sign without it"},
    {"crit.txt", ERR_FORMAT, "JWS header: \"crit\" is not taken; sign without it"},
    {"dots.txt", ERR_FORMAT, "JWS header: empty, where JSON is needed"},
    {"duplicate-alg.txt", ERR_FORMAT, "JWS header: not the JSON that is taken: duplicate"},
    {"eddsa-for-ec-key.txt", ERR_CRYPTO, "alg EdDSA does not go with a key of this type (P-256)"},
    {"empty.txt", ERR_FORMAT, "a compact JWS has three sections between dots, not fewer"},
    {"es384-for-p256-key.txt", ERR_CRYPTO, "alg ES384 does not go with a key of this type (P-256)"},
    {"es512.txt", ERR_CRYPTO, "alg ES512 does not go with a key of this type (P-256)"},
    {"four-sections.txt", ERR_FORMAT, "a compact JWS has three sections between dots, not more"},
    {"header-array.txt", ERR_FORMAT, "JWS header: must be a JSON object"},
    {"header-changed.txt", ERR_CRYPTO, "the ES256 signature does not fit: another key made it,"},
    {"header-not-json.txt", ERR_FORMAT, "JWS header: not the JSON that is taken: '[' or '{'"},
    {"header-trailing.txt", ERR_FORMAT, "JWS header: not the JSON that is taken: end of file"},
    {"hs256-with-public-key.txt", ERR_FORMAT,
        "alg \"HS256\" is not taken; sign with ES256, ES384, ES512, RS256 or"},
    {"json-serialisation.txt", ERR_FORMAT,
        "a compact JWS has three sections between dots, not fewer"},
    {"kid-number.txt", ERR_FORMAT, "JWS header: member \"kid\" must be text"},
    {"leading-blank.txt", ERR_FORMAT, "JWS header: white space at position 0 of the base64 text"},
    {"leading-dot.txt", ERR_FORMAT, "a compact JWS has three sections between dots, not more"},
    {"non-zero-trailing-bits.txt", ERR_FORMAT,
        "JWS signature: bits set after the last byte of the"},
    {"one-section.txt", ERR_FORMAT, "a compact JWS has three sections between dots, not fewer"},
    {"padded-header.txt", ERR_FORMAT, "JWS header: `=` at position 21 of the base64 text,"},
    {"padded-signature.txt", ERR_FORMAT, "JWS signature: `=` at position 86 of the base64 text,"},
    {"payload-changed.txt", ERR_CRYPTO, "the ES256 signature does not fit: another key made it,"},
    {"ps256.txt", ERR_FORMAT,
        "alg \"PS256\" is not taken; sign with ES256, ES384, ES512, RS256 or"},
    {"rs256-for-ec-key.txt", ERR_CRYPTO, "alg RS256 does not go with a key of this type (P-256)"},
    {"signature-all-zero.txt", ERR_CRYPTO,
        "the ES256 signature does not fit: another key made it,"},
    {"signature-der.txt", ERR_CRYPTO, "signature of 71 bytes; ES256 with this key makes 64 (r"},
    {"signature-empty.txt", ERR_CRYPTO, "signature of 0 bytes; ES256 with this key makes 64 (r"},
    {"signature-flipped.txt", ERR_CRYPTO, "the ES256 signature does not fit: another key made it,"},
    {"signature-long.txt", ERR_CRYPTO, "signature of 65 bytes; ES256 with this key makes 64 (r"},
    {"signature-r-is-order.txt", ERR_CRYPTO,
        "the ES256 signature does not fit: another key made it,"},
    {"signature-r-zero.txt", ERR_CRYPTO, "the ES256 signature does not fit: another key made it,"},
    {"signature-s-zero.txt", ERR_CRYPTO, "the ES256 signature does not fit: another key made it,"},
    {"signature-short.txt", ERR_CRYPTO, "signature of 63 bytes; ES256 with this key makes 64 (r"},
    {"std-alphabet.txt", ERR_FORMAT, "JWS signature: position 0 of the base64 text is of the"},
    {"trailing-newline.txt", ERR_FORMAT, "JWS signature: white space at position 86 of the base64"},
    {"two-sections.txt", ERR_FORMAT, "a compact JWS has three sections between dots, not fewer"},
};

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/jws", bad_inputs, ARRAY_LEN(bad_inputs), refuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rfc7515_examples),
        cmocka_unit_test(rfc8037_example),
        cmocka_unit_test(an_ed25519_key_takes_eddsa_only),
        cmocka_unit_test(what_is_signed_verifies),
        cmocka_unit_test(many_signatures_verify),
        cmocka_unit_test(the_header_may_not_set_alg),
        cmocka_unit_test(the_key_decides),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(bad_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
