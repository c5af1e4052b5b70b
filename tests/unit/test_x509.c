/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates, PEM and CRLs; chains of real shape are in the tests of the verifiers. */
#include "tests/unit/unit.h"

#include "attest/verify/x509.h"
#include "tests/unit/x509_fake.h"

#define NOW  1700000000
#define YEAR (365 * 24 * 3600)

static struct err err;
static EVP_PKEY *rsa, *rsa_other, *p256, *p384;
static X509 *root, *leaf;

static struct x509_fake fake(const char *name, EVP_PKEY *key)
{
    return (struct x509_fake){.name = name,
        .key = key,
        .from = NOW - YEAR,
        .until = NOW + YEAR,
        .digest = EVP_sha384(),
        .pss_salt = 48};
}

static int setup(void **state)
{
    (void)state;
    rsa = EVP_RSA_gen(2048);
    rsa_other = EVP_RSA_gen(2048);
    p256 = EVP_EC_gen("P-256");
    p384 = EVP_EC_gen("P-384");
    struct x509_fake ca = fake("root", rsa);
    ca.extensions[0][0] = "basicConstraints";
    ca.extensions[0][1] = "critical,CA:TRUE";
    root = x509_fake_make(&ca);
    struct x509_fake end = fake("leaf", p384);
    end.issuer = root;
    end.issuer_key = rsa;
    end.extensions[0][0] = "1.3.6.1.4.1.3704.1.3.1";
    end.extensions[0][1] = "DER:02:01:07";
    leaf = x509_fake_make(&end);
    return !root || !leaf;
}

static int teardown(void **state)
{
    (void)state;
    X509_free(root);
    X509_free(leaf);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(rsa_other);
    EVP_PKEY_free(p256);
    EVP_PKEY_free(p384);
    return 0;
}

static void der_and_pem_are_loaded(void **state)
{
    (void)state;
    auto_buf der = BUF_INIT(8192), pem = BUF_INIT(8192);
    x509_fake_der(leaf, &der);
    x509_fake_pem(leaf, &pem);
    struct bytes forms[] = {buf_bytes(&der), buf_bytes(&pem)};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        auto_x509 *got = NULL;
        assert_done(x509_load(forms[i], "leaf", &got, &err), &err);
        assert_int_equal(X509_cmp(got, leaf), 0);
    }
    assert_done(buf_append(&der, bytes_of("\0\n\0", 3), &err), &err);
    auto_x509 *padded = NULL, *none = NULL;
    assert_done(x509_load(buf_bytes(&der), "leaf", &padded, &err), &err);
    assert_done(buf_append_str(&der, "x", &err), &err);
    assert_refused(
        x509_load(buf_bytes(&der), "leaf", &none, &err), &err, ERR_FORMAT, "foreign bytes");
    assert_refused(x509_load(BYTES_EMPTY, "leaf", &none, &err), &err, ERR_FORMAT, "leaf: no DER");
    for (size_t len = 0; len < der.len - 4; len++)
        assert_false(x509_load(bytes_of(der.data, len), "leaf", &none, &err));
    x509_fake_pem(root, &pem);
    assert_refused(x509_load(buf_bytes(&pem), "leaf", &none, &err), &err, ERR_FORMAT,
        "2 certificates where one belongs");
}

static void giant_certificates_are_refused(void **state)
{
    (void)state;
    auto_x509 *none = NULL;
    auto_free uint8_t *giant = malloc(X509_CERT_MAX + 1);
    memset(giant, 0x30, X509_CERT_MAX + 1);
    assert_refused(x509_load(bytes_of(giant, X509_CERT_MAX + 1), "leaf", &none, &err), &err,
        ERR_FORMAT, "16385 bytes; at most 16384");
}

