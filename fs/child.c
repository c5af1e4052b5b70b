/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "crypt/base/cleanup.h"
#include "crypt/base/ipc.h"

#define WORDS_MAX 64 /* of the monitor's command line */
#define FDS_MAX   (WORKER_MOUNTS + 2 * MOUNTS_MAX)

/* -- in the child ------------------------------------------------------------------------------ */

/* `fds` by target number, -1: nothing there. Above all targets first, so that no move overwrites another's source. */
static bool place_fds(const int *fds, int count)
{
    int high[FDS_MAX];
    for (int i = 0; i < count; i++) {
        high[i] = fds[i] >= 0 ? fcntl(fds[i], F_DUPFD_CLOEXEC, count) : -1;
        if (fds[i] >= 0 && high[i] < 0)
            return false;
    }
    for (int i = 0; i < count; i++)
        if (high[i] >= 0 && dup2(high[i], i) < 0)
            return false;
    return true;
}

static void execute(const struct child_conf *conf, pid_t monitor, const int *fds)
{
    char mode[64];
    unsigned there = 0;
    char nothing[] = "";
    char *argv[WORDS_MAX + MOUNTS_MAX + 3] = {conf->argv[0], mode};
    size_t count = 2;
    for (size_t i = 0; i < conf->mount_count; i++)
        argv[count++] = mounted_is_on(&conf->mounts[i]) ? conf->mounts[i].mountpoint : nothing;
    for (char *const *word = conf->argv + 1; *word && count < ARRAY_LEN(argv) - 1; word++)
        argv[count++] = *word;
    for (int fd = 0; fd < WORKER_MOUNTS; fd++)
        there |= fds[fd] >= 0 ? 1u << fd : 0;
    snprintf(mode, sizeof mode, "--worker=%d:%x:%zu", (int)monitor, there, conf->mount_count);
    execv("/proc/self/exe", argv);
}

static void become_worker(const struct child_conf *conf, pid_t monitor, int requests, int events)
{
    int fds[FDS_MAX];
    sigset_t none;
    for (size_t i = 0; i < FDS_MAX; i++)
        fds[i] = -1;
    fds[WORKER_REQUESTS] = requests;
    fds[WORKER_EVENTS] = events;
    fds[WORKER_CONF] = conf->conf_fd;
    fds[WORKER_PREDECESSOR] = conf->predecessor_fd;
    for (size_t i = 0; i < LISTENER_COUNT; i++)
        fds[WORKER_LISTENERS + i] = conf->listeners[i];
    for (size_t i = 0; i < conf->mount_count; i++) {
        fds[worker_fuse_fd(i)] = conf->mounts[i].fuse_fd;
        fds[worker_table_fd(i)] = conf->mounts[i].table_fd;
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (place_fds(fds, worker_fuse_fd(conf->mount_count)))
        execute(conf, monitor, fds);
    _exit(127);
}

/* -- in the monitor ---------------------------------------------------------------------------- */

static bool make_pair(int *ret_ours, int *ret_theirs, struct err *err)
{
    int ends[2];
    if (!ipc_pair(ends, err))
        return false;
    auto_fd int ours = ends[0], theirs = ends[1];
    if (fcntl(ours, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_INTERNAL, "sockets to the worker");
    *ret_ours = take_fd(ours);
    *ret_theirs = take_fd(theirs);
    return true;
}

bool child_start(const struct child_conf *conf, struct child *ret_child, struct err *err)
{
    auto_fd int requests = -1, their_requests = -1, events = -1, their_events = -1;
    pid_t monitor = getpid();
    if (!make_pair(&requests, &their_requests, err) || !make_pair(&events, &their_events, err))
        return false;
    pid_t pid = fork();
    if (pid == 0)
        become_worker(conf, monitor, their_requests, their_events);
    if (pid < 0)
        return err_set_errno(err, ERR_NOMEM, "fork the worker");
    *ret_child = (struct child){pid, take_fd(requests), take_fd(events)};
    return true;
}

void child_kill(const struct child *child)
{
    if (child->pid > 0)
        kill(child->pid, SIGKILL);
}

void child_forget(struct child *child)
{
    if (child->requests >= 0)
        close(child->requests);
    if (child->events >= 0)
        close(child->events);
    *child = (struct child)CHILD_INIT;
}

void child_end(struct child *child)
{
    int status;
    child_kill(child);
    while (child->pid > 0 && waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    child_forget(child);
}

void child_death(int status, char *out, size_t size)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
            strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "exited with status %d", WEXITSTATUS(status));
}
