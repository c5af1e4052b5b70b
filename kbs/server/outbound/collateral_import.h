/* SPDX-License-Identifier: Apache-2.0 */
/* The operator's files ([collateral] directory, pcs_file) into the cache, at start: before the front shuts its sandbox. */
#pragma once

#include "kbs/server/kbs_conf.h"
#include "kbs/server/store/store.h"

/* ERR_CONFIG naming the key and the file. */
bool collateral_import(const struct kbs_conf *conf, struct store *store, struct err *err)
    MUST_CHECK;
/* Only looks whether the files could be read: without a store. */
bool collateral_import_check(const struct kbs_conf *conf, struct err *err) MUST_CHECK;
