/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The warden: a small process that starts and ends verifier processes for the front, so that the front's own sandbox needs no
 * right to start programs. It is started from the program's own file before that sandbox is shut, holds nothing, and sees no
 * request. Messages on its socket (crypt/base/ipc.h), one request and one answer at a time:
 *
 *     request  u8 1 START               answer  u8 0, u32 process id, and a descriptor: the front's end of the verifier's socket
 *              u8 2 END, u32 pid                u8 0, u32 status as of waitpid(2)
 *                                               u8 1, text message: it could not be done
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/err.h"

#define WARDEN_ARGUMENT "--verifier-warden"
#define WARDEN_CHILDREN 32

/* The process; gives its exit status. */
int warden_main(void);

/* The front's side. One caller at a time. */
bool warden_start(int *ret_fd, pid_t *ret_pid, struct err *err) MUST_CHECK;
/* A verifier that has not necessarily come up yet; the descriptor is non-blocking. */
bool warden_start_verifier(int fd, int *ret_verifier_fd, pid_t *ret_pid, struct err *err)
    MUST_CHECK;
/* Kills and reaps. */
bool warden_end_verifier(int fd, pid_t pid, int *ret_status, struct err *err) MUST_CHECK;
/* Lets the warden end, with all verifiers. */
void warden_stop(int fd, pid_t pid);
