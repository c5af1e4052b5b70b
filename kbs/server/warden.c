/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/pack.h"
#include "crypt/base/sandbox.h"
#include "crypt/base/secret.h"
#include "kbs/server/outbound/courier_process.h"
#include "kbs/server/process.h"
#include "kbs/server/verifier/verifier.h"

#define SETUP_LOCKED (256u * 1024)
#define SETUP_MS     10000

enum { OP_START = 1, OP_END = 2 };
enum { DONE = 0, FAILED = 1 };

/* -- the process --------------------------------------------------------------------------------- */

/* What differs between wardens. */
struct kind {
    const char *name; /* in the log */
    char *argument, *child_argument;
    const char *children; /* for errors */
    bool
        files; /* it may open what its user may read, for a child picks its own files when it starts */
    enum landlock_net net;
    const char *const *calls; /* of its children, beside what any program of ours needs */
};

static const char *const no_calls[] = {NULL};
static char verifiers_argument[] = WARDEN_VERIFIERS_ARGUMENT,
            verifier_argument[] = VERIFIER_ARGUMENT;
static char couriers_argument[] = WARDEN_COURIERS_ARGUMENT, courier_argument[] = COURIER_ARGUMENT;

static const struct kind kinds[] = {
    [WARDEN_VERIFIERS] = {"sealed-kbs warden", verifiers_argument, verifier_argument,
        "verifier processes", false, LANDLOCK_NET_NONE, no_calls},
    [WARDEN_COURIERS] = {"sealed-kbs courier warden", couriers_argument, courier_argument,
        "courier process", true, LANDLOCK_NET_NO_BIND, courier_syscalls},
};

/* What each child is told at its start, before the front can say anything to it. */
struct setup {
    bool given;
    struct buf public;
    struct secret *secret;
};

static void setup_done(struct setup *setup)
{
    buf_done(&setup->public);
    secret_unref(setup->secret);
}

/* u32 length, then the bytes; all of it fits the socket's buffer, for the child may not read yet. */
static bool put(int fd, struct bytes data, struct err *err)
{
    const uint8_t head[] = {(uint8_t)(data.len >> 24), (uint8_t)(data.len >> 16),
        (uint8_t)(data.len >> 8), (uint8_t)data.len};
    if (send(fd, head, sizeof head, MSG_NOSIGNAL) != (ssize_t)sizeof head ||
        (data.len > 0 && send(fd, data.data, data.len, MSG_NOSIGNAL) != (ssize_t)data.len))
        return err_set_errno(err, ERR_UNREACH, "tell a new process what it may do");
    return true;
}

static bool start_one(
    const struct kind *kind, const struct setup *setup, pid_t *slot, int *ret_fd, struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set_errno(err, ERR_NOMEM, "socket for a %s", kind->child_argument);
    auto_fd int ours = pair[0], theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_INTERNAL, "socket for a %s", kind->child_argument);
    if (setup->given && (!put(ours, buf_bytes(&setup->public), err) ||
                            !put(ours, secret_bytes(setup->secret), err)))
        return false;
    if (!process_start(theirs, kind->child_argument, slot, err))
        return false;
    *ret_fd = take_fd(ours);
    return true;
}

static pid_t *find_pid(pid_t *pids, pid_t pid)
{
    for (size_t i = 0; i < WARDEN_CHILDREN; i++)
        if (pids[i] == pid)
            return &pids[i];
    return NULL;
}

/* *ret_fd stays -1 unless a process was started. */
static bool obey(const struct kind *kind, const struct setup *setup, struct bytes message,
    pid_t *pids, uint32_t *ret_number, int *ret_fd, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    unsigned op = pack_get_u8(&in);
    pid_t pid = op == OP_END ? (pid_t)pack_get_u32(&in) : 0;
    pid_t *slot = find_pid(pids, pid);
    if (!pack_finish(&in, "warden request", err))
        return false;
    if ((op != OP_START && op != OP_END) || !slot || (op == OP_END && pid <= 0))
        return err_set(err, ERR_FORMAT, "warden request %u for process %d", op, (int)pid);
    if (op == OP_END) {
        *ret_number = (uint32_t)process_end(pid);
        *slot = 0;
        return true;
    }
    if (!start_one(kind, setup, slot, ret_fd, err))
        return false;
    *ret_number = (uint32_t)*slot;
    return true;
}

