/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between the filesystem and the rest of the world, filled at link time:
 * fs/resolver_make.c in the product (crypt/sealed and kbs/client), tests/it/fake_resolver.c in the
 * test program. Called once, as root and before privilege is dropped: may read files, must not
 * start threads.
 */
#pragma once

#include "fs/resolver.h"
#include "fs/sealedfs_conf.h"

/* `conf` lives as long as the resolver. */
bool resolver_make(struct loop *loop, const struct sealedfs_conf *conf,
    struct resolver **ret_resolver, struct err *err) MUST_CHECK;
