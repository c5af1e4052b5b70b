/* SPDX-License-Identifier: Apache-2.0 */
/* The server's own certificate and key: do they belong together? The HTTP library says no more than that it does not start. */
#pragma once

#include "crypt/base/secret.h"

/*
 * Both PEM; of a chain the first certificate, which is the server's own (RFC 8446 section 4.4.2), must certify the key. The paths are for
 * the errors only, which name both files when they do not belong together. ERR_CONFIG.
 */
bool tls_pair_check(const char *cert_path, struct bytes cert, const char *key_path,
    const struct secret *key, struct err *err) MUST_CHECK;
