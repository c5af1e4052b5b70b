/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 of executables, remembered by device, inode, size and ctime: whoever writes to a file, or puts back an older mtime, changes
 * its ctime. Only files on file systems that can be trusted with that and cannot hang (fs/local_fs.h) have one. Any thread; two
 * threads that need the same one may both read the file.
 */
#pragma once

#include <stdint.h>

#include "crypt/base/err.h"

#define EXE_DIGEST_SIZE 32
/* Longer ones have none: 512 MiB are about half a second of hashing, while which an open waits. */
#define EXE_SIZE_MAX (512 * INT64_C(1024) * 1024)

struct exe_digests;

bool exe_digests_new(struct exe_digests **ret_digests, struct err *err) MUST_CHECK;
void exe_digests_free(struct exe_digests *digests);
DEFINE_AUTO(struct exe_digests, exe_digests_free);
/* Is it remembered? */
bool exe_digest_known(struct exe_digests *digests, int fd, uint8_t ret_digest[EXE_DIGEST_SIZE]);
/* Of the regular file that `fd` can read. ERR_IO, ERR_CONFIG (too long, or on a file system that is not taken). */
bool exe_digest(struct exe_digests *digests, int fd, uint8_t ret_digest[EXE_DIGEST_SIZE],
    struct err *err) MUST_CHECK;
