/* SPDX-License-Identifier: Apache-2.0 */
/* The table behind fs/sealedfs_conf.h; for its loader and tests. */
#pragma once

#include "fs/sealedfs_conf.h"

extern const struct conf_table sealedfs_table;

/* What one section says of another, after all were read: fills in indices and inherited settings. */
bool sealedfs_conf_join(struct sealedfs_conf *conf, struct err *err) MUST_CHECK;
