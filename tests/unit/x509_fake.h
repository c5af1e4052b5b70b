/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests: whatever is asked for, signed. */
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "crypt/base/buf.h"

struct x509_fake {
    const char *name;
    EVP_PKEY *key;
    X509 *issuer;                 /* NULL: self-signed */
    EVP_PKEY *issuer_key;         /* NULL: self-signed */
    int64_t from, until;          /* unix seconds */
    const char *extensions[6][2]; /* NID name (or dotted OID), OpenSSL's configuration syntax */
    const EVP_MD *digest;         /* NULL: SHA-256 */
    int pss_salt; /* RSASSA-PSS with a salt of this length; 0: what X509_sign does */
};

static inline EVP_MD_CTX *x509_fake_signing(const struct x509_fake *want)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *key = NULL;
    if (!EVP_DigestSignInit(ctx, &key, want->digest ? want->digest : EVP_sha256(), NULL,
            want->issuer_key ? want->issuer_key : want->key))
        abort();
    if (want->pss_salt > 0 && (EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING) != 1 ||
                                  EVP_PKEY_CTX_set_rsa_pss_saltlen(key, want->pss_salt) != 1))
        abort();
    return ctx;
}

static inline X509_EXTENSION *x509_fake_extension(
    X509V3_CTX *ctx, const char *name, const char *value)
{
    return X509V3_EXT_nconf(NULL, ctx, name, value);
}

static inline X509 *x509_fake_make(const struct x509_fake *want)
{
    static long serial;
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_NAME *name = X509_get_subject_name(cert);
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial);
    if (want->name[0])
        X509_NAME_add_entry_by_txt(
            name, "CN", MBSTRING_UTF8, (const unsigned char *)want->name, -1, -1, 0);
    X509_set_issuer_name(cert, want->issuer ? X509_get_subject_name(want->issuer) : name);
    ASN1_TIME_set(X509_getm_notBefore(cert), (time_t)want->from);
    ASN1_TIME_set(X509_getm_notAfter(cert), (time_t)want->until);
    X509_set_pubkey(cert, want->key);
    X509V3_set_ctx(&ctx, want->issuer ? want->issuer : cert, cert, NULL, NULL, 0);
    for (size_t i = 0; i < 6 && want->extensions[i][0]; i++) {
        X509_EXTENSION *ext =
            x509_fake_extension(&ctx, want->extensions[i][0], want->extensions[i][1]);
        if (!ext)
            abort();
        X509_add_ext(cert, ext, -1);
        X509_EXTENSION_free(ext);
    }
    EVP_MD_CTX *signing = x509_fake_signing(want);
    if (!X509_sign_ctx(cert, signing))
        abort();
    EVP_MD_CTX_free(signing);
    return cert;
}

static inline void x509_fake_der(X509 *cert, struct buf *out)
{
    struct err err = ERR_INIT;
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    if (len < 0 || !buf_append(out, bytes_of(der, (size_t)len), &err))
        abort();
    OPENSSL_free(der);
}

static inline void x509_fake_pem(X509 *cert, struct buf *out)
{
    struct err err = ERR_INIT;
    char *text = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_X509(bio, cert);
    long len = BIO_get_mem_data(bio, &text);
    if (!buf_append(out, bytes_of(text, (size_t)len), &err))
        abort();
    BIO_free(bio);
}
