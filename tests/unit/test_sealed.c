/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/sealed.h"

#include "crypt/base/b64.h"
#include "tests/unit/inputs.h"

static const char kid[] = "kbs:///default/signing-key/sealed-secret";

static struct jwk *load(const char *path)
{
    struct err err = ERR_INIT;
    struct jwk *jwk = NULL;
    auto_secret *text = input_secret(path);
    assert_done(jwk_from_secret(text, &jwk, &err), &err);
    return jwk;
}

/* Parsed and verified with the signer of the vectors. */
static struct sealed *verified(const char *text)
{
    struct err err = ERR_INIT;
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    struct sealed *sealed = NULL;
    assert_done(sealed_parse(bytes_str(text), &sealed, &err), &err);
    assert_done(sealed_verify(sealed, signer, &err), &err);
    return sealed;
}

static void coco_example_step_by_step(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *text = input_text("vectors/sealed/coco-vault.txt");
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    auto_sealed *sealed = NULL;
    auto_secret *fetched = NULL, *plaintext = NULL;
    const char *uri = NULL;
    assert_done(secret_copy(bytes_str("the secret"), &fetched, &err), &err);
    assert_done(sealed_parse(bytes_str(text), &sealed, &err), &err);
    assert_true(sealed_is_signed(sealed));
    assert_string_equal(sealed_kid(sealed), kid);
    /* Nothing is readable before the signature holds. */
    assert_null(sealed_payload(sealed));
    assert_refused(sealed_uri(sealed, &uri, &err), &err, ERR_INTERNAL, "before its signature");
    assert_refused(sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, NULL, &err), &err,
        ERR_INTERNAL, "before its signature");
    assert_refused(
        sealed_open(sealed, fetched, &plaintext, &err), &err, ERR_INTERNAL, "before its signature");
    assert_done(sealed_verify(sealed, signer, &err), &err);
    assert_done(sealed_uri(sealed, &uri, &err), &err);
    assert_string_equal(uri, "kbs:///default/sealed-secret/test");
    assert_int_equal(sealed_payload(sealed)->type, SEALED_VAULT);
    assert_null(sealed_payload(sealed)->context);
    assert_done(sealed_open(sealed, fetched, &plaintext, &err), &err);
    assert_true(secret_equal(secret_bytes(plaintext), bytes_str("the secret")));
}

/* CoCo's `secret` tool writes "b64":true into every header (crate jose-jws), which is what holds without it. */
static void header_with_b64_true(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_free char *text = input_text("vectors/sealed/coco-vault-b64.txt");
    auto_sealed *sealed = verified(text);
    const char *uri = NULL;
    assert_true(sealed_is_signed(sealed));
    assert_string_equal(sealed_kid(sealed), kid);
    assert_done(sealed_uri(sealed, &uri, &err), &err);
    assert_string_equal(uri, "kbs:///default/sealed-secret/test");
}

static void vectors_open(void **state)
{
    (void)state;
    static const struct {
        const char *file, *plaintext;
    } rows[] = {
        {"vectors/sealed/envelope.txt", "attack at dawn"},
        {"vectors/sealed/envelope-context.txt", "attack at dawn"},
        {"vectors/sealed/envelope-empty.txt", ""},
    };
    auto_secret *wrapping_key = input_secret("vectors/sealed/wrapping.key");
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(rows[i].file);
        auto_sealed *sealed = verified(text);
        auto_secret *plaintext = NULL;
        const char *uri;
        assert_done(sealed_uri(sealed, &uri, &err), &err);
        assert_string_equal(uri, "kbs:///default/wrap/1");
        assert_done(sealed_open(sealed, wrapping_key, &plaintext, &err), &err);
        assert_true(secret_equal(secret_bytes(plaintext), bytes_str(rows[i].plaintext)));
        assert_int_equal(sealed_length_hint(bytes_str(text)), strlen(rows[i].plaintext));
    }
}

static void blanks_around_are_tolerated(void **state)
{
    (void)state;
    auto_free char *plain = input_text("vectors/sealed/provider-upper-case.txt");
    char text[1024];
    snprintf(text, sizeof text, " \t\r\n%s\r\n\n ", plain);
    auto_sealed *first = verified(plain), *second = verified(text);
    assert_string_equal(sealed_payload(second)->provider, "KBS");
    assert_string_equal(sealed_payload(first)->name, sealed_payload(second)->name);
}

