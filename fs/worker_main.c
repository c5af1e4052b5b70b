/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/worker_main.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "crypt/base/landlock.h"
#include "crypt/base/log.h"
#include "crypt/base/sandbox.h"
#include "fs/child.h"
#include "fs/credentials.h"
#include "fs/monitor_wire.h"
#include "fs/pages.h"
#include "fs/resolver_make.h"
#include "fs/scrape.h"

/* Beside the cache: secrets on their way, keys, and a reply buffer for each thread of a mount. */
#define MEMORY_BESIDE (2u * 1024 * 1024)
/* A further mount's threads have such buffers as well. */
#define MEMORY_A_THREAD (128u * 1024)

/* What the base list of sandbox_seccomp lacks: files for certificates, /etc/hosts and the like, sockets to the KBS, attestd and the
 * control socket, the threads in which curl looks names up, and the source's descriptors. */
const char *const worker_syscalls[] = {"openat", "access", "faccessat", "faccessat2", "statx",
    "readlink", "readlinkat", "fstatfs", "getxattr", "fgetxattr", "getdents64", "ioctl", "socket",
    "socketpair", "connect", "accept4", "bind", "getsockname", "getpeername", "getsockopt",
    "setsockopt", "sendto", "sendmmsg", "recvfrom", "recvmsg", "recvmmsg", "shutdown", "clone",
    "clone3", "prctl", "eventfd2", "pipe2", "epoll_create1", "dup", "dup2", "dup3", "uname",
    "set_tid_address", "getresuid", "getresgid", "sched_setscheduler", "sched_getparam",
    "sched_getscheduler", NULL};

/*
 * Landlock takes only what is there. Where resolv.conf is a link into a directory that its service makes later (at boot, before the network is up),
 * the directories above are looked at: the nearest that is there is allowed instead, for reading. In /run that is public state of daemons; what
 * is not public there has its modes, and the worker's user is nobody's friend.
 */
static const char *resolver_directory(const char *path)
{
    static char target[PATH_MAX];
    if (access(path, F_OK) == 0)
        return path;
    ssize_t len = readlink("/etc/resolv.conf", target, sizeof target - 1);
    if (len <= 0)
        return path;
    target[len] = '\0';
    const char *at = strstr(target, path + 1); /* absolute, or ../run/… */
    return at && (at == target + 1 || (at > target + 1 && at[-1] == '/')) ? "/run" : path;
}

/*
 * The files that it may open, whatever its user may: what names, certificates and time zones are looked up in. All of /etc, since
 * resolv.conf, hosts and certificates are replaced by renames there, and a rule on a file holds for that very file only. Secret
 * things in there are root's or have their own group. No file can be written, none run, no TCP port listened on.
 */
static bool leave_files(const struct sealedfs_conf *conf, struct err *err)
{
    const struct landlock_rule fixed[] = {
        {"/etc", LANDLOCK_READ},
        {resolver_directory("/run/systemd/resolve"),
            LANDLOCK_READ}, /* where resolv.conf leads to */
        {resolver_directory("/run/NetworkManager"), LANDLOCK_READ},
        {resolver_directory("/run/resolvconf"), LANDLOCK_READ},
        {"/usr/share/ca-certificates", LANDLOCK_READ},
        {"/usr/local/share/ca-certificates", LANDLOCK_READ},
        {"/var/lib/ca-certificates", LANDLOCK_READ}, {"/usr/share/zoneinfo", LANDLOCK_READ},
        {"/dev/null", LANDLOCK_READ | LANDLOCK_WRITE}, {"/dev/urandom", LANDLOCK_READ},
        {"/proc/self/mountinfo", LANDLOCK_READ}, {"/sys/devices/system/cpu", LANDLOCK_READ},
        {conf->secrets.signer_files, LANDLOCK_READ}, LANDLOCK_LIBRARIES, /* NSS */
    };
    size_t count = ARRAY_LEN(fixed), more = conf->unit_credentials.count;
    auto_free struct landlock_rule *rules = calloc(count + more, sizeof *rules);
    auto_free char(*directories)[PATH_MAX] = calloc(more + 1, sizeof *directories);
    if (!rules || !directories)
        return err_nomem(err);
    memcpy(rules, fixed, sizeof fixed);
    for (size_t i = 0; i < more; i++)
        if (credentials_directory(&conf->unit_credentials.items[i], directories[i]))
            rules[count++] = (struct landlock_rule){directories[i], LANDLOCK_READ};
    return landlock_enter_or_warn(rules, count, LANDLOCK_NET_NO_BIND, err);
}