static void chains_are_bounded_and_may_have_text_between(void **state)
{
    (void)state;
    auto_buf pem = BUF_INIT(65536);
    auto_x509_chain chain = {0}, none = {0};
    assert_done(buf_append_str(&pem, "subject=…\n", &err), &err);
    x509_fake_pem(leaf, &pem);
    assert_done(
        buf_append_str(&pem, "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n", &err),
        &err);
    x509_fake_pem(root, &pem);
    assert_done(buf_append(&pem, bytes_of("\n\0\n", 3), &err), &err);
    assert_done(x509_chain_load(buf_bytes(&pem), "chain", &chain, &err), &err);
    assert_int_equal(chain.count, 2);
    assert_int_equal(X509_cmp(chain.certs[0], leaf), 0);
    assert_int_equal(X509_cmp(chain.certs[1], root), 0);
    for (int i = 0; i < X509_CHAIN_MAX - 1; i++)
        x509_fake_pem(leaf, &pem);
    assert_refused(
        x509_chain_load(buf_bytes(&pem), "chain", &none, &err), &err, ERR_FORMAT, "more than 16");
    assert_refused(x509_chain_load(BYTES_EMPTY, "chain", &none, &err), &err, ERR_FORMAT, "no PEM");
    assert_refused(
        x509_chain_load(bytes_str("garbage"), "chain", &none, &err), &err, ERR_FORMAT, "no PEM");
    assert_int_equal(none.count, 0);
}

