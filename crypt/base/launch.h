/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For a program that gives plaintext to another which then takes its place (execve): it protects itself as long as it lives, but the
 * other one must find its descriptors, limits, signals, umask and right to gain privileges as if it had been started directly.
 */
#pragma once

#include <sys/resource.h>

#include "crypt/base/err.h"

struct launch {
    struct rlimit core, memlock;
    void (*pipe_handler)(int);
};

/* Instead of sandbox_harden(): no core dump, not dumpable, SIGPIPE ignored. What it changes is remembered. Sanitizer builds stay dumpable. */
bool launch_prepare(struct launch *ret_launch, struct err *err) MUST_CHECK;
/* Gives back what launch_prepare (and secret_init_process) changed, and becomes argv[0], searched in $PATH. Comes back only when
 * that fails: ERR_NOTFOUND when there is no such command, else ERR_IO. */
bool launch_exec(const struct launch *launch, char *const *argv, char *const *envp, struct err *err)
    MUST_CHECK;
