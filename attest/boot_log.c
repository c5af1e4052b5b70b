/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/boot_log.h"

#include "crypt/base/file.h"

bool boot_log_read(const char *path, struct buf *out, struct err *err)
{
    if (strcmp(path, BOOT_LOG_NONE) == 0)
        return true;
    return file_read(path, BOOT_LOG_MAX, out, err) || err_wrap(err, "event log");
}
