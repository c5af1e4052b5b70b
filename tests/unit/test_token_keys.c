/* SPDX-License-Identifier: Apache-2.0 */
/* Whose tokens the broker takes: its own, those of the key before, those of services that certificates or key sets vouch for. */
#include "tests/unit/kbs_fixture.h"

#include <openssl/pem.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "fs/cli/certificate.h"
#include "kbs/server/token/token_keys.h"

#define NOW EAR_TEST_NOW
#define TEE                                                               \
    "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":" \
    "\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","                    \
    "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\"}"
#define NAMES 1

static struct jwk *foreign, *ca_key, *stranger;
static struct buf ca_pem = BUF_INIT(CERTIFICATE_PEM_MAX), leaf_pem = BUF_INIT(CERTIFICATE_PEM_MAX);

static int make_keys(void **state)
{
    struct cli_list names = {.items = {"as.example.org"}, .count = NAMES};
    (void)state;
    return jwk_generate(JWK_EC_P256, "key-1", &foreign, &err) &&
                   jwk_generate(JWK_EC_P256, NULL, &ca_key, &err) &&
                   jwk_generate(JWK_EC_P256, "key-1", &stranger, &err) &&
                   certificate_make_ca(ca_key, NOW, &ca_pem, &err) &&
                   certificate_make_server(
                       foreign, &names, buf_bytes(&ca_pem), ca_key, NOW, &leaf_pem, &err)
               ? 0
               : -1;
}

static int drop_keys(void **state)
{
    (void)state;
    jwk_unref(foreign);
    jwk_unref(ca_key);
    jwk_unref(stranger);
    buf_done(&ca_pem);
    buf_done(&leaf_pem);
    return 0;
}

/* A token as an attestation service makes it, issued at `at`. */
static char *token(const struct jwk *key, const json_t *header, const char *profile, int64_t at)
{
    char payload[2048];
    char *text = NULL;
    snprintf(payload, sizeof payload,
        "{\"eat_profile\":\"%s\",\"iat\":%lld,\"exp\":%lld,\"submods\":{\"cpu0\":{\"ear.status\":"
        "\"affirming\","
        "\"ear.veraison.annotated-evidence\":{\"runtime_data_claims\":{\"tee-pubkey\":" TEE "}}}}}",
        profile, (long long)at, (long long)at + 300);
    assert_done(jws_sign(key, header, bytes_str(payload), &text, &err), &err);
    return text;
}

#define OURS "tag:github.com,2024:confidential-containers/Trustee"

static json_t *x5c_header(const struct buf *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    auto_json *jwk = NULL;
    json_t *header = NULL;
    auto_free char *text = b64_encode(B64_STD, bytes_of(der, (size_t)len));
    assert_done(jwk_public_json(foreign, "ES256", &jwk, &err), &err);
    assert_done(json_build(&header, &err, "{s:s, s:{s:O, s:O, s:O, s:O, s:O, s:[s]}}", "typ", "JWT",
                    "jwk", "alg", json_object_get(jwk, "alg"), "kty", json_object_get(jwk, "kty"),
                    "crv", json_object_get(jwk, "crv"), "x", json_object_get(jwk, "x"), "y",
                    json_object_get(jwk, "y"), "x5c", text),
        &err);
    OPENSSL_free(der);
    X509_free(certificate);
    BIO_free(bio);
    return header;
}

static char *write_file(const char *name, struct bytes data)
{
    static char path[128];
    snprintf(path, sizeof path, "%s/%s", kbs.root, name);
    assert_done(file_write(path, data, 0644, &err), &err);
    return path;
}

static struct token_keys *keys_with(const char *setting, const char *path)
{
    char text[512];
    auto_kbs_conf conf = {0};
    struct token_keys *keys = NULL;
    int len = snprintf(text, sizeof text, "[token]\n%s = %s\n", setting, path);
    assert_done(
        conf_parse(text, (size_t)len, "test", kbs_conf_fields, kbs_conf_field_count, &conf, &err),
        &err);
    assert_done(token_keys_new(&conf, kbs.server.signer.key, &keys, &err), &err);
    return keys;
}

static void taken(struct token_keys *keys, const char *text, int64_t now, enum token_origin wanted)
{
    auto_ear ear = {0};
    enum token_origin origin = TOKEN_OWN;
    assert_done(token_keys_verify(keys, bytes_str(text), now, &ear, &origin, &err), &err);
    assert_int_equal(origin, wanted);
    assert_int_equal(ear.status, APPRAISAL_AFFIRMING);
}

static void refused(
    struct token_keys *keys, const char *text, int64_t now, enum err_code code, const char *why)
{
    auto_ear ear = {0};
    enum token_origin origin;
    err_clear(&err);
    assert_refused(
        token_keys_verify(keys, bytes_str(text), now, &ear, &origin, &err), &err, code, why);
    err_clear(&err);
}

