/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/trust.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/base/file.h"

#define CA_FILE_MAX (4u * 1024 * 1024)
#define PIN_PREFIX  "sha256//"
#define PIN_LEN     44

void trust_free(X509_STORE *store)
{
    X509_STORE_free(store);
}

static void bio_done(BIO **bio)
{
    BIO_free(*bio);
}

static int no_password(char *buf, int size, int writing, void *arg)
{
    (void)buf, (void)size, (void)writing, (void)arg;
    return -1;
}

static bool add_certificates(X509_STORE *store, const char *path, struct err *err)
{
    auto_buf text = BUF_INIT(CA_FILE_MAX);
    size_t count = 0;
    if (!file_read(path, CA_FILE_MAX, &text, err)) {
        err->code = ERR_CONFIG;
        return err_wrap(err, "ca_file");
    }
    AUTO_DONE(bio_done) BIO *bio = BIO_new_mem_buf(buf_text(&text), (int)text.len);
    if (!bio)
        return err_nomem(err);
    for (X509 *cert; (cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)); count++) {
        int added = X509_STORE_add_cert(store, cert);
        X509_free(cert);
        if (added != 1)
            return err_set(
                err, ERR_CONFIG, "ca_file %s: certificate %zu cannot be used", path, count + 1);
    }
    /* The loop ends at the end of the text, or at a certificate that does not parse. */
    unsigned long cause = ERR_peek_last_error();
    ERR_clear_error();
    if (count == 0)
        return err_set(err, ERR_CONFIG,
            "ca_file %s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", path);
    if (ERR_GET_LIB(cause) != ERR_LIB_PEM || ERR_GET_REASON(cause) != PEM_R_NO_START_LINE)
        return err_set(
            err, ERR_CONFIG, "ca_file %s: certificate %zu is malformed", path, count + 1);
    return true;
}

bool trust_load(const char *ca_file, X509_STORE **ret_store, struct err *err)
{
    AUTO(trust_free) X509_STORE *store = X509_STORE_new();
    if (!store)
        return err_nomem(err);
    if (ca_file && !add_certificates(store, ca_file, err))
        return false;
    if (!ca_file && X509_STORE_set_default_paths(store) != 1)
        return err_set(
            err, ERR_CONFIG, "the system's store of certificates cannot be read; set ca_file=");
    if (X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST) != 1)
        return err_nomem(err);
    *ret_store = take_ptr(store);
    return true;
}

bool trust_check_pin(const char *pinned_key, struct err *err)
{
    const char *at = pinned_key;
    for (;;) {
        size_t len = strcspn(at, ";");
        uint8_t digest[32];
        struct err cause = ERR_INIT;
        if (len != strlen(PIN_PREFIX) + PIN_LEN ||
            strncmp(at, PIN_PREFIX, strlen(PIN_PREFIX)) != 0 ||
            !b64_decode_exact(B64_STD, bytes_of(at + strlen(PIN_PREFIX), PIN_LEN), "pin", digest,
                sizeof digest, &cause))
            return err_set(err, ERR_CONFIG,
                "pinned_key \"%.60s\": the form is sha256//BASE64 of the public key's digest, as "
                "printed by: openssl x509 "
                "-in CERT -noout -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256 "
                "-binary | base64",
                at);
        if (at[len] == '\0')
            return true;
        at += len + 1;
    }
}

