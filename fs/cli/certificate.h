/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The broker's own little certificate authority (X.509 v3, RFC 5280; EC P-256, ECDSA with SHA-256): a root that signs nothing but
 * server certificates (pathlen 0), and server certificates for DNS names and addresses. Random 127-bit serial numbers; valid from
 * an hour before now, so that a guest whose clock is a little slow takes them.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/cli.h"
#include "crypt/jwk.h"

#define CERTIFICATE_CA_DAYS     3650
#define CERTIFICATE_SERVER_DAYS 730
#define CERTIFICATE_PEM_MAX     16384

/* PEM of a self-signed root for `key` (private P-256). */
bool certificate_make_ca(const struct jwk *key, int64_t now, struct buf *pem, struct err *err)
    MUST_CHECK;
/* PEM of a certificate for `key`'s public half, signed by the root in `ca_pem` with its private key. `names` are DNS names
 * (a leading "*." is allowed) and numeric addresses; the first is the subject too. ERR_CONFIG for a name that is neither, ERR_CRYPTO when
 * `ca_key` is not the root's key. */
bool certificate_make_server(const struct jwk *key, const struct cli_list *names,
    struct bytes ca_pem, const struct jwk *ca_key, int64_t now, struct buf *pem, struct err *err)
    MUST_CHECK;
/* The names of the first certificate in `pem`, malloc'd texts into `ret_names` (certificate_names_done), and its end. */
bool certificate_read(struct bytes pem, struct cli_list *ret_names, int64_t *ret_not_after,
    struct err *err) MUST_CHECK;
void certificate_names_done(struct cli_list *names);
/* PKCS #8 PEM of a private key, in locked memory. */
bool certificate_private_pem(const struct jwk *key, struct secret **ret_pem, struct err *err)
    MUST_CHECK;
