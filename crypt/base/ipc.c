/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "crypt/base/loop.h"

/* Several full packets of a plaintext may be under way before the sender has to wait. */
#define SEND_BUFFER (4 * IPC_MESSAGE_MAX)
/* For how long another server may hold the directory while it starts. */
#define LISTEN_LOCK_MS 500

union fd_control {
    struct cmsghdr align;
    char space[CMSG_SPACE(sizeof(int) * IPC_FDS_MAX)];
};

/* -- waiting ----------------------------------------------------------------------------------- */

/* An absolute deadline in loop_now_ms() time; INT64_MAX for a negative timeout. */
static int64_t deadline_after(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : loop_now_ms() + timeout_ms;
}

static bool wait_for(int fd, short events, int64_t deadline, struct err *err)
{
    for (;;) {
        int64_t left = deadline == INT64_MAX ? -1 : deadline - loop_now_ms();
        if (deadline != INT64_MAX && left < 0)
            left = 0;
        struct pollfd pollfd = {.fd = fd, .events = events};
        int ready = poll(&pollfd, 1, left > INT_MAX ? INT_MAX : (int)left);
        if (ready > 0)
            return true;
        if (ready < 0 && errno != EINTR)
            return err_set_errno(err, ERR_IO, "wait for the local peer");
        if (ready == 0 && left <= INT_MAX)
            return err_set(err, ERR_TIMEOUT, "the local peer did not %s in time",
                events & POLLIN ? "answer" : "take what was sent");
    }
}

/* -- listening and connecting ------------------------------------------------------------------ */

static bool address_of(const char *path, struct sockaddr_un *ret_address, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (path[0] != '/' || len >= sizeof address.sun_path)
        return err_set(err, ERR_CONFIG,
            "socket path %s: must be absolute and shorter than %zu bytes", path,
            sizeof address.sun_path);
    memcpy(address.sun_path, path, len + 1);
    *ret_address = address;
    return true;
}

/* A packet must fit into the send buffer as a whole; the kernel cuts the request at
 * net.core.wmem_max. */
static bool size_buffer(int fd, struct err *err)
{
    int size = SEND_BUFFER;
    socklen_t len = sizeof size;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
        return err_set_errno(err, ERR_IO, "send buffer of a local socket");
    if (size < 2 * IPC_MESSAGE_MAX)
        return err_set(err, ERR_CONFIG,
            "local sockets get a send buffer of %d bytes and need %d; run: "
            "sysctl -w net.core.wmem_max=%d",
            size, 2 * IPC_MESSAGE_MAX, SEND_BUFFER);
    return true;
}

static bool socket_new(int type, int *ret_fd, struct err *err)
{
    auto_fd int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set_errno(
            err, errno == EMFILE || errno == ENFILE ? ERR_NOMEM : ERR_IO, "local socket");
    if (!size_buffer(fd, err))
        return false;
    *ret_fd = take_fd(fd);
    return true;
}

/*
 * Two servers that start at once must not both find the old socket dead and replace each other's new one. That takes
 * microseconds; but whoever may read the directory may hold this lock for ever, and must not be able to keep us from
 * starting: after LISTEN_LOCK_MS we go on without it.
 */
static bool lock_directory(const char *path, int *ret_fd, struct err *err)
{
    char copy[sizeof((struct sockaddr_un *)0)->sun_path];
    memcpy(copy, path, strlen(path) + 1);
    const char *directory = dirname(copy);
    auto_fd int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return err_set(err, ERR_CONFIG, "socket %s: its directory does not exist; run: mkdir -p %s",
            path, directory);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "directory %s of a socket", directory);
    int64_t deadline = deadline_after(LISTEN_LOCK_MS);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_set_errno(err, ERR_IO, "lock %s", directory);
        if (loop_now_ms() > deadline)
            break;
        poll(NULL, 0, 5);
    }
    *ret_fd = take_fd(fd);
    return true;
}

/* Removes what a dead server left at the path; anything else is left alone and refused. */
static bool remove_stale(
    const char *path, const struct sockaddr_un *address, int type, struct err *err)
{
    struct stat info;
    if (lstat(path, &info) < 0) {
        if (errno == ENOENT)
            return true;
        return err_set_errno(err, ERR_CONFIG, "socket %s", path);
    }
    if (!S_ISSOCK(info.st_mode))
        return err_set(err, ERR_CONFIG,
            "%s exists and is not a socket; remove it or configure another path", path);
    auto_fd int probe = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (probe < 0)
        return err_set_errno(err, ERR_NOMEM, "local socket");
    bool answers = connect(probe, (const struct sockaddr *)address, sizeof *address) == 0;
    if (!answers && errno == EACCES)
        return err_set(err, ERR_CONFIG, "socket %s belongs to another user (uid %u)", path,
            (unsigned)info.st_uid);
    if (answers || errno != ECONNREFUSED)
        return err_set(
            err, ERR_BUSY, "%s is in use by a running server; stop that one first", path);
    if (unlink(path) < 0 && errno != ENOENT)
        return err_set_errno(err, ERR_IO, "remove the stale socket %s", path);
    return true;
}

