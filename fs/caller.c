/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/caller.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "crypt/base/log.h"

#define STATUS_SIZE 8192 /* the fields at its beginning are enough */
#define DELETED     " (deleted)"

/* -- text of /proc ------------------------------------------------------------------------------ */

static bool read_text(int fd, char *out, size_t size, struct err *err)
{
    ssize_t len = pread(fd, out, size - 1, 0);
    if (len < 0)
        return err_set_errno(err, errno == ESRCH ? ERR_NOTFOUND : ERR_IO, "/proc of the caller");
    out[len] = '\0';
    return true;
}

static int open_of(pid_t pid, const char *name, int flags)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d%s", (int)pid, name);
    return open(path, flags | O_CLOEXEC);
}

static bool find_process(int status_fd, pid_t *ret_pid, struct err *err)
{
    char text[STATUS_SIZE];
    int pid;
    if (!read_text(status_fd, text, sizeof text, err))
        return false;
    const char *line = strstr(text, "\nTgid:");
    if (!line || sscanf(line, "\nTgid: %d", &pid) != 1 || pid <= 0)
        return err_set(err, ERR_FORMAT, "/proc/PID/status without Tgid");
    *ret_pid = pid;
    return true;
}

/* Field 22; field 2 is a name in brackets that may hold anything, brackets and blanks too. */
static bool find_start(pid_t pid, uint64_t *ret_start, struct err *err)
{
    char text[1024];
    unsigned long long start;
    auto_fd int fd = open_of(pid, "/stat", O_RDONLY);
    if (fd < 0)
        return err_set_errno(err, ERR_NOTFOUND, "/proc/%d/stat", (int)pid);
    if (!read_text(fd, text, sizeof text, err))
        return false;
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++)
        at = strchr(at + 1, ' ');
    if (!at || sscanf(at, " %llu", &start) != 1)
        return err_set(err, ERR_FORMAT, "/proc/%d/stat without a start time", (int)pid);
    *ret_start = start;
    return true;
}

/* -- the executable ----------------------------------------------------------------------------- */

static void find_exe(pid_t tid, struct caller_look *look)
{
    char link[64];
    size_t tail = strlen(DELETED);
    snprintf(link, sizeof link, "/proc/%d/exe", (int)tid);
    ssize_t len = readlink(link, look->exe, sizeof look->exe - 1);
    if (len < 0)
        len = 0;
    look->exe[len] = '\0';
    if ((size_t)len > tail && strcmp(look->exe + len - tail, DELETED) == 0) {
        look->exe[(size_t)len - tail] = '\0';
        look->exe_deleted = true;
    }
}

/* Through the link to the very file that runs, whatever lies at its path now. */
static void find_digest(
    struct exe_digests *digests, pid_t tid, bool quick, struct caller_look *look)
{
    struct err err = ERR_INIT;
    auto_fd int fd = open_of(tid, "/exe", O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        err_set_errno(&err, ERR_IO, "open the executable");
    else
        look->has_digest = quick ? exe_digest_known(digests, fd, look->digest)
                                 : exe_digest(digests, fd, look->digest, &err);
    if (!look->has_digest && !quick)
        log_err(LOG_LEVEL_DEBUG, &err, "process %d (%s)", (int)look->pid, look->exe);
}

/* -- the look ----------------------------------------------------------------------------------- */

void caller_look_done(struct caller_look *look)
{
    if (look->cgroup_fd >= 0)
        close(look->cgroup_fd);
    if (look->status_fd >= 0)
        close(look->status_fd);
    look->cgroup_fd = look->status_fd = -1;
}

bool caller_look(struct exe_digests *digests, pid_t tid, unsigned needs,
    struct caller_look *ret_look, struct err *err)
{
    auto_fd int cgroup = open_of(tid, "/cgroup", O_RDONLY);
    auto_fd int status = open_of(tid, "/status", O_RDONLY);
    struct caller_look look = {.cgroup_fd = -1, .status_fd = -1};
    if (cgroup < 0 || status < 0)
        return err_set_errno(
            err, errno == ENOENT || errno == ESRCH ? ERR_NOTFOUND : ERR_IO, "thread %d", (int)tid);
    if (!find_process(status, &look.pid, err) || !find_start(look.pid, &look.start_time, err))
        return false;
    if (needs & (CALLER_EXE | CALLER_DIGEST))
        find_exe(tid, &look);
    if (needs & CALLER_DIGEST)
        find_digest(digests, tid, needs & CALLER_QUICK, &look);
    look.cgroup_fd = take_fd(cgroup);
    look.status_fd = take_fd(status);
    *ret_look = look;
    return true;
}

bool caller_proc_check(struct err *err)
{
    char text[32] = "", own[32];
    ssize_t len = readlink("/proc/self", text, sizeof text - 1);
    if (len < 0)
        return err_set_errno(
            err, ERR_CONFIG, "/proc is needed for access rules and the audit; mount it");
    snprintf(own, sizeof own, "%d", (int)getpid());
    if (strcmp(text, own) != 0)
        return err_set(err, ERR_CONFIG,
            "/proc is that of another pid namespace (it calls this process %s, which is %s): "
            "callers cannot be told from it; mount a proc of our own, or run in that namespace "
            "(hostPID)",
            text, own);
    return true;
}