static void what_claims_to_be_sealed(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool claimed;
    } rows[] = {
        {"sealed.", true},
        {"sealed.a.b.c\n", true},
        {" \n\tsealed.x", true},
        {"sealed", false},
        {"seale", false},
        {"", false},
        {"  ", false},
        {"Sealed.x", false},
        {"xsealed.x", false},
        {"eyJhbGciOiJFUzI1NiJ9.e30.AA", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(sealed_is_claimed(bytes_str(rows[i].text)), rows[i].claimed);
}

static void unsigned_only_where_accepted(void **state)
{
    (void)state;
    static const char *const files[] = {
        "vectors/sealed/unsigned.txt", "vectors/sealed/unsigned-padded.txt"};
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(files[i]);
        auto_sealed *sealed = NULL;
        const char *uri;
        assert_done(sealed_parse(bytes_str(text), &sealed, &err), &err);
        assert_false(sealed_is_signed(sealed));
        assert_null(sealed_kid(sealed));
        assert_refused(
            sealed_verify(sealed, signer, &err), &err, ERR_CRYPTO, "signature = optional");
        assert_null(sealed_payload(sealed));
        assert_done(sealed_accept_unsigned(sealed, &err), &err);
        assert_done(sealed_uri(sealed, &uri, &err), &err);
        assert_string_equal(uri, "kbs:///default/sealed-secret/test");
        assert_done(sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, "web/a", &err), &err);
        assert_refused(sealed_check_context(sealed, SEALED_CONTEXT_REQUIRED, "web/a", &err), &err,
            ERR_CRYPTO, "proves nothing");
    }
}

/* Lifted from another file by whoever may write this one: signature gone, context rewritten to fit. */
static void a_context_without_a_signature_binds_nothing(void **state)
{
    (void)state;
    static const char payload[] =
        "{\"version\":\"0.1.0\",\"type\":\"vault\",\"name\":\"kbs:///default/db/key\","
        "\"provider\":\"kbs\",\"provider_settings\":{},\"annotations\":{\"context\":\"web/a\"}}";
    struct err err = ERR_INIT;
    auto_free char *section = b64_encode(B64_URL, bytes_str(payload));
    auto_buf text = BUF_INIT(4096);
    auto_sealed *sealed = NULL;
    assert_done(buf_printf(&text, &err, "sealed.fakejwsheader.%s.fakesignature", section), &err);
    assert_done(sealed_parse(buf_bytes(&text), &sealed, &err), &err);
    assert_done(sealed_accept_unsigned(sealed, &err), &err);
    assert_done(sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, "web/a", &err), &err);
    assert_refused(sealed_check_context(sealed, SEALED_CONTEXT_REQUIRED, "web/a", &err), &err,
        ERR_CRYPTO, "not signed");
}

/* Signed and good, signed by another, signature altered: none opens without its signature. */
static void signed_never_opens_as_unsigned(void **state)
{
    (void)state;
    static const char *const files[] = {"vectors/sealed/coco-vault.txt",
        "bad/sealed/signer-other.txt", "bad/sealed/signature-flipped.txt",
        "bad/sealed/signature-empty.txt", "bad/sealed/payload-swapped.txt"};
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(files[i]);
        auto_sealed *sealed = NULL;
        assert_done(sealed_parse(bytes_str(text), &sealed, &err), &err);
        assert_true(sealed_is_signed(sealed));
        assert_refused(
            sealed_accept_unsigned(sealed, &err), &err, ERR_CRYPTO, "that signature must hold");
        if (i > 0)
            assert_refused(sealed_verify(sealed, signer, &err), &err, ERR_CRYPTO, kid);
        assert_refused(
            sealed_accept_unsigned(sealed, &err), &err, ERR_CRYPTO, "that signature must hold");
        assert_int_equal(sealed_payload(sealed) == NULL, true);
    }
    /* Damage to header or signature does not make it unsigned either: these do not even parse. */
    static const char *const damaged[] = {"bad/sealed/header-cut.txt",
        "bad/sealed/header-cut-base64.txt", "bad/sealed/header-padded-signed.txt",
        "bad/sealed/blank-inside.txt", "bad/sealed/signature-fake.txt", "bad/sealed/alg-none.txt",
        "bad/sealed/kid-missing.txt"};
    for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(damaged[i]);
        struct sealed *none = NULL;
        assert_refused(
            sealed_parse(bytes_str(text), &none, &err), &err, ERR_FORMAT, "sealed secret");
        assert_null(none);
    }
}

