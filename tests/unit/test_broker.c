/* SPDX-License-Identifier: Apache-2.0 */
/* The administrator's token, as the server's own check takes it, and what refusals become. */
#include "fs/cli/broker.h"

#include "crypt/base/file.h"
#include "crypt/jws.h"
#include "kbs/server/admin.h"
#include "tests/unit/unit.h"

#define NOW 1767225600

static bool verified_claims(const char *token, const struct jwk *key, json_t **ret, struct err *err)
{
    auto_jws *jws = NULL;
    struct bytes payload;
    return jws_parse(bytes_str(token), &jws, err) &&
           jws_verify(jws, key, JWS_ALLOW(JWS_ES256), &payload, err) &&
           json_load_strict(payload, 4096, "claims", ret, err);
}

static void test_token_claims(void **state)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL;
    auto_json *claims = NULL;
    auto_free char *token = NULL;
    const struct broker_identity identity = {"iss-1", "alice", "kbs-1", "auditor"};
    (void)state;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(broker_token(key, &identity, NOW, &token, &err), &err);
    assert_done(verified_claims(token, key, &claims, &err), &err);
    assert_string_equal(json_member_text(claims, "iss"), "iss-1");
    assert_string_equal(json_member_text(claims, "sub"), "alice");
    assert_string_equal(json_member_text(claims, "aud"), "kbs-1");
    assert_string_equal(json_member_text(claims, "role"), "auditor");
    assert_int_equal(json_integer_value(json_object_get(claims, "iat")), NOW);
    assert_int_equal(json_integer_value(json_object_get(claims, "exp")), NOW + 300);
}

static void test_token_defaults(void **state)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL;
    auto_json *claims = NULL;
    auto_free char *token = NULL;
    const struct broker_identity identity = {0};
    (void)state;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(broker_token(key, &identity, NOW, &token, &err), &err);
    assert_done(verified_claims(token, key, &claims, &err), &err);
    assert_string_equal(json_member_text(claims, "role"), "admin");
    assert_null(json_object_get(claims, "aud"));
}

/* The other end: what the server's check makes of it, in time and too late, and with another key. */
static void test_server_takes_it(void **state)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL, *other = NULL;
    auto_json *public_json = NULL;
    auto_free char *token = NULL, *foreign = NULL, *text = NULL, *header = NULL, *bad = NULL;
    char path[] = "/tmp/test-broker.XXXXXX", *items[] = {path}, name[REQUEST_ADMIN_MAX];
    struct kbs_conf conf = {.admin = {.mode = KBS_ADMIN_JWT, .keys = {items, 1}}};
    const struct broker_identity identity = {.subject = "alice"};
    struct admin *admin = NULL;
    (void)state;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &other, &err), &err);
    assert_done(jwk_public_json(key, "ES256", &public_json, &err), &err);
    text = json_text(public_json);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_done(file_write(path, bytes_str(text), 0600, &err), &err);
    assert_done(broker_token(key, &identity, NOW, &token, &err), &err);
    assert_done(broker_token(other, &identity, NOW, &foreign, &err), &err);
    assert_true(asprintf(&header, "Bearer %s", token) > 0);
    assert_true(asprintf(&bad, "Bearer %s", foreign) > 0);
    assert_done(admin_new(&conf, &admin, &err), &err);
    unlink(path);
    assert_done(admin_check(admin, header, "/kbs/v0/resource/a/b/c", NOW + 1, name, &err), &err);
    assert_string_equal(name, "admin/alice");
    assert_refused(admin_check(admin, header, "/kbs/v0/resource/a/b/c", NOW + 600, name, &err),
        &err, ERR_DENIED_LOCAL, "expired");
    assert_false(admin_check(admin, bad, "/kbs/v0/resource/a/b/c", NOW + 1, name, &err));
    admin_free(admin);
}

static struct err refusal(const char *method, const char *name, const char *detail)
{
    struct err err = ERR_INIT;
    char body[512];
    snprintf(body, sizeof body,
        "{\"type\":\"https://github.com/confidential-containers/kbs/errors/%s\",\"detail\":\"%s\"}",
        name, detail);
    assert_false(broker_refusal(method, "https://kbs/x", 401, bytes_str(body),
        "/etc/sealedfs/admin.jwk", strcmp(method, "POST") == 0, &err));
    return err;
}

