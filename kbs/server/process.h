/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of ours: the program's own file, executed anew with one argument that says what it shall be, so that it inherits no
 * memory. It finds a socket at PROCESS_FD, our standard error at 2 and nothing else; its environment is empty.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define PROCESS_FD      3
#define PROCESS_PROGRAM "/proc/self/exe"

/* `argument` is not changed. The socket stays the caller's. */
bool process_start(int socket_fd, char *argument, pid_t *ret_pid, struct err *err) MUST_CHECK;
/* Kills and reaps; gives the status as of waitpid(2). */
int process_end(pid_t pid);

/* -- in such a process --------------------------------------------------------------------------- */

/* False with a line in the log when a person started it: PROCESS_FD is not open. */
bool process_started_by_us(void) MUST_CHECK;
/* One that was taken over must not write lines into our log, nor send datagrams by the log's socket: /dev/null takes the place of
 * descriptors 0 to 2, and all above PROCESS_FD are closed. Sanitizer builds keep 0 to 2, since what they find must be seen. */
bool process_leave_log(struct err *err) MUST_CHECK;
/* On the blocking socket PROCESS_FD. False at its end, which is how the front ends us. */
bool process_read(uint8_t *out, size_t len) MUST_CHECK;
bool process_write(struct bytes data) MUST_CHECK;
