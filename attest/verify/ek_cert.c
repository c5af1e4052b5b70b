/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/ek_cert.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#define OID_EK_CERTIFICATE "2.23.133.8.1" /* tcg-kp-EKCertificate */
#define SECURITY_LEVEL     2 /* OpenSSL's: RSA 2048, SHA-256 or better, all the way up */
#define NAME_SIZE          160

DEFINE_AUTO(X509, X509_free);
DEFINE_AUTO(X509_STORE_CTX, X509_STORE_CTX_free);
DEFINE_AUTO(BIO, BIO_free_all);
DEFINE_AUTO(EXTENDED_KEY_USAGE, EXTENDED_KEY_USAGE_free);

struct anchors {
    X509_STORE *roots;
    STACK_OF(X509) * others;
    size_t root_count, count;
};

static void anchors_done(struct anchors *anchors)
{
    X509_STORE_free(anchors->roots);
    sk_X509_pop_free(anchors->others, X509_free);
}

static const char *name_text(const X509_NAME *name, char text[NAME_SIZE])
{
    AUTO(BIO_free_all) BIO *out = BIO_new(BIO_s_mem());
    int len = -1;
    if (out && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0)
        len = BIO_read(out, text, NAME_SIZE - 1);
    text[len > 0 ? len : 0] = '\0';
    return len > 0 ? text : "(empty name)";
}

/* --- the operator's roots
 * ------------------------------------------------------------------------------------- */

static bool add_anchor(struct anchors *anchors, X509 *cert, struct err *err)
{
    anchors->count++;
    if (anchors->count > EK_ROOT_COUNT_MAX)
        return err_set(err, ERR_CONFIG, "EK roots: more than %d certificates", EK_ROOT_COUNT_MAX);
    if (X509_self_signed(cert, 1) == 1) {
        anchors->root_count++;
        return X509_STORE_add_cert(anchors->roots, cert) == 1 || err_nomem(err);
    }
    if (X509_up_ref(cert) != 1 || sk_X509_push(anchors->others, cert) <= 0)
        return err_nomem(err);
    return true;
}

static bool read_anchors(struct bytes pem, struct anchors *anchors, struct err *err)
{
    static const char remedy[] =
        "put the PEM certificates of the TPM vendors you trust there, roots included";
    if (pem.len > EK_ROOTS_MAX)
        return err_set(
            err, ERR_CONFIG, "EK roots of %zu bytes; at most %u are read", pem.len, EK_ROOTS_MAX);
    AUTO(BIO_free_all)
    BIO *in = BIO_new_mem_buf(pem.len ? (const void *)pem.data : "", (int)pem.len);
    anchors->roots = X509_STORE_new();
    anchors->others = sk_X509_new_null();
    if (!in || !anchors->roots || !anchors->others)
        return err_nomem(err);
    for (;;) {
        AUTO(X509_free) X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (!cert)
            break;
        if (!add_anchor(anchors, cert, err))
            return false;
    }
    unsigned long last = ERR_peek_last_error();
    if (ERR_GET_LIB(last) != ERR_LIB_PEM || ERR_GET_REASON(last) != PEM_R_NO_START_LINE)
        return err_set(err, ERR_CONFIG, "EK roots: certificate %zu in the file is malformed; %s",
            anchors->count + 1, remedy);
    if (anchors->root_count == 0)
        return err_set(err, ERR_CONFIG, "EK roots: no self-signed certificate among %zu; %s",
            anchors->count, remedy);
    return true;
}

/* --- the certificate
 * ------------------------------------------------------------------------------------------ */

static bool is_filler(struct bytes rest)
{
    for (size_t i = 0; i < rest.len; i++)
        if (rest.data[i] != rest.data[0] || (rest.data[0] != 0x00 && rest.data[0] != 0xff))
            return false;
    return true;
}

