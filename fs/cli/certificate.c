/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/certificate.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "crypt/hash.h"
#include "crypt/ossl.h"

#define DAY_S        86400
#define CLOCK_SLIP_S 3600
#define SERIAL_SIZE  16
#define DNS_MAX      253
#define LABEL_MAX    63
#define COMMON_MAX   64 /* ub-common-name, RFC 5280 appendix A.1 */

DEFINE_AUTO(X509, X509_free);
DEFINE_AUTO(BIO, BIO_free_all);
DEFINE_AUTO(X509_EXTENSION, X509_EXTENSION_free);
DEFINE_AUTO(GENERAL_NAMES, GENERAL_NAMES_free);
#define auto_x509 AUTO(X509_free) X509
#define auto_bio  AUTO(BIO_free_all) BIO

static bool failed(struct err *err, const char *what)
{
    return err_set(err, ERR_CRYPTO, "certificate: %s: %s", what, ossl_reason());
}

static bool set_serial(X509 *certificate, struct err *err)
{
    uint8_t serial[SERIAL_SIZE];
    if (!hash_random(serial, sizeof serial, err))
        return false;
    serial[0] = (uint8_t)((serial[0] & 0x7f) | 0x40); /* positive, never a zero in front */
    auto_bignum *number = BN_bin2bn(serial, sizeof serial, NULL);
    return (number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate))) ||
           failed(err, "serial number");
}

static bool add_extension(
    X509 *certificate, const X509 *issuer, int nid, const char *value, struct err *err)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, (X509 *)(uintptr_t)issuer, certificate, NULL, NULL, 0);
    AUTO(X509_EXTENSION_free)
    X509_EXTENSION *extension = X509V3_EXT_nconf_nid(NULL, &context, nid, value);
    return (extension && X509_add_ext(certificate, extension, -1) == 1) ||
           failed(err, OBJ_nid2sn(nid));
}

/* What both kinds have in common: version, serial, validity, subject, public key. */
static bool begin(X509 *certificate, const struct jwk *key, const char *common, int64_t now,
    int days, struct err *err)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_set_version(certificate, X509_VERSION_3) != 1 ||
        !ASN1_TIME_adj(X509_getm_notBefore(certificate), (time_t)now, 0, -CLOCK_SLIP_S) ||
        !ASN1_TIME_adj(X509_getm_notAfter(certificate), (time_t)now, days, 0) ||
        X509_NAME_add_entry_by_txt(
            subject, "CN", MBSTRING_UTF8, (const uint8_t *)common, -1, -1, 0) != 1 ||
        X509_set_pubkey(certificate, jwk_pkey(key)) != 1)
        return failed(err, "content");
    return set_serial(certificate, err);
}

static bool finish(X509 *certificate, const struct jwk *signer, struct buf *pem, struct err *err)
{
    auto_bio *bio = BIO_new(BIO_s_mem());
    char *text = NULL;
    if (X509_sign(certificate, jwk_pkey(signer), EVP_sha256()) <= 0)
        return failed(err, "signature");
    if (!bio || PEM_write_bio_X509(bio, certificate) != 1)
        return failed(err, "PEM");
    long len = BIO_get_mem_data(bio, &text);
    return buf_append(pem, bytes_of(text, (size_t)len), err);
}

