/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A set of named public objects that vendors publish about their machines, handed to a verifier. Who
 * fetches, imports or reads files fills it; verifiers only read it, check every signature and date
 * themselves and trust nothing in it. Names, with what body and chain are:
 *
 *     amd/vcek/<Milan|Genoa|Turin>/<hwid>/<tcb>  certificate, DER or PEM; hwid lower hex; tcb as in verifiers.md 1
 *                                                (bl%02d_tee%02d_snp%02d_ucode%02d, Turin + _fmc%02d)
 *     amd/chain/<generation>                     PEM of KDS's cert_chain: ASK, ARK
 *     amd/vlek-chain/<generation>                PEM: ASVK, ARK
 *     amd/crl/<generation>                       CRL of the ARK, DER or PEM; looked at where present
 *     intel/tcb/<fmspc>                          {"tcbInfo":…,"signature":…} exactly as sent; fmspc upper hex.
 *                                                chain: TCB-Info-Issuer-Chain (PEM, url-decoded)
 *     intel/qe-identity                          {"enclaveIdentity":…,"signature":…}; its issuer chain
 *     intel/pck-crl/<platform|processor>         CRL, DER; its issuer chain
 *     intel/root-crl                             CRL, DER
 *
 * Not thread-safe while it changes; reading is.
 */
#pragma once

#include "crypt/base/pack.h"

#define COLLATERAL_NAME_MAX   224 /* with its NUL */
#define COLLATERAL_COUNT_MAX  256
#define COLLATERAL_OBJECT_MAX (1024u * 1024)     /* body and chain together */
#define COLLATERAL_TOTAL_MAX  (4u * 1024 * 1024) /* as a block */

struct collateral;

bool collateral_new(struct collateral **ret_collateral, struct err *err) MUST_CHECK;
void collateral_free(struct collateral *collateral); /* NULL is fine */
DEFINE_AUTO(struct collateral, collateral_free);
#define auto_collateral AUTO(collateral_free) struct collateral

/* "amd/" or "intel/" and one to four more components of letters, digits, '_' and '-': such a name is harmless as a path
 * and in a URL, whoever made it. */
bool collateral_name_ok(const char *name);
/* Copies; an object of that name is replaced. `chain` may be empty. ERR_FORMAT: bad name, empty body, over a limit. */
bool collateral_put(struct collateral *collateral, const char *name, struct bytes body,
    struct bytes chain, struct err *err) MUST_CHECK;
/* Borrowed until the set changes. False: not there, or the set is NULL. ret_chain may be NULL. */
bool collateral_get(const struct collateral *collateral, const char *name, struct bytes *ret_body,
    struct bytes *ret_chain);
size_t collateral_count(const struct collateral *collateral); /* NULL: 0 */
/* Name of the object at `index` below the count. */
const char *collateral_name(const struct collateral *collateral, size_t index);

/* As one message: u16 count, each: text name, block body, block chain. NULL is written as none. */
bool collateral_encode(const struct collateral *collateral, struct buf *out, struct err *err)
    MUST_CHECK;
/* ERR_FORMAT also for a name that comes twice. */
bool collateral_decode(struct bytes message, struct collateral **ret_collateral, struct err *err)
    MUST_CHECK;
