/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/sealedfs_check.h"

#include "crypt/base/sandbox.h"
#include "crypt/base/secret.h"
#include "fs/access.h"
#include "fs/mount.h"
#include "fs/mounted.h"
#include "fs/namespace.h"
#include "fs/resolver_make.h"
#include "fs/scrape.h"
#include "fs/token_run.h"
#include "fs/witness.h"

static bool check_users(const struct sealedfs_conf *conf, struct err *err)
{
    uid_t uid;
    gid_t gid;
    if (!sandbox_user_ids(conf->mount.user, &uid, &gid, err))
        return err_wrap(err, "mount.user");
    for (size_t i = 0; i < conf->control.allow_users.count; i++)
        if (!sandbox_user_ids(conf->control.allow_users.items[i], &uid, &gid, err))
            return err_wrap(err, "control.allow_users");
    return token_runs_check(conf, err);
}

static bool check_mount(
    const struct sealedfs_conf *conf, size_t mount, struct mounted *ret_mounted, struct err *err)
{
    *ret_mounted = (struct mounted)MOUNTED_INIT;
    return mount_point(conf->mounts.items[mount].path, &ret_mounted->mountpoint, err) &&
           namespace_check(conf, mount, err);
}

static bool check_mounts(const struct sealedfs_conf *conf, struct err *err)
{
    struct mounted mounts[MOUNTS_MAX];
    size_t count = 0;
    bool done = true;
    while (done && count < conf->mounts.count) {
        done = check_mount(conf, count, &mounts[count], err);
        count++;
    }
    done = done && mounted_check(mounts, count, err);
    for (size_t i = 0; i < count; i++)
        mounted_done(&mounts[i]);
    return done;
}

bool sealedfs_check_names(const struct sealedfs_conf *conf, struct err *err)
{
    AUTO(access_free) struct access *access = NULL;
    return check_users(conf, err) && access_new(conf, &access, err) &&
           (!conf->metrics.listen || scrape_check(conf->metrics.listen, err));
}

static bool check_witness(const struct sealedfs_conf *conf, struct err *err)
{
    const struct witness_conf witness = witness_conf_of(conf);
    return !witness_needed(conf) || witness_check(&witness, err);
}

/* Reads CA files and credentials. The rest of the memory that it locks later may need the limits of the unit, which are not ours. */
static bool check_resolver(const struct sealedfs_conf *conf, struct err *err)
{
    AUTO(loop_free) struct loop *loop = NULL;
    struct resolver *resolver;
    if (!secret_init_process(0, err) || !loop_new(&loop, err) ||
        !resolver_make(loop, conf, &resolver, err))
        return false;
    resolver->free(resolver);
    return true;
}

bool sealedfs_check(const struct sealedfs_conf *conf, struct err *err)
{
    return sealedfs_check_names(conf, err) && check_mounts(conf, err) && check_witness(conf, err) &&
           check_resolver(conf, err);
}