/* OpenSSL's readers would ask the terminal for the passphrase. */
static void encrypted_and_broken_pem_is_refused(void **state)
{
    static const char *const bad[][2] = {
        {"-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: "
         "AES-128-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n"
         "-----END CERTIFICATE-----\n",
            "encrypted"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n", "malformed PEM"},
        {"-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n", "malformed PEM"},
        {"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "no DER"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_x509_chain none = {0};
        assert_refused(x509_chain_load(bytes_str(bad[i][0]), "chain", &none, &err), &err,
            ERR_FORMAT, bad[i][1]);
    }
}

static X509 *signed_by(X509 *issuer, EVP_PKEY *key, const EVP_MD *digest, int salt)
{
    struct x509_fake want = fake("leaf", p384);
    want.issuer = issuer;
    want.issuer_key = key;
    want.digest = digest;
    want.pss_salt = salt;
    return x509_fake_make(&want);
}

static void only_the_exact_scheme_counts(void **state)
{
    (void)state;
    assert_true(x509_issued_by(leaf, root, X509_RSA_PSS_SHA384));
    assert_true(x509_issued_by(root, root, X509_RSA_PSS_SHA384));
    assert_false(x509_issued_by(leaf, root, X509_ECDSA_P256_SHA256));
    const struct {
        EVP_PKEY *key;
        const EVP_MD *digest;
        int salt;
    } others[] = {
        {rsa, EVP_sha384(), 0},        /* PKCS#1 v1.5 */
        {rsa, EVP_sha256(), 48},       /* another hash */
        {rsa, EVP_sha384(), 32},       /* another salt */
        {rsa_other, EVP_sha384(), 48}, /* another key */
    };
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        auto_x509 *cert = signed_by(root, others[i].key, others[i].digest, others[i].salt);
        if (x509_issued_by(cert, root, X509_RSA_PSS_SHA384))
            fail_msg("signature %zu was taken", i);
    }
    struct x509_fake same_key = fake("other name", rsa);
    auto_x509 *renamed = x509_fake_make(&same_key);
    assert_false(x509_issued_by(leaf, renamed, X509_RSA_PSS_SHA384));
}

static void ecdsa_counts_on_p256_with_sha256(void **state)
{
    (void)state;
    struct x509_fake ca = fake("Intel", p256), wrong = fake("Intel", p384);
    ca.digest = wrong.digest = EVP_sha256();
    ca.pss_salt = wrong.pss_salt = 0;
    auto_x509 *intel = x509_fake_make(&ca), *on_p384 = x509_fake_make(&wrong);
    auto_x509 *good = signed_by(intel, p256, EVP_sha256(), 0);
    auto_x509 *sha384 = signed_by(intel, p256, EVP_sha384(), 0);
    auto_x509 *under_p384 = signed_by(on_p384, p384, EVP_sha256(), 0);
    assert_true(x509_issued_by(good, intel, X509_ECDSA_P256_SHA256));
    assert_false(x509_issued_by(sha384, intel, X509_ECDSA_P256_SHA256));
    assert_false(x509_issued_by(under_p384, on_p384, X509_ECDSA_P256_SHA256));
    assert_false(x509_issued_by(good, on_p384, X509_ECDSA_P256_SHA256));
    assert_false(x509_issued_by(good, root, X509_RSA_PSS_SHA384));
}

static void dates_are_told_apart(void **state)
{
    (void)state;
    int64_t date = 0;
    static struct verdict verdict;
    assert_int_equal(x509_dates(leaf, NOW - YEAR, &date), X509_GOOD);
    assert_int_equal(x509_dates(leaf, NOW + YEAR, &date), X509_GOOD);
    assert_int_equal(date, NOW + YEAR);
    assert_int_equal(x509_dates(leaf, NOW - YEAR - 1, &date), X509_NOT_YET);
    assert_int_equal(date, NOW - YEAR);
    assert_int_equal(x509_dates(leaf, NOW + YEAR + 1, &date), X509_EXPIRED);
    assert_int_equal(date, NOW + YEAR);
    assert_true(x509_check_dates(&verdict, "x.date", "leaf", leaf, NOW));
    assert_false(x509_check_dates(&verdict, "x.date", "leaf", leaf, NOW + 2 * YEAR));
    assert_false(x509_check_dates(&verdict, "x.date", "leaf", leaf, NOW - 2 * YEAR));
    assert_int_equal(verdict.reason_count, 2);
    assert_string_equal(verdict.reasons[0].got, "certificate leaf expired at 2024-11-13T22:13:20Z");
    assert_string_equal(verdict.reasons[0].expected, "good at 2025-11-13T22:13:20Z");
    assert_string_equal(
        verdict.reasons[1].got, "certificate leaf is not valid before 2022-11-14T22:13:20Z");
}

static void names_keys_and_extensions(void **state)
{
    (void)state;
    char name[X509_NAME_SIZE];
    struct bytes value;
    x509_common_name(leaf, name);
    assert_string_equal(name, "leaf");
    struct x509_fake wants[] = {fake("", p384), fake("a\nb", p384)};
    for (size_t i = 0; i < ARRAY_LEN(wants); i++) {
        wants[i].pss_salt = 0;
        auto_x509 *cert = x509_fake_make(&wants[i]);
        x509_common_name(cert, name);
        assert_string_equal(name, "");
    }
    auto_x509 *two = X509_dup(leaf);
    X509_NAME_add_entry_by_txt(
        X509_get_subject_name(two), "CN", MBSTRING_UTF8, (const unsigned char *)"other", -1, -1, 0);
    x509_common_name(two, name);
    assert_string_equal(name, "");
    assert_true(x509_self_issued(root));
    assert_false(x509_self_issued(leaf));
    assert_true(x509_is_ca(root));
    assert_false(x509_is_ca(leaf));
    assert_false(x509_denies_ca(root) || x509_denies_ca(leaf));
    struct x509_fake end = fake("end", rsa);
    end.extensions[0][0] = "basicConstraints";
    end.extensions[0][1] = "CA:FALSE";
    auto_x509 *no_ca = x509_fake_make(&end);
    assert_true(x509_denies_ca(no_ca));
    assert_true(x509_same_key(root, root));
    assert_false(x509_same_key(root, leaf));
    assert_true(x509_extension(leaf, "1.3.6.1.4.1.3704.1.3.1", &value));
    assert_true(bytes_equal(value, bytes_of("\x02\x01\x07", 3)));
    assert_false(x509_extension(leaf, "1.3.6.1.4.1.3704.1.3.2", &value));
    assert_false(x509_extension(root, "1.3.6.1.4.1.3704.1.3.1", &value));
    X509_EXTENSION *again = X509_EXTENSION_dup(X509_get_ext(two, 0));
    X509_add_ext(two, again, -1);
    X509_EXTENSION_free(again);
    assert_false(x509_extension(two, "1.3.6.1.4.1.3704.1.3.1", &value));
}

static X509_CRL *make_crl(bool next_update, const X509 *revoked)
{
    X509_CRL *crl = X509_CRL_new();
    ASN1_TIME *time = ASN1_TIME_set(NULL, NOW - 3600);
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(root));
    X509_CRL_set1_lastUpdate(crl, time);
    ASN1_TIME_set(time, NOW + 3600);
    if (next_update)
        X509_CRL_set1_nextUpdate(crl, time);
    if (revoked) {
        X509_REVOKED *entry = X509_REVOKED_new();
        X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber((X509 *)(uintptr_t)revoked));
        X509_REVOKED_set_revocationDate(entry, time);
        X509_CRL_add0_revoked(crl, entry);
    }
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set(number, 5);
    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0);
    ASN1_INTEGER_free(number);
    ASN1_TIME_free(time);
    const struct x509_fake how = {.key = rsa, .digest = EVP_sha384(), .pss_salt = 48};
    EVP_MD_CTX *signing = x509_fake_signing(&how);
    if (!X509_CRL_sign_ctx(crl, signing))
        abort();
    EVP_MD_CTX_free(signing);
    return crl;
}

