/* SPDX-License-Identifier: Apache-2.0 */
/* The store that the configuration names, and what an administrator does to it as a whole. */
#pragma once

#include "kbs/server/kbs_conf.h"
#include "kbs/server/store_keys.h"

/* What is read as root: *ret_keys NULL when [store] kek is not set. */
bool store_open_keys(const struct kbs_conf *conf, struct store_keys **ret_keys, struct err *err)
    MUST_CHECK;
/* `keys` is borrowed: it must outlive the store. ERR_CONFIG when they are not those of the store. */
bool store_open(const struct kbs_conf *conf, const struct store_keys *keys,
    struct store **ret_store, struct err *err) MUST_CHECK;

/* sealed kbs store rewrap. Prints what was done on standard output. */
bool store_open_rewrap(const struct kbs_conf *conf, const struct store_keys *keys, struct err *err)
    MUST_CHECK;
