/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Certificates of TPM endorsement keys (TCG EK Credential Profile 2.x, section 3): does this
 * certificate certify this key, and who says so? Trust: the self-signed certificates among the
 * operator's PEM are the roots; all others in it only help to build the chain. So an intermediate
 * that was added for convenience does not outlive its root, and no partial chain is accepted.
 */
#pragma once

#include <openssl/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define EK_CERT_MAX       8192
#define EK_ROOTS_MAX      (1024u * 1024)
#define EK_ROOT_COUNT_MAX 512

/*
 * `der`: what the TPM's NV index held; filler of 00 or ff bytes after the certificate is tolerated,
 * since vendors leave it there. ERR_DENIED_POLICY: no certificate, no chain to a root, outside its
 * dates, not for an EK. ERR_CRYPTO: certifies another key. ERR_CONFIG: the roots are unusable.
 * ERR_FORMAT: no certificate at all. `now`: unix seconds.
 */
bool ek_cert_check(struct bytes der, EVP_PKEY *ek, struct bytes roots_pem, int64_t now,
    struct err *err) MUST_CHECK;