static bool listen_on(const char *path, int type, mode_t mode, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    auto_fd int fd = -1, lock = -1;
    if (!address_of(path, &address, err) || !lock_directory(path, &lock, err) ||
        !remove_stale(path, &address, type, err) || !socket_new(type | SOCK_NONBLOCK, &fd, err))
        return false;
    /* bind() gives the file the mode of the socket's own inode less the umask: the owner's alone
     * until it is right. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) < 0)
        return err_set_errno(err, ERR_IO, "mode of socket %s", path);
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) < 0)
        return err_set_errno(err, ERR_CONFIG, "create socket %s", path);
    /* Until listen() every connect is refused, so there is no moment with a wider mode than asked
     * for. Not through a link: who owns the directory must not make us, perhaps root, open another file to all. */
    if (fchmodat(AT_FDCWD, path, mode, AT_SYMLINK_NOFOLLOW) < 0 || listen(fd, SOMAXCONN) < 0) {
        err_set_errno(err, ERR_IO, "listen on %s", path);
        unlink(path);
        return false;
    }
    *ret_fd = take_fd(fd);
    return true;
}

bool ipc_listen(const char *path, mode_t mode, int *ret_fd, struct err *err)
{
    return listen_on(path, SOCK_SEQPACKET, mode, ret_fd, err);
}

bool ipc_listen_stream(const char *path, mode_t mode, int *ret_fd, struct err *err)
{
    return listen_on(path, SOCK_STREAM, mode, ret_fd, err);
}

static bool refuse_connect(const char *path, const char *program, struct err *err)
{
    switch (errno) {
    case ENOENT:
    case ECONNREFUSED:
        return err_set(err, ERR_UNREACH, "nobody listens on %s; start %s", path, program);
    case EACCES:
    case EPERM:
        return err_set(err, ERR_DENIED_LOCAL, "uid %u may not use %s of %s; see its mode and group",
            (unsigned)geteuid(), path, program);
    case EAGAIN:
    case EINPROGRESS:
        return err_set(err, ERR_TIMEOUT, "%s does not accept connections on %s", program, path);
    default:
        return err_set_errno(err, ERR_UNREACH, "connect to %s at %s", program, path);
    }
}

bool ipc_connect(
    const char *path, const char *program, int timeout_ms, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    auto_fd int fd = -1;
    if (!address_of(path, &address, err) || !socket_new(SOCK_SEQPACKET, &fd, err))
        return false;
    if (timeout_ms >= 0) {
        /* Bounds the wait for room in the listener's queue, and later each send. Zero would mean
         * for ever. */
        struct timeval wait = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
        if (timeout_ms == 0)
            wait.tv_usec = 1;
        if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) < 0)
            return err_set_errno(err, ERR_IO, "deadline of a local socket");
    }
    int64_t deadline = deadline_after(timeout_ms);
    while (connect(fd, (struct sockaddr *)&address, sizeof address) < 0)
        if (errno != EINTR || loop_now_ms() > deadline)
            return refuse_connect(path, program, err);
    *ret_fd = take_fd(fd);
    return true;
}

bool ipc_accept(int listen_fd, int *ret_fd, struct ipc_peer *ret_peer, struct err *err)
{
    auto_fd int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            return err_set_errno(err, ERR_NOMEM, "accept a local connection");
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            return err_set_errno(err, ERR_IO, "accept a local connection");
        *ret_fd = -1;
        return true;
    }
    struct ucred peer;
    socklen_t len = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 || len != sizeof peer)
        return err_set_errno(err, ERR_IO, "identity of a local peer");
    if (!size_buffer(fd, err))
        return false;
    *ret_peer = (struct ipc_peer){peer.pid, peer.uid, peer.gid};
    *ret_fd = take_fd(fd);
    return true;
}

bool ipc_pair(int ret_fds[2], struct err *err)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
        return err_set_errno(err, ERR_NOMEM, "pair of local sockets");
    auto_fd int one = fds[0], other = fds[1];
    if (!size_buffer(one, err) || !size_buffer(other, err))
        return false;
    ret_fds[0] = take_fd(one);
    ret_fds[1] = take_fd(other);
    return true;
}

