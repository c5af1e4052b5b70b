/* SPDX-License-Identifier: Apache-2.0 */
/* Whom TLS trusts, and what an operator is told when it does not. (tests/it/kbs_client.sh shows it with real certificates.) */
#include "kbs/trust.h"

#include <openssl/x509_vfy.h>
#include <string.h>
#include <unistd.h>

#include "crypt/base/file.h"
#include "tests/unit/unit.h"

#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static void pins(void **state)
{
    static const char *const good[] = {PIN, PIN ";" PIN};
    static const char *const bad[] = {"", "sha256//", PIN ";", ";" PIN, "sha1//AAAA", PIN "x",
        PIN " ", "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct err err = ERR_INIT;
        assert_done(trust_check_pin(good[i], &err), &err);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        assert_refused(trust_check_pin(bad[i], &err), &err, ERR_CONFIG, "sha256//");
    }
}

/* Nothing is not everything: a file without a certificate is refused, not taken for the system's store. */
static void files(void **state)
{
    char path[] = "/tmp/sealed-trust-XXXXXX";
    X509_STORE *store;
    struct err err = ERR_INIT;
    (void)state;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_refused(trust_load(path, &store, &err), &err, ERR_CONFIG, path);
    err_clear(&err);
    assert_int_equal(
        write(fd, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", 59), 59);
    assert_refused(trust_load(path, &store, &err), &err, ERR_CONFIG, path);
    err_clear(&err);
    close(fd);
    unlink(path);
    assert_refused(trust_load(path, &store, &err), &err, ERR_CONFIG, path);
}

static void reasons(void **state)
{
    const struct trust_dates dates = {
        .known = true, .not_before = 1700000000, .not_after = 1800000000, .now = 1900000000};
    const struct trust_dates issuer = {.known = true,
        .of_issuer = true,
        .not_before = 1700000000,
        .not_after = 1800000000,
        .now = 1600000000};
    const struct trust_dates unknown = {.known = false};
    const struct {
        long result;
        const struct trust_dates *dates;
        const char *says, *remedy;
    } rows[] = {
        {X509_V_ERR_CERT_HAS_EXPIRED, &dates,
            "valid from 2023-11-14T22:13:20Z to 2027-01-15T08:00:00Z, and this machine's clock "
            "says 2030",
            "renew the certificate"},
        {X509_V_ERR_CERT_NOT_YET_VALID, &issuer, "the one of its CA, valid from 2023",
            "is this machine's clock behind?"},
        {X509_V_ERR_CERT_HAS_EXPIRED, &unknown, "https://kbs", "renew the certificate"},
        {X509_V_ERR_HOSTNAME_MISMATCH, &unknown, "for another name",
            "use the name that the certificate has"},
        {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, &unknown, "trusted: /etc/ca.pem", "set ca_file="},
        {X509_V_ERR_PATH_LENGTH_EXCEEDED, &unknown, "its certificate is refused: ", "path length"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        assert_false(
            trust_refusal(rows[i].result, "https://kbs", "/etc/ca.pem", rows[i].dates, &err));
        assert_int_equal(err.code, ERR_UNREACH);
        assert_non_null(strstr(err.message, rows[i].says));
        assert_non_null(strstr(err.message, rows[i].remedy));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pins),
        cmocka_unit_test(files),
        cmocka_unit_test(reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
