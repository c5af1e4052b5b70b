/* SPDX-License-Identifier: Apache-2.0 */
/* Paths below a mount or a source: relative, no empty, "." or ".." component, "" for the root. */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define PATH_SIZE      4096            /* with the NUL, as PATH_MAX */
#define PATH_FULL_SIZE (2 * PATH_SIZE) /* a mount point and a path below it */

/* Is this a path as above, short enough, every component at most 255 bytes? */
bool path_valid(const char *path);
/* One component: not empty, not "." or "..", no '/', at most 255 bytes. */
bool path_name_valid(const char *name, size_t len);
/*
 * The normal form that contexts, messages and cache keys use: the components that a Kubernetes volume rotates through ("..data" and
 * "..2026_01_31_10_11_12.123") are left out. `out` holds PATH_SIZE bytes; `path` must be valid.
 */
void path_normal(const char *path, char *out);
/* Mount point (canonical) + "/" + normal form of the path below it, into `out` (PATH_FULL_SIZE bytes). */
void path_full(const char *mountpoint, const char *path, char *out);
/* Where, in an absolute path, the path below the mount point begins; 0 when it lies elsewhere. */
size_t path_below(const char *mountpoint, const char *path);
/* dir + "/" + name into `out` (PATH_SIZE bytes); false when it does not fit. */
bool path_join(const char *dir, const char *name, char *out);
/* For hash tables; `seed` tells paths of different kinds apart. Not against an adversary who chooses names. */
uint32_t path_hash(uint64_t seed, const char *path);
