/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Local sockets: AF_UNIX SOCK_SEQPACKET, one packet = one message of at most IPC_MESSAGE_MAX bytes, up to
 * IPC_FDS_MAX descriptors beside it. All descriptors are close-on-exec. The peer is known by SO_PEERCRED.
 * What is too long for a packet (a plaintext up to SECRET_SIZE_MAX) goes as several packets: the message kinds
 * that need it say so.
 */
#pragma once

#include <sys/types.h>

#include "crypt/base/bytes.h"
#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

#define IPC_MESSAGE_MAX 65536
#define IPC_FDS_MAX     4
/* For how long ipc_send_secret() waits in all for a receiver that is slow to take the packets. */
#define IPC_SECRET_SEND_MS 5000

struct ipc_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* Binds and listens (non-blocking), with this mode from the first connection on, whatever the umask. A socket file left by a
 * dead server is replaced; a live one is ERR_BUSY naming it; what is not a socket is left alone (ERR_CONFIG). */
bool ipc_listen(const char *path, mode_t mode, int *ret_fd, struct err *err) MUST_CHECK;
/* The same for a protocol of somebody else that wants a byte stream; ipc_accept() takes its connections, too. */
bool ipc_listen_stream(const char *path, mode_t mode, int *ret_fd, struct err *err) MUST_CHECK;
/* Blocking connect with a deadline; ERR_UNREACH naming the path and what to start, ERR_DENIED_LOCAL when the mode of the
 * socket forbids it. `program` e.g. "sealed-attestd". The same deadline then bounds each blocking send (ERR_TIMEOUT).
 * timeout_ms < 0 here and below: no deadline. */
bool ipc_connect(
    const char *path, const char *program, int timeout_ms, int *ret_fd, struct err *err) MUST_CHECK;
/* Non-blocking accept of a non-blocking connection; *ret_fd = -1 when nobody waits. ERR_NOMEM when descriptors are out. */
bool ipc_accept(int listen_fd, int *ret_fd, struct ipc_peer *ret_peer, struct err *err) MUST_CHECK;
/* Two connected blocking sockets. */
bool ipc_pair(int ret_fds[2], struct err *err) MUST_CHECK;

/* Send one message of 1..IPC_MESSAGE_MAX bytes. On a non-blocking socket a full queue is ERR_BUSY; a peer that has gone is
 * ERR_UNREACH. The descriptors stay the caller's. */
bool ipc_send(int fd, struct bytes message, const int *fds, size_t fd_count, struct err *err)
    MUST_CHECK;
/*
 * Receive one message into `message` (cleared first). A truncated one is ERR_FORMAT and its descriptors are closed.
 * *ret_closed = true (and an empty message) when the peer has gone. With nothing there on a non-blocking socket: ERR_BUSY.
 * `fds`/`ret_fd_count` may be NULL: then any descriptor that came is closed and the message is ERR_FORMAT.
 */
bool ipc_receive(int fd, struct buf *message, int *fds, size_t *ret_fd_count, bool *ret_closed,
    struct err *err) MUST_CHECK;
/* Blocking receive with a deadline (poll). ERR_TIMEOUT. */
bool ipc_receive_within(
    int fd, int timeout_ms, struct buf *message, bool *ret_closed, struct err *err) MUST_CHECK;
/*
 * As ipc_send/ipc_receive_within for plaintext: through locked bounce memory, never through a struct buf, in packets of
 * IPC_MESSAGE_MAX and a shorter last one; an empty secret is no packet. The receiver knows the length beforehand. Sending waits up
 * to IPC_SECRET_SEND_MS even on a non-blocking socket (half a secret helps nobody): on a loop's thread send only what fits
 * the queue (IPC_MESSAGE_MAX), longer ones from a thread of their own. After a failure the connection is out of step: close it.
 */
bool ipc_send_secret(int fd, const struct secret *secret, struct err *err) MUST_CHECK;
bool ipc_receive_secret(
    int fd, size_t len, int timeout_ms, struct secret **ret_secret, struct err *err) MUST_CHECK;