static void test_refusals(void **state)
{
    static const struct {
        const char *method, *name;
        enum err_code code;
        const char *text;
    } cases[] = {
        {"POST", "AdminAuthAccess", ERR_DENIED_POLICY, "/etc/sealedfs/admin.jwk"},
        {"GET", "AdminAuthInitialization", ERR_DENIED_POLICY, "/etc/sealedfs/admin.jwk"},
        {"GET", "TokenNotFound", ERR_DENIED_POLICY, "sealed get"},
        {"GET", "PluginNotFound", ERR_NOTFOUND, "sealed-kbs?"},
        {"POST", "ParsePolicyError", ERR_FORMAT, "what it says"},
        {"DELETE", "PluginInternalError", ERR_NOTFOUND, "what it says"},
        {"POST", "PluginInternalError", ERR_IO, "what it says"},
        {"GET", "RvpsError", ERR_NOTFOUND, "what it says"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = refusal(cases[i].method, cases[i].name, "what it says");
        assert_int_equal(err.code, cases[i].code);
        assert_non_null(strstr(err.message, cases[i].text));
        assert_non_null(strstr(err.message, cases[i].name));
    }
}

static void test_reference_is_kept(void **state)
{
    struct err err = refusal("GET", "PolicyDeny", "no [id 0123456789abcdef]");
    (void)state;
    assert_string_equal(err.ref, "0123456789abcdef");
}

static void test_not_a_broker(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_refused(broker_refusal("GET", "https://x/", 404, bytes_str("<html>nginx</html>"), NULL,
                       false, &err),
        &err, ERR_UNREACH, "URL of a key broker");
}

static void test_open_needs_a_private_key(void **state)
{
    struct err err = ERR_INIT;
    auto_jwk *key = NULL;
    auto_json *public_json = NULL;
    auto_broker *broker = NULL;
    char path[] = "/tmp/test-broker.XXXXXX", profile[] = "/tmp/test-broker.XXXXXX";
    struct broker_args args = {.admin_key = path, .profile = profile};
    (void)state;
    close(mkstemp(profile));
    close(mkstemp(path));
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(jwk_public_json(key, NULL, &public_json, &err), &err);
    auto_free char *text = json_text(public_json);
    assert_done(file_write(path, bytes_str(text), 0600, &err), &err);
    assert_refused(broker_open(&args, &broker, &err), &err, ERR_CONFIG, "private half");
    assert_done(file_write(path, bytes_str(text), 0644, &err), &err);
    assert_refused(broker_open(&args, &broker, &err), &err, ERR_CONFIG, "chmod 600");
    /* Whatever kind the key is, its tokens are of it. */
    auto_jwk *ed25519 = NULL;
    auto_secret *private = NULL;
    auto_free char *token = NULL;
    auto_jws *jws = NULL;
    assert_done(jwk_generate(JWK_OKP_ED25519, NULL, &ed25519, &err), &err);
    assert_done(jwk_private_text(ed25519, &private, &err), &err);
    unlink(path);
    assert_done(file_write(path, secret_bytes(private), 0600, &err), &err);
    assert_done(broker_open(&args, &broker, &err), &err);
    broker_free(take_ptr(broker));
    const struct broker_identity nobody = {0};
    assert_done(broker_token(ed25519, &nobody, 1800000000, &token, &err), &err);
    assert_done(jws_parse(bytes_str(token), &jws, &err), &err);
    assert_int_equal(jws_alg(jws), JWS_EDDSA);
    args.admin_key = NULL;
    assert_refused(broker_open(&args, &broker, &err), &err, ERR_CONFIG, "--admin-key");
    unlink(profile);
    assert_false(broker_open(&args, &broker, &err)); /* one that was named must be there */
    unlink(path);
}

int main(void)
{
    struct err err = ERR_INIT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_claims),
        cmocka_unit_test(test_token_defaults),
        cmocka_unit_test(test_server_takes_it),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_reference_is_kept),
        cmocka_unit_test(test_not_a_broker),
        cmocka_unit_test(test_open_needs_a_private_key),
    };
    if (!secret_init_process(65536, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
