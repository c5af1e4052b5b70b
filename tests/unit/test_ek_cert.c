/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/ek_cert.h"
#include "tests/unit/x509_fake.h"

#define NOW 1800000000
#define DAY 86400
#define CA                                         \
    {"basicConstraints", "critical,CA:TRUE"},      \
    {                                              \
        "keyUsage", "critical,keyCertSign,cRLSign" \
    }
#define EK_KU                                  \
    {                                          \
        "keyUsage", "critical,keyEncipherment" \
    }
#define EK_EKU                             \
    {                                      \
        "extendedKeyUsage", "2.23.133.8.1" \
    }
#define EK_BC                                   \
    {                                           \
        "basicConstraints", "critical,CA:FALSE" \
    }
/* subject alternative name: a directoryName with the TPM's manufacturer, model and version (EK profile 3.2.9), critical */
#define EK_SAN                                                                                   \
    {                                                                                            \
        "2.5.29.17", "critical,DER:30:20:a4:1e:30:1c:31:1a:30:18:06:05:67:81:05:02:01:0c:0f:69:" \
                     "64:3a:30:30:30:30:31:30:31:34:20:20:20:20"                                 \
    }

static EVP_PKEY *root_key, *middle_key, *ek_key, *other_key;
static X509 *root, *middle;

static X509 *make(struct x509_fake want)
{
    if (!want.from)
        want.from = NOW - DAY;
    if (!want.until)
        want.until = NOW + DAY;
    return x509_fake_make(&want);
}

static int make_chain(void **state)
{
    (void)state;
    root_key = EVP_RSA_gen(2048);
    middle_key = EVP_RSA_gen(2048);
    ek_key = EVP_RSA_gen(2048);
    other_key = EVP_RSA_gen(2048);
    root = make((struct x509_fake){.name = "root", .key = root_key, .extensions = {CA}});
    middle = make((struct x509_fake){.name = "middle",
        .key = middle_key,
        .issuer = root,
        .issuer_key = root_key,
        .extensions = {CA}});
    return 0;
}

static int free_chain(void **state)
{
    (void)state;
    X509_free(root);
    X509_free(middle);
    EVP_PKEY_free(root_key);
    EVP_PKEY_free(middle_key);
    EVP_PKEY_free(ek_key);
    EVP_PKEY_free(other_key);
    return 0;
}

static struct x509_fake good_ek(void)
{
    return (struct x509_fake){.name = "",
        .key = ek_key,
        .issuer = middle,
        .issuer_key = middle_key,
        .extensions = {EK_BC, EK_KU, EK_EKU, EK_SAN}};
}

/* Checks a certificate made as wanted, with the roots given; `filler` goes behind the certificate. */
static bool check_at(struct x509_fake want, X509 *const *roots, size_t root_count, int64_t now,
    const char *filler, struct err *err)
{
    auto_buf der = BUF_INIT(65536), pem = BUF_INIT(65536);
    X509 *cert = make(want);
    x509_fake_der(cert, &der);
    X509_free(cert);
    if (filler)
        assert_true(buf_append(&der, bytes_of(filler, 16), err));
    for (size_t i = 0; i < root_count; i++)
        x509_fake_pem(roots[i], &pem);
    return ek_cert_check(buf_bytes(&der), ek_key, buf_bytes(&pem), now, err);
}

static bool check(struct x509_fake want, struct err *err)
{
    return check_at(want, (X509 *[]){root, middle}, 2, NOW, NULL, err);
}

static void test_good(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct x509_fake by_root = good_ek(), plain = good_ek();
    by_root.issuer = root;
    by_root.issuer_key = root_key;
    plain.extensions[1][0] = NULL; /* neither key usage, nor extended key usage, nor a name */
    assert_done(check(good_ek(), &err), &err);
    assert_done(check(plain, &err), &err);
    assert_done(check_at(by_root, (X509 *[]){root}, 1, NOW, NULL, &err), &err);
    assert_done(check_at(good_ek(), (X509 *[]){middle, root}, 2, NOW, NULL, &err), &err);
    assert_done(check_at(good_ek(), (X509 *[]){root, middle}, 2, NOW,
                    "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", &err),
        &err);
    assert_done(check_at(good_ek(), (X509 *[]){root, middle}, 2, NOW,
                    "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", &err),
        &err);
}

static void test_wrong_certificate(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct x509_fake want = good_ek();
    want.key = other_key;
    assert_refused(check(want, &err), &err, ERR_CRYPTO, "another key");
    want = good_ek();
    want.extensions[2][1] = "serverAuth,clientAuth";
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "2.23.133.8.1");
    want = good_ek();
    want.extensions[1][1] = "critical,digitalSignature";
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "key encipherment");
    want = good_ek();
    want.extensions[0][1] = "critical,CA:TRUE";
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "CA certificate");
    want = good_ek();
    want.extensions[3][0] = "1.2.3.4.5";
    want.extensions[3][1] = "critical,DER:05:00";
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "unhandled critical extension");
    want = good_ek();
    want.digest = EVP_sha1();
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "too weak");
    assert_refused(check_at(good_ek(), (X509 *[]){root, middle}, 2, NOW, "0123456789abcdef", &err),
        &err, ERR_FORMAT, "foreign bytes");
}

