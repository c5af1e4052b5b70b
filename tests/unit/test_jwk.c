/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "crypt/jwk.h"
#include "tests/unit/inputs.h"

static struct jwk *load(const char *path)
{
    struct err err = ERR_INIT;
    struct jwk *jwk = NULL;
    auto_secret *text = input_secret(path);
    assert_done(jwk_from_secret(text, &jwk, &err), &err);
    return jwk;
}

static json_t *parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), JWK_TEXT_MAX, "test", &json, &err), &err);
    return json;
}

/* RFC 7638 section 3.1: the RSA key of RFC 7517 A.1 (and A.2). */
static void thumbprint_of_rfc7638(void **state)
{
    (void)state;
    static const char *const files[] = {
        "vectors/jose/rfc7517-a1-rsa.jwk", "vectors/jose/rfc7517-a2-rsa.jwk"};
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = ERR_INIT;
        auto_jwk *jwk = load(files[i]);
        char text[44];
        assert_done(jwk_thumbprint(jwk, text, &err), &err);
        assert_string_equal(text, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
        assert_int_equal(jwk_is_private(jwk), i == 1);
    }
}

static void rfc7517_keys_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *file, *kid, *alg, *use;
        enum jwk_kind kind;
        bool is_private;
    } rows[] = {
        {"vectors/jose/rfc7517-a1-ec.jwk", "1", NULL, "enc", JWK_EC_P256, false},
        {"vectors/jose/rfc7517-a1-rsa.jwk", "2011-04-29", "RS256", NULL, JWK_RSA, false},
        {"vectors/jose/rfc7517-a2-ec.jwk", "1", NULL, "enc", JWK_EC_P256, true},
        {"vectors/jose/rfc7517-a2-rsa.jwk", "2011-04-29", "RS256", NULL, JWK_RSA, true},
        {"vectors/jose/rfc7517-a3.jwk", "HMAC key used in JWS A.1 example", NULL, NULL, JWK_OCT,
            true},
        {"vectors/jose/rfc7517-b-x5c.jwk", "1b94c", NULL, "sig", JWK_RSA, false},
        {"vectors/jose/rfc7517-c1-rsa.jwk", "juliet@capulet.lit", NULL, "enc", JWK_RSA, true},
        {"vectors/jose/trustee.pem", NULL, NULL, NULL, JWK_EC_P256, true},
        {"vectors/jose/rfc8037-a1.jwk", NULL, NULL, NULL, JWK_OKP_ED25519, true},
        {"vectors/jose/rfc8037-a2.jwk", NULL, NULL, NULL, JWK_OKP_ED25519, false},
        {"fuzz/corpus/jwk/ed25519-public.txt", "admin", "EdDSA", "sig", JWK_OKP_ED25519, false},
        {"fuzz/corpus/jwk/sec1.txt", NULL, NULL, NULL, JWK_EC_P256, true},
        {"fuzz/corpus/jwk/pkcs1.txt", NULL, NULL, NULL, JWK_RSA, true},
        {"fuzz/corpus/jwk/spki.txt", NULL, NULL, NULL, JWK_EC_P256, false},
        {"fuzz/corpus/jwk/kid-unicode.txt", "\u00e4/\u00f6/\U0001f600", NULL, NULL, JWK_EC_P256,
            true},
        {"fuzz/corpus/jwk/ec-public.txt", "a\\\"b", "ES256", "sig", JWK_EC_P256, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_jwk *jwk = load(rows[i].file);
        assert_int_equal(jwk_kind(jwk), rows[i].kind);
        assert_int_equal(jwk_is_private(jwk), rows[i].is_private);
        assert_int_equal(jwk_pkey(jwk) == NULL, rows[i].kind == JWK_OCT);
        const char *const got[] = {jwk_kid(jwk), jwk_alg(jwk), jwk_use(jwk)};
        const char *const wanted[] = {rows[i].kid, rows[i].alg, rows[i].use};
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(got[k] == NULL, wanted[k] == NULL);
            if (got[k])
                assert_string_equal(got[k], wanted[k]);
        }
    }
}