static void nobody_else_is_believed_by_default(void **state)
{
    (void)state;
    struct token_keys *keys = kbs.server.token_keys;
    auto_json *header = x5c_header(&leaf_pem);
    auto_free char *own = token(kbs.server.signer.key, NULL, OURS, NOW);
    auto_free char *other = token(foreign, NULL, OURS, NOW);
    auto_free char *chained = token(foreign, header, OURS, NOW);
    taken(keys, own, NOW, TOKEN_OWN);
    refused(keys, own, NOW + 301, ERR_STALE, "expired");
    refused(keys, other, NOW, ERR_CRYPTO, "");
    refused(keys, chained, NOW, ERR_CRYPTO, "");
}

static void the_key_before_counts_until_its_tokens_end(void **state)
{
    (void)state;
    auto_json *json = NULL;
    assert_done(jwk_public_json(foreign, "ES256", &json, &err), &err);
    json_object_set_new(json, "retired", json_integer(NOW));
    auto_free char *text = json_text(json);
    AUTO(token_keys_free)
    struct token_keys *keys = keys_with("previous", write_file("previous.jwk", bytes_str(text)));
    auto_free char *before = token(foreign, NULL, OURS, NOW - 100);
    auto_free char *after = token(foreign, NULL, OURS, NOW + 200);
    auto_json *now_set = NULL, *later_set = NULL;
    taken(keys, before, NOW + 100, TOKEN_OWN);
    refused(
        keys, after, NOW + 200, ERR_CRYPTO, ""); /* whoever has the old key may not go on with it */
    assert_done(token_keys_jwks(keys, NOW + 100, &now_set, &err), &err);
    assert_done(token_keys_jwks(keys, NOW + 361, &later_set, &err), &err);
    assert_int_equal(json_array_size(json_object_get(now_set, "keys")), 2);
    assert_int_equal(json_array_size(json_object_get(later_set, "keys")), 1);
}

static void a_certificate_of_a_trusted_authority_vouches(void **state)
{
    (void)state;
    AUTO(token_keys_free)
    struct token_keys *keys = keys_with("trusted_certs", write_file("ca.pem", buf_bytes(&ca_pem)));
    auto_json *header = x5c_header(&leaf_pem);
    auto_json *wrong = x5c_header(&ca_pem); /* a certificate of another key than the jwk */
    auto_free char *good = token(foreign, header, "tag:example.org,2026:as", NOW);
    auto_free char *forged = token(stranger, header, OURS, NOW);
    auto_free char *mixed = token(foreign, wrong, OURS, NOW);
    auto_free char *bare = token(foreign, NULL, OURS, NOW);
    taken(keys, good, NOW, TOKEN_FOREIGN);
    refused(keys, good, NOW + 301, ERR_STALE, "expired");
    refused(keys, forged, NOW, ERR_CRYPTO, "");
    refused(keys, mixed, NOW, ERR_CRYPTO, "another key");
    refused(keys, bare, NOW, ERR_CRYPTO, "trusted_jwks");
    json_object_del(json_object_get(header, "jwk"), "x5c");
    auto_free char *alone = token(foreign, header, OURS, NOW);
    refused(keys, alone, NOW, ERR_CRYPTO, "without certificates");
}

static void an_authority_that_is_not_trusted_does_not(void **state)
{
    (void)state;
    auto_jwk *other_key = NULL;
    auto_buf other = BUF_INIT(CERTIFICATE_PEM_MAX);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &other_key, &err), &err);
    assert_done(certificate_make_ca(other_key, NOW, &other, &err), &err);
    AUTO(token_keys_free)
    struct token_keys *keys = keys_with("trusted_certs", write_file("ca.pem", buf_bytes(&other)));
    auto_json *header = x5c_header(&leaf_pem);
    auto_free char *text = token(foreign, header, OURS, NOW);
    refused(keys, text, NOW, ERR_CRYPTO, "trusted_certs");
    int64_t late = NOW + (int64_t)(CERTIFICATE_SERVER_DAYS + 1) * 86400;
    AUTO(token_keys_free)
    struct token_keys *right =
        keys_with("trusted_certs", write_file("ca2.pem", buf_bytes(&ca_pem)));
    auto_free char *expired = token(foreign, header, OURS, late);
    refused(right, expired, late, ERR_CRYPTO, "expired");
}

