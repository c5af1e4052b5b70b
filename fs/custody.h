/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All plaintexts of a worker in one hand: the leases, the cache, and what ends them. A plaintext ends by its age (an alarm wipes it), by being
 * withdrawn (the key broker refuses what it gave before), by the guest's fall from grace (the broker refuses the guest itself:
 * everything goes), or by a flush. In the last three cases it is wiped at once, wherever it is held, descriptors that are open on it
 * answer EKEYREVOKED, and whoever serves files drops the kernel's pages of it.
 */
#pragma once

#include "fs/park.h"

struct custody;

/* All are called on the loop's thread. */
struct custody_conf {
    struct loop *loop;
    int64_t error_ttl_ms;
    size_t memory;
    /* What was shown under this path (NULL: under any) is over, and wiped already: `lease` is shown now, or (NULL) what is open is revoked. */
    void (*over)(void *arg, const char *path, struct lease *lease);
    /* Plaintexts have gone for their age, or for want of memory. */
    void (*swept)(void *arg);
    /* Somebody looked, and the secret is another one than before; or (`first`) nothing was known of it. */
    void (*changed)(void *arg, const char *path, const struct conf_settings *settings, bool first);
    /* The key broker was asked and gave it, new or not. */
    void (*arrived)(void *arg, const char *path);
    /* For the log. Not `awaited`: nobody but a lookout wanted it. */
    void (*refused)(void *arg, const char *path, const struct err *err, bool awaited);
    void (*stale)(void *arg, const char *path, const struct err *err);
    void (*distrusted)(void *arg, const struct err *err);
    void *arg;
};

/* Takes the place of resolver->distrusted. */
bool custody_new(const struct custody_conf *conf, struct resolver *resolver,
    struct custody **ret_custody, struct err *err) MUST_CHECK;
void custody_free(struct custody *custody);
DEFINE_AUTO(struct custody, custody_free);

struct cache *custody_cache(struct custody *custody);
struct leases *custody_leases(struct custody *custody);
/* To be a park's: what comes of asking the key broker. */
struct park_events custody_events(struct custody *custody);
/* Loop thread. Wipes everything; how many plaintexts the cache had. */
size_t custody_flush(struct custody *custody);
