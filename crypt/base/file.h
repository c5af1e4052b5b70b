/* SPDX-License-Identifier: Apache-2.0 */
/* Whole small PUBLIC files. Credentials are read by conf_credential(), plaintext by
 * secret_read_fd(). */
#pragma once

#include <sys/types.h>

#include "crypt/base/buf.h"

/* What a write that was cut short may leave behind; whoever lists a directory skips (and may
 * remove) such names. */
#define FILE_TEMP_PREFIX ".sealed-tmp-"

/* A regular file of at most `max` bytes, appended to `out`. ENOENT is ERR_NOTFOUND. Never waits for
 * a FIFO. */
bool file_read(const char *path, size_t max, struct buf *out, struct err *err) MUST_CHECK;
bool file_read_at(int dir_fd, const char *name, size_t max, struct buf *out, struct err *err)
    MUST_CHECK;
/* Temporary file beside it, fsync, rename, fsync of the directory: the old or the new, never a
 * part. The file gets exactly `mode`, whatever the umask. `name` is a single component below dir_fd
 * (which may be AT_FDCWD). */
bool file_write_at(int dir_fd, const char *name, struct bytes data, mode_t mode, struct err *err)
    MUST_CHECK;
bool file_write(const char *path, struct bytes data, mode_t mode, struct err *err) MUST_CHECK;
/* mkdir -p; existing directories are left as they are, new ones get exactly `mode`. */
bool file_make_dirs(const char *path, mode_t mode, struct err *err) MUST_CHECK;
