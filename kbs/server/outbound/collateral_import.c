/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/outbound/collateral_import.h"

#include "crypt/base/clock.h"
#include "crypt/base/log.h"
#include "kbs/server/outbound/collateral_cache.h"
#include "kbs/server/outbound/collateral_files.h"

struct import {
    struct store *store; /* NULL: only a check */
    size_t kept;
};

static bool take(
    void *context, const char *name, struct bytes body, struct bytes chain, struct err *err)
{
    struct import *import = context;
    int64_t until;
    bool kept = false;
    if (!import->store)
        return collateral_examine(name, body, chain, &until, err);
    if (!collateral_cache_put(import->store, name, body, chain, "file", clock_wall_s(), &kept, err))
        return false;
    import->kept += kept;
    return true;
}

static bool read_path(const struct kbs_conf *conf, const char *key, const char *path,
    struct store *store, struct err *err)
{
    struct import import = {.store = store};
    struct collateral_files files = {.update = conf->collateral.tcb_update == KBS_TCB_EARLY
                                                   ? COLLATERAL_PCS_EARLY
                                                   : COLLATERAL_PCS_STANDARD,
        .take = take,
        .context = &import};
    if (!path)
        return true;
    if (!collateral_files_read(&files, path, err)) {
        err->code = err->code == ERR_NOMEM ? ERR_NOMEM : ERR_CONFIG;
        return err_wrap(err, "[collateral] %s", key);
    }
    if (store)
        log_notice("collateral: %zu objects in %s, %zu of them taken, %zu other files",
            files.objects, path, import.kept, files.others);
    return true;
}

bool collateral_import(const struct kbs_conf *conf, struct store *store, struct err *err)
{
    return read_path(conf, "directory", conf->collateral.directory, store, err) &&
           read_path(conf, "pcs_file", conf->collateral.pcs_file, store, err);
}

bool collateral_import_check(const struct kbs_conf *conf, struct err *err)
{
    return collateral_import(conf, NULL, err);
}
