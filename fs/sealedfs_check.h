/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Would monitor and worker start with this configuration? Asks those that they are made of, so what is refused here is what a start refuses, in
 * the same words: users and groups, mount points and directories, rules, where the audit goes, brokers (URLs, hosts, CA files,
 * credentials), resources. Makes, mounts and binds nothing, and asks nobody over the network.
 */
#pragma once

#include "fs/sealedfs_conf.h"

/* What is looked up and read in the configuration alone: users, groups, patterns, addresses. Part of every start, before anything is mounted. */
bool sealedfs_check_names(const struct sealedfs_conf *conf, struct err *err) MUST_CHECK;
/* All the rest, too. Once a process, before threads. Reads what the monitor reads, so it wants the same rights. */
bool sealedfs_check(const struct sealedfs_conf *conf, struct err *err) MUST_CHECK;
