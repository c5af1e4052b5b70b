/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which program is the next one. After a package manager has replaced the file, /proc/self/exe still names the old one ("(deleted)"), so
 * an upgrade takes what lies at the path by which the monitor was started. It will run as root: nobody else may have been able to put it there.
 */
#pragma once

#include "crypt/base/err.h"

/* The absolute path by which the kernel was asked to start this process (links are not resolved: an upgrade may flip one). What was
 * started through /proc or /dev (fexecve) is named by /proc/self/exe. malloc'd. */
bool binary_started_by(char **ret_path, struct err *err) MUST_CHECK;
/* O_PATH descriptor of what lies there now. ERR_DENIED_LOCAL unless it, and each directory on the resolved way to it, is root's and
 * writable by nobody else (a directory with the sticky bit may be); ERR_CONFIG when it is no program. */
bool binary_open(const char *path, int *ret_fd, struct err *err) MUST_CHECK;
/* O_PATH descriptor of the program that runs in this process, deleted or not. */
bool binary_self(int *ret_fd, struct err *err) MUST_CHECK;
/* Returns only when it cannot be done. Descriptors that shall survive have no close-on-exec flag. */
bool binary_exec(int fd, char *const *argv, struct err *err) MUST_CHECK;