/* -- sending ----------------------------------------------------------------------------------- */

static bool refuse_send(int fd, struct err *err)
{
    switch (errno) {
    case EAGAIN:
        if (fcntl(fd, F_GETFL) & O_NONBLOCK)
            return err_set(err, ERR_BUSY, "the local peer does not keep up: its queue is full");
        return err_set(err, ERR_TIMEOUT, "the local peer did not take the message in time");
    case EPIPE:
    case ECONNRESET:
    case ENOTCONN:
        return err_set_errno(err, ERR_UNREACH, "the local peer has gone");
    case ENOBUFS:
    case ENOMEM:
    case ETOOMANYREFS:
        return err_set_errno(err, ERR_NOMEM, "send to a local peer");
    default:
        return err_set_errno(err, ERR_IO, "send to a local peer");
    }
}

static bool send_packet(
    int fd, struct bytes message, const int *fds, size_t fd_count, struct err *err)
{
    struct iovec part = {.iov_base = (void *)(uintptr_t)message.data, .iov_len = message.len};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    union fd_control control = {0};
    if (fd_count > 0) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);
        *cmsg = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
            .cmsg_type = SCM_RIGHTS,
            .cmsg_len = CMSG_LEN(sizeof(int) * fd_count)};
        memcpy(CMSG_DATA(cmsg), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &header, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent >= 0 || refuse_send(fd, err);
}

bool ipc_send(int fd, struct bytes message, const int *fds, size_t fd_count, struct err *err)
{
    /* An empty packet looks like the end of the connection to the receiver. */
    if (message.len == 0 || message.len > IPC_MESSAGE_MAX || fd_count > IPC_FDS_MAX)
        return err_set(err, ERR_INTERNAL,
            "local message of %zu bytes and %zu descriptors; it holds 1 to %d and at most %d",
            message.len, fd_count, IPC_MESSAGE_MAX, IPC_FDS_MAX);
    return send_packet(fd, message, fds, fd_count, err);
}

/* -- receiving --------------------------------------------------------------------------------- */

struct fd_set_of {
    int fds[IPC_FDS_MAX];
    size_t count;
};

static void fd_set_done(struct fd_set_of *set)
{
    for (size_t i = 0; i < set->count; i++)
        close(set->fds[i]);
}

/* All descriptors that came, wherever the kernel put them: they are ours now and must be closed or
 * given on. */
static void collect_fds(struct msghdr *header, struct fd_set_of *set)
{
    for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(header); cmsg; cmsg = CMSG_NXTHDR(header, cmsg)) {
        if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && set->count < IPC_FDS_MAX; i++)
            memcpy(&set->fds[set->count++], CMSG_DATA(cmsg) + i * sizeof(int), sizeof(int));
    }
}

static bool refuse_receive(bool *ret_closed, struct err *err)
{
    if (errno == EAGAIN)
        return err_set(err, ERR_BUSY, "no local message is waiting");
    if (errno != ECONNRESET)
        return err_set_errno(err, ERR_IO, "receive from a local peer");
    *ret_closed = true;
    return true;
}

/* One packet into `data`; *ret_len = 0 with *ret_closed when the peer has gone. */
static bool receive_packet(int fd, int flags, uint8_t *data, size_t size, struct fd_set_of *set,
    size_t *ret_len, bool *ret_closed, struct err *err)
{
    union fd_control control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr header = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control};
    ssize_t got;
    do
        got = recvmsg(fd, &header, flags | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    *ret_len = 0;
    *ret_closed = false;
    if (got < 0)
        return refuse_receive(ret_closed, err);
    collect_fds(&header, set);
    if (header.msg_flags & MSG_TRUNC)
        return err_set(err, ERR_FORMAT, "local message longer than %zu bytes", size);
    if ((header.msg_flags & MSG_CTRUNC) && set->count < IPC_FDS_MAX)
        return err_set_at(err, ERR_NOMEM, EMFILE, __FILE__, __LINE__,
            "no descriptor is left for what came with a local message (RLIMIT_NOFILE)");
    if (header.msg_flags & MSG_CTRUNC)
        return err_set(err, ERR_FORMAT,
            "local message with more descriptors than the %d that are taken", IPC_FDS_MAX);
    if (got == 0 && set->count > 0)
        return err_set(err, ERR_FORMAT, "empty local message with a descriptor");
    *ret_len = (size_t)got;
    *ret_closed = got == 0;
    return true;
}