static void revocation_lists(void **state)
{
    (void)state;
    int64_t date = 0;
    uint64_t number = 0;
    unsigned char *der = NULL;
    auto_x509_crl *made = make_crl(true, leaf), *crl = NULL, *none = NULL;
    int len = i2d_X509_CRL(made, &der);
    assert_done(x509_crl_load(bytes_of(der, (size_t)len), "CRL", &crl, &err), &err);
    assert_refused(x509_crl_load(bytes_of(der, (size_t)len - 1), "CRL", &none, &err), &err,
        ERR_FORMAT, "CRL: no DER CRL");
    OPENSSL_free(der);
    assert_true(x509_crl_issued_by(crl, root, X509_RSA_PSS_SHA384));
    assert_false(x509_crl_issued_by(crl, leaf, X509_RSA_PSS_SHA384));
    assert_false(x509_crl_issued_by(crl, root, X509_ECDSA_P256_SHA256));
    assert_true(x509_crl_lists(crl, leaf));
    assert_false(x509_crl_lists(crl, root));
    assert_true(x509_crl_number(crl, &number));
    assert_int_equal(number, 5);
    assert_int_equal(x509_crl_dates(crl, NOW, &date), X509_GOOD);
    assert_int_equal(x509_crl_dates(crl, NOW - 3601, &date), X509_NOT_YET);
    assert_int_equal(x509_crl_dates(crl, NOW + 3601, &date), X509_EXPIRED);
    auto_x509_crl *endless = make_crl(false, NULL);
    assert_int_equal(x509_crl_dates(endless, NOW, &date), X509_EXPIRED);
    assert_false(x509_crl_lists(endless, leaf));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(der_and_pem_are_loaded),
        cmocka_unit_test(giant_certificates_are_refused),
        cmocka_unit_test(chains_are_bounded_and_may_have_text_between),
        cmocka_unit_test(encrypted_and_broken_pem_is_refused),
        cmocka_unit_test(only_the_exact_scheme_counts),
        cmocka_unit_test(ecdsa_counts_on_p256_with_sha256),
        cmocka_unit_test(dates_are_told_apart),
        cmocka_unit_test(names_keys_and_extensions),
        cmocka_unit_test(revocation_lists),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
