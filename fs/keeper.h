/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A process of its own that accepts the connections on which credentials are asked for, and holds a second descriptor of each until it is told
 * how the answer went. For the reader the end of the stream is the end of the credential, so neither a refusal nor the death of the worker
 * may be an end: what is refused, and what the worker leaves behind when it goes, gets more bytes than the reader takes.
 * The keeper holds no secret and can read none. What waits to be accepted when it goes is reset by the kernel, an error for the reader.
 *
 * At a reload what is not answered goes to the next worker's keeper: ours is paused, so that nothing comes any more, and lets go of what the
 * other has.
 *
 * Over a pair of sockets: a connection comes as one byte, its slot, with the descriptor, or KEEPER_PAUSED without one; back go two bytes, an
 * enum keeper_word and a slot (0 where the word needs none), beside ADOPT a descriptor.
 */
#pragma once

#include "crypt/base/err.h"

#define KEEPER_SLOTS 64
/* Taken over from another keeper, beside those that were accepted here. */
#define KEEPER_ADOPTED 64
#define KEEPER_PAUSED  0xffu

enum keeper_word { KEEPER_RELEASE = 1, KEEPER_REFUSE, KEEPER_PAUSE, KEEPER_RESUME, KEEPER_ADOPT };

/* systemd takes at most 1 MiB of a credential, of an encrypted one somewhat more. */
#define KEEPER_REFUSAL_SIZE (2u * 1024 * 1024)

/* Starts it, as `user` when called by root: before threads, and before there are secrets. It ends when the other end of *ret_fd was closed.
 * The listening descriptor stays the caller's, who closes it. */
bool keeper_start(const char *user, int listen_fd, int *ret_fd, struct err *err) MUST_CHECK;
/* The next connection (non-blocking, the caller's) and its slot; ERR_UNREACH when the keeper has gone. */
bool keeper_receive(int keeper_fd, int *ret_fd, unsigned *ret_slot, struct err *err) MUST_CHECK;
/* Accepts no more. What was accepted before is given to `fn` (as from keeper_receive) until it is certain that nothing follows; fails when
 * that takes longer than KEEPER_PAUSE_MS, and it may be paused all the same. */
#define KEEPER_PAUSE_MS 2000
bool keeper_pause(int keeper_fd, void (*fn)(void *arg, int fd, unsigned slot), void *arg,
    struct err *err) MUST_CHECK;
bool keeper_resume(int keeper_fd, struct err *err) MUST_CHECK;
/* Holds a connection of another keeper, at most KEEPER_ADOPTED; it comes back by keeper_receive. `fd` stays the caller's. */
bool keeper_adopt(int keeper_fd, int fd, struct err *err) MUST_CHECK;
/* The answer was written to its end, which the caller has marked by shutdown(2). */
bool keeper_release(int keeper_fd, unsigned slot, struct err *err) MUST_CHECK;
/* Refuses whatever was written before: the reader gets KEEPER_REFUSAL_SIZE bytes more. The caller closes its own descriptor. */
bool keeper_refuse(int keeper_fd, unsigned slot, struct err *err) MUST_CHECK;
