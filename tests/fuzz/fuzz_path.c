/* SPDX-License-Identifier: Apache-2.0 */
/* Paths that callers and the control socket name: a normal form is one, and stays below the mount. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/cleanup.h"
#include "fs/frame.h"
#include "fs/path.h"

#define MOUNTPOINT "/sealed"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char normal[PATH_SIZE], again[PATH_SIZE], full[PATH_FULL_SIZE];
    auto_free char *path = strndup((const char *)data, size);
    if (!path || !path_valid(path))
        return 0;
    path_normal(path, normal);
    path_normal(normal, again);
    if (!path_valid(normal) || strcmp(normal, again) != 0 || strlen(normal) > strlen(path))
        abort();
    path_full(MOUNTPOINT, path, full);
    size_t at = path_below(MOUNTPOINT, full);
    if (at == 0 || strcmp(full + at, normal) != 0)
        abort();
    if (frame_is_name(path) && (strncmp(path, ".kbs", 4) != 0 || strstr(path, "/.")))
        abort();
    return 0;
}
