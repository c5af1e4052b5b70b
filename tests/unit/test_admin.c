/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/admin.h"
#include "tests/unit/unit.h"

#include <unistd.h>

#include "crypt/base/file.h"
#include "crypt/jws.h"

#define NOW    1800000000
#define TARGET "/kbs/v0/resource/a/b/c"

static struct err err;
static char dir[64];
static char public_path[128], private_path[128], rsa_path[128], ed25519_path[128], oct_path[128];
static struct jwk *key, *rsa, *ed25519, *stranger;

static void save(const struct jwk *jwk, const char *name, char *out, bool private)
{
    auto_json *json = NULL;
    snprintf(out, 128, "%s/%s", dir, name);
    if (private) {
        auto_secret *text = NULL;
        assert_done(jwk_private_text(jwk, &text, &err), &err);
        assert_done(file_write(out, secret_bytes(text), 0600, &err), &err);
        return;
    }
    assert_done(jwk_public_json(jwk, NULL, &json, &err), &err);
    auto_free char *text = json_text(json);
    assert_done(file_write(out, bytes_str(text), 0644, &err), &err);
}

static int make_keys(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/sealed-admin.XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_done(jwk_generate(JWK_EC_P256, "one", &key, &err), &err);
    assert_done(jwk_generate(JWK_RSA, NULL, &rsa, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, "one", &stranger, &err), &err);
    save(key, "public", public_path, false);
    save(key, "private", private_path, true);
    assert_done(jwk_generate(JWK_OKP_ED25519, NULL, &ed25519, &err), &err);
    save(rsa, "rsa", rsa_path, false);
    save(ed25519, "ed25519", ed25519_path, false);
    snprintf(oct_path, sizeof oct_path, "%s/oct", dir);
    assert_done(
        file_write(oct_path,
            bytes_str("{\"kty\":\"oct\",\"k\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"),
            0644, &err),
        &err);
    return 0;
}

static int drop_keys(void **state)
{
    (void)state;
    jwk_unref(key);
    jwk_unref(rsa);
    jwk_unref(ed25519);
    jwk_unref(stranger);
    unlink(public_path);
    unlink(private_path);
    unlink(rsa_path);
    unlink(ed25519_path);
    unlink(oct_path);
    return rmdir(dir);
}

static struct admin *admin_with(struct kbs_conf *conf, const char *const *acls, size_t count)
{
    struct admin *admin = NULL;
    static char *keys[3];
    keys[0] = public_path;
    keys[1] = rsa_path;
    keys[2] = ed25519_path;
    conf->admin.mode = KBS_ADMIN_JWT;
    conf->admin.keys = (struct conf_list){keys, 3};
    conf->admin.acl = (struct conf_list){(char **)(uintptr_t)acls, count};
    assert_done(admin_new(conf, &admin, &err), &err);
    return admin;
}

/* "Bearer " and a token of these claims; the caller frees it. */
static char *bearer(const struct jwk *signer, const char *claims)
{
    auto_free char *token = NULL;
    assert_done(jws_sign(signer, NULL, bytes_str(claims), &token, &err), &err);
    char *text = malloc(strlen(token) + 8);
    assert_non_null(text);
    sprintf(text, "Bearer %s", token);
    return text;
}

static bool check(
    const struct admin *admin, const struct jwk *signer, const char *claims, const char *target)
{
    char name[REQUEST_ADMIN_MAX] = "untouched";
    auto_free char *text = bearer(signer, claims);
    bool done = admin_check(admin, text, target, NOW, name, &err);
    if (!done)
        assert_string_equal(name, "untouched");
    return done;
}

#define GOOD "{\"exp\":1800000010,\"role\":\"admin\",\"sub\":\"ann\"}"

static void nobody_by_default(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    char name[REQUEST_ADMIN_MAX];
    AUTO(admin_free) struct admin *admin = NULL;
    assert_done(admin_new(&conf, &admin, &err), &err);
    auto_free char *token = bearer(key, GOOD);
    assert_refused(admin_check(admin, token, TARGET, NOW, name, &err), &err, ERR_DENIED_LOCAL,
        "takes no administrator");
}

