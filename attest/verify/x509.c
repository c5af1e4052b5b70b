/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/x509.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

#include "attest/verify/check.h"
#include "attest/verify/x509_pem.h"

#define SALT_LEN     48
#define RSA_BITS_MIN 2048

DEFINE_AUTO(RSA_PSS_PARAMS, RSA_PSS_PARAMS_free);
DEFINE_AUTO(X509_ALGOR, X509_ALGOR_free);
DEFINE_AUTO(ASN1_OBJECT, ASN1_OBJECT_free);

void x509_chain_done(struct x509_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++)
        X509_free(chain->certs[i]);
    chain->count = 0;
}

/* -- loading ------------------------------------------------------------------------------------ */

static bool from_der(struct bytes der, const char *what, X509 **ret_cert, struct err *err)
{
    const unsigned char *at = der.data;
    auto_x509 *cert =
        der.len > 0 && der.len <= X509_CERT_MAX ? d2i_X509(NULL, &at, (long)der.len) : NULL;
    ERR_clear_error();
    if (der.len > X509_CERT_MAX)
        return err_set(err, ERR_FORMAT, "%s: a certificate of %zu bytes; at most %u are taken",
            what, der.len, X509_CERT_MAX);
    if (!cert)
        return err_set(err, ERR_FORMAT, "%s: no DER X.509 certificate", what);
    if (!pem_is_filler(bytes_slice(der, (size_t)(at - der.data), der.len)))
        return err_set(err, ERR_FORMAT, "%s: a certificate with foreign bytes after its end", what);
    *ret_cert = take_ptr(cert);
    return true;
}

struct each {
    const char *what;
    bool (*take)(X509 *cert, void *context, struct err *err);
    void *context;
};

static bool take_der(struct bytes der, void *context, struct err *err)
{
    const struct each *each = context;
    X509 *cert = NULL;
    return from_der(der, each->what, &cert, err) && each->take(cert, each->context, err);
}

bool x509_each(struct bytes pem, const char *what,
    bool (*take)(X509 *cert, void *context, struct err *err), void *context, struct err *err)
{
    struct each each = {what, take, context};
    return pem_each(pem, "CERTIFICATE", what, take_der, &each, err);
}

static bool take_into_chain(X509 *cert, void *context, struct err *err)
{
    struct x509_chain *chain = context;
    if (chain->count == X509_CHAIN_MAX) {
        X509_free(cert);
        return err_set(err, ERR_FORMAT, "more than %d certificates", X509_CHAIN_MAX);
    }
    chain->certs[chain->count++] = cert;
    return true;
}

bool x509_chain_load(
    struct bytes pem, const char *what, struct x509_chain *ret_chain, struct err *err)
{
    auto_x509_chain chain = {0};
    if (!x509_each(pem, what, take_into_chain, &chain, err))
        return false;
    if (chain.count == 0)
        return err_set(err, ERR_FORMAT, "%s: no PEM certificate", what);
    *ret_chain = chain;
    chain.count = 0;
    return true;
}

bool x509_load(struct bytes data, const char *what, X509 **ret_cert, struct err *err)
{
    auto_x509_chain chain = {0};
    if (!pem_looks_so(data))
        return from_der(data, what, ret_cert, err);
    if (!x509_chain_load(data, what, &chain, err))
        return false;
    if (chain.count != 1)
        return err_set(
            err, ERR_FORMAT, "%s: %zu certificates where one belongs", what, chain.count);
    *ret_cert = take_ptr(chain.certs[0]);
    chain.count = 0;
    return true;
}

/* -- signatures ---------------------------------------------------------------------------------- */

static bool is_algorithm(const X509_ALGOR *algorithm, int nid)
{
    const ASN1_OBJECT *object = NULL;
    X509_ALGOR_get0(&object, NULL, NULL, algorithm);
    return object && OBJ_obj2nid(object) == nid;
}

