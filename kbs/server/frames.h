/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over a stream socket on a loop: u32 length (big-endian), then that many bytes. Both directions are buffered and bounded; no
 * allocation follows a length that was only announced. Loop thread only.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/loop.h"

struct frames;

struct frames_conf {
    size_t in_max;  /* of one message that comes; a longer one ends the connection */
    size_t out_max; /* of all that waits to be sent */
    /* Borrowed for the call. False with `err`: the connection ends, as by the peer's doing. It must not free the frames. */
    bool (*on_frame)(void *arg, struct bytes message, struct err *err);
    /* Once, the last call: the peer has gone or did wrong. It may free the frames. */
    void (*on_end)(void *arg, const struct err *why);
    void *arg;
};

/* Takes the non-blocking descriptor over, also when it fails. */
bool frames_new(struct loop *loop, int fd, const struct frames_conf *conf,
    struct frames **ret_frames, struct err *err) MUST_CHECK;
void frames_free(struct frames *frames); /* closes; NULL is fine */
/* Queues a copy. ERR_BUSY when out_max would be passed. That the peer has gone is told by on_end. */
bool frames_send(struct frames *frames, struct bytes message, struct err *err) MUST_CHECK;