/* Every character of a good string, changed: it parses as signed or not at all, and never verifies to another payload. */
static void no_single_change_survives(void **state)
{
    (void)state;
    auto_free char *text = input_text("vectors/sealed/coco-vault.txt");
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    size_t len = strlen(text);
    for (size_t i = 0; i < len; i++) {
        struct err err = ERR_INIT;
        auto_sealed *sealed = NULL;
        char was = text[i];
        text[i] = was == 'A' ? 'B' : 'A';
        bool opened =
            sealed_parse(bytes_str(text), &sealed, &err) && sealed_verify(sealed, signer, &err);
        assert_false(opened);
        text[i] = was;
    }
}

static void contexts(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum sealed_context rule;
        const char *expected, *refusal; /* NULL: taken */
    } rows[] = {
        {"vectors/sealed/envelope.txt", SEALED_CONTEXT_WHEN_PRESENT, NULL, NULL},
        {"vectors/sealed/envelope.txt", SEALED_CONTEXT_WHEN_PRESENT, "web/db/password", NULL},
        {"vectors/sealed/envelope.txt", SEALED_CONTEXT_REQUIRED, "web/db/password",
            "names no context"},
        {"vectors/sealed/envelope.txt", SEALED_CONTEXT_REQUIRED, NULL, "names no context"},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_REQUIRED, "web/db/password", NULL},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_WHEN_PRESENT, "web/db/password",
            NULL},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_REQUIRED, NULL,
            "this reader has none"},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_WHEN_PRESENT, NULL,
            "this reader has none"},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_REQUIRED, "web/db/passwor",
            "not to"},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_WHEN_PRESENT, "web/db/password2",
            "not to"},
        {"vectors/sealed/envelope-context.txt", SEALED_CONTEXT_WHEN_PRESENT, "", "not to"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_free char *text = input_text(rows[i].file);
        auto_sealed *sealed = verified(text);
        if (rows[i].refusal)
            assert_refused(sealed_check_context(sealed, rows[i].rule, rows[i].expected, &err), &err,
                ERR_CRYPTO, rows[i].refusal);
        else
            assert_done(sealed_check_context(sealed, rows[i].rule, rows[i].expected, &err), &err);
    }
}

static void what_is_made_opens(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 31, 4096, 500000};
    struct err err = ERR_INIT;
    auto_jwk *signer = load("vectors/sealed/signer.jwk");
    auto_secret *wrapping_key = input_secret("vectors/sealed/wrapping.key");
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        auto_secret *plaintext = NULL, *opened = NULL;
        auto_free char *text = NULL;
        assert_done(secret_random(sizes[i], &plaintext, &err), &err);
        assert_done(sealed_make_envelope(signer, kid, "kbs:///default/wrap/1", wrapping_key,
                        plaintext, "web/a", &text, &err),
            &err);
        auto_sealed *sealed = verified(text);
        assert_done(sealed_check_context(sealed, SEALED_CONTEXT_REQUIRED, "web/a", &err), &err);
        assert_done(sealed_open(sealed, wrapping_key, &opened, &err), &err);
        assert_true(secret_equal(secret_bytes(opened), secret_bytes(plaintext)));
        assert_int_equal(sealed_length_hint(bytes_str(text)), sizes[i]);
    }
    auto_free char *vault = NULL;
    assert_done(sealed_make_vault(signer, kid, "kbs:///default/a/b", NULL, &vault, &err), &err);
    auto_sealed *sealed = verified(vault);
    assert_string_equal(sealed_kid(sealed), kid);
    assert_string_equal(sealed_payload(sealed)->name, "kbs:///default/a/b");
    assert_int_equal(sealed_length_hint(bytes_str(vault)), 0);
}

