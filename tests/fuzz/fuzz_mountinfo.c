/* SPDX-License-Identifier: Apache-2.0 */
/* One line of /proc/self/mountinfo: mount points are named by whoever may mount there, be it by fusermount3. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "crypt/base/cleanup.h"
#include "fs/mountinfo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mountinfo mount;
    auto_free char *line = strndup((const char *)data, size);
    memset(&mount, 0xff, sizeof mount); /* what is not written has no end */
    if (!line || !mountinfo_parse(line, &mount))
        return 0;
    if (mount.path[0] != '/' || strnlen(mount.path, sizeof mount.path) == sizeof mount.path ||
        strnlen(mount.type, sizeof mount.type) == sizeof mount.type)
        abort();
    return 0;
}
