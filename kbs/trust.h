/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom a TLS client believes: a store of trusted certificates, read once and shared by all connections (parsing the CA file again for
 * each handshake costs more than the handshake), the form of pinned keys, and what a failed verification means for a person.
 */
#pragma once

#include <openssl/types.h>

#include "crypt/base/err.h"

/* `ca_file` PEM, one or more certificates; each of them is an anchor, so the KBS's own certificate will do. NULL: the system's
 * store. ERR_CONFIG naming the file. */
bool trust_load(const char *ca_file, X509_STORE **ret_store, struct err *err) MUST_CHECK;
void trust_free(X509_STORE *store);
DEFINE_AUTO(X509_STORE, trust_free);

/* "sha256//<44 characters of base64>", several separated by ";". ERR_CONFIG with the command that makes one. */
bool trust_check_pin(const char *pinned_key, struct err *err) MUST_CHECK;

/* When a certificate that was refused is valid, and what this machine's clock said then; unix seconds. */
struct trust_dates {
    bool known, of_issuer; /* it is not the peer's own certificate, but one above it */
    int64_t not_before, not_after, now;
};
/* From a verification that just failed. */
void trust_note(X509_STORE_CTX *ctx, struct trust_dates *ret_dates);

/* An X509_V_ERR_… as cause and remedy. `ca_file` as given to trust_load. Sets ERR_UNREACH; false. */
bool trust_refusal(long verify_result, const char *origin, const char *ca_file,
    const struct trust_dates *dates, struct err *err);
