/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/tls_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

static void bio_done(BIO **bio)
{
    BIO_free(*bio);
}

static void certificate_done(X509 **certificate)
{
    X509_free(*certificate);
}

static void key_done(EVP_PKEY **key)
{
    EVP_PKEY_free(*key);
}

/* Or OpenSSL would ask for one on the terminal. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

/* Borrows; OpenSSL takes no NULL, not even for nothing. */
static BIO *reader(struct bytes text)
{
    return BIO_new_mem_buf(text.len > 0 ? (const void *)text.data : "", (int)text.len);
}

bool tls_pair_check(const char *cert_path, struct bytes cert, const char *key_path,
    const struct secret *key, struct err *err)
{
    AUTO_DONE(bio_done) BIO *cert_in = reader(cert);
    AUTO_DONE(bio_done) BIO *key_in = reader(secret_bytes(key));
    if (!cert_in || !key_in)
        return err_nomem(err);
    AUTO_DONE(certificate_done)
    X509 *certificate = PEM_read_bio_X509(cert_in, NULL, no_password, NULL);
    AUTO_DONE(key_done)
    EVP_PKEY *private = PEM_read_bio_PrivateKey(key_in, NULL, no_password, NULL);
    bool pair = certificate && private && X509_check_private_key(certificate, private) == 1;
    ERR_clear_error();
    if (!certificate)
        return err_set(err, ERR_CONFIG,
            "[server] tls_cert %s does not begin with a certificate in PEM form "
            "(-----BEGIN CERTIFICATE-----)",
            cert_path);
    if (!private)
        return err_set(err, ERR_CONFIG,
            "[server] tls_key %s holds no private key in PEM form without a password "
            "(-----BEGIN PRIVATE KEY-----)",
            key_path);
    return pair || err_set(err, ERR_CONFIG,
                       "[server] tls_cert %s and tls_key %s do not belong together: the first "
                       "certificate of the one does not certify the other; name the key that the "
                       "certificate was made with",
                       cert_path, key_path);
}