static void every_encoding_comes_back(void **state)
{
    (void)state;
    for (int kind = JWK_EC_P256; kind <= JWK_OCT; kind++) {
        struct err err = ERR_INIT;
        auto_jwk *key = NULL, *again = NULL, *public = NULL, *spki = NULL;
        auto_secret *text = NULL;
        auto_json *json = NULL;
        auto_buf der = BUF_INIT(JWK_TEXT_MAX);
        char first[44], other[44];
        assert_done(jwk_generate((enum jwk_kind)kind, "kbs:///a/b/\"\u00e4\"", &key, &err), &err);
        assert_done(jwk_thumbprint(key, first, &err), &err);
        assert_done(jwk_private_text(key, &text, &err), &err);
        assert_done(jwk_from_secret(text, &again, &err), &err);
        assert_done(jwk_thumbprint(again, other, &err), &err);
        assert_string_equal(first, other);
        assert_string_equal(jwk_kid(again), "kbs:///a/b/\"\u00e4\"");
        assert_true(jwk_is_private(again));
        if (kind == JWK_OCT) {
            assert_true(secret_equal(jwk_octets(key), jwk_octets(again)));
            assert_refused(
                jwk_public_json(key, NULL, &json, &err), &err, ERR_FORMAT, "no public part");
            assert_refused(jwk_spki(key, &der, &err), &err, ERR_FORMAT, "no public part");
            continue;
        }
        assert_done(jwk_public_json(again, NULL, &json, &err), &err);
        assert_null(json_object_get(json, "d"));
        assert_done(jwk_from_json(json, false, &public, &err), &err);
        assert_done(jwk_thumbprint(public, other, &err), &err);
        assert_string_equal(first, other);
        assert_false(jwk_is_private(public));
        assert_done(jwk_spki(key, &der, &err), &err);
        assert_done(jwk_from_spki(buf_bytes(&der), &spki, &err), &err);
        assert_done(jwk_thumbprint(spki, other, &err), &err);
        assert_string_equal(first, other);
        assert_refused(jwk_private_text(spki, &text, &err), &err, ERR_FORMAT, "no private part");
    }
}

/* RFC 8037 A.1 to A.3: one key in each of its encodings. */
static void thumbprint_of_rfc8037(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        bool is_private;
    } rows[] = {{"vectors/jose/rfc8037-a1.jwk", true}, {"vectors/jose/rfc8037-a2.jwk", false},
        {"fuzz/corpus/jwk/ed25519-pkcs8.txt", true}, {"fuzz/corpus/jwk/ed25519-spki.txt", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_jwk *jwk = load(rows[i].file);
        auto_json *json = NULL;
        char text[44];
        assert_int_equal(jwk_kind(jwk), JWK_OKP_ED25519);
        assert_int_equal(jwk_is_private(jwk), rows[i].is_private);
        assert_done(jwk_thumbprint(jwk, text, &err), &err);
        assert_string_equal(text, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_done(jwk_public_json(jwk, "EdDSA", &json, &err), &err);
        auto_free char *public = json_text(json);
        assert_string_equal(public, "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
                                    "7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                                    "\"alg\":\"EdDSA\"}");
        if (!rows[i].is_private)
            continue;
        auto_secret *whole = NULL;
        assert_done(jwk_private_text(jwk, &whole, &err), &err);
        assert_true(bytes_equal(secret_bytes(whole),
            bytes_str("{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_"
                      "7TyWQHOg7hcvPapiMlrwIaaPcHURo\","
                      "\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}")));
    }
}

/* The check of the point refuses no key that is one, whatever the sign of its x. */
static void every_ed25519_key_is_taken(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct err err = ERR_INIT;
        auto_jwk *key = NULL, *public = NULL;
        auto_json *json = NULL;
        assert_done(jwk_generate(JWK_OKP_ED25519, NULL, &key, &err), &err);
        assert_done(jwk_public_json(key, NULL, &json, &err), &err);
        assert_done(jwk_from_json(json, false, &public, &err), &err);
    }
}

