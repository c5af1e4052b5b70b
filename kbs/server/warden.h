/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A warden: a small process that starts and ends processes of one kind for the front, so that the front's own sandbox needs no
 * right to start programs. It is started from the program's own file before that sandbox is shut, and sees no
 * request. The warden of the verifiers holds nothing; that of the couriers is told once, at its start, what each courier may do, and
 * tells it to each that it starts: as u32 length and bytes, public and then secret, the first things on the courier's socket.
 *
 * Messages on its socket (crypt/base/ipc.h), one request and one answer at a time:
 *
 *     request  u8 1 START               answer  u8 0, u32 process id, and a descriptor: the front's end of the new process's socket
 *              u8 2 END, u32 pid                u8 0, u32 status as of waitpid(2)
 *                                               u8 1, text message: it could not be done
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"
#include "crypt/base/secret.h"

#define WARDEN_VERIFIERS_ARGUMENT "--verifier-warden"
#define WARDEN_COURIERS_ARGUMENT  "--courier-warden"
#define WARDEN_CHILDREN           32
/* What a warden is told; both must fit the buffer of a socket. */
#define WARDEN_PUBLIC_MAX (48u * 1024)
#define WARDEN_SECRET_MAX (48u * 1024)

enum warden_kind { WARDEN_VERIFIERS, WARDEN_COURIERS };

struct warden_setup {
    struct bytes public;
    const struct secret *secret;
};

/* The process; gives its exit status. */
int warden_main(enum warden_kind kind);

/* The front's side. One caller at a time. `setup`: for WARDEN_COURIERS, else NULL. */
bool warden_start(enum warden_kind kind, const struct warden_setup *setup, int *ret_fd,
    pid_t *ret_pid, struct err *err) MUST_CHECK;
/* A process that has not necessarily come up yet; the descriptor is non-blocking. */
bool warden_start_child(int fd, int *ret_child_fd, pid_t *ret_pid, struct err *err) MUST_CHECK;
/* Kills and reaps. */
bool warden_end_child(int fd, pid_t pid, int *ret_status, struct err *err) MUST_CHECK;
/* Lets the warden end, with all that it started. */
void warden_stop(int fd, pid_t pid);
