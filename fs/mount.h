/* SPDX-License-Identifier: Apache-2.0 */
/* mount(2) and umount2(2) for the monitor: always read-only, nosuid, nodev, noexec, allow_other, default_permissions. */
#pragma once

#include <sys/types.h>

#include "crypt/base/err.h"

#define MOUNT_TYPE "fuse.sealedfs"

/* The path without links, also when what is mounted there is dead; malloc'd. ERR_CONFIG when it is no directory. */
bool mount_point(const char *path, char **ret_path, struct err *err) MUST_CHECK;
/* Detaches sealedfs mounts at the path whose processes are dead. A live one is ERR_BUSY; a dead mount of another kind ERR_CONFIG. */
bool mount_clear_dead(const char *mountpoint, struct err *err) MUST_CHECK;
/* *ret_id: the mount's id, to be sure later that it is still this one. */
bool mount_fuse(const char *source, const char *mountpoint, int *ret_fuse_fd, int *ret_id,
    struct err *err) MUST_CHECK;
/* Nothing to do when the mount with that id is not (or not the uppermost) there any more. Busy is ERR_BUSY unless `detach`. */
bool mount_end(const char *mountpoint, int id, bool detach, struct err *err) MUST_CHECK;
/* Whether a file is on a mount of sealedfs; nobody is asked, so not even one that waits for the caller. */
bool mount_is_ours(int fd, bool *ret_ours, struct err *err) MUST_CHECK;
bool mount_device_of(int fd, dev_t *ret_device) MUST_CHECK;
/* Of the mount's file system, without asking whoever serves it. */
bool mount_device(const char *mountpoint, dev_t *ret_device, struct err *err) MUST_CHECK;
