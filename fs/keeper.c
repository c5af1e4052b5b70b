/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/keeper.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/loop.h"
#include "crypt/base/sandbox.h"

/* For readers that do not read, when the worker has gone. */
#define FAREWELL_MS 90000
#define WORKER_FD   3
#define LISTEN_FD   4

/* -- the keeper's process ---------------------------------------------------------------------- */

struct slot {
    int fd; /* -1: free */
    bool refusing;
    size_t sent; /* of the refusal */
};

struct keeper {
    struct slot slots[KEEPER_SLOTS];
    bool orphan;      /* the worker has gone */
    int64_t deadline; /* then */
};

static const char refusal[] = "sealedfs: refused; see its log for the reason\n";

static ssize_t send_refusal(const struct slot *slot)
{
    char text[64 * (sizeof refusal - 1)];
    size_t line = sizeof refusal - 1, from = slot->sent % line, len = sizeof text - from;
    if (len > KEEPER_REFUSAL_SIZE - slot->sent)
        len = KEEPER_REFUSAL_SIZE - slot->sent;
    for (size_t at = 0; at < sizeof text; at += line)
        memcpy(text + at, refusal, line);
    return send(slot->fd, text + from, len, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void slot_close(struct slot *slot)
{
    if (slot->fd >= 0)
        close(slot->fd);
    *slot = (struct slot){.fd = -1};
}

/* Until the reader has had enough and closes, or has had it all. */
static void refuse_more(struct slot *slot)
{
    ssize_t count = send_refusal(slot);
    if (count > 0)
        slot->sent += (size_t)count;
    if ((count < 0 && errno != EAGAIN && errno != EINTR) || slot->sent == KEEPER_REFUSAL_SIZE)
        slot_close(slot);
}

static void become_orphan(struct keeper *keeper)
{
    close(LISTEN_FD); /* nobody shall wait for us any more */
    keeper->orphan = true;
    keeper->deadline = loop_now_ms() + FAREWELL_MS;
    for (size_t i = 0; i < KEEPER_SLOTS; i++)
        keeper->slots[i].refusing = keeper->slots[i].fd >= 0;
}

static void accept_one(struct keeper *keeper, uint8_t index)
{
    struct ipc_peer who;
    struct err err = ERR_INIT;
    int fd;
    if (!ipc_accept(LISTEN_FD, &fd, &who, &err) || fd < 0)
        return;
    keeper->slots[index].fd = fd;
    if (!ipc_send(WORKER_FD, bytes_of(&index, 1), &fd, 1, &err))
        become_orphan(keeper);
}

static void obey(struct keeper *keeper)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    bool closed = false;
    if (!ipc_receive(WORKER_FD, &message, NULL, NULL, &closed, &err) || closed ||
        message.len != 1) {
        become_orphan(keeper);
        return;
    }
    struct slot *slot = &keeper->slots[message.data[0] % KEEPER_SLOTS];
    if (slot->fd >= 0 && (message.data[0] & KEEPER_REFUSE))
        slot->refusing = true;
    else
        slot_close(slot);
}

/* What there is to wait for; returns the slot that the next connection gets, or -1. */
static int fill(const struct keeper *keeper, struct pollfd wait[KEEPER_SLOTS + 2])
{
    int vacant = -1;
    for (int i = 0; i < KEEPER_SLOTS; i++) {
        const struct slot *slot = &keeper->slots[i];
        if (slot->fd < 0)
            vacant = i;
        wait[i] = (struct pollfd){.fd = slot->refusing ? slot->fd : -1, .events = POLLOUT};
    }
    wait[KEEPER_SLOTS] = (struct pollfd){.fd = keeper->orphan ? -1 : WORKER_FD, .events = POLLIN};
    wait[KEEPER_SLOTS + 1] =
        (struct pollfd){.fd = keeper->orphan || vacant < 0 ? -1 : LISTEN_FD, .events = POLLIN};
    return vacant;
}

static bool is_needed(const struct keeper *keeper)
{
    bool holds = false;
    for (size_t i = 0; i < KEEPER_SLOTS; i++)
        holds |= keeper->slots[i].fd >= 0;
    return !keeper->orphan || (holds && loop_now_ms() < keeper->deadline);
}

static void turn(struct keeper *keeper)
{
    struct pollfd wait[KEEPER_SLOTS + 2];
    int vacant = fill(keeper, wait);
    if (poll(wait, ARRAY_LEN(wait), keeper->orphan ? FAREWELL_MS : -1) <= 0)
        return;
    for (size_t i = 0; i < KEEPER_SLOTS; i++)
        if (wait[i].revents)
            refuse_more(&keeper->slots[i]);
    if (wait[KEEPER_SLOTS].revents)
        obey(keeper);
    if (wait[KEEPER_SLOTS + 1].revents && !keeper->orphan)
        accept_one(keeper, (uint8_t)vacant);
}

/* The descriptors at their places, all others closed: one of the mount's in here would keep it busy. */
static bool place(int worker_fd, int listen_fd)
{
    int high[] = {fcntl(worker_fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1),
        fcntl(listen_fd, F_DUPFD_CLOEXEC, LISTEN_FD + 1)};
    return high[0] >= 0 && high[1] >= 0 && dup2(high[0], WORKER_FD) >= 0 &&
           dup2(high[1], LISTEN_FD) >= 0 && syscall(SYS_close_range, LISTEN_FD + 1, ~0u, 0) == 0;
}

static _Noreturn void keep(int worker_fd, int listen_fd, const char *user)
{
    static const char *const syscalls[] = {
        "accept4", "getsockopt", "setsockopt", "recvmsg", "sendto", "poll", "ppoll", NULL};
    struct keeper keeper = {0};
    struct err err = ERR_INIT;
    for (size_t i = 0; i < KEEPER_SLOTS; i++)
        keeper.slots[i].fd = -1;
    if (!place(worker_fd, listen_fd) ||
        (geteuid() == 0 && !sandbox_become_user(user, NULL, &err)) || !sandbox_keep_caps(0, &err) ||
        !landlock_enter(NULL, 0, LANDLOCK_NET_NONE, &err) || !sandbox_seccomp(syscalls, &err))
        _exit(1);
    while (is_needed(&keeper))
        turn(&keeper);
    _exit(0);
}

/* -- the worker's end --------------------------------------------------------------------------- */

bool keeper_start(const char *user, int listen_fd, int *ret_fd, struct err *err)
{
    int fds[2];
    if (!ipc_pair(fds, err))
        return false;
    auto_fd int ours = fds[0], theirs = fds[1];
    pid_t pid = fork();
    if (pid == 0)
        keep(theirs, listen_fd, user);
    if (pid < 0)
        return err_set_errno(err, ERR_NOMEM, "fork the keeper of credentials");
    *ret_fd = take_fd(ours);
    return true;
}

bool keeper_receive(int keeper_fd, int *ret_fd, unsigned *ret_slot, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t count = 0;
    bool closed = false;
    if (!ipc_receive(keeper_fd, &message, fds, &count, &closed, err))
        return false;
    if (!closed && message.len == 1 && message.data[0] < KEEPER_SLOTS && count == 1) {
        *ret_fd = fds[0];
        *ret_slot = message.data[0];
        return true;
    }
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    return closed ? err_set(err, ERR_UNREACH, "the keeper of credentials has gone")
                  : err_set(err, ERR_INTERNAL, "the keeper of credentials breaks the protocol");
}

static bool tell(int keeper_fd, unsigned word, struct err *err)
{
    const uint8_t byte = (uint8_t)word;
    return ipc_send(keeper_fd, bytes_of(&byte, 1), NULL, 0, err) ||
           err_wrap(err, "keeper of credentials");
}

bool keeper_release(int keeper_fd, unsigned slot, struct err *err)
{
    return tell(keeper_fd, slot, err);
}

bool keeper_refuse(int keeper_fd, unsigned slot, struct err *err)
{
    return tell(keeper_fd, slot | KEEPER_REFUSE, err);
}