/* P-521 and Ed25519 beside P-256; what one signed opens under no other, and other kinds sign nothing. */
static void every_signer_seals(void **state)
{
    (void)state;
    static const struct {
        enum jwk_kind kind;
        const char *header;
    } rows[] = {{JWK_EC_P256, "sealed.eyJhbGciOiJFUzI1NiIs"},
        {JWK_EC_P521, "sealed.eyJhbGciOiJFUzUxMiIs"},
        {JWK_OKP_ED25519, "sealed.eyJhbGciOiJFZERTQSIs"}};
    struct err err = ERR_INIT;
    struct jwk *keys[ARRAY_LEN(rows)];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_done(jwk_generate(rows[i].kind, NULL, &keys[i], &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_free char *text = NULL;
        assert_done(sealed_make_vault(keys[i], kid, "kbs:///default/a/b", NULL, &text, &err), &err);
        assert_memory_equal(text, rows[i].header, strlen(rows[i].header));
        assert_true(sealed_is_claimed(bytes_str(text)));
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            auto_sealed *sealed = NULL;
            assert_done(sealed_parse(bytes_str(text), &sealed, &err), &err);
            if (k == i)
                assert_done(sealed_verify(sealed, keys[k], &err), &err);
            else
                assert_refused(sealed_verify(sealed, keys[k], &err), &err, ERR_CRYPTO,
                    "does not go with a key of this type");
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        jwk_unref(keys[i]);
    auto_jwk *p384 = NULL;
    char *none = NULL;
    assert_done(jwk_generate(JWK_EC_P384, NULL, &p384, &err), &err);
    assert_refused(sealed_make_vault(p384, kid, "kbs:///default/a/b", NULL, &none, &err), &err,
        ERR_CRYPTO, "P-256 or P-521, or an Ed25519 one");
}

static void making_refuses(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *signer = load("vectors/sealed/signer.jwk"),
             *public = load("vectors/sealed/signer-public.jwk");
    auto_jwk *rsa = load("vectors/jose/rfc7517-a2-rsa.jwk");
    auto_secret *key = input_secret("vectors/sealed/wrapping.key"), *short_key = NULL, *big = NULL;
    static const char uri[] = "kbs:///default/wrap/1";
    char *text = NULL;
    char long_context[SEALED_CONTEXT_MAX + 2];
    memset(long_context, 'x', sizeof long_context - 1);
    long_context[sizeof long_context - 1] = '\0';
    assert_done(secret_random(16, &short_key, &err), &err);
    assert_done(secret_random(SECRET_SIZE_MAX, &big, &err), &err);
    assert_refused(sealed_make_vault(public, kid, uri, NULL, &text, &err), &err, ERR_CRYPTO,
        "private key on P-256");
    assert_refused(sealed_make_vault(rsa, kid, uri, NULL, &text, &err), &err, ERR_CRYPTO,
        "private key on P-256");
    assert_refused(sealed_make_vault(signer, "", uri, NULL, &text, &err), &err, ERR_FORMAT, "kid");
    assert_refused(
        sealed_make_vault(signer, NULL, uri, NULL, &text, &err), &err, ERR_FORMAT, "kid");
    assert_refused(sealed_make_vault(signer, kid, "a/b/c", NULL, &text, &err), &err, ERR_FORMAT,
        "\"name\" is no resource URI");
    assert_refused(
        sealed_make_vault(signer, kid, uri, "", &text, &err), &err, ERR_FORMAT, "context");
    assert_refused(sealed_make_vault(signer, kid, uri, long_context, &text, &err), &err, ERR_FORMAT,
        "context");
    assert_refused(sealed_make_envelope(signer, kid, uri, short_key, key, NULL, &text, &err), &err,
        ERR_FORMAT, "wrapping key has 16 bytes");
    assert_refused(sealed_make_envelope(signer, kid, "x", key, key, NULL, &text, &err), &err,
        ERR_FORMAT, "key_id");
    assert_refused(sealed_make_envelope(signer, kid, uri, key, big, NULL, &text, &err), &err,
        ERR_FORMAT, "(vault)");
    assert_null(text);
}

static void described_without_any_key(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct {
        const char *file;
        bool is_signed;
        int plaintext;
    } rows[] = {
        {"vectors/sealed/envelope-context.txt", true, 14},
        {"vectors/sealed/unsigned-padded.txt", false, 0},
        {"bad/sealed/signature-flipped.txt", true, 0},
        {"bad/sealed/alg-es384.txt", true, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        auto_free char *text = input_text(rows[i].file);
        auto_json *json = NULL;
        assert_done(sealed_describe(bytes_str(text), &json, &err), &err);
        assert_int_equal(json_is_true(json_object_get(json, "signed")), rows[i].is_signed);
        assert_true(json_is_false(json_object_get(json, "verified")));
        assert_int_equal(json_is_object(json_object_get(json, "header")), rows[i].is_signed);
        assert_true(json_is_object(json_object_get(json, "payload")));
        assert_int_equal(
            json_integer_value(json_object_get(json, "plaintext_bytes")), rows[i].plaintext);
    }
    json_t *none = NULL;
    assert_refused(
        sealed_describe(bytes_str("hello"), &none, &err), &err, ERR_FORMAT, "does not begin");
    assert_refused(
        sealed_describe(bytes_str("sealed.a.b.c"), &none, &err), &err, ERR_FORMAT, "payload");
    assert_int_equal(sealed_length_hint(bytes_str("hello")), 0);
    assert_null(none);
}

static void too_long_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    size_t len = SEALED_TEXT_MAX + 1;
    auto_free char *text = malloc(len);
    struct sealed *none = NULL;
    assert_non_null(text);
    memset(text, ' ', len);
    assert_refused(
        sealed_parse(bytes_of(text, len), &none, &err), &err, ERR_FORMAT, "at most 1048576");
    assert_null(none);
}

static bool refuse(const struct secret *input, struct err *err)
{
    auto_jwk *signer = load("vectors/sealed/signer-public.jwk");
    auto_secret *wrapping_key = input_secret("vectors/sealed/wrapping.key"), *plaintext = NULL;
    auto_sealed *sealed = NULL;
    const char *uri;
    return sealed_parse(secret_bytes(input), &sealed, err) && sealed_verify(sealed, signer, err) &&
           sealed_check_context(sealed, SEALED_CONTEXT_WHEN_PRESENT, NULL, err) &&
           sealed_uri(sealed, &uri, err) && sealed_open(sealed, wrapping_key, &plaintext, err);
}

/* What each file of tests/bad/sealed is refused for. */
static const struct bad_input bad_inputs[] = {
    {"alg-eddsa.txt", ERR_CRYPTO, "alg EdDSA does not go with a key of this type (P-256)"},
    {"alg-es384.txt", ERR_FORMAT, "header: alg ES384; sealed secrets are signed with ES256"},
    {"alg-missing.txt", ERR_FORMAT, "JWS header: member \"alg\" is missing"},
    {"alg-none.txt", ERR_FORMAT,
        "alg \"none\" is not taken; sign with ES256, ES384, ES512, RS256 or EdDSA"},
    {"alg-rs256.txt", ERR_FORMAT, "header: alg RS256; sealed secrets are signed with ES256"},
    {"annotations-array.txt", ERR_FORMAT, "payload: member \"annotations\" must be an object"},
    {"b64-false.txt", ERR_FORMAT, "JWS header: \"b64\" is not taken; sign without it"},
    {"blank-inside.txt", ERR_FORMAT, "a character at position 33 after the prefix that is no"},
    {"context-empty.txt", ERR_FORMAT, "payload: annotations.context must be a text of 1 to"},
    {"context-number.txt", ERR_FORMAT, "payload: annotations.context must be a text of 1 to"},
    {"context-too-long.txt", ERR_FORMAT, "payload: annotations.context must be a text of 1 to"},
    {"context-where-reader-has-none.txt", ERR_CRYPTO,
        "it belongs to context \"web/db\", and this reader has"},
    {"crit.txt", ERR_FORMAT, "JWS header: \"crit\" is not taken; sign without it"},
    {"data-flipped.txt", ERR_CRYPTO, "encrypted_data: the AES-GCM tag does not fit: wrong"},
    {"data-shorter-than-tag.txt", ERR_FORMAT,
        "payload: \"encrypted_data\" has 15 bytes; the A256GCM tag"},
    {"data-unpadded.txt", ERR_FORMAT, "payload: encrypted_data: 26 characters of base64, not a"},
    {"empty.txt", ERR_FORMAT, "the text does not begin with \"sealed.\""},
    {"envelope-without-annotations.txt", ERR_FORMAT, "payload: member \"annotations\" is missing"},
    {"envelope-without-encrypted-data.txt", ERR_FORMAT,
        "payload: member \"encrypted_data\" is missing"},
    {"envelope-without-encrypted-key.txt", ERR_FORMAT,
        "payload: member \"encrypted_key\" is missing"},
    {"envelope-without-iv.txt", ERR_FORMAT, "payload: member \"iv\" is missing"},
    {"envelope-without-key-id.txt", ERR_FORMAT, "payload: member \"key_id\" is missing"},
    {"envelope-without-provider-settings.txt", ERR_FORMAT,
        "payload: member \"provider_settings\" is missing"},
    {"envelope-without-provider.txt", ERR_FORMAT, "payload: member \"provider\" is missing"},
    {"envelope-without-type.txt", ERR_FORMAT, "payload: member \"type\" is missing"},
    {"envelope-without-version.txt", ERR_FORMAT, "payload: member \"version\" is missing"},
    {"envelope-without-wrap-type.txt", ERR_FORMAT, "payload: member \"wrap_type\" is missing"},
    {"four-sections.txt", ERR_FORMAT, "4 sections after the prefix; there are three:"},
    {"header-cut-base64.txt", ERR_FORMAT, "JWS header: 85 characters of base64, a length that"},
    {"header-cut.txt", ERR_FORMAT, "JWS header: not the JSON that is taken: unexpected"},
    {"header-duplicate-kid.txt", ERR_FORMAT, "JWS header: not the JSON that is taken: duplicate"},
    {"header-padded-signed.txt", ERR_FORMAT, "JWS header: `=` at position 35 of the base64 text,"},
    {"iv-16-bytes.txt", ERR_FORMAT, "payload: \"iv\" has 16 bytes; A256GCM takes 12"},
    {"iv-url-alphabet.txt", ERR_FORMAT, "payload: iv: position 0 of the base64 text is of the"},
    {"key-128-bit.txt", ERR_FORMAT, "payload: \"encrypted_key\" has 24 bytes; provider kbs"},
    {"key-flipped.txt", ERR_CRYPTO, "encrypted_key, with the wrapping key"},
    {"key-id-no-uri.txt", ERR_FORMAT, "payload: \"key_id\" is no resource URI of the form"},
    {"key-of-another-wrapper.txt", ERR_CRYPTO, "encrypted_key, with the wrapping key"},
    {"kid-empty.txt", ERR_FORMAT, "header: member \"kid\", which names the signer, is missing"},
    {"kid-missing.txt", ERR_FORMAT, "header: member \"kid\", which names the signer, is missing"},
    {"line-break-inside.txt", ERR_FORMAT, "a character at position 69 after the prefix that is no"},
    {"name-blank.txt", ERR_FORMAT, "payload: \"name\" is no resource URI of the form"},
    {"name-https.txt", ERR_FORMAT, "payload: \"name\" is no resource URI of the form"},
    {"name-newline.txt", ERR_FORMAT, "payload: \"name\" is no resource URI of the form"},
    {"name-no-uri.txt", ERR_FORMAT, "payload: \"name\" is no resource URI of the form"},
    {"payload-array.txt", ERR_FORMAT, "payload: must be a JSON object"},
    {"payload-duplicate.txt", ERR_FORMAT, "payload: not the JSON that is taken: duplicate object"},
    {"payload-not-json.txt", ERR_FORMAT, "payload: not the JSON that is taken: '[' or '{'"},
    {"payload-padded.txt", ERR_FORMAT, "JWS payload: `=` at position 195 of the base64 text,"},
    {"payload-swapped.txt", ERR_CRYPTO, "sealed secret, kid"},
    {"payload-trailing.txt", ERR_FORMAT, "payload: not the JSON that is taken: end of file"},
    {"prefix-missing.txt", ERR_FORMAT, "the text does not begin with \"sealed.\""},
    {"prefix-only.txt", ERR_FORMAT, "1 sections after the prefix; there are three:"},
    {"prefix-repeated.txt", ERR_FORMAT, "the prefix \"sealed.\" is given twice"},
    {"prefix-upper-case.txt", ERR_FORMAT, "the text does not begin with \"sealed.\""},
    {"provider-aliyun.txt", ERR_FORMAT, "payload: provider \"aliyun\" is not known here; seal the"},
    {"provider-empty.txt", ERR_FORMAT, "payload: provider \"\" is not known here; seal the secret"},
    {"settings-null.txt", ERR_FORMAT, "payload: member \"provider_settings\" must be an object"},
    {"signature-empty.txt", ERR_CRYPTO, "sealed secret, kid"},
    {"signature-fake.txt", ERR_FORMAT, "JWS signature: 13 characters of base64, a length that"},
    {"signature-flipped.txt", ERR_CRYPTO, "sealed secret, kid"},
    {"signer-other.txt", ERR_CRYPTO, "sealed secret, kid"},
    {"two-secrets.txt", ERR_FORMAT, "a character at position 353 after the prefix that is no"},
    {"two-sections.txt", ERR_FORMAT, "2 sections after the prefix; there are three:"},
    {"type-unknown.txt", ERR_FORMAT, "payload: type \"box\" is neither vault nor envelope"},
    {"type-upper-case.txt", ERR_FORMAT, "payload: type \"Vault\" is neither vault nor envelope"},
    {"unsigned.txt", ERR_CRYPTO, "it is not signed; sign it, or set signature = optional"},
    {"vault-without-annotations.txt", ERR_FORMAT, "payload: member \"annotations\" is missing"},
    {"vault-without-name.txt", ERR_FORMAT, "payload: member \"name\" is missing"},
    {"vault-without-provider-settings.txt", ERR_FORMAT,
        "payload: member \"provider_settings\" is missing"},
    {"vault-without-provider.txt", ERR_FORMAT, "payload: member \"provider\" is missing"},
    {"vault-without-type.txt", ERR_FORMAT, "payload: member \"type\" is missing"},
    {"vault-without-version.txt", ERR_FORMAT, "payload: member \"version\" is missing"},
    {"version-number.txt", ERR_FORMAT, "payload: member \"version\" must be text"},
    {"version-other.txt", ERR_FORMAT, "payload: version \"0.2.0\"; only 0.1.0 is taken"},
    {"wrap-type-a128gcm.txt", ERR_FORMAT, "payload: wrap_type \"A128GCM\"; only A256GCM is taken"},
    {"wrap-type-a256ctr.txt", ERR_FORMAT, "payload: wrap_type \"A256CTR\" lets anybody alter the"},
};

static void bad_inputs_are_refused(void **state)
{
    (void)state;
    assert_all_bad("bad/sealed", bad_inputs, ARRAY_LEN(bad_inputs), refuse);
    size_t count, bytes;
    secret_stats(&count, &bytes);
    assert_int_equal(count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coco_example_step_by_step),
        cmocka_unit_test(header_with_b64_true),
        cmocka_unit_test(vectors_open),
        cmocka_unit_test(blanks_around_are_tolerated),
        cmocka_unit_test(what_claims_to_be_sealed),
        cmocka_unit_test(unsigned_only_where_accepted),
        cmocka_unit_test(a_context_without_a_signature_binds_nothing),
        cmocka_unit_test(signed_never_opens_as_unsigned),
        cmocka_unit_test(no_single_change_survives),
        cmocka_unit_test(contexts),
        cmocka_unit_test(what_is_made_opens),
        cmocka_unit_test(every_signer_seals),
        cmocka_unit_test(making_refuses),
        cmocka_unit_test(described_without_any_key),
        cmocka_unit_test(too_long_is_refused),
        cmocka_unit_test(bad_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
