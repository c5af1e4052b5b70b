/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control group of a process, from the text of /proc/PID/cgroup (cgroups(7)), and what Kubernetes and container engines put
 * into its path.
 *
 * The path is the one in the unified hierarchy (0::), unless that is "/" because the machine still keeps its processes in the old ones:
 * then that of name=systemd, else the longest. It is as seen from the reader's own cgroup namespace: from a container of its own
 * it starts with /.. for everybody else.
 *
 * A pod is known by a component kubepods[-QOS]-podUID.slice (systemd driver) or podUID (cgroupfs driver), and its container by the
 * component below. Only what the kubelet itself makes may stand above: a component of such a name further below, in a
 * group that was delegated to a user, is no pod.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define CGROUP_PATH_SIZE 4096
#define CGROUP_TEXT_MAX  16384 /* of /proc/PID/cgroup: a line for each hierarchy */
#define CGROUP_POD_SIZE  37    /* UID with dashes; for static pods 32 digits */
#define CGROUP_ID_SIZE   65

struct cgroup_names {
    char pod[CGROUP_POD_SIZE];      /* "": none */
    char container[CGROUP_ID_SIZE]; /* "": none */
};

/* ERR_FORMAT when no line has a path. */
bool cgroup_path(struct bytes text, char ret_path[CGROUP_PATH_SIZE], struct err *err) MUST_CHECK;
void cgroup_names(const char *path, struct cgroup_names *ret_names);
