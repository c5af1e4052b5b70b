/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Collateral objects in the store, where all servers on it find them: STORE_COLLATERAL, under the object's name.
 *
 *     u8 version (1)  u64 fetched (unix seconds)  text origin ("amd-kds", "file", "import by admin")  block body  block chain
 *
 * How long an object is good is read from the object whenever it is got, so what stands in the store can make nothing live longer.
 */
#pragma once

#include "attest/verify/collateral_object.h"
#include "kbs/server/store/store.h"

#define COLLATERAL_ORIGIN_SIZE 128
#define COLLATERAL_CACHED_MAX  (STORE_VALUE_MAX - 512) /* body and chain */

struct collateral_record {
    int64_t fetched;
    int64_t until; /* its last good second */
    char origin[COLLATERAL_ORIGIN_SIZE];
    struct buf data;          /* owns the two */
    struct bytes body, chain; /* borrowed from it */
};
void collateral_record_done(struct collateral_record *record);
#define auto_collateral_record AUTO_DONE(collateral_record_done) struct collateral_record

/* ERR_NOTFOUND: it is not there. */
bool collateral_cache_get(struct store *store, const char *name,
    struct collateral_record *ret_record, struct err *err) MUST_CHECK;
/*
 * Examines the object and keeps it, unless the one that is there is good for longer (*ret_kept false; an imported file must not bring an older CRL back).
 * ERR_FORMAT: it is not what the name says, or over COLLATERAL_CACHED_MAX.
 */
bool collateral_cache_put(struct store *store, const char *name, struct bytes body,
    struct bytes chain, const char *origin, int64_t now, bool *ret_kept, struct err *err)
    MUST_CHECK;
