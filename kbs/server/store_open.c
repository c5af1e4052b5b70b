/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/store_open.h"

#include <stdio.h>

bool store_open_keys(const struct kbs_conf *conf, struct store_keys **ret_keys, struct err *err)
{
    AUTO(store_keys_free) struct store_keys *keys = NULL;
    const struct conf_list *old = &conf->store.kek_old;
    if (conf->store.kek && !store_keys_add_file(&keys, conf->store.kek, err))
        return err_wrap(err, "[store] kek");
    for (size_t i = 0; i < old->count; i++)
        if (!store_keys_add_file(&keys, old->items[i], err))
            return err_wrap(err, "[store] kek_old");
    *ret_keys = take_ptr(keys);
    return true;
}

static bool open_kind(const struct kbs_conf *conf, struct store **ret_store, struct err *err)
{
    return store_dir_open(conf->server.state_dir, ret_store, err) ||
           err_wrap(err, "[server] state_dir (it belongs to user %s)", conf->server.user);
}

bool store_open(const struct kbs_conf *conf, const struct store_keys *keys,
    struct store **ret_store, struct err *err)
{
    AUTO(store_free) struct store *store = NULL;
    if (!open_kind(conf, &store, err) ||
        !store_use_keys(store, keys, conf->store.encryption == KBS_ENCRYPTION_OPTIONAL, err))
        return false;
    store_limits(store, conf->store.versions);
    *ret_store = take_ptr(store);
    return true;
}

bool store_open_rewrap(const struct kbs_conf *conf, const struct store_keys *keys, struct err *err)
{
    AUTO(store_free) struct store *store = NULL;
    struct store_rewrapped done = {0};
    if (!store_open(conf, keys, &store, err))
        return false;
    if (!store_rewrap(store, &done, err))
        return err_wrap(err, "%zu versions are done, run it again for the others", done.versions);
    printf("%zu resources are under %s; %zu versions were not before\n", done.resources,
        store_keys_id(keys, 0), done.versions);
    return true;
}
