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

/* An X509_V_ERR_… as cause and remedy. `ca_file` as given to trust_load. Sets ERR_UNREACH; false. */
bool trust_refusal(long verify_result, const char *origin, const char *ca_file, struct err *err);
