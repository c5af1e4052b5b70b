/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the configuration itself puts into a mount: the files of [file:NAME], the directories where sources are shown, and every directory
 * above those. In the order of strcmp(3) on their paths; the first is the root, "".
 */
#pragma once

#include "fs/sealedfs_conf.h"

/* So that places fit an origin's index and a range of cookies. */
#define CATALOGUE_MAX 65000u

struct catalogue_entry {
    char *path;    /* below the mount point */
    size_t parent; /* place of its directory */
    bool is_dir;
    size_t file; /* of a file: its place in conf.files */
};

struct catalogue {
    struct catalogue_entry *entries;
    size_t count;
};

/* Of conf.mounts[mount]. ERR_CONFIG when a file would be a directory as well. */
bool catalogue_make(const struct sealedfs_conf *conf, size_t mount, struct catalogue *ret_catalogue,
    struct err *err) MUST_CHECK;
void catalogue_done(struct catalogue *catalogue);
/* NULL: it is not in there. */
const struct catalogue_entry *catalogue_find(const struct catalogue *catalogue, const char *path);
/* The last name of its path. */
const char *catalogue_name(const struct catalogue_entry *entry);