static bool serve(const struct kind *kind, const struct setup *setup, pid_t *pids, bool *ret_closed,
    struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX), answer = BUF_INIT(IPC_MESSAGE_MAX);
    auto_fd int fd = -1;
    uint32_t number = 0;
    struct err cause = ERR_INIT;
    if (!ipc_receive(PROCESS_FD, &message, NULL, NULL, ret_closed, err) || *ret_closed)
        return *ret_closed;
    struct pack_writer out = pack_writer(&answer);
    if (obey(kind, setup, buf_bytes(&message), pids, &number, &fd, &cause)) {
        pack_put_u8(&out, DONE);
        pack_put_u32(&out, number);
    } else {
        pack_put_u8(&out, FAILED);
        pack_put_text(&out, cause.message);
    }
    return pack_written(&out, "warden answer", err) &&
           ipc_send(PROCESS_FD, buf_bytes(&answer), fd >= 0 ? &fd : NULL, fd >= 0 ? 1 : 0, err);
}

/*
 * It runs one file, its own, and that file's loader; both sandboxes are inherited by its children, which shut theirs further. The
 * front, which is of the same user, cannot be signalled from in here.
 */
static bool enter_sandbox(const struct kind *kind, struct err *err)
{
    const char *const *const lists[] = {kind->calls, NULL};
    const struct landlock_rule rules[] = {
        {PROCESS_PROGRAM, LANDLOCK_RUN},
        {"/lib64/ld-linux-x86-64.so.2", LANDLOCK_RUN},
        {"/lib/ld-linux-aarch64.so.1", LANDLOCK_RUN},
        LANDLOCK_LIBRARIES,
        {"/dev/null", LANDLOCK_READ | LANDLOCK_WRITE},
        {"/dev/urandom", LANDLOCK_READ},
        {"/etc/localtime", LANDLOCK_READ},
        {"/etc/ssl/openssl.cnf", LANDLOCK_READ},
        {"/etc/gnutls", LANDLOCK_READ},
        {"/etc/crypto-policies", LANDLOCK_READ},
        {"/proc/sys/crypto/fips_enabled", LANDLOCK_READ},
        {kind->files ? "/" : NULL, LANDLOCK_READ},
    };
    return landlock_enter(rules, ARRAY_LEN(rules), kind->net, err) &&
           sandbox_seccomp_parent(lists, err);
}

/* Once, before anything is asked of it: what it is told later by a front that was taken over changes no child's orders. */
static bool receive_setup(struct setup *setup, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    if (!secret_init_process(SETUP_LOCKED, err) ||
        !ipc_receive(PROCESS_FD, &message, NULL, NULL, &closed, err))
        return false;
    struct pack_reader in = pack_reader(buf_bytes(&message));
    uint32_t len = pack_get_u32(&in);
    struct bytes public = pack_get_block(&in, WARDEN_PUBLIC_MAX);
    if (closed)
        return err_set(err, ERR_UNREACH, "the front has gone");
    if (!pack_finish(&in, "warden setup", err))
        return false;
    if (len > WARDEN_SECRET_MAX)
        return err_set(err, ERR_FORMAT, "warden setup with %u secret bytes", (unsigned)len);
    setup->given = true;
    return buf_append(&setup->public, public, err) &&
           ipc_receive_secret(PROCESS_FD, len, SETUP_MS, &setup->secret, err);
}

