/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier_warden.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/pack.h"
#include "crypt/base/sandbox.h"
#include "kbs/server/verifier.h"

#define CHILD_FD  3
#define PROGRAM   "/proc/self/exe"
#define ANSWER_MS 10000

enum { OP_START = 1, OP_END = 2 };
enum { DONE = 0, FAILED = 1 };

/* -- starting a program of ours ------------------------------------------------------------------ */

struct actions {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
};

static void actions_done(struct actions *actions)
{
    posix_spawn_file_actions_destroy(&actions->files);
    posix_spawnattr_destroy(&actions->attributes);
}

/* Descriptors: /dev/null, /dev/null, our stderr, the socket; nothing else. Signals as at login. */
static int actions_init(struct actions *actions, int socket_fd)
{
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions->files);
    posix_spawnattr_init(&actions->attributes);
    int failed = posix_spawn_file_actions_addopen(&actions->files, 0, "/dev/null", O_RDONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_addopen(&actions->files, 1, "/dev/null", O_WRONLY, 0);
    if (!failed)
        failed = posix_spawn_file_actions_adddup2(&actions->files, socket_fd, CHILD_FD);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions->files, CHILD_FD + 1);
    if (!failed)
        failed = posix_spawnattr_setflags(
            &actions->attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    if (!failed)
        failed = posix_spawnattr_setsigmask(&actions->attributes, &none);
    return failed ? failed : posix_spawnattr_setsigdefault(&actions->attributes, &all);
}

/* The environment may name secrets of the service manager: it stays here. */
static void child_environment(char **environment, size_t size)
{
    static const char *const kept[] = {"ASAN_OPTIONS=", "UBSAN_OPTIONS=", "LSAN_OPTIONS="};
    size_t count = 0;
    for (char **at = environ; sandbox_relaxed() && *at; at++)
        for (size_t i = 0; i < ARRAY_LEN(kept); i++)
            if (count + 1 < size && strncmp(*at, kept[i], strlen(kept[i])) == 0)
                environment[count++] = *at;
    environment[count] = NULL;
}

static bool spawn(int socket_fd, char *argument, pid_t *ret_pid, struct err *err)
{
    static char name[] = "sealed-kbs";
    char *const argv[] = {name, argument, NULL};
    char *environment[8];
    pid_t pid;
    AUTO_DONE(actions_done) struct actions actions;
    child_environment(environment, ARRAY_LEN(environment));
    int failed = actions_init(&actions, socket_fd);
    if (!failed)
        failed = posix_spawn(&pid, PROGRAM, &actions.files, &actions.attributes, argv, environment);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_UNREACH, "start %s %s", PROGRAM, argument);
    }
    *ret_pid = pid;
    return true;
}

static int end(pid_t pid)
{
    int status = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* -- the process --------------------------------------------------------------------------------- */

static bool start_one(pid_t *slot, int *ret_fd, struct err *err)
{
    static char argument[] = VERIFIER_ARGUMENT;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set_errno(err, ERR_NOMEM, "socket for a verifier process");
    auto_fd int ours = pair[0], theirs = pair[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_INTERNAL, "socket for a verifier process");
    if (!spawn(theirs, argument, slot, err))
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

/* *ret_fd stays -1 unless a verifier was started. */
static bool obey(
    struct bytes message, pid_t *pids, uint32_t *ret_number, int *ret_fd, struct err *err)
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
        *ret_number = (uint32_t)end(pid);
        *slot = 0;
        return true;
    }
    if (!start_one(slot, ret_fd, err))
        return false;
    *ret_number = (uint32_t)*slot;
    return true;
}

static bool serve(pid_t *pids, bool *ret_closed, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX), answer = BUF_INIT(IPC_MESSAGE_MAX);
    auto_fd int fd = -1;
    uint32_t number = 0;
    struct err cause = ERR_INIT;
    if (!ipc_receive(CHILD_FD, &message, NULL, NULL, ret_closed, err) || *ret_closed)
        return *ret_closed;
    struct pack_writer out = pack_writer(&answer);
    if (obey(buf_bytes(&message), pids, &number, &fd, &cause)) {
        pack_put_u8(&out, DONE);
        pack_put_u32(&out, number);
    } else {
        pack_put_u8(&out, FAILED);
        pack_put_text(&out, cause.message);
    }
    return pack_written(&out, "warden answer", err) &&
           ipc_send(CHILD_FD, buf_bytes(&answer), fd >= 0 ? &fd : NULL, fd >= 0 ? 1 : 0, err);
}

/*
 * It runs one file, its own, and that file's loader; both sandboxes are inherited by the verifiers, which shut theirs further. The
 * front, which is of the same user, cannot be signalled from in here.
 */
static bool enter_sandbox(struct err *err)
{
    static const char *const *const no_more[] = {NULL};
    static const struct landlock_rule rules[] = {
        {PROGRAM, LANDLOCK_RUN},
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
    };
    return sandbox_harden(err) && landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_NONE, err) &&
           sandbox_seccomp_parent(no_more, err);
}

int warden_main(void)
{
    pid_t pids[WARDEN_CHILDREN] = {0};
    bool closed = false;
    struct err err = ERR_INIT;
    log_init("sealed-kbs warden", LOG_TARGET_AUTO, LOG_LEVEL_NOTICE);
    if (fcntl(CHILD_FD, F_GETFD) < 0) {
        log_error("descriptor 3 is not open: sealed-kbs starts this process itself");
        return err_info(ERR_CONFIG)->exit_status;
    }
    /* It ends with the front, not with a signal to the whole group: requests in flight go on. */
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    bool ok = enter_sandbox(&err);
    while (ok && !closed)
        ok = serve(pids, &closed, &err);
    for (size_t i = 0; i < WARDEN_CHILDREN; i++)
        if (pids[i] > 0)
            end(pids[i]);
    if (!ok)
        log_err(LOG_LEVEL_ERROR, &err, "warden of the verifier processes");
    return ok ? 0 : err_info(err.code)->exit_status;
}

/* -- the front's side ---------------------------------------------------------------------------- */

bool warden_start(int *ret_fd, pid_t *ret_pid, struct err *err)
{
    static char argument[] = WARDEN_ARGUMENT;
    int pair[2];
    if (!ipc_pair(pair, err))
        return false;
    auto_fd int ours = pair[0], theirs = pair[1];
    if (!spawn(theirs, argument, ret_pid, err))
        return false;
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
        return err_wrap(err, "the warden of the verifier processes; restart sealed-kbs");
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
                       closed ? "the warden of the verifier processes has ended; restart sealed-kbs"
                       : text[0] ? text
                                 : "the warden gave no good answer");
}

bool warden_start_verifier(int fd, int *ret_verifier_fd, pid_t *ret_pid, struct err *err)
{
    uint32_t pid;
    if (!ask(fd, OP_START, 0, &pid, ret_verifier_fd, err))
        return false;
    *ret_pid = (pid_t)pid;
    return true;
}

bool warden_end_verifier(int fd, pid_t pid, int *ret_status, struct err *err)
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
