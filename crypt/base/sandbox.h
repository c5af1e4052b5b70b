/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Process hardening, as a visible list at the top of each main. The only includer of libseccomp.
 * ASan+UBSan builds cannot have mlockall, undumpable or strict seccomp: sandbox_relaxed() is then true, the
 * calls that cannot be made do nothing, and each says so at debug level. There is no run-time switch.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "crypt/base/err.h"

bool sandbox_relaxed(void);

/* Descriptors 0-2 open (on /dev/null if they were closed), everything above close-on-exec, umask 077, SIGPIPE ignored,
 * no core dumps, not dumpable, no_new_privs. For every program, first line of main. */
bool sandbox_harden(struct err *err) MUST_CHECK;
/* uid, gid and supplementary groups of `user` plus `extra_group` (NULL: none); proves that root cannot be had back.
 * ERR_CONFIG naming the user and how to make it (sysusers file) when it does not exist. */
bool sandbox_become_user(const char *user, const char *extra_group, struct err *err) MUST_CHECK;
bool sandbox_user_ids(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err) MUST_CHECK;
/* Keeps exactly the capabilities in the mask (bit n = capability n) in permitted and effective; clears inheritable,
 * ambient and the rest of the bounding set. 0: none at all. */
bool sandbox_keep_caps(uint64_t mask, struct err *err) MUST_CHECK;
/* Allow-list by names, NULL-terminated; everything else kills the process (SCMP_ACT_KILL_PROCESS). The common base
 * (memory, clocks, futex, exit, signals, read/write/close on open descriptors) is always included. */
bool sandbox_seccomp(const char *const *syscalls, struct err *err) MUST_CHECK;
/* PR_SET_PDEATHSIG SIGKILL, race-free against a parent that has already gone. */
bool sandbox_die_with_parent(pid_t parent, struct err *err) MUST_CHECK;