static void a_good_token_passes(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, NULL, 0);
    char name[REQUEST_ADMIN_MAX];
    auto_free char *token = bearer(key, GOOD);
    assert_done(admin_check(admin, token, TARGET, NOW, name, &err), &err);
    assert_string_equal(name, "admin/ann");
    token[0] = 'b'; /* the scheme's case does not matter */
    assert_done(admin_check(admin, token, TARGET, NOW, name, &err), &err);
    assert_true(check(admin, ed25519, GOOD, TARGET));
    assert_true(check(admin, rsa, "{\"exp\":1800000010,\"role\":\"admin\"}", TARGET));
}

static void headers_that_are_none(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, NULL, 0);
    static const char *const headers[] = {
        NULL, "", "Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer x y"};
    char name[REQUEST_ADMIN_MAX];
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        assert_false(admin_check(admin, headers[i], TARGET, NOW, name, &err));
        assert_int_equal(err.code, ERR_DENIED_LOCAL);
    }
}

static void signatures_count(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, NULL, 0);
    char name[REQUEST_ADMIN_MAX];
    assert_refused(check(admin, stranger, GOOD, TARGET), &err, ERR_DENIED_LOCAL, "not signed by");
    auto_jwk *other = NULL;
    assert_done(jwk_generate(JWK_OKP_ED25519, NULL, &other, &err), &err);
    assert_refused(check(admin, other, GOOD, TARGET), &err, ERR_DENIED_LOCAL, "not signed by");
    auto_free char *token = bearer(key, GOOD);
    size_t len = strlen(token);
    token[len - 2] = token[len - 2] == 'A' ? 'B' : 'A';
    assert_refused(admin_check(admin, token, TARGET, NOW, name, &err), &err, ERR_DENIED_LOCAL,
        "not signed by");
    /* alg none, and HS256 with the public key's text */
    assert_false(admin_check(admin, "Bearer eyJhbGciOiJub25lIn0.e30.", TARGET, NOW, name, &err));
    assert_int_equal(err.code, ERR_DENIED_LOCAL);
    assert_false(
        admin_check(admin, "Bearer eyJhbGciOiJIUzI1NiJ9.e30.AAAA", TARGET, NOW, name, &err));
    assert_int_equal(err.code, ERR_DENIED_LOCAL);
}

static void claims_count(void **state)
{
    (void)state;
    static char issuer[] = "us", audience[] = "kbs";
    struct kbs_conf conf = {.admin = {.issuer = issuer, .audience = audience}};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, NULL, 0);
#define REST "\"role\":\"admin\",\"iss\":\"us\",\"aud\":[\"x\",\"kbs\"]}"
    static const struct {
        const char *claims, *why;
    } refused[] = {
        {"{" REST, "no `exp`"},
        {"{\"exp\":\"1800000010\"," REST, "no `exp`"},
        {"{\"exp\":1800000010.5," REST, "no `exp`"},
        {"{\"exp\":1799999939," REST, "expired"},
        {"{\"exp\":1800000010,\"nbf\":1800000061," REST, "not valid yet"},
        {"{\"exp\":1800000010,\"nbf\":\"x\"," REST, "nbf"},
        {"{\"exp\":1800000010,\"role\":\"admin\",\"aud\":\"kbs\"}", "iss"},
        {"{\"exp\":1800000010,\"role\":\"admin\",\"iss\":\"them\",\"aud\":\"kbs\"}", "iss"},
        {"{\"exp\":1800000010,\"role\":\"admin\",\"iss\":\"us\"}", "aud"},
        {"{\"exp\":1800000010,\"role\":\"admin\",\"iss\":\"us\",\"aud\":\"kbsx\"}", "aud"},
        {"{\"exp\":1800000010,\"role\":\"admin\",\"iss\":\"us\",\"aud\":[\"x\"]}", "aud"},
        {"{\"exp\":1800000010,\"iss\":\"us\",\"aud\":\"kbs\"}", "role"},
        {"{\"exp\":1800000010,\"role\":[\"admin\"],\"iss\":\"us\",\"aud\":\"kbs\"}", "role"},
        {"{\"exp\":1800000010,\"role\":\"\",\"iss\":\"us\",\"aud\":\"kbs\"}", "role"},
        {"{\"exp\":1800000010,\"role\":\"Admin\",\"iss\":\"us\",\"aud\":\"kbs\"}", "may not use"},
        {"{\"exp\":1800000010,\"exp\":1800000010," REST, "token"},
        {"[]", "no object"},
        {"hello", "token"},
    };
    assert_true(check(admin, key, "{\"exp\":1799999940," REST, TARGET)); /* 60 s of leeway */
    assert_true(check(admin, key, "{\"exp\":1800000010,\"nbf\":1800000060," REST, TARGET));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_refused(
            check(admin, key, refused[i].claims, TARGET), &err, ERR_DENIED_LOCAL, refused[i].why);