static void a_key_set_vouches_by_kid(void **state)
{
    (void)state;
    auto_json *key = NULL, *set = NULL;
    assert_done(jwk_public_json(foreign, "ES256", &key, &err), &err);
    assert_done(json_build(&set, &err, "{s:[{s:s}, O]}", "keys", "kty", "unheard-of", key), &err);
    auto_free char *text = json_text(set);
    AUTO(token_keys_free)
    struct token_keys *keys = keys_with("trusted_jwks", write_file("set.json", bytes_str(text)));
    auto_free char *good = token(foreign, NULL, OURS, NOW);
    auto_free char *forged = token(stranger, NULL, OURS, NOW); /* the same kid */
    auto_json *named = NULL;
    assert_done(json_build(&named, &err, "{s:s}", "kid", "key-2"), &err);
    auto_free char *unknown = token(foreign, named, OURS, NOW);
    auto_json *header = x5c_header(&leaf_pem);
    auto_free char *chained = token(foreign, header, OURS, NOW);
    taken(keys, good, NOW, TOKEN_FOREIGN);
    refused(keys, forged, NOW, ERR_CRYPTO, "");
    refused(keys, unknown, NOW, ERR_CRYPTO, "key-2");
    taken(keys, chained, NOW, TOKEN_FOREIGN); /* its jwk is that of the set */
    json_t *jwk = json_object_get(header, "jwk");
    auto_json *other = NULL;
    assert_done(jwk_public_json(stranger, "ES256", &other, &err), &err);
    json_object_update(jwk, other);
    auto_free char *strange = token(stranger, header, OURS, NOW);
    refused(keys, strange, NOW, ERR_CRYPTO, "trusted_jwks");
}

/* A token of POST /attestation stays worthless here though an administrator lists this broker's own key among those he trusts. */
static void our_own_refusal_is_final(void **state)
{
    (void)state;
    auto_json *own = NULL, *key = NULL, *set = NULL;
    assert_done(jwk_public_json(kbs.server.signer.key, "ES256", &own, &err), &err);
    assert_done(jwk_public_json(foreign, "ES256", &key, &err), &err);
    assert_done(json_build(&set, &err, "{s:[O, O]}", "keys", own, key), &err);
    auto_free char *text = json_text(set);
    AUTO(token_keys_free)
    struct token_keys *keys = keys_with("trusted_jwks", write_file("set.json", bytes_str(text)));
    auto_json *header = NULL;
    assert_done(json_build(&header, &err, "{s:O}", "jwk", own), &err);
    auto_free char *asked = token(kbs.server.signer.key, header, OURS, NOW);
    auto_free char *unasked =
        token(kbs.server.signer.key, header, OURS "\",\"sealed.freshness\":\"unchecked", NOW);
    taken(keys, asked, NOW, TOKEN_OWN);
    refused(keys, unasked, NOW, ERR_CRYPTO, "another relying party");
}

static void files_that_say_nothing_are_refused(void **state)
{
    static const char *const settings[] = {
        "trusted_certs", "trusted_jwks", "certificate", "previous"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(settings); i++) {
        char text[512];
        auto_kbs_conf conf = {0};
        struct token_keys *keys = NULL;
        const char *path = write_file("nothing", bytes_str("{\"keys\":[]}"));
        int len = snprintf(text, sizeof text, "[token]\n%s = %s\n", settings[i], path);
        assert_done(conf_parse(text, (size_t)len, "test", kbs_conf_fields, kbs_conf_field_count,
                        &conf, &err),
            &err);
        assert_false(token_keys_new(&conf, kbs.server.signer.key, &keys, &err));
        assert_non_null(strstr(err.message, settings[i]));
        err_clear(&err);
    }
}

static void a_foreign_token_gets_what_the_policy_gives(void **state)
{
    (void)state;
    auto_secret *value = NULL;
    auto_json *key = NULL, *set = NULL;
    assert_done(jwk_public_json(foreign, "ES256", &key, &err), &err);
    assert_done(json_build(&set, &err, "{s:[O]}", "keys", key), &err);
    auto_free char *text = json_text(set);
    token_keys_free(kbs.server.token_keys);
    kbs.server.token_keys = keys_with("trusted_jwks", write_file("set.json", bytes_str(text)));
    assert_done(secret_copy(bytes_str("plaintext"), &value, &err), &err);
    assert_done(store_put_secret(kbs.server.store, STORE_RESOURCE, "a/b/c", value, &err), &err);
    auto_free char *good = token(foreign, NULL, OURS, NOW);
    char bearer[4096];
    snprintf(bearer, sizeof bearer, "Bearer %s", good);
    AUTO(exchange_free)
    struct exchange *exchange = kbs_ask(REQUEST_GET, "/kbs/v0/resource/a/b/c", bearer, NULL);
    assert_int_equal(exchange->response.status, 200);
    assert_non_null(strstr(exchange->response.audit, "released a/b/c to foreign"));
    AUTO(exchange_free)
    struct exchange *jwks = kbs_ask(REQUEST_GET, "/.well-known/jwks.json", NULL, NULL);
    assert_int_equal(jwks->response.status, 200);
    assert_null(strstr(buf_text(&jwks->response.body), "\"d\""));
    assert_non_null(strstr(buf_text(&jwks->response.body), "\"use\":\"sig\""));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_else_is_believed_by_default),
        TEST(the_key_before_counts_until_its_tokens_end),
        TEST(a_certificate_of_a_trusted_authority_vouches),
        TEST(an_authority_that_is_not_trusted_does_not),
        TEST(a_key_set_vouches_by_kid),
        TEST(our_own_refusal_is_final),
        TEST(files_that_say_nothing_are_refused),
        TEST(a_foreign_token_gets_what_the_policy_gives),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
