/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening beneath a directory and nowhere else, for a worker that is not trusted: openat2(2) without following any link, so there is
 * nothing outside that a path could name. Nothing is ever opened for writing, and a FIFO, socket or device only as O_PATH.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* File systems that are never entered: our own mounts, since the worker that serves them waits for us. */
struct beneath_own {
    bool (*is_own)(const void *arg, dev_t device);
    const void *arg;
};

/* All below: the descriptor, or -1 with errno (EDEADLK: one of our own mounts). `path` is valid (fs/path.h). */
int beneath_open(const struct beneath_own *own, int root, const char *path, uint64_t flags);
/* Readable for a regular file, O_PATH for everything else. */
int beneath_open_file(const struct beneath_own *own, int root, const char *path);
int beneath_open_dir(const struct beneath_own *own, int root, const char *path);
/* A regular file for reading; here links that stay beneath the directory are followed, and no mount point is crossed. */
int beneath_follow_file(int root, const char *name);