#undef REST
}

static void roles_see_their_endpoints(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    const char *const acls[] = {"reader=^/kbs/v0/resource$",
        "reader=^/kbs/v0/reference-value(/.*)?$", "either=^/kbs/v0/a$|^/x|/kbs/v0/b$"};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, acls, ARRAY_LEN(acls));
#define READER "{\"exp\":1800000010,\"role\":\"reader\"}"
#define EITHER "{\"exp\":1800000010,\"role\":\"either\"}"
    assert_true(check(admin, key, READER, "/kbs/v0/resource"));
    assert_true(check(admin, key, READER, "/kbs/v0/reference-value/a/b"));
    assert_false(check(admin, key, READER, "/kbs/v0/resource/a/b/c"));
    assert_false(check(admin, key, READER, "/kbs/v0/resource?a"));
    assert_false(check(admin, key, READER, "/kbs/v0/resource-policy"));
    assert_false(check(admin, key, READER, "/x/kbs/v0/resource"));
    assert_true(check(admin, key, EITHER, "/kbs/v0/b")); /* both ends of an alternative count */
    assert_false(check(admin, key, EITHER, "/kbs/v0/b/c"));
    assert_false(check(admin, key, EITHER, "/x"));
    assert_false(check(admin, key, EITHER, "/kbs/v0/c"));
    assert_refused(
        check(admin, key, GOOD, TARGET), &err, ERR_DENIED_LOCAL, "\"admin\" may not use");
}

static void the_default_role_stays_under_kbs(void **state)
{
    (void)state;
    struct kbs_conf conf = {0};
    AUTO(admin_free) struct admin *admin = admin_with(&conf, NULL, 0);
    assert_true(check(admin, key, GOOD, "/kbs/v0/agent"));
    assert_false(check(admin, key, GOOD, "/kbs"));
    assert_false(check(admin, key, GOOD, "/healthz"));
    assert_false(check(admin, key, "{\"exp\":1800000010,\"role\":\"other\"}", "/kbs/v0/agent"));
}

static void bad_configurations(void **state)
{
    (void)state;
    static const char *const bad_acls[] = {"admin", "=^/kbs$", "admin=/kbs/.*$", "admin=^/kbs/.*",
        "admin=^/other$", "admin=^/kbs/($", "admin=^/kbs/\\$", "admin=^/kbs/[$"};
    static char *keys[1];
    struct kbs_conf conf = {.admin = {.mode = KBS_ADMIN_JWT, .keys = {keys, 1}}};
    AUTO(admin_free) struct admin *admin = NULL;
    keys[0] = private_path;
    assert_refused(admin_new(&conf, &admin, &err), &err, ERR_CONFIG, "public half");
    keys[0] = oct_path;
    assert_false(admin_new(&conf, &admin, &err));
    auto_jwk *p521 = NULL;
    assert_done(jwk_generate(JWK_EC_P521, NULL, &p521, &err), &err);
    save(p521, "oct", oct_path, false);
    assert_refused(admin_new(&conf, &admin, &err), &err, ERR_CONFIG, "is on P-521");
    static char missing[] = "/nonexistent/key";
    keys[0] = missing;
    assert_refused(admin_new(&conf, &admin, &err), &err, ERR_NOTFOUND, "/nonexistent/key");
    keys[0] = public_path;
    conf.admin.keys.count = 0;
    assert_refused(admin_new(&conf, &admin, &err), &err, ERR_CONFIG, "sealed kbs init");
    conf.admin.keys.count = 1;
    for (size_t i = 0; i < ARRAY_LEN(bad_acls); i++) {
        conf.admin.acl = (struct conf_list){(char **)(uintptr_t)&bad_acls[i], 1};
        if (admin_new(&conf, &admin, &err))
            fail_msg("%s was taken", bad_acls[i]);
        assert_int_equal(err.code, ERR_CONFIG);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_by_default),
        cmocka_unit_test(a_good_token_passes),
        cmocka_unit_test(headers_that_are_none),
        cmocka_unit_test(signatures_count),
        cmocka_unit_test(claims_count),
        cmocka_unit_test(roles_see_their_endpoints),
        cmocka_unit_test(the_default_role_stays_under_kbs),
        cmocka_unit_test(bad_configurations),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
