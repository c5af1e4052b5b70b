/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates and CRLs as verifiers of evidence need them: from untrusted bytes within limits, each
 * signature with exactly the one algorithm that the vendor uses, dates at a given time. There is no
 * path building: a verifier knows its chain and checks it link by link. Bytes are borrowed from the
 * certificate unless said otherwise. OpenSSL's error queue is left empty.
 */
#pragma once

#include <openssl/x509.h>

#include "attest/verify/verify.h"
#include "crypt/base/clock.h"

#define X509_CERT_MAX  16384u
#define X509_CRL_MAX   (1024u * 1024)
#define X509_CHAIN_MAX 16
#define X509_NAME_SIZE 72 /* of a common name, with its NUL */

DEFINE_AUTO(X509, X509_free);
DEFINE_AUTO(X509_CRL, X509_CRL_free);
#define auto_x509     AUTO(X509_free) X509
#define auto_x509_crl AUTO(X509_CRL_free) X509_CRL

struct x509_chain {
    X509 *certs[X509_CHAIN_MAX];
    size_t count;
};
void x509_chain_done(struct x509_chain *chain);
#define auto_x509_chain AUTO_DONE(x509_chain_done) struct x509_chain

/* One certificate, DER, or PEM when it begins with "-----BEGIN"; nothing but blanks or zero bytes may follow. ERR_FORMAT. */
bool x509_load(struct bytes data, const char *what, X509 **ret_cert, struct err *err) MUST_CHECK;
/* PEM, 1 to X509_CHAIN_MAX certificates, in their order; text between them and zero bytes at the end are passed over.
 * ERR_FORMAT. */
bool x509_chain_load(
    struct bytes pem, const char *what, struct x509_chain *ret_chain, struct err *err) MUST_CHECK;
/* Calls `take` with each certificate of a PEM text of any number of them; it owns what it is given. ERR_FORMAT. */
bool x509_each(struct bytes pem, const char *what,
    bool (*take)(X509 *cert, void *context, struct err *err), void *context, struct err *err)
    MUST_CHECK;

enum x509_scheme {
    X509_RSA_PSS_SHA384,   /* RSASSA-PSS, SHA-384, MGF1 with SHA-384, salt of 48 bytes: AMD's CAs */
    X509_ECDSA_P256_SHA256 /* Intel's */
};
/* Names chain and `issuer`'s key made the signature, in exactly this scheme. */
bool x509_issued_by(X509 *cert, X509 *issuer, enum x509_scheme scheme);
/* Both names are the same. */
bool x509_self_issued(X509 *cert);
/* Basic constraints say CA. */
bool x509_is_ca(X509 *cert);
/* Basic constraints are there and say that it is none. */
bool x509_denies_ca(X509 *cert);

enum x509_dates { X509_GOOD, X509_NOT_YET, X509_EXPIRED };
/* ret_date: the date that is not yet or no longer; for X509_GOOD the last good second. */
enum x509_dates x509_dates(X509 *cert, int64_t now, int64_t *ret_date);
/* The same as a failed check of the certificate that a person knows as `name`. */
bool x509_check_dates(
    struct verdict *verdict, const char *check, const char *name, X509 *cert, int64_t now);
/* False for a time that cannot be read. Seconds since 1970. */
bool x509_time(const ASN1_TIME *time, int64_t *ret_unix_s);

/* SHA-256 of the DER SubjectPublicKeyInfo, as it stands in the certificate. */
bool x509_spki_sha256(X509 *cert, uint8_t ret_hash[32]);
bool x509_same_key(X509 *one, X509 *other);
/* The subject's only common name, as UTF-8; "" when there is none, several, or one that does not fit or has control
 * characters. */
void x509_common_name(X509 *cert, char out[X509_NAME_SIZE]);
void x509_issuer_name(X509 *cert, char out[X509_NAME_SIZE]); /* the issuer's, alike */
/* Value (the bytes inside extnValue's OCTET STRING) of the only extension with this dotted OID. False: none, or several. */
bool x509_extension(X509 *cert, const char *oid, struct bytes *ret_value);

/* -- revocation (x509_crl.c) -- */
/* DER, or PEM when it begins so. ERR_FORMAT. */
bool x509_crl_load(struct bytes data, const char *what, X509_CRL **ret_crl, struct err *err)
    MUST_CHECK;
void x509_crl_issuer_name(X509_CRL *crl, char out[X509_NAME_SIZE]); /* as x509_common_name() */
bool x509_crl_issued_by(X509_CRL *crl, X509 *issuer, enum x509_scheme scheme);
enum x509_dates x509_crl_dates(X509_CRL *crl, int64_t now, int64_t *ret_date);
/* Whether it lists the certificate's serial number; that the CRL is its issuer's is the caller's to see to. */
bool x509_crl_lists(X509_CRL *crl, X509 *cert);
/* cRLNumber; false: absent or over 64 bits. */
bool x509_crl_number(X509_CRL *crl, uint64_t *ret_number);