/* What POST /attest sends: protocol.md A.2. */
static void tee_pubkey_members(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk");
    auto_json *json = NULL;
    assert_done(jwk_public_json(alice, "ECDH-ES+A256KW", &json, &err), &err);
    auto_free char *text = json_text(json);
    assert_string_equal(text,
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","
        "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\",\"alg\":\"ECDH-ES+A256KW\"}");
}

static void private_members_in_json(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *text = input_text("vectors/jose/rfc7518-c-alice.jwk");
    auto_json *json = parse(text);
    auto_jwk *jwk = NULL;
    assert_refused(
        jwk_from_json(json, false, &jwk, &err), &err, ERR_FORMAT, "\"d\" belongs to a private key");
    assert_done(jwk_from_json(json, true, &jwk, &err), &err);
    assert_false(jwk_is_private(jwk));
    auto_json *oct = parse("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAA\"}");
    struct jwk *none = NULL;
    assert_refused(
        jwk_from_json(oct, true, &none, &err), &err, ERR_FORMAT, "EC, OKP and RSA are taken");
    auto_json *list = parse("[]");
    assert_refused(jwk_from_json(list, true, &none, &err), &err, ERR_FORMAT, "no JSON object");
    auto_json *number = parse("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":1}");
    assert_refused(jwk_from_json(number, true, &none, &err), &err, ERR_FORMAT, "\"x\" is no text");
    assert_null(none);
}

/* A coordinate or d that begins with zero bytes keeps its full width. */
static void leading_zeros_stay(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t seen = 0;
    for (int i = 0; i < 20000 && seen < 1; i++) {
        auto_jwk *key = NULL, *again = NULL;
        auto_json *json = NULL;
        assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
        assert_done(jwk_public_json(key, NULL, &json, &err), &err);
        const char *x = json_member_text(json, "x");
        assert_int_equal(strlen(x), 43);
        if (x[0] != 'A' || x[1] < 'A' || x[1] > 'P') /* the first byte is not zero */
            continue;
        seen++;
        assert_done(jwk_from_json(json, false, &again, &err), &err);
    }
    assert_true(seen > 0);
}

static void spki_refusals(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *alice = load("vectors/jose/rfc7518-c-alice.jwk");
    auto_buf der = BUF_INIT(JWK_TEXT_MAX);
    struct jwk *none = NULL;
    assert_done(jwk_spki(alice, &der, &err), &err);
    assert_refused(jwk_from_spki(BYTES_EMPTY, &none, &err), &err, ERR_FORMAT, "0 bytes");
    assert_refused(jwk_from_spki(bytes_of(der.data, der.len - 1), &none, &err), &err, ERR_FORMAT,
        "no DER SubjectPublicKeyInfo");
    der.data[der.len - 1] ^= 1;
    assert_refused(jwk_from_spki(buf_bytes(&der), &none, &err), &err, ERR_FORMAT,
        "no DER SubjectPublicKeyInfo");
    der.data[der.len - 1] ^= 1;
    assert_done(buf_append_str(&der, "x", &err), &err);
    assert_refused(jwk_from_spki(buf_bytes(&der), &none, &err), &err, ERR_FORMAT, "1 bytes follow");
    assert_null(none);
}

static bool refuse(const struct secret *input, struct err *err)
{
    auto_jwk *jwk = NULL;
    return jwk_from_secret(input, &jwk, err);
}

