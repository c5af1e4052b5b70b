/* SPDX-License-Identifier: Apache-2.0 */
/* The certificates that `sealed kbs init` makes: a chain that OpenSSL verifies, for those names and no other. */
#include "fs/cli/certificate.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "tests/unit/unit.h"

#define NOW 1767225600

static struct jwk *ca_key, *tls_key;
static struct buf ca_pem = BUF_INIT(CERTIFICATE_PEM_MAX);

static X509 *load(const struct buf *pem)
{
    BIO *bio = BIO_new_mem_buf(pem->data, (int)pem->len);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    assert_non_null(certificate);
    return certificate;
}

static bool make_server(const char *const *names, size_t count, struct buf *pem, struct err *err)
{
    struct cli_list list = {.count = count};
    for (size_t i = 0; i < count; i++)
        list.items[i] = names[i];
    return certificate_make_server(tls_key, &list, buf_bytes(&ca_pem), ca_key, NOW, pem, err);
}

static bool chain_holds(X509 *server, X509 *ca, int64_t at)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509_STORE_add_cert(store, ca);
    X509_STORE_CTX_init(context, store, server, NULL);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(param, (time_t)at);
    X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_X509_STRICT);
    X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
    bool holds = X509_verify_cert(context) == 1;
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    return holds;
}

static void test_chain(void **state)
{
    struct err err = ERR_INIT;
    auto_buf pem = BUF_INIT(CERTIFICATE_PEM_MAX);
    const char *names[] = {"kbs.example.org", "*.pods.example.org", "192.0.2.7", "::1"};
    (void)state;
    assert_done(make_server(names, ARRAY_LEN(names), &pem, &err), &err);
    X509 *server = load(&pem), *ca = load(&ca_pem);
    assert_true(chain_holds(server, ca, NOW));
    assert_true(chain_holds(server, ca, NOW - 1800)); /* a clock that is slow */
    assert_false(chain_holds(server, ca, NOW - 7200));
    assert_true(chain_holds(server, ca, NOW + (int64_t)(CERTIFICATE_SERVER_DAYS - 1) * 86400));
    assert_false(chain_holds(server, ca, NOW + (int64_t)(CERTIFICATE_SERVER_DAYS + 1) * 86400));
    assert_false(chain_holds(server, server, NOW));
    assert_int_equal(X509_check_host(server, "kbs.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "a.pods.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(server, "example.org", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(server, "192.0.2.7", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "::1", 0), 1);
    assert_int_equal(X509_check_ip_asc(server, "192.0.2.8", 0), 0);
    assert_int_equal(X509_check_ca(server), 0);
    assert_int_equal(X509_check_ca(ca), 1);
    assert_int_equal(X509_get_pathlen(ca), 0);
    X509_free(server);
    X509_free(ca);
}

static void test_names_come_back(void **state)
{
    struct err err = ERR_INIT;
    auto_buf pem = BUF_INIT(CERTIFICATE_PEM_MAX);
    AUTO_DONE(certificate_names_done) struct cli_list names = {0};
    const char *wanted[] = {"localhost", "127.0.0.1", "::1"};
    int64_t not_after = 0;
    (void)state;
    assert_done(make_server(wanted, ARRAY_LEN(wanted), &pem, &err), &err);
    assert_done(certificate_read(buf_bytes(&pem), &names, &not_after, &err), &err);
    assert_int_equal(names.count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < names.count; i++)
        assert_string_equal(names.items[i], wanted[i]);
    assert_int_equal(not_after, NOW + (int64_t)CERTIFICATE_SERVER_DAYS * 86400);
}

static void test_bad_names(void **state)
{
    static const char *const bad[] = {"", ".", "a..b", "a.", "-a.b", "a-.b", "a_b", "a b",
        "a,DNS:b", "*", "*.", "a.*.b", "300.1.2.3", "1.2.3", "kbs.example.org:8443", "https://x",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        auto_buf pem = BUF_INIT(CERTIFICATE_PEM_MAX);
        assert_refused(
            make_server(&bad[i], 1, &pem, &err), &err, ERR_CONFIG, "neither a host name nor");
        assert_int_equal(pem.len, 0);
    }
}

static void test_foreign_authority(void **state)
{
    struct err err = ERR_INIT;
    auto_buf pem = BUF_INIT(CERTIFICATE_PEM_MAX);
    struct cli_list names = {.items = {"localhost"}, .count = 1};
    (void)state;
    assert_refused(
        certificate_make_server(tls_key, &names, buf_bytes(&ca_pem), tls_key, NOW, &pem, &err),
        &err, ERR_CRYPTO, "do not match");
    assert_refused(
        certificate_make_server(tls_key, &names, bytes_str("no PEM"), ca_key, NOW, &pem, &err),
        &err, ERR_FORMAT, "certificate authority");
}

static void test_private_pem(void **state)
{
    struct err err = ERR_INIT;
    auto_secret *pem = NULL;
    auto_jwk *back = NULL;
    char here[44], there[44];
    (void)state;
    assert_done(certificate_private_pem(tls_key, &pem, &err), &err);
    assert_done(jwk_from_secret(pem, &back, &err), &err);
    assert_true(jwk_is_private(back));
    assert_done(jwk_thumbprint(tls_key, here, &err), &err);
    assert_done(jwk_thumbprint(back, there, &err), &err);
    assert_string_equal(here, there);
}

static int set_up(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &ca_key, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &tls_key, &err), &err);
    assert_done(certificate_make_ca(ca_key, NOW, &ca_pem, &err), &err);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    jwk_unref(ca_key);
    jwk_unref(tls_key);
    buf_done(&ca_pem);
    return 0;
}

int main(void)
{
    struct err err = ERR_INIT;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_names_come_back),
        cmocka_unit_test(test_bad_names),
        cmocka_unit_test(test_foreign_authority),
        cmocka_unit_test(test_private_pem),
    };
    if (!secret_init_process(65536, &err)) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
