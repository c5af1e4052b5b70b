/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/opener.h"

#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "fs/namespace.h"

/* -- in the opener ------------------------------------------------------------------------------ */

struct kept {
    int *fds;
    size_t count, max;
};

static void count_fd(void *arg, int fd)
{
    (void)fd;
    ((struct kept *)arg)->max++;
}

static void keep_fd(void *arg, int fd)
{
    struct kept *kept = arg;
    if (kept->count < kept->max)
        kept->fds[kept->count++] = fd;
}

static void each_fd(const struct monitor *monitor, void (*fn)(void *arg, int fd), void *arg)
{
    for (size_t i = 0; i < monitor->count; i++)
        if (monitor->mounts[i].space)
            namespace_each_fd(monitor->mounts[i].space, fn, arg);
}

static int by_number(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

/* All but the directories, the lane and the log: one of the mount's in here would keep it busy, one of the monitor's sockets would hide its end. */
static bool close_others(const struct monitor *monitor, int fd)
{
    struct kept kept = {.max = 1};
    unsigned next = STDERR_FILENO + 1;
    each_fd(monitor, count_fd, &kept);
    auto_free int *fds = calloc(kept.max, sizeof *fds);
    if (!fds)
        return false;
    kept.fds = fds;
    keep_fd(&kept, fd);
    each_fd(monitor, keep_fd, &kept);
    qsort(fds, kept.count, sizeof *fds, by_number);
    for (size_t i = 0; i < kept.count; i++) {
        unsigned number = (unsigned)fds[i];
        if (number > next && close_range(next, number - 1, 0) < 0)
            return false;
        if (number >= next)
            next = number + 1;
    }
    return close_range(next, ~0u, 0) == 0;
}

static bool confine(struct err *err)
{
    static const char *const syscalls[] = {"openat2", "openat", "statx", "fstatfs", "readlinkat",
        "getdents64", "sendto", "recvmsg", "poll", "ppoll", NULL};
    return sandbox_keep_caps(UINT64_C(1) << CAP_DAC_READ_SEARCH, err) &&
           sandbox_seccomp(syscalls, err);
}

static _Noreturn void open_on(const struct monitor *monitor, int fd)
{
    const struct monitor own = {
        .mounts = monitor->mounts, .count = monitor->count, .is_opener = true};
    struct err err = ERR_INIT;
    bool closed = false;
    (void)prctl(PR_SET_NAME, "sealedfs-open", 0, 0, 0);
    if (!close_others(monitor, fd))
        _exit(1);
    if (!confine(&err)) {
        log_err(LOG_LEVEL_ERROR, &err, "opener");
        _exit(1);
    }
    while (!closed && monitor_serve(&own, fd, &closed, &err))
        ;
    _exit(closed || err.code == ERR_UNREACH ? 0 : 1);
}

/* -- in the monitor ----------------------------------------------------------------------------- */

static pid_t *find(struct openers *openers, pid_t pid)
{
    for (size_t i = 0; i < OPENERS_MAX; i++)
        if (openers->pids[i] == pid)
            return &openers->pids[i];
    return NULL;
}

bool opener_start(
    struct openers *openers, const struct monitor *monitor, int *ret_fd, struct err *err)
{
    int ends[2];
    pid_t *place = find(openers, 0);
    if (!place)
        return err_set(err, ERR_BUSY, "%d openers hang already", OPENERS_MAX);
    if (!ipc_pair(ends, err))
        return false;
    auto_fd int ours = ends[0], theirs = ends[1];
    pid_t pid = fork();
    if (pid == 0) {
        close(theirs);
        open_on(monitor, ours);
    }
    if (pid < 0)
        return err_set_errno(err, ERR_NOMEM, "fork an opener");
    *place = pid;
    *ret_fd = take_fd(theirs);
    return true;
}

void openers_reap(struct openers *openers, pid_t pid)
{
    pid_t *place = find(openers, pid);
    if (place)
        *place = 0;
}