bool certificate_make_ca(const struct jwk *key, int64_t now, struct buf *pem, struct err *err)
{
    auto_x509 *certificate = X509_new();
    if (!certificate)
        return err_nomem(err);
    return begin(certificate, key, "sealed-kbs CA", now, CERTIFICATE_CA_DAYS, err) &&
           (X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 ||
               failed(err, "issuer")) &&
           add_extension(certificate, certificate, NID_basic_constraints,
               "critical,CA:TRUE,pathlen:0", err) &&
           add_extension(
               certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign", err) &&
           add_extension(certificate, certificate, NID_subject_key_identifier, "hash", err) &&
           finish(certificate, key, pem, err);
}

/* Letters, digits and inner hyphens, labels of 1 to 63 (RFC 1123 section 2.1), "*" as the first of several. */
static bool is_dns_name(const char *name)
{
    size_t label = 0;
    const char *at = strncmp(name, "*.", 2) == 0 ? name + 2 : name;
    if (strlen(name) > DNS_MAX)
        return false;
    for (; *at != '\0'; at++) {
        bool edge = label == 0 || at[1] == '.' || at[1] == '\0';
        if (*at == '.') {
            if (label == 0 || at[1] == '\0')
                return false;
            label = 0;
        } else if (!(isalnum((unsigned char)*at) || (*at == '-' && !edge)) || ++label > LABEL_MAX) {
            return false;
        }
    }
    /* Without any letter it is an address written wrongly. */
    return label > 0 &&
           strpbrk(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;
}

/* "DNS:name" or "IP:address" appended; addresses are recognised by their numeric form. */
static bool add_name(struct buf *out, const char *name, struct err *err)
{
    uint8_t address[16];
    bool ip = inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
    if (!ip && !is_dns_name(name))
        return err_set(err, ERR_CONFIG,
            "\"%.80s\" is neither a host name nor a numeric address; write kbs.example.org, "
            "192.0.2.7 "
            "or 2001:db8::7",
            name);
    return buf_printf(out, err, "%s%s:%s", out->len ? "," : "", ip ? "IP" : "DNS", name);
}

static bool load_pem(struct bytes pem, X509 **ret_certificate, struct err *err)
{
    auto_bio *bio = BIO_new_mem_buf(pem.data, (int)pem.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    if (!certificate) {
        ossl_forget();
        return err_set(err, ERR_FORMAT, "no certificate in PEM");
    }
    *ret_certificate = certificate;
    return true;
}

bool certificate_make_server(const struct jwk *key, const struct cli_list *names,
    struct bytes ca_pem, const struct jwk *ca_key, int64_t now, struct buf *pem, struct err *err)
{
    auto_x509 *certificate = X509_new(), *ca = NULL;
    auto_buf alternatives = BUF_INIT(CERTIFICATE_PEM_MAX);
    char common[COMMON_MAX + 1];
    if (!certificate)
        return err_nomem(err);
    if (!load_pem(ca_pem, &ca, err))
        return err_wrap(err, "certificate authority");
    if (X509_check_private_key(ca, jwk_pkey(ca_key)) != 1) {
        ossl_forget();
        return err_set(
            err, ERR_CRYPTO, "the certificate authority's certificate and its key do not match");
    }
    for (size_t i = 0; i < names->count; i++)
        if (!add_name(&alternatives, names->items[i], err))
            return false;
    snprintf(common, sizeof common, "%s", names->count > 0 ? names->items[0] : "sealed-kbs");
    return begin(certificate, key, common, now, CERTIFICATE_SERVER_DAYS, err) &&
           (X509_set_issuer_name(certificate, X509_get_subject_name(ca)) == 1 ||
               failed(err, "issuer")) &&
           add_extension(certificate, ca, NID_basic_constraints, "critical,CA:FALSE", err) &&
           add_extension(certificate, ca, NID_key_usage, "critical,digitalSignature", err) &&
           add_extension(certificate, ca, NID_ext_key_usage, "serverAuth", err) &&
           add_extension(certificate, ca, NID_subject_key_identifier, "hash", err) &&
           add_extension(certificate, ca, NID_authority_key_identifier, "keyid:always", err) &&
           add_extension(certificate, ca, NID_subject_alt_name, buf_text(&alternatives), err) &&
           finish(certificate, ca_key, pem, err);
}

static bool take_name(const GENERAL_NAME *name, struct cli_list *names, struct err *err)
{
    char text[DNS_MAX + 1] = "";
    int type;
    const ASN1_STRING *value = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_DNS && ASN1_STRING_length(value) <= DNS_MAX)
        snprintf(text, sizeof text, "%.*s", ASN1_STRING_length(value),
            (const char *)ASN1_STRING_get0_data(value));
    else if (type == GEN_IPADD)
        inet_ntop(ASN1_STRING_length(value) == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(value),
            text, sizeof text);
    if (!text[0] || names->count == CLI_LIST_MAX)
        return true;
    char *copy = strdup(text);
    if (!copy)
        return err_nomem(err);
    names->items[names->count++] = copy;
    return true;
}

void certificate_names_done(struct cli_list *names)
{
    for (size_t i = 0; i < names->count; i++)
        free((char *)(uintptr_t)names->items[i]);
    names->count = 0;
}

bool certificate_read(
    struct bytes pem, struct cli_list *ret_names, int64_t *ret_not_after, struct err *err)
{
    auto_x509 *certificate = NULL;
    AUTO_DONE(certificate_names_done) struct cli_list names = {0};
    struct tm when;
    if (!load_pem(pem, &certificate, err))
        return false;
    AUTO(GENERAL_NAMES_free)
    GENERAL_NAMES *found = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; found && i < sk_GENERAL_NAME_num(found); i++)
        if (!take_name(sk_GENERAL_NAME_value(found, i), &names, err))
            return false;
    if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &when) != 1)
        return failed(err, "end of validity");
    *ret_not_after = (int64_t)timegm(&when);
    *ret_names = names;
    names.count = 0;
    return true;
}

bool certificate_private_pem(const struct jwk *key, struct secret **ret_pem, struct err *err)
{
    auto_bio *bio = BIO_new(BIO_s_secmem());
    char *text = NULL;
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio, jwk_pkey(key), NULL, NULL, 0, NULL, NULL) != 1)
        return failed(err, "private key");
    long len = BIO_get_mem_data(bio, &text);
    return secret_copy(bytes_of(text, (size_t)len), ret_pem, err);
}