/* MGF1's parameter is the algorithm of its hash, once more DER. */
static bool mgf1_is_sha384(const X509_ALGOR *mask)
{
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    if (!mask || !is_algorithm(mask, NID_mgf1))
        return false;
    X509_ALGOR_get0(&object, &type, &value, mask);
    AUTO(X509_ALGOR_free)
    X509_ALGOR *hash = type == V_ASN1_SEQUENCE ? ASN1_item_unpack((const ASN1_STRING *)value,
                                                     ASN1_ITEM_rptr(X509_ALGOR))
                                               : NULL;
    return hash && is_algorithm(hash, NID_sha384);
}

static bool is_pss_sha384(const X509_ALGOR *algorithm)
{
    const ASN1_OBJECT *object = NULL;
    const void *value = NULL;
    int type = V_ASN1_UNDEF;
    X509_ALGOR_get0(&object, &type, &value, algorithm);
    if (OBJ_obj2nid(object) != NID_rsassaPss || type != V_ASN1_SEQUENCE)
        return false;
    AUTO(RSA_PSS_PARAMS_free)
    RSA_PSS_PARAMS *params =
        ASN1_item_unpack((const ASN1_STRING *)value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
    return params && params->hashAlgorithm && is_algorithm(params->hashAlgorithm, NID_sha384) &&
           mgf1_is_sha384(params->maskGenAlgorithm) && params->saltLength &&
           ASN1_INTEGER_get(params->saltLength) == SALT_LEN &&
           (!params->trailerField || ASN1_INTEGER_get(params->trailerField) == 1);
}

static bool key_fits(EVP_PKEY *key, enum x509_scheme scheme)
{
    char group[32] = "";
    if (!key)
        return false;
    if (scheme == X509_RSA_PSS_SHA384)
        return (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) &&
               EVP_PKEY_get_bits(key) >= RSA_BITS_MIN;
    return EVP_PKEY_get_group_name(key, group, sizeof group, NULL) == 1 &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

static bool scheme_fits(const X509_ALGOR *algorithm, EVP_PKEY *key, enum x509_scheme scheme)
{
    bool named = scheme == X509_RSA_PSS_SHA384 ? is_pss_sha384(algorithm)
                                               : is_algorithm(algorithm, NID_ecdsa_with_SHA256);
    return named && key_fits(key, scheme);
}

bool x509_issued_by(X509 *cert, X509 *issuer, enum x509_scheme scheme)
{
    const X509_ALGOR *algorithm = NULL;
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    X509_get0_signature(NULL, &algorithm, cert);
    bool good = X509_NAME_cmp(X509_get_issuer_name(cert), X509_get_subject_name(issuer)) == 0 &&
                scheme_fits(algorithm, key, scheme) && X509_verify(cert, key) == 1;
    ERR_clear_error();
    return good;
}

bool x509_crl_issued_by(X509_CRL *crl, X509 *issuer, enum x509_scheme scheme)
{
    const X509_ALGOR *algorithm = NULL;
    EVP_PKEY *key = X509_get0_pubkey(issuer);
    X509_CRL_get0_signature(crl, NULL, &algorithm);
    bool good = X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(issuer)) == 0 &&
                scheme_fits(algorithm, key, scheme) && X509_CRL_verify(crl, key) == 1;
    ERR_clear_error();
    return good;
}

/* -- what stands in it ---------------------------------------------------------------------------- */

bool x509_self_issued(X509 *cert)
{
    return X509_NAME_cmp(X509_get_subject_name(cert), X509_get_issuer_name(cert)) == 0;
}

bool x509_is_ca(X509 *cert)
{
    bool is_ca = (X509_get_extension_flags(cert) & EXFLAG_CA) != 0;
    ERR_clear_error();
    return is_ca;
}

bool x509_denies_ca(X509 *cert)
{
    uint32_t flags = X509_get_extension_flags(cert);
    ERR_clear_error();
    return (flags & EXFLAG_BCONS) && !(flags & EXFLAG_CA);
}

bool x509_time(const ASN1_TIME *time, int64_t *ret_unix_s)
{
    struct tm parts;
    bool read = time && ASN1_TIME_to_tm(time, &parts) == 1;
    ERR_clear_error();
    if (read)
        *ret_unix_s = (int64_t)timegm(&parts);
    return read;
}

enum x509_dates x509_dates(X509 *cert, int64_t now, int64_t *ret_date)
{
    int64_t from = INT64_MAX, until = INT64_MIN;
    /* A date that cannot be read bars. */
    x509_time(X509_get0_notBefore(cert), &from);
    x509_time(X509_get0_notAfter(cert), &until);
    *ret_date = now < from ? from : until;
    return now < from ? X509_NOT_YET : now > until ? X509_EXPIRED : X509_GOOD;
}

bool x509_check_dates(
    struct verdict *verdict, const char *check, const char *name, X509 *cert, int64_t now)
{
    int64_t date = 0;
    char date_text[CLOCK_TEXT_SIZE], now_text[CLOCK_TEXT_SIZE], expected[64];
    enum x509_dates dates = x509_dates(cert, now, &date);
    if (dates == X509_GOOD)
        return true;
    clock_rfc3339(date, date_text);
    clock_rfc3339(now, now_text);
    snprintf(expected, sizeof expected, "good at %s", now_text);
    return check_fail(verdict, check, expected, "certificate %s %s %s", name,
        dates == X509_NOT_YET ? "is not valid before" : "expired at", date_text);
}

bool x509_spki_sha256(X509 *cert, uint8_t ret_hash[32])
{
    unsigned char *der = NULL;
    struct hash hash;
    struct err err = ERR_INIT;
    int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
    bool done = len > 0 && hash_bytes(HASH_SHA256, bytes_of(der, (size_t)len), &hash, &err);
    OPENSSL_free(der);
    ERR_clear_error();
    if (done)
        memcpy(ret_hash, hash.data, 32);
    return done;
}

bool x509_same_key(X509 *one, X509 *other)
{
    uint8_t a[32], b[32];
    return x509_spki_sha256(one, a) && x509_spki_sha256(other, b) &&
           bytes_equal(bytes_of(a, sizeof a), bytes_of(b, sizeof b));
}

static void common_name(const X509_NAME *name, char out[X509_NAME_SIZE])
{
    unsigned char *text = NULL;
    int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    bool only = at >= 0 && X509_NAME_get_index_by_NID(name, NID_commonName, at) < 0;
    int len =
        only ? ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)))
             : -1;
    bool good = len > 0 && len < X509_NAME_SIZE;
    for (int i = 0; good && i < len; i++)
        good = text[i] >= 0x20 && text[i] != 0x7f;
    if (good)
        memcpy(out, text, (size_t)len);
    out[good ? len : 0] = '\0';
    OPENSSL_free(text);
    ERR_clear_error();
}

void x509_common_name(X509 *cert, char out[X509_NAME_SIZE])
{
    common_name(X509_get_subject_name(cert), out);
}

void x509_issuer_name(X509 *cert, char out[X509_NAME_SIZE])
{
    common_name(X509_get_issuer_name(cert), out);
}

void x509_crl_issuer_name(X509_CRL *crl, char out[X509_NAME_SIZE])
{
    common_name(X509_CRL_get_issuer(crl), out);
}

bool x509_extension(X509 *cert, const char *oid, struct bytes *ret_value)
{
    AUTO(ASN1_OBJECT_free) ASN1_OBJECT *object = OBJ_txt2obj(oid, 1);
    int at = object ? X509_get_ext_by_OBJ(cert, object, -1) : -1;
    if (at < 0 || X509_get_ext_by_OBJ(cert, object, at) >= 0)
        return false;
    const ASN1_OCTET_STRING *value = X509_EXTENSION_get_data(X509_get_ext(cert, at));
    *ret_value = bytes_of(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value));
    return true;
}