/* What each file of tests/bad/jwk is refused for. */
static const struct bad_input bad_inputs[] = {
    {"array.txt", ERR_FORMAT, "neither a JSON object nor PEM at byte 0"},
    {"bad-number-in-unknown.txt", ERR_FORMAT, "no JSON value at byte 193"},
    {"control-character.txt", ERR_FORMAT, "a control character at byte 9"},
    {"crv-ed25519-of-ec.txt", ERR_FORMAT,
        "curve (crv) \"Ed25519\"; P-256, P-384 and P-521 are taken"},
    {"crv-missing.txt", ERR_FORMAT, "member \"crv\" is missing"},
    {"crv-p384-with-p256-point.txt", ERR_FORMAT,
        "member \"x\" has 43 characters; 48 bytes of full width in"},
    {"crv-p521-with-p256-point.txt", ERR_FORMAT,
        "member \"x\" has 43 characters; 66 bytes of full width in"},
    {"crv-secp256k1.txt", ERR_FORMAT,
        "curve (crv) \"secp256k1\"; P-256, P-384 and P-521 are taken"},
    {"d-is-order.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"d-of-another-key.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"d-short.txt", ERR_FORMAT, "member \"d\" has 42 characters; 32 bytes of full width in"},
    {"d-zero.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"deep.txt", ERR_FORMAT, "nested too deeply at byte 197"},
    {"duplicate-d.txt", ERR_FORMAT, "a member is given twice at byte 188"},
    {"duplicate-unknown.txt", ERR_FORMAT, "a member is given twice at byte 196"},
    {"empty-object.txt", ERR_FORMAT, "member \"kty\" is missing"},
    {"empty.txt", ERR_FORMAT, "neither a JSON object nor PEM at byte 0"},
    {"escaped-name.txt", ERR_FORMAT, "an escape in a member name at byte 142"},
    {"escaped-number.txt", ERR_FORMAT, "member \"d\" holds an escape; base64url needs none"},
    {"kid-lone-surrogate.txt", ERR_FORMAT, "kid: not the JSON that is taken: invalid Unicode"},
    {"kid-nul.txt", ERR_FORMAT, "kid: not the JSON that is taken: \\u0000 is not allowed"},
    {"kty-lower-case.txt", ERR_FORMAT, "key type (kty) \"ec\"; EC, OKP, RSA and oct are taken"},
    {"kty-missing.txt", ERR_FORMAT, "member \"kty\" is missing"},
    {"many-members.txt", ERR_FORMAT, "too many members at byte 503"},
    {"non-ascii-number.txt", ERR_FORMAT, "d: position 0 is not base64"},
    {"non-utf8.txt", ERR_FORMAT, "the text is no UTF-8"},
    {"not-json.txt", ERR_FORMAT, "neither a JSON object nor PEM at byte 0"},
    {"nul-byte.txt", ERR_FORMAT, "something follows the JWK at byte 185"},
    {"number-as-d.txt", ERR_FORMAT, "member \"d\" is no text"},
    {"oct-empty.txt", ERR_FORMAT, "symmetric key of 0 bytes; at least 16 are needed"},
    {"oct-padded.txt", ERR_FORMAT, "k: `=` at position 43 of the base64 text, where none"},
    {"oct-short.txt", ERR_FORMAT, "symmetric key of 8 bytes; at least 16 are needed"},
    {"oct-without-k.txt", ERR_FORMAT, "member \"k\" is missing"},
    {"off-curve-private.txt", ERR_CRYPTO, "the numbers are no key"},
    {"off-curve.txt", ERR_CRYPTO, "the numbers are no key"},
    {"okp-crv-missing.txt", ERR_FORMAT, "member \"crv\" is missing"},
    {"okp-crv-p256.txt", ERR_FORMAT, "curve (crv) \"P-256\" of key type OKP; only Ed25519"},
    {"okp-d-of-another-key.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"okp-d-short.txt", ERR_FORMAT, "member \"d\" has 42 characters; 32 bytes of full width in"},
    {"okp-d-without-x.txt", ERR_FORMAT, "member \"x\" is missing"},
    {"okp-ed448.txt", ERR_FORMAT, "curve (crv) \"Ed448\" of key type OKP; only Ed25519"},
    {"okp-x-is-p.txt", ERR_CRYPTO, "the Ed25519 public key is not canonical"},
    {"okp-x-long.txt", ERR_FORMAT, "member \"x\" has 44 characters; 32 bytes of full width in"},
    {"okp-x-missing.txt", ERR_FORMAT, "member \"x\" is missing"},
    {"okp-x-not-canonical.txt", ERR_CRYPTO, "the Ed25519 public key is not canonical"},
    {"okp-x-off-curve.txt", ERR_CRYPTO, "the Ed25519 public key is no point of the curve"},
    {"okp-x-order-1.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-order-2.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-order-4-sign.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-order-4.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-order-8-sign.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-order-8.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"okp-x-padded.txt", ERR_FORMAT, "member \"x\" has 44 characters; 32 bytes of full width in"},
    {"okp-x-short.txt", ERR_FORMAT, "member \"x\" has 42 characters; 32 bytes of full width in"},
    {"okp-x25519.txt", ERR_FORMAT, "curve (crv) \"X25519\" of key type OKP; only Ed25519"},
    {"pem-bad-base64.txt", ERR_FORMAT, "body: position 2 is not base64"},
    {"pem-certificate.txt", ERR_FORMAT, "a \"CERTIFICATE\" is not taken here; for a private key,"},
    {"pem-cut.txt", ERR_FORMAT, "not one block from \"-----BEGIN\" to the same \"-----END\""},
    {"pem-der-cut.txt", ERR_FORMAT, "no PKCS #8 private key"},
    {"pem-ed25519-bare.txt", ERR_FORMAT, "no Ed25519 private key of 32 bytes (RFC 8410)"},
    {"pem-ed25519-low-order.txt", ERR_CRYPTO, "the Ed25519 public key is of low order"},
    {"pem-ed25519-parameters.txt", ERR_FORMAT, "no Ed25519 private key of 32 bytes (RFC 8410)"},
    {"pem-ed25519-short.txt", ERR_FORMAT, "no Ed25519 private key of 32 bytes (RFC 8410)"},
    {"pem-ed448.txt", ERR_FORMAT, "private key that is neither EC, Ed25519 nor RSA"},
    {"pem-encrypted.txt", ERR_FORMAT, "a \"ENCRYPTED PRIVATE KEY\" is not taken here; for a"},
    {"pem-labels-differ.txt", ERR_FORMAT,
        "not one block from \"-----BEGIN\" to the same \"-----END\""},
    {"pem-point-altered.txt", ERR_CRYPTO, "the numbers are no key"},
    {"pem-rsa-1024.txt", ERR_FORMAT, "RSA key of 1024 bits; 2048 to 4096 are taken"},
    {"pem-trailing.txt", ERR_FORMAT, "not one block from \"-----BEGIN\" to the same \"-----END\""},
    {"pem-two-keys.txt", ERR_FORMAT, "not one block from \"-----BEGIN\" to the same \"-----END\""},
    {"pem-x25519-public.txt", ERR_FORMAT,
        "key of type X25519; EC on P-256, P-384 or P-521, Ed25519 and RSA are"},
    {"pem-x25519.txt", ERR_FORMAT, "private key that is neither EC, Ed25519 nor RSA"},
    {"rsa-1024-private.txt", ERR_FORMAT, "RSA key of 1024 bits; 2048 to 4096 are taken"},
    {"rsa-1024.txt", ERR_FORMAT, "RSA key of 1024 bits; 2048 to 4096 are taken"},
    {"rsa-4104.txt", ERR_FORMAT, "member \"n\" has 513 bytes; 1 to 512 are taken"},
    {"rsa-8192.txt", ERR_FORMAT, "member \"n\" has 1024 bytes; 1 to 512 are taken"},
    {"rsa-d-of-another-key.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"rsa-dp-wrong.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"rsa-e-1.txt", ERR_FORMAT, "RSA exponent must be odd, at least 65537 and below 2^64"},
    {"rsa-e-3.txt", ERR_FORMAT, "RSA exponent must be odd, at least 65537 and below 2^64"},
    {"rsa-e-even.txt", ERR_FORMAT, "RSA exponent must be odd, at least 65537 and below 2^64"},
    {"rsa-e-huge.txt", ERR_FORMAT, "RSA exponent must be odd, at least 65537 and below 2^64"},
    {"rsa-multi-prime.txt", ERR_FORMAT, "RSA key of more than two primes (member \"oth\")"},
    {"rsa-n-empty.txt", ERR_FORMAT, "member \"n\" has 0 bytes; 1 to 512 are taken"},
    {"rsa-n-even.txt", ERR_FORMAT, "RSA modulus is even"},
    {"rsa-n-leading-zero.txt", ERR_FORMAT, "member \"n\" begins with a zero byte"},
    {"rsa-n-missing.txt", ERR_FORMAT, "member \"n\" is missing"},
    {"rsa-p-of-another-key.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"rsa-qi-wrong.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"rsa-swapped-p-q.txt", ERR_CRYPTO, "private and public part do not belong together"},
    {"rsa-without-p.txt", ERR_FORMAT, "member \"p\" is missing"},
    {"std-alphabet.txt", ERR_FORMAT, "y: position 3 of the base64 text is of the other"},
    {"too-large.txt", ERR_FORMAT, "key text of 17021 bytes; at most 16384 are taken"},
    {"trailing-bytes.txt", ERR_FORMAT, "something follows the JWK at byte 185"},
    {"trailing-comma.txt", ERR_FORMAT, "a quoted text is missing at byte 185"},
    {"two-objects.txt", ERR_FORMAT, "something follows the JWK at byte 185"},
    {"unfinished.txt", ERR_FORMAT, "\",\" or \"}\" is missing at byte 184"},
    {"x-long.txt", ERR_FORMAT, "member \"x\" has 44 characters; 32 bytes of full width in"},
    {"x-missing.txt", ERR_FORMAT, "member \"x\" is missing"},
    {"x-over-p.txt", ERR_CRYPTO, "the numbers are no key"},
    {"x-padded.txt", ERR_FORMAT, "member \"x\" has 44 characters; 32 bytes of full width in"},
    {"x-short.txt", ERR_FORMAT, "member \"x\" has 42 characters; 32 bytes of full width in"},
    {"zero-point.txt", ERR_CRYPTO, "the numbers are no key"},
};

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/jwk", bad_inputs, ARRAY_LEN(bad_inputs), refuse);
}

