/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Notices of every execve(2) on this machine, from the kernel's process events connector (Documentation/driver-api/connector.rst). A notice
 * lies in the socket before the new program runs its first instruction, so with an empty socket nobody has
 * become another program: what was learnt of a process's executable still holds (fs/callers.h).
 *
 * Needs CONFIG_PROC_EVENTS and the first network, user and pid namespaces; before Linux 6.6 CAP_NET_ADMIN. Without, every open asks
 * the monitor. Notices carry numbers of the first pid namespace.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/err.h"

/* Monitor: a non-blocking socket, proved to work by a child that executes. Takes about a millisecond; call it with SIGCHLD of no interest. */
bool exec_watch_new(int *ret_fd, struct err *err) MUST_CHECK;

enum exec_notice {
    EXEC_NONE, /* all read */
    EXEC_ONE,  /* *ret_pid executed */
    EXEC_LOST, /* some did not fit: any process may have */
};
/* Never blocks. Any thread; each notice goes to one of them. */
enum exec_notice exec_watch_next(int fd, pid_t *ret_pid);
