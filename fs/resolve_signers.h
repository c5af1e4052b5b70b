/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signers that lie in a configured directory of public keys, as JWK or PEM. The file is read each time, so that a change
 * of any kind counts at once; what is kept is the last key parsed and checked, under the SHA-256 of its text. Loop thread only.
 */
#pragma once

#include "crypt/hash.h"
#include "crypt/jwk.h"

struct resolve_signers {
    struct hash digest;
    struct jwk *signer; /* made from the text of that digest; NULL: none yet */
};

/* `name` is a plain file name in `dir`; `dir` NULL: none is configured. The reference is the caller's. ERR_FORMAT for a
 * name that leads elsewhere and for what is no key, ERR_CRYPTO without a directory, else as file_read(). */
bool resolve_signers_get(struct resolve_signers *signers, const char *dir, const char *name,
    struct jwk **ret_signer, struct err *err) MUST_CHECK;
void resolve_signers_done(struct resolve_signers *signers);