static bool receive(int fd, int flags, struct buf *message, int *fds, size_t *ret_fd_count,
    bool *ret_closed, struct err *err)
{
    uint8_t data[IPC_MESSAGE_MAX];
    AUTO_DONE(fd_set_done) struct fd_set_of set = {.count = 0};
    size_t len;
    bool closed;
    message->len = 0;
    if (!receive_packet(fd, flags, data, sizeof data, &set, &len, &closed, err))
        return false;
    if (set.count > 0 && !(fds && ret_fd_count))
        return err_set(err, ERR_FORMAT, "local message with a descriptor where none is expected");
    if (len > 0 && !buf_append(message, bytes_of(data, len), err))
        return err_wrap(err, "local message");
    *ret_closed = closed;
    if (fds && ret_fd_count) {
        memcpy(fds, set.fds, set.count * sizeof(int));
        *ret_fd_count = set.count;
        set.count = 0; /* the caller's now */
    }
    return true;
}

bool ipc_receive(
    int fd, struct buf *message, int *fds, size_t *ret_fd_count, bool *ret_closed, struct err *err)
{
    return receive(fd, 0, message, fds, ret_fd_count, ret_closed, err);
}

bool ipc_receive_within(
    int fd, int timeout_ms, struct buf *message, bool *ret_closed, struct err *err)
{
    int64_t deadline = deadline_after(timeout_ms);
    for (;;) {
        if (!wait_for(fd, POLLIN, deadline, err))
            return false;
        if (receive(fd, MSG_DONTWAIT, message, NULL, NULL, ret_closed, err))
            return true;
        if (err->code != ERR_BUSY)
            return false;
    }
}

/* -- plaintext --------------------------------------------------------------------------------- */

static size_t packet_len(size_t left)
{
    return left < IPC_MESSAGE_MAX ? left : IPC_MESSAGE_MAX;
}

/* Waits for room even when the socket is non-blocking: half a secret is of no use to anybody. */
static bool send_waiting(int fd, struct bytes part, int64_t deadline, struct err *err)
{
    while (!send_packet(fd, part, NULL, 0, err))
        if (err->code != ERR_BUSY || !wait_for(fd, POLLOUT, deadline, err))
            return false;
    return true;
}

bool ipc_send_secret(int fd, const struct secret *secret, struct err *err)
{
    struct bytes all = secret_bytes(secret);
    if (all.len == 0)
        return true;
    AUTO_DONE(secret_bounce_done) struct secret_bounce bounce = {0};
    if (!secret_bounce_init(&bounce, packet_len(all.len), err))
        return false;
    int64_t deadline = deadline_after(IPC_SECRET_SEND_MS);
    for (size_t offset = 0; offset < all.len;) {
        struct bytes part = bytes_slice(all, offset, IPC_MESSAGE_MAX);
        memcpy(bounce.data, part.data, part.len);
        bool sent = send_waiting(fd, bytes_of(bounce.data, part.len), deadline, err);
        secret_bounce_wipe(&bounce, part.len);
        if (!sent)
            return false;
        offset += part.len;
    }
    return true;
}

static bool receive_part(
    int fd, struct secret_bounce *bounce, size_t want, int64_t deadline, struct err *err)
{
    AUTO_DONE(fd_set_done) struct fd_set_of set = {.count = 0};
    size_t len;
    bool closed;
    if (!wait_for(fd, POLLIN, deadline, err) ||
        !receive_packet(fd, MSG_DONTWAIT, bounce->data, want, &set, &len, &closed, err))
        return false;
    if (closed)
        return err_set(err, ERR_UNREACH, "the local peer has gone in the middle of a secret");
    if (len != want || set.count > 0)
        return err_set(err, ERR_FORMAT,
            "part of a secret with %zu bytes and %zu descriptors; %zu bytes were announced", len,
            set.count, want);
    return true;
}

bool ipc_receive_secret(
    int fd, size_t len, int timeout_ms, struct secret **ret_secret, struct err *err)
{
    auto_secret *secret = NULL;
    AUTO_DONE(secret_bounce_done) struct secret_bounce bounce = {0};
    if (!secret_new(len, &secret, err) ||
        (len > 0 && !secret_bounce_init(&bounce, packet_len(len), err)))
        return false;
    int64_t deadline = deadline_after(timeout_ms);
    for (size_t offset = 0; offset < len;) {
        size_t want = packet_len(len - offset);
        bool got = receive_part(fd, &bounce, want, deadline, err);
        if (got)
            memcpy(secret_data(secret) + offset, bounce.data, want);
        secret_bounce_wipe(&bounce, want);
        if (!got)
            return false;
        offset += want;
    }
    *ret_secret = take_ptr(secret);
    return true;
}
