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
 * no core dumps and none of our pages in one that root forces, not dumpable, no_new_privs. For every program, first line of main. */
bool sandbox_harden(struct err *err) MUST_CHECK;
/* uid, gid and supplementary groups of `user` plus `extra_group` (NULL: none); proves that root cannot be had back.
 * All capabilities go, from the
 * bounding set too. Started as that user already: only checks. ERR_CONFIG naming the user and how to make it when it does
 * not exist. Call it in the only thread. */
bool sandbox_become_user(const char *user, const char *extra_group, struct err *err) MUST_CHECK;
bool sandbox_user_ids(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err) MUST_CHECK;
/* Keeps exactly the capabilities in the mask (bit n = capability n) in permitted and effective; clears inheritable,
 * ambient and the rest of the bounding set. 0: none at all. */
bool sandbox_keep_caps(uint64_t mask, struct err *err) MUST_CHECK;
/* Allow-list by names, NULL-terminated; everything else kills the process (SCMP_ACT_KILL_PROCESS). The common base
 * (memory, clocks, futex, exit, signals, read/write/close on open descriptors, the event loop, sendmsg for the log) is always included;
 * sockets, opening files, making threads and processes, and signals to another process are not (so call it after any fork). Covers threads that exist. A name that libseccomp does not
 * know is ERR_INTERNAL. */
bool sandbox_seccomp(const char *const *syscalls, struct err *err) MUST_CHECK;
/* The same, and each rule allows one more call with one value of its first argument, e.g. {"socket", AF_UNIX}. */
struct sandbox_rule {
    const char *syscall;
    uint64_t first_argument;
};
bool sandbox_seccomp_rules(const char *const *syscalls, const struct sandbox_rule *rules,
    size_t rule_count, struct err *err) MUST_CHECK;
/*
 * For a process that starts programs of ours: they inherit the filter through exec and put their own on top, and of two filters the
 * stricter answer counts. So the list is the base, what exec, dynamic linking, a change of user and the set-up of a sandbox need, and the
 * given lists (at most NULL-terminated lists, ended by NULL), which must contain those of the programs it starts. Signals to any process. What is not in the list fails
 * with ENOSYS instead of killing: a newer libc tries new calls and falls back, and the mounts hang on such a process. May be called
 * again by the same program after it executed itself.
 */
bool sandbox_seccomp_parent(const char *const *const *lists, struct err *err) MUST_CHECK;
/* PR_SET_PDEATHSIG SIGKILL, race-free against a parent that has already gone (ERR_UNREACH). Dies when the parent's THREAD that
 * forked us ends. The kernel forgets it when ids change: call it after sandbox_become_user(). */
bool sandbox_die_with_parent(pid_t parent, struct err *err) MUST_CHECK;