int warden_main(enum warden_kind which)
{
    const struct kind *kind = &kinds[which];
    AUTO_DONE(setup_done) struct setup setup = {.public = BUF_INIT(WARDEN_PUBLIC_MAX)};
    pid_t pids[WARDEN_CHILDREN] = {0};
    bool closed = false;
    struct err err = ERR_INIT;
    log_init(kind->name, LOG_TARGET_AUTO, LOG_LEVEL_NOTICE);
    if (!process_started_by_us())
        return err_info(ERR_CONFIG)->exit_status;
    /* It ends with the front, not with a signal to the whole group: requests in flight go on. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    bool ok = sandbox_harden(&err) && (which == WARDEN_VERIFIERS || receive_setup(&setup, &err)) &&
              enter_sandbox(kind, &err);
    while (ok && !closed)
        ok = serve(kind, &setup, pids, &closed, &err);
    for (size_t i = 0; i < WARDEN_CHILDREN; i++)
        if (pids[i] > 0)
            process_end(pids[i]);
    if (!ok)
        log_err(LOG_LEVEL_ERROR, &err, "warden of the %s", kind->children);
    return ok ? 0 : err_info(err.code)->exit_status;
}

/* -- the front's side ---------------------------------------------------------------------------- */

static bool send_setup(int fd, const struct warden_setup *setup, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct pack_writer out = pack_writer(&message);
    pack_put_u32(&out, (uint32_t)secret_len(setup->secret));
    pack_put_block(&out, setup->public);
    return pack_written(&out, "warden setup", err) &&
           ipc_send(fd, buf_bytes(&message), NULL, 0, err) &&
           ipc_send_secret(fd, setup->secret, err);
}

bool warden_start(enum warden_kind which, const struct warden_setup *setup, int *ret_fd,
    pid_t *ret_pid, struct err *err)
{
    const struct kind *kind = &kinds[which];
    int pair[2];
    if (setup &&
        (setup->public.len > WARDEN_PUBLIC_MAX || secret_len(setup->secret) > WARDEN_SECRET_MAX))
        return err_set(err, ERR_CONFIG, "the %s would be told more than %u KiB", kind->children,
            WARDEN_PUBLIC_MAX / 1024);
    if (!ipc_pair(pair, err))
        return false;
    auto_fd int ours = pair[0], theirs = pair[1];
    if (!process_start(theirs, kind->argument, ret_pid, err) ||
        (setup && !send_setup(ours, setup, err)))
        return err_wrap(err, "the warden of the %s", kind->children);
    *ret_fd = take_fd(ours);
    return true;
}

static bool ask(
    int fd, unsigned op, uint32_t operand, uint32_t *ret_number, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    char text[ERR_MESSAGE_SIZE] = "";
    size_t fds = 0;
    int got[IPC_FDS_MAX] = {-1, -1, -1, -1};
    bool closed = false;
    struct pack_writer out = pack_writer(&message);
    pack_put_u8(&out, (uint8_t)op);
    if (op == OP_END)
        pack_put_u32(&out, operand);
    if (!pack_written(&out, "warden request", err) ||
        !ipc_send(fd, buf_bytes(&message), NULL, 0, err) ||
        !ipc_receive(fd, &message, got, &fds, &closed, err))
        return err_wrap(err, "a warden of sealed-kbs; restart sealed-kbs");
    struct pack_reader in = pack_reader(buf_bytes(&message));
    unsigned status = pack_get_u8(&in);
    uint32_t number = status == DONE ? pack_get_u32(&in) : 0;
    if (status != DONE)
        pack_get_text(&in, text, sizeof text);
    bool good = !closed && pack_finish(&in, "warden answer", err) && status == DONE &&
                fds == (op == OP_START ? 1 : 0);
    if (good && ret_fd)
        *ret_fd = got[0];
    for (size_t i = 0; i < fds && !(good && ret_fd); i++)
        close(got[i]);
    if (good)
        *ret_number = number;
    return good || err_set(err, ERR_UNREACH, "%s",
                       closed    ? "a warden of sealed-kbs has ended; restart sealed-kbs"
                       : text[0] ? text
                                 : "the warden gave no good answer");
}

bool warden_start_child(int fd, int *ret_child_fd, pid_t *ret_pid, struct err *err)
{
    uint32_t pid;
    if (!ask(fd, OP_START, 0, &pid, ret_child_fd, err))
        return false;
    *ret_pid = (pid_t)pid;
    return true;
}

bool warden_end_child(int fd, pid_t pid, int *ret_status, struct err *err)
{
    uint32_t status;
    if (!ask(fd, OP_END, (uint32_t)pid, &status, NULL, err))
        return false;
    *ret_status = (int)status;
    return true;
}

void warden_stop(int fd, pid_t pid)
{
    int status;
    close(fd); /* it ends at the end of its socket, and its children with it */
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
}
