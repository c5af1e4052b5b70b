/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signers that lie in a configured directory of public keys, as JWK or PEM. The one used last is kept as a parsed key: for
 * as long as stat(2) says that the file is the same, and never longer than keep_ms. Loop thread only.
 */
#pragma once

#include <sys/stat.h>

#include "crypt/jwk.h"

struct resolve_signers {
    int64_t keep_ms; /* 0: every time from the file */
    char *path;      /* of the kept signer; NULL: none */
    struct stat st;
    int64_t until_ms; /* loop_now_ms() */
    struct jwk *signer;
};

/* `name` is a plain file name in `dir`; `dir` NULL: none is configured. The reference is the caller's. ERR_FORMAT for a
 * name that leads elsewhere and for what is no key, ERR_CRYPTO without a directory, else as file_read(). */
bool resolve_signers_get(struct resolve_signers *signers, const char *dir, const char *name,
    struct jwk **ret_signer, struct err *err) MUST_CHECK;
void resolve_signers_drop(struct resolve_signers *signers);
