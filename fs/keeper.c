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
#define SLOTS       (KEEPER_SLOTS + KEEPER_ADOPTED)
#define LISTEN_FD   4

/* -- the keeper's process ---------------------------------------------------------------------- */

struct slot {
    int fd; /* -1: free */
    bool refusing;
    size_t sent; /* of the refusal */
};

struct keeper {
    struct slot slots[SLOTS]; /* those that were accepted, then those that were adopted */
    bool paused;
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
    for (size_t i = 0; i < SLOTS; i++)
        keeper->slots[i].refusing = keeper->slots[i].fd >= 0;
}

static void hold(struct keeper *keeper, uint8_t index, int fd)
{
    struct err err = ERR_INIT;
    keeper->slots[index].fd = fd;
    if (!ipc_send(WORKER_FD, bytes_of(&index, 1), &fd, 1, &err))
        become_orphan(keeper);
}

static void accept_one(struct keeper *keeper, uint8_t index)
{
    struct ipc_peer who;
    struct err err = ERR_INIT;
    int fd;
    if (ipc_accept(LISTEN_FD, &fd, &who, &err) && fd >= 0)
        hold(keeper, index, fd);
}

/* There is room: a worker adopts only what one keeper before it gave up. */
static void adopt(struct keeper *keeper, int fd)
{
    for (uint8_t i = KEEPER_SLOTS; i < SLOTS; i++)
        if (keeper->slots[i].fd < 0) {
            hold(keeper, i, fd);
            return;
        }
    close(fd);
}

static void pause_here(struct keeper *keeper)
{
    const uint8_t paused = KEEPER_PAUSED;
    struct err err = ERR_INIT;
    keeper->paused = true;
    if (!ipc_send(WORKER_FD, bytes_of(&paused, 1), NULL, 0, &err))
        become_orphan(keeper);
}

static void obey_word(struct keeper *keeper, enum keeper_word word, struct slot *slot, int *fd)
{
    switch (word) {
    case KEEPER_RELEASE:
        slot_close(slot);
        break;
    case KEEPER_REFUSE:
        slot->refusing = slot->fd >= 0;
        break;
    case KEEPER_PAUSE:
        pause_here(keeper);
        break;
    case KEEPER_RESUME:
        keeper->paused = false;
        break;
    case KEEPER_ADOPT:
        if (*fd >= 0)
            adopt(keeper, take_fd(*fd));
        break;
    }
}