static void no_secret_is_left(void **state)
{
    (void)state;
    size_t count, bytes;
    secret_stats(&count, &bytes);
    assert_int_equal(count, 0);
}

static void a_point_kept_compressed_is_written_whole(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const enum jwk_kind kinds[] = {JWK_EC_P256, JWK_EC_P384};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        auto_jwk *key = NULL;
        auto_json *whole = NULL, *compressed = NULL;
        assert_done(jwk_generate(kinds[i], NULL, &key, &err), &err);
        assert_done(jwk_public_json(key, NULL, &whole, &err), &err);
        assert_int_equal(EVP_PKEY_set_utf8_string_param(jwk_pkey(key),
                             OSSL_PKEY_PARAM_EC_POINT_CONVERSION_FORMAT, "compressed"),
            1);
        assert_done(jwk_public_json(key, NULL, &compressed, &err), &err);
        assert_true(json_equal(whole, compressed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thumbprint_of_rfc7638),
        cmocka_unit_test(thumbprint_of_rfc8037),
        cmocka_unit_test(every_ed25519_key_is_taken),
        cmocka_unit_test(rfc7517_keys_are_read),
        cmocka_unit_test(every_encoding_comes_back),
        cmocka_unit_test(a_point_kept_compressed_is_written_whole),
        cmocka_unit_test(tee_pubkey_members),
        cmocka_unit_test(private_members_in_json),
        cmocka_unit_test(leading_zeros_stay),
        cmocka_unit_test(spki_refusals),
        cmocka_unit_test(bad_inputs_are_refused),
        cmocka_unit_test(no_secret_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