/* As many descriptors as the machine gives: each open file and each waiting peer is one. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

/* The monitor decides when to stop; a signal to the whole group (Ctrl-C, a service manager) must not end us before. */
static bool leave_signals(struct err *err)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
    for (size_t i = 0; i < ARRAY_LEN(signals); i++)
        if (signal(signals[i], SIG_IGN) == SIG_ERR)
            return err_set(err, ERR_INTERNAL, "ignore signal %d", signals[i]);
    return true;
}

void worker_main_let_go(void)
{
    auto_fd int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null >= 0 && fd <= 2; fd++)
        (void)!dup2(null, fd);
}

static bool drop_privilege(const struct worker_process *process, struct err *err)
{
    return sandbox_become_user(process->conf->mount.user, NULL, err) && sandbox_keep_caps(0, err) &&
           sandbox_die_with_parent(process->monitor, err);
}

static size_t memory_needed(const struct worker_process *process)
{
    size_t further = process->mount_count > 1 ? process->mount_count - 1 : 0;
    return (size_t)process->conf->secrets.memory + MEMORY_BESIDE +
           further * (size_t)process->conf->mount.threads * MEMORY_A_THREAD;
}

static bool serve(const struct worker_process *process, struct err *err)
{
    const struct sealedfs_conf *conf = process->conf;
    struct loop *loop;
    struct resolver *resolver;
    struct worker *worker;
    int control = worker_fd_of(process->fds, WORKER_LISTENERS + LISTENER_CONTROL);
    int scrape = worker_fd_of(process->fds, WORKER_LISTENERS + LISTENER_METRICS);
    int credentials_fd = worker_fd_of(process->fds, WORKER_LISTENERS + LISTENER_CREDENTIALS);
    int keeper = -1;
    /* The keeper is forked off while there is nothing in our memory yet. */
    if (!leave_signals(err) || !credentials_keep(conf, credentials_fd, &keeper, err) ||
        !secret_init_process(memory_needed(process), err) || !loop_new(&loop, err) ||
        !resolver_make(loop, conf, &resolver, err))
        return false;
    struct worker_conf worker_conf = {.loop = loop,
        .resolver = resolver,
        .conf = conf,
        .mountpoints = process->mountpoints,
        .mount_count = process->mount_count,
        .predecessor_fd = worker_fd_of(process->fds, WORKER_PREDECESSOR),
        .requests_fd = WORKER_REQUESTS,
        .events_fd = WORKER_EVENTS};
    if (!worker_new(&worker_conf, &worker, err) ||
        (control >= 0 && !process->control_serve(loop, conf, control, resolver, worker, err)) ||
        (scrape >= 0 && !pages_start(scrape, loop, worker, resolver, err)))
        return false;
    struct credentials *credentials = NULL;
    if (keeper >= 0 && !credentials_start(loop, conf, keeper, resolver, &credentials, err))
        return false;
    worker_set_credentials(worker, credentials);
    raise_descriptors();
    if (!drop_privilege(process, err) || !leave_files(conf, err) || /* before there are threads */
        !worker_start(worker, err) || !sandbox_seccomp(worker_syscalls, err) ||
        !worker_ready(worker, err))
        return false;
    if (process->background)
        worker_main_let_go();
    return loop_run(loop, err);
}

bool worker_main_trial(const struct sealedfs_conf *conf, struct err *err)
{
    struct worker_process process = {.conf = conf};
    AUTO(loop_free) struct loop *loop = NULL;
    struct resolver *resolver;
    if (!secret_init_process(memory_needed(&process), err) || !loop_new(&loop, err) ||
        !resolver_make(loop, conf, &resolver, err))
        return false;
    resolver->free(resolver);
    return true;
}

static void tell_failure(const struct err *cause)
{
    struct monitor_event event = {.kind = MONITOR_FAILED, .code = cause->code};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct err err = ERR_INIT;
    size_t len = strlen(cause->message);
    memcpy(
        event.message, cause->message, len < sizeof event.message ? len + 1 : sizeof event.message);
    if (!monitor_event_encode(&event, &message, &err) ||
        !ipc_send(WORKER_EVENTS, buf_bytes(&message), NULL, 0, &err))
        log_err(LOG_LEVEL_ERROR, cause, "the worker cannot start");
}

int worker_main(const struct worker_process *process)
{
    struct err err = ERR_INIT;
    if (serve(process, &err))
        return 0;
    tell_failure(&err);
    return err_info(err.code)->exit_status;
}
