/* SPDX-License-Identifier: Apache-2.0 */
/* The mounts of this process's mount namespace: /proc/self/mountinfo, proc_pid_mountinfo(5). */
#pragma once

#include <limits.h>

#include "crypt/base/err.h"

struct mountinfo {
    int id;
    bool shared; /* mounts and unmounts below propagate to its peers */
    char path[PATH_MAX];
    char type[64]; /* of the file system */
};

/* Calls `fn` with each mount, in the order in which they were made: of several at one path the last is the uppermost. */
bool mountinfo_each(
    void (*fn)(void *arg, const struct mountinfo *mount), void *arg, struct err *err) MUST_CHECK;
/* From one line, which is changed. False: it is none of a mount. */
bool mountinfo_parse(char *line, struct mountinfo *ret_mount);