static bool read_cert(struct bytes der, X509 **ret_cert, struct err *err)
{
    if (der.len == 0)
        return err_set(err, ERR_DENIED_POLICY,
            "this TPM shows no EK certificate (NV index 0x01c00002 is empty), so nobody vouches "
            "for it; provision it "
            "(swtpm_setup --create-ek-cert, or the vendor's EK certificate tool) or admit its key "
            "by hand");
    if (der.len > EK_CERT_MAX)
        return err_set(err, ERR_FORMAT, "EK certificate of %zu bytes; at most %d are taken",
            der.len, EK_CERT_MAX);
    const unsigned char *at = der.data;
    AUTO(X509_free) X509 *cert = d2i_X509(NULL, &at, (long)der.len);
    if (!cert)
        return err_set(err, ERR_FORMAT, "EK certificate is no DER X.509 certificate");
    if (!is_filler(bytes_slice(der, (size_t)(at - der.data), der.len)))
        return err_set(err, ERR_FORMAT, "EK certificate has foreign bytes after its end");
    *ret_cert = take_ptr(cert);
    return true;
}

/* Extended key usage may be absent; when it is there it must say that this is an EK certificate
 * (profile 3.2.16). */
static bool has_ek_usage(X509 *cert)
{
    AUTO(EXTENDED_KEY_USAGE_free)
    EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
    if (!usages)
        return X509_get_ext_by_NID(cert, NID_ext_key_usage, -1) < 0;
    for (int i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
        char oid[64];
        int len = OBJ_obj2txt(oid, sizeof oid, sk_ASN1_OBJECT_value(usages, i), 1);
        if (len > 0 && strcmp(oid, OID_EK_CERTIFICATE) == 0)
            return true;
    }
    return false;
}

static bool check_kind(X509 *cert, EVP_PKEY *ek, struct err *err)
{
    char name[NAME_SIZE];
    EVP_PKEY *certified = X509_get0_pubkey(cert);
    if (!certified || EVP_PKEY_eq(certified, ek) != 1)
        return err_set(err, ERR_CRYPTO,
            "EK certificate (issuer %s) certifies another key than the EK that was shown",
            name_text(X509_get_issuer_name(cert), name));
    if (X509_get_extension_flags(cert) & EXFLAG_CA)
        return err_set(err, ERR_DENIED_POLICY, "EK certificate is a CA certificate");
    if (!(X509_get_key_usage(cert) &
            X509v3_KU_KEY_ENCIPHERMENT)) /* all bits are set when the extension is absent */
        return err_set(err, ERR_DENIED_POLICY, "EK certificate: key usage lacks key encipherment");
    if (!has_ek_usage(cert))
        return err_set(err, ERR_DENIED_POLICY,
            "EK certificate: extended key usage lacks %s (EK certificate)", OID_EK_CERTIFICATE);
    return true;
}

/* No purpose is set: EK certificates fit none of OpenSSL's. CA flags and path lengths are checked
 * regardless. A critical subject alternative name (the TPM's model, as TCG wants it) is known to
 * OpenSSL; any other unknown critical extension refuses. */
static bool check_chain(X509 *cert, const struct anchors *anchors, int64_t now, struct err *err)
{
    AUTO(X509_STORE_CTX_free) X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (!ctx || X509_STORE_CTX_init(ctx, anchors->roots, cert, anchors->others) != 1)
        return err_nomem(err);
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_auth_level(param, SECURITY_LEVEL);
    X509_VERIFY_PARAM_set_time(param, (time_t)now);
    if (X509_verify_cert(ctx) == 1)
        return true;
    char issuer[NAME_SIZE];
    int code = X509_STORE_CTX_get_error(ctx), depth = X509_STORE_CTX_get_error_depth(ctx);
    X509 *at = X509_STORE_CTX_get_current_cert(ctx);
    return err_set(err, ERR_DENIED_POLICY,
        "EK certificate is not accepted: %s (depth %d, issuer %s); if this vendor is to be "
        "trusted, add its root and intermediate "
        "certificates to the EK roots",
        X509_verify_cert_error_string(code), depth,
        name_text(X509_get_issuer_name(at ? at : cert), issuer));
}

bool ek_cert_check(
    struct bytes der, EVP_PKEY *ek, struct bytes roots_pem, int64_t now, struct err *err)
{
    AUTO_DONE(anchors_done) struct anchors anchors = {0};
    AUTO(X509_free) X509 *cert = NULL;
    ERR_clear_error();
    bool done = read_cert(der, &cert, err) && check_kind(cert, ek, err) &&
                read_anchors(roots_pem, &anchors, err) && check_chain(cert, &anchors, now, err);
    ERR_clear_error();
    return done;
}
