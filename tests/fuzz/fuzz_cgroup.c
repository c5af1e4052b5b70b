/* SPDX-License-Identifier: Apache-2.0 */
/* /proc/PID/cgroup, in which a caller chooses names of groups; its path against a pattern as well. */
#include <stdlib.h>

#include "fs/cgroup.h"
#include "fs/glob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char path[CGROUP_PATH_SIZE];
    struct cgroup_names names;
    struct err err = ERR_INIT;
    AUTO(glob_free) struct glob *glob = NULL;
    if (!cgroup_path(bytes_of(data, size), path, &err))
        return 0;
    cgroup_names(path, &names);
    if (path[0] != '/' || strlen(names.pod) >= sizeof names.pod ||
        (*names.container && strlen(names.container) != CGROUP_ID_SIZE - 1))
        abort();
    if (glob_new(path, &glob, &err))
        (void)glob_matches(glob, path);
    return 0;
}
