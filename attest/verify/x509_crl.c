/* SPDX-License-Identifier: Apache-2.0 */
#include <openssl/err.h>

#include "attest/verify/x509.h"
#include "attest/verify/x509_pem.h"

struct crls {
    const char *what;
    X509_CRL *crl;
};

static bool from_der(struct bytes der, const char *what, X509_CRL **ret_crl, struct err *err)
{
    const unsigned char *at = der.data;
    auto_x509_crl *crl =
        der.len > 0 && der.len <= X509_CRL_MAX ? d2i_X509_CRL(NULL, &at, (long)der.len) : NULL;
    ERR_clear_error();
    if (!crl)
        return err_set(err, ERR_FORMAT, "%s: no DER CRL of at most %u bytes", what, X509_CRL_MAX);
    if (!pem_is_filler(bytes_slice(der, (size_t)(at - der.data), der.len)))
        return err_set(err, ERR_FORMAT, "%s: a CRL with foreign bytes after its end", what);
    *ret_crl = take_ptr(crl);
    return true;
}

static bool take_der(struct bytes der, void *context, struct err *err)
{
    struct crls *crls = context;
    if (crls->crl)
        return err_set(err, ERR_FORMAT, "%s: several CRLs where one belongs", crls->what);
    return from_der(der, crls->what, &crls->crl, err);
}

bool x509_crl_load(struct bytes data, const char *what, X509_CRL **ret_crl, struct err *err)
{
    struct crls crls = {.what = what};
    if (!pem_looks_so(data))
        return from_der(data, what, ret_crl, err);
    bool done = pem_each(data, "X509 CRL", what, take_der, &crls, err);
    auto_x509_crl *crl = crls.crl;
    if (!done)
        return false;
    if (!crl)
        return err_set(err, ERR_FORMAT, "%s: no PEM CRL", what);
    *ret_crl = take_ptr(crl);
    return true;
}

/* Without nextUpdate nobody could tell a stale list from a fresh one: it counts as expired at its issue. */
enum x509_dates x509_crl_dates(X509_CRL *crl, int64_t now, int64_t *ret_date)
{
    int64_t from = INT64_MAX, until = INT64_MIN;
    if (x509_time(X509_CRL_get0_lastUpdate(crl), &from) &&
        !x509_time(X509_CRL_get0_nextUpdate(crl), &until))
        until = from;
    *ret_date = now < from ? from : until;
    return now < from ? X509_NOT_YET : now > until ? X509_EXPIRED : X509_GOOD;
}

bool x509_crl_lists(X509_CRL *crl, X509 *cert)
{
    X509_REVOKED *entry = NULL;
    int found = X509_CRL_get0_by_serial(crl, &entry, X509_get_serialNumber(cert));
    ERR_clear_error();
    return found == 1; /* 2: taken off the list again */
}

bool x509_crl_number(X509_CRL *crl, uint64_t *ret_number)
{
    ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
    bool read = number && ASN1_INTEGER_get_uint64(ret_number, number) == 1;
    ASN1_INTEGER_free(number);
    ERR_clear_error();
    return read;
}
