/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/validity.h"

#include <stdio.h>

#include "attest/verify/check.h"

static void fail(const struct validity *validity, struct verdict *verdict, const char *name,
    const char *what, int64_t date)
{
    char date_text[CLOCK_TEXT_SIZE], now_text[CLOCK_TEXT_SIZE], expected[64];
    clock_rfc3339(date, date_text);
    clock_rfc3339(validity->now, now_text);
    snprintf(expected, sizeof expected, "valid at %s", now_text);
    check_fail(verdict, validity->check, expected, "%s %s %s", name, what, date_text);
}

void validity_add(struct validity *validity, struct verdict *verdict, const char *name,
    int64_t from, int64_t until)
{
    if (validity->now < from)
        fail(validity, verdict, name, "is not valid before", from);
    else if (validity->now >= until && !validity->expired_ok)
        fail(validity, verdict, name, "expired at", until);
    if (from < validity->earliest_issue)
        validity->earliest_issue = from;
    if (from > validity->latest_issue)
        validity->latest_issue = from;
    if (until < validity->earliest_expiration)
        validity->earliest_expiration = until;
}

static void add_times(struct validity *validity, struct verdict *verdict, const char *name,
    const ASN1_TIME *from, const ASN1_TIME *until)
{
    int64_t from_s = 0, until_s = 0;
    if (x509_time(from, &from_s) && x509_time(until, &until_s))
        validity_add(validity, verdict, name, from_s, until_s);
    else
        check_fail(verdict, validity->check, "two dates", "%s lacks a date that can be read", name);
}

void validity_add_cert(
    struct validity *validity, struct verdict *verdict, const char *name, X509 *cert)
{
    add_times(validity, verdict, name, X509_get0_notBefore(cert), X509_get0_notAfter(cert));
}

void validity_add_crl(
    struct validity *validity, struct verdict *verdict, const char *name, X509_CRL *crl)
{
    add_times(
        validity, verdict, name, X509_CRL_get0_lastUpdate(crl), X509_CRL_get0_nextUpdate(crl));
}

bool validity_expired(const struct validity *validity)
{
    return validity->earliest_expiration <= validity->now;
}