static void obey(struct keeper *keeper)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t count = 0;
    struct err err = ERR_INIT;
    bool closed = false;
    if (!ipc_receive(WORKER_FD, &message, fds, &count, &closed, &err) || closed ||
        message.len != 2 || message.data[1] >= SLOTS) {
        become_orphan(keeper);
        count = closed ? 0 : count;
    } else {
        obey_word(keeper, (enum keeper_word)message.data[0], &keeper->slots[message.data[1]],
            count > 0 ? &fds[0] : &(int){-1});
    }
    for (size_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

/* What there is to wait for; returns the slot that the next connection gets, or -1. */
static int fill(const struct keeper *keeper, struct pollfd wait[SLOTS + 2])
{
    int vacant = -1;
    for (int i = 0; i < SLOTS; i++) {
        const struct slot *slot = &keeper->slots[i];
        if (slot->fd < 0 && i < KEEPER_SLOTS)
            vacant = i;
        wait[i] = (struct pollfd){.fd = slot->refusing ? slot->fd : -1, .events = POLLOUT};
    }
    bool accepts = !keeper->orphan && !keeper->paused && vacant >= 0;
    wait[SLOTS] = (struct pollfd){.fd = keeper->orphan ? -1 : WORKER_FD, .events = POLLIN};
    wait[SLOTS + 1] = (struct pollfd){.fd = accepts ? LISTEN_FD : -1, .events = POLLIN};
    return vacant;
}

static bool is_needed(const struct keeper *keeper)
{
    bool holds = false;
    for (size_t i = 0; i < SLOTS; i++)
        holds |= keeper->slots[i].fd >= 0;
    return !keeper->orphan || (holds && loop_now_ms() < keeper->deadline);
}

static void turn(struct keeper *keeper)
{
    struct pollfd wait[SLOTS + 2];
    int vacant = fill(keeper, wait);
    if (poll(wait, ARRAY_LEN(wait), keeper->orphan ? FAREWELL_MS : -1) <= 0)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        if (wait[i].revents)
            refuse_more(&keeper->slots[i]);
    if (wait[SLOTS].revents)
        obey(keeper);
    if (wait[SLOTS + 1].revents && !keeper->orphan && !keeper->paused)
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
    for (size_t i = 0; i < SLOTS; i++)
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

/* *ret_fd -1: it says that it is paused. */
static bool receive(int keeper_fd, int *ret_fd, unsigned *ret_slot, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int fds[IPC_FDS_MAX];
    size_t count = 0;
    bool closed = false;
    if (!ipc_receive(keeper_fd, &message, fds, &count, &closed, err))
        return false;
    bool paused = !closed && message.len == 1 && message.data[0] == KEEPER_PAUSED && count == 0;
    if (paused || (!closed && message.len == 1 && message.data[0] < SLOTS && count == 1)) {
        *ret_fd = paused ? -1 : fds[0];
        *ret_slot = message.data[0];
        return true;
    }
    for (size_t i = 0; i < count; i++)
        close(fds[i]);
    return closed ? err_set(err, ERR_UNREACH, "the keeper of credentials has gone")
                  : err_set(err, ERR_INTERNAL, "the keeper of credentials breaks the protocol");
}

bool keeper_receive(int keeper_fd, int *ret_fd, unsigned *ret_slot, struct err *err)
{
    int fd;
    unsigned slot;
    if (!receive(keeper_fd, &fd, &slot, err))
        return false;
    if (fd < 0) /* a pause that was waited for in vain */
        return err_set(err, ERR_BUSY, "the keeper of credentials is paused");
    *ret_fd = fd;
    *ret_slot = slot;
    return true;
}

static bool tell(
    int keeper_fd, enum keeper_word word, unsigned slot, const int *fd, struct err *err)
{
    const uint8_t message[] = {(uint8_t)word, (uint8_t)slot};
    return ipc_send(keeper_fd, bytes_of(message, sizeof message), fd, fd ? 1 : 0, err) ||
           err_wrap(err, "keeper of credentials");
}

bool keeper_pause(
    int keeper_fd, void (*fn)(void *arg, int fd, unsigned slot), void *arg, struct err *err)
{
    int64_t end = loop_now_ms() + KEEPER_PAUSE_MS;
    struct pollfd ready = {.fd = keeper_fd, .events = POLLIN};
    if (!tell(keeper_fd, KEEPER_PAUSE, 0, NULL, err))
        return false;
    for (int fd = 0; fd >= 0;) {
        unsigned slot;
        int64_t left = end - loop_now_ms();
        if (poll(&ready, 1, left > 0 ? (int)left : 0) <= 0)
            return err_set(err, ERR_TIMEOUT, "the keeper of credentials does not pause");
        if (!receive(keeper_fd, &fd, &slot, err))
            return false;
        if (fd >= 0)
            fn(arg, fd, slot);
    }
    return true;
}

bool keeper_resume(int keeper_fd, struct err *err)
{
    return tell(keeper_fd, KEEPER_RESUME, 0, NULL, err);
}

bool keeper_adopt(int keeper_fd, int fd, struct err *err)
{
    return tell(keeper_fd, KEEPER_ADOPT, 0, &fd, err);
}

bool keeper_release(int keeper_fd, unsigned slot, struct err *err)
{
    return tell(keeper_fd, KEEPER_RELEASE, slot, NULL, err);
}

bool keeper_refuse(int keeper_fd, unsigned slot, struct err *err)
{
    return tell(keeper_fd, KEEPER_REFUSE, slot, NULL, err);
}
