/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"

/* -- starting one ---------------------------------------------------------------------------------- */

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
        failed = posix_spawn_file_actions_adddup2(&actions->files, socket_fd, PROCESS_FD);
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(&actions->files, PROCESS_FD + 1);
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

bool process_start(int socket_fd, char *argument, pid_t *ret_pid, struct err *err)
{
    static char name[] = "sealed-kbs";
    char *const argv[] = {name, argument, NULL};
    char *environment[8];
    pid_t pid;
    AUTO_DONE(actions_done) struct actions actions;
    child_environment(environment, ARRAY_LEN(environment));
    int failed = actions_init(&actions, socket_fd);
    if (!failed)
        failed = posix_spawn(
            &pid, PROCESS_PROGRAM, &actions.files, &actions.attributes, argv, environment);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_UNREACH, "start %s %s", PROCESS_PROGRAM, argument);
    }
    *ret_pid = pid;
    return true;
}

int process_end(pid_t pid)
{
    int status = 0;
    kill(pid, SIGKILL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

/* -- being one ------------------------------------------------------------------------------------- */

bool process_started_by_us(void)
{
    if (fcntl(PROCESS_FD, F_GETFD) >= 0)
        return true;
    log_error("descriptor 3 is not open: sealed-kbs starts this process itself");
    return false;
}

bool process_leave_log(struct err *err)
{
    if (close_range(PROCESS_FD + 1, ~0u, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "close descriptors");
    if (sandbox_relaxed())
        return true; /* what a sanitizer finds must be seen */
    auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        if (dup2(null, fd) < 0)
            return err_set_errno(err, ERR_INTERNAL, "replace descriptor %d", fd);
    return null >= 0 || err_set_errno(err, ERR_CONFIG, "open /dev/null");
}

bool process_read(uint8_t *out, size_t len)
{
    while (len > 0) {
        ssize_t n = read(PROCESS_FD, out, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        out += n;
        len -= (size_t)n;
    }
    return true;
}

bool process_write(struct bytes data)
{
    while (data.len > 0) {
        ssize_t n = write(PROCESS_FD, data.data, data.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data = bytes_slice(data, (size_t)n, data.len);
    }
    return true;
}