static void test_dates(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct x509_fake want = good_ek();
    want.until = NOW - 1;
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "certificate has expired");
    want = good_ek();
    want.from = NOW + 1;
    assert_refused(check(want, &err), &err, ERR_DENIED_POLICY, "not yet valid");
    want = good_ek();
    want.until = NOW + 3 * DAY;
    assert_refused(check_at(want, (X509 *[]){root, middle}, 2, NOW + 2 * DAY, NULL, &err), &err,
        ERR_DENIED_POLICY, "has expired");
}

static void test_chain(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    X509 *other = make((struct x509_fake){.name = "other", .key = other_key, .extensions = {CA}});
    /* the same name, another key: the signature decides */
    X509 *twin = make((struct x509_fake){.name = "root", .key = other_key, .extensions = {CA}});
    X509 *no_ca = make((struct x509_fake){.name = "middle",
        .key = middle_key,
        .issuer = root,
        .issuer_key = root_key,
        .extensions = {EK_BC, {"keyUsage", "critical,digitalSignature"}}});
    X509 *forged = make((struct x509_fake){.name = "middle",
        .key = middle_key,
        .issuer = root,
        .issuer_key = other_key,
        .extensions = {CA}});
    struct x509_fake self = good_ek();
    self.issuer = NULL;
    self.issuer_key = NULL;
    self.name = "self";
    assert_refused(check_at(good_ek(), (X509 *[]){other, middle}, 2, NOW, NULL, &err), &err,
        ERR_DENIED_POLICY, "add its root");
    assert_refused(check_at(good_ek(), (X509 *[]){twin, middle}, 2, NOW, NULL, &err), &err,
        ERR_DENIED_POLICY, "not accepted");
    assert_refused(check_at(good_ek(), (X509 *[]){root}, 1, NOW, NULL, &err), &err,
        ERR_DENIED_POLICY, "issuer CN=middle");
    assert_refused(check_at(good_ek(), (X509 *[]){root, no_ca}, 2, NOW, NULL, &err), &err,
        ERR_DENIED_POLICY, "not accepted");
    assert_refused(check_at(good_ek(), (X509 *[]){root, forged}, 2, NOW, NULL, &err), &err,
        ERR_DENIED_POLICY, "signature failure");
    assert_refused(check(self, &err), &err, ERR_DENIED_POLICY, "self-signed");
    assert_refused(check_at(good_ek(), (X509 *[]){middle}, 1, NOW, NULL, &err), &err, ERR_CONFIG,
        "no self-signed certificate among 1");
    assert_refused(check_at(good_ek(), NULL, 0, NOW, NULL, &err), &err, ERR_CONFIG,
        "no self-signed certificate among 0");
    X509_free(other);
    X509_free(twin);
    X509_free(no_ca);
    X509_free(forged);
}

static void test_no_certificate(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static uint8_t large[EK_CERT_MAX + 1];
    auto_buf pem = BUF_INIT(65536);
    x509_fake_pem(root, &pem);
    assert_refused(ek_cert_check(BYTES_EMPTY, ek_key, buf_bytes(&pem), NOW, &err), &err,
        ERR_DENIED_POLICY, "shows no EK certificate");
    assert_refused(ek_cert_check(bytes_str("hello"), ek_key, buf_bytes(&pem), NOW, &err), &err,
        ERR_FORMAT, "no DER");
    assert_refused(ek_cert_check(buf_bytes(&pem), ek_key, buf_bytes(&pem), NOW, &err), &err,
        ERR_FORMAT, "no DER");
    assert_refused(ek_cert_check(bytes_of(large, sizeof large), ek_key, buf_bytes(&pem), NOW, &err),
        &err, ERR_FORMAT, "at most");
}

static void test_roots_malformed(void **state)
{
    (void)state;
    static const char *const files[] = {
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct err err = ERR_INIT;
        auto_buf der = BUF_INIT(65536), pem = BUF_INIT(65536);
        X509 *cert = make(good_ek());
        x509_fake_der(cert, &der);
        X509_free(cert);
        x509_fake_pem(root, &pem);
        assert_done(buf_append_str(&pem, files[i], &err), &err);
        assert_refused(ek_cert_check(buf_bytes(&der), ek_key, buf_bytes(&pem), NOW, &err), &err,
            ERR_CONFIG, "certificate 2");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_wrong_certificate),
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_no_certificate),
        cmocka_unit_test(test_roots_malformed),
    };
    return cmocka_run_group_tests(tests, make_chain, free_chain);
}