static const struct reason {
    long result;
    const char *cause;
    enum remedy { REMEDY_RENEW, REMEDY_CLOCK, REMEDY_CA, REMEDY_NAME, REMEDY_ISSUE } remedy;
} reasons[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "its certificate has expired", REMEDY_RENEW},
    {X509_V_ERR_CERT_NOT_YET_VALID, "its certificate is not yet valid", REMEDY_CLOCK},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, "its certificate is self-signed and not a trusted one",
        REMEDY_CA},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, "its certificate comes from an unknown CA", REMEDY_CA},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, "its certificate comes from an unknown CA", REMEDY_CA},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, "its certificate comes from an unknown CA",
        REMEDY_CA},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, "its certificate comes from an unknown CA",
        REMEDY_CA},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE,
        "its certificate bears the name of a trusted CA, but not its signature", REMEDY_CA},
    {X509_V_ERR_HOSTNAME_MISMATCH, "its certificate is for another name", REMEDY_NAME},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "its certificate is for another address", REMEDY_NAME},
    {X509_V_ERR_CERT_REVOKED, "its certificate is revoked", REMEDY_ISSUE},
    {X509_V_ERR_INVALID_PURPOSE, "its certificate is not one for a server", REMEDY_ISSUE},
    {X509_V_ERR_EE_KEY_TOO_SMALL, "the key of its certificate is too small", REMEDY_ISSUE},
    {X509_V_ERR_CA_MD_TOO_WEAK, "its certificate is signed with a weak digest", REMEDY_ISSUE},
};

static bool read_time(const ASN1_TIME *time, int64_t *ret_seconds)
{
    struct tm parts;
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1)
        return false;
    *ret_seconds = (int64_t)timegm(&parts);
    return true;
}

void trust_note(X509_STORE_CTX *ctx, struct trust_dates *ret_dates)
{
    const X509 *cert = X509_STORE_CTX_get_current_cert(ctx);
    struct trust_dates dates = {
        .of_issuer = X509_STORE_CTX_get_error_depth(ctx) > 0, .now = (int64_t)time(NULL)};
    dates.known = cert && read_time(X509_get0_notBefore(cert), &dates.not_before) &&
                  read_time(X509_get0_notAfter(cert), &dates.not_after);
    *ret_dates = dates;
}

/* " (valid from … to …, and this machine's clock says …)" */
static void show_dates(const struct trust_dates *dates, char *out, size_t size)
{
    char from[CLOCK_TEXT_SIZE], to[CLOCK_TEXT_SIZE], now[CLOCK_TEXT_SIZE];
    out[0] = '\0';
    if (!dates->known)
        return;
    clock_rfc3339(dates->not_before, from);
    clock_rfc3339(dates->not_after, to);
    clock_rfc3339(dates->now, now);
    snprintf(out, size, " (%svalid from %s to %s, and this machine's clock says %s)",
        dates->of_issuer ? "the one of its CA, " : "", from, to, now);
}

static bool tell(const struct reason *reason, const char *origin, const char *ca_file,
    const struct trust_dates *dates, struct err *err)
{
    char when[200];
    show_dates(dates, when, sizeof when);
    switch (reason->remedy) {
    case REMEDY_RENEW:
        return err_set(err, ERR_UNREACH,
            "%s: %s%s; renew the certificate of the KBS, or set this machine's clock", origin,
            reason->cause, when);
    case REMEDY_CLOCK:
        return err_set(err, ERR_UNREACH, "%s: %s%s; is this machine's clock behind?", origin,
            reason->cause, when);
    case REMEDY_CA:
        return err_set(err, ERR_UNREACH,
            "%s: %s (trusted: %s); set ca_file= to the certificate of the KBS or of its CA", origin,
            reason->cause, ca_file ? ca_file : "the system's CAs");
    case REMEDY_NAME:
        return err_set(err, ERR_UNREACH,
            "%s: %s; use the name that the certificate has in the URL, or issue one with this name",
            origin, reason->cause);
    case REMEDY_ISSUE:
        break;
    }
    return err_set(err, ERR_UNREACH, "%s: %s; issue another for the KBS", origin, reason->cause);
}

bool trust_refusal(long verify_result, const char *origin, const char *ca_file,
    const struct trust_dates *dates, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (reasons[i].result == verify_result)
            return tell(&reasons[i], origin, ca_file, dates, err);
    return err_set(err, ERR_UNREACH, "%s: its certificate is refused: %s", origin,
        X509_verify_cert_error_string(verify_result));
}
