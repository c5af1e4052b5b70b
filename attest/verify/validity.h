/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Dates of all the certificates, CRLs and signed documents that a verdict rests on: each is judged
 * at one time, and what they say together becomes claims (earliest and latest issue, earliest end).
 * Not yet valid is always a failed check; expired is one unless expiry is to be a claim.
 */
#pragma once

#include "attest/verify/x509.h"

struct validity {
    const char *check; /* name of the failed check, e.g. "tdx.date" */
    int64_t now;
    bool expired_ok;
    /* From here on: of what was added so far. */
    int64_t earliest_issue, latest_issue, earliest_expiration;
};

/* `until` is the first second that is too late, as Intel's library counts. */
void validity_add(struct validity *validity, struct verdict *verdict, const char *name,
    int64_t from, int64_t until);
void validity_add_cert(
    struct validity *validity, struct verdict *verdict, const char *name, X509 *cert);
/* A CRL that does not say when the next comes is refused: nobody could tell it from a fresh one. */
void validity_add_crl(
    struct validity *validity, struct verdict *verdict, const char *name, X509_CRL *crl);
bool validity_expired(const struct validity *validity);

/* Nothing added yet. */
static inline struct validity validity_at(const char *check, int64_t now, bool expired_ok)
{
    return (struct validity){.check = check,
        .now = now,
        .expired_ok = expired_ok,
        .earliest_issue = INT64_MAX,
        .latest_issue = INT64_MIN,
        .earliest_expiration = INT64_MAX};
}
