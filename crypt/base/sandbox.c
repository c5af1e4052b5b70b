/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "crypt/base/log.h"

#ifndef __has_feature
#define __has_feature(name) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
#define RELAXED true
#else
#define RELAXED false
#endif

bool sandbox_relaxed(void)
{
    return RELAXED;
}

/* -- every program ----------------------------------------------------------------------------- */

/* A file opened later must not become descriptor 0-2: what is printed would go into it. */
static bool fill_standard_fds(struct err *err)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) != fd)
            return err_set_errno(err, ERR_CONFIG, "open /dev/null as descriptor %d", fd);
    return true;
}

/* Neither another process of this uid nor a core dump may read our memory. setuid sets the flag
 * anew, so it comes twice. */
static bool become_undumpable(struct err *err)
{
    if (RELAXED) {
        log_debug("sanitizer build: the process stays dumpable (its leak check traces it)");
        return true;
    }
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "make the process undumpable");
    return true;
}

/*
 * A dump that root takes by force (gcore, or a process made dumpable again) is without our pages as well, unless root asks for them: what the
 * TLS libraries hold is in ordinary memory. Children inherit it, through exec too. A container without /proc has to do without.
 */
static void leave_pages_out_of_dumps(void)
{
    auto_fd int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!write(fd, "0", 1);
}

bool sandbox_harden(struct err *err)
{
    static const struct rlimit no_core = {0, 0};
    if (!fill_standard_fds(err))
        return false;
    if (syscall(SYS_close_range, 3u, ~0u, 4u /* CLOSE_RANGE_CLOEXEC */) < 0)
        return err_set_errno(
            err, ERR_CONFIG, "mark descriptors close-on-exec (Linux 5.11 or later is needed)");
    umask(077);
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return err_set_errno(err, ERR_INTERNAL, "ignore SIGPIPE");
    if (setrlimit(RLIMIT_CORE, &no_core) < 0)
        return err_set_errno(err, ERR_INTERNAL, "forbid core dumps");
    leave_pages_out_of_dumps();
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "set no_new_privs");
    return become_undumpable(err);
}

/*
 * The signal is tied to the parent's thread, and the kernel forgets it when credentials change
 * (setuid, capset that gains): call it after sandbox_become_user().
 */
bool sandbox_die_with_parent(pid_t parent, struct err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "ask to die with the parent");
    if (getppid() != parent)
        return err_set(err, ERR_UNREACH, "the parent process %d has gone", (int)parent);
    return true;
}

/* -- users ------------------------------------------------------------------------------------- */

static bool refuse_user(const char *kind, const char *name, struct err *err)
{
    return err_set(err, ERR_CONFIG,
        "%s %s does not exist; create it with: systemd-sysusers, or %sadd --system %s", kind, name,
        kind, name);
}

bool sandbox_user_ids(const char *user, uid_t *ret_uid, gid_t *ret_gid, struct err *err)
{
    char text[16384];
    struct passwd entry, *found = NULL;
    int failed = getpwnam_r(user, &entry, text, sizeof text, &found);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_IO, "look up user %s", user);
    }
    if (!found)
        return refuse_user("user", user, err);
    *ret_uid = entry.pw_uid;
    *ret_gid = entry.pw_gid;
    return true;
}

static bool group_id(const char *group, gid_t *ret_gid, struct err *err)
{
    char text[65536];
    struct group entry, *found = NULL;
    int failed = getgrnam_r(group, &entry, text, sizeof text, &found);
    if (failed) {
        errno = failed;
        return err_set_errno(err, ERR_IO, "look up group %s", group);
    }
    if (!found)
        return refuse_user("group", group, err);
    *ret_gid = entry.gr_gid;
    return true;
}

/* A service manager has made us this user already: only check that the groups are as asked. */
static bool check_groups(const char *user, const char *extra_group, gid_t extra, struct err *err)
{
    gid_t groups[256];
    int count = getgroups((int)ARRAY_LEN(groups), groups);
    if (count < 0)
        return err_set_errno(err, ERR_CONFIG, "groups of user %s", user);
    for (int i = 0; extra_group && i < count; i++)
        if (groups[i] == extra)
            return true;
    if (!extra_group || getegid() == extra)
        return true;
    return err_set(err, ERR_CONFIG,
        "started as user %s without group %s; start as root, or give the group "
        "(SupplementaryGroups=%s)",
        user, extra_group, extra_group);
}

static bool drop_bounding_set(uint64_t keep, struct err *err)
{
    for (unsigned long cap = 0; cap < 64; cap++) {
        int has = prctl(PR_CAPBSET_READ, cap, 0, 0, 0);
        if (has < 0)
            return true; /* past the last one this kernel knows */
        if (has && !(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
            return err_set_errno(
                err, ERR_INTERNAL, "drop capability %lu from the bounding set", cap);
    }
    return true;
}

static bool change_ids(
    const char *user, uid_t uid, gid_t gid, const gid_t *groups, size_t count, struct err *err)
{
    if (!drop_bounding_set(0, err))
        return false;
    /* Groups first: after setresuid there is no right left to change them. */
    if (setgroups(count, groups) < 0 || setresgid(gid, gid, gid) < 0 ||
        setresuid(uid, uid, uid) < 0)
        return err_set_errno(err, ERR_CONFIG, "become user %s", user);
    return true;
}

/* The identity is only as good as its proof: all three ids changed, and none of them comes back. */
static bool prove_ids(const char *user, uid_t uid, gid_t gid, struct err *err)
{
    uid_t uids[3];
    gid_t gids[3];
    if (getresuid(&uids[0], &uids[1], &uids[2]) < 0 || getresgid(&gids[0], &gids[1], &gids[2]) < 0)
        return err_set_errno(err, ERR_INTERNAL, "read the ids of this process");
    for (int i = 0; i < 3; i++)
        if (uids[i] != uid || gids[i] != gid)
            return err_set(err, ERR_INTERNAL, "ids of user %s were not taken on", user);
    if (setuid(0) == 0 || seteuid(0) == 0 || setresuid((uid_t)-1, 0, (uid_t)-1) == 0)
        return err_set(err, ERR_INTERNAL,
            "root can be had back after becoming user %s; refusing to run", user);
    if (gid != 0 && (setgid(0) == 0 || setegid(0) == 0))
        return err_set(err, ERR_INTERNAL,
            "group root can be had back after becoming user %s; refusing to run", user);
    return true;
}

bool sandbox_become_user(const char *user, const char *extra_group, struct err *err)
{
    uid_t uid;
    gid_t groups[2];
    if (!sandbox_user_ids(user, &uid, &groups[0], err) ||
        (extra_group && !group_id(extra_group, &groups[1], err)))
        return false;
    if (uid == 0)
        return err_set(
            err, ERR_CONFIG, "user %s is root; a user without privilege is needed here", user);
    if (geteuid() == uid) {
        if (!check_groups(user, extra_group, groups[1], err))
            return false;
    } else if (geteuid() != 0) {
        return err_set(err, ERR_CONFIG, "running as uid %u; start as root or as user %s",
            (unsigned)geteuid(), user);
    } else if (!change_ids(user, uid, groups[0], groups, extra_group ? 2 : 1, err)) {
        return false;
    }
    return prove_ids(user, uid, getegid(), err) && become_undumpable(err);
}

/* -- capabilities ------------------------------------------------------------------------------ */

struct caps {
    struct __user_cap_data_struct words[_LINUX_CAPABILITY_U32S_3];
};

static bool caps_call(long number, const char *what, struct caps *caps, struct err *err)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    if (syscall(number, &header, caps->words) < 0)
        return err_set_errno(err, ERR_CONFIG, "%s capabilities", what);
    return true;
}

static uint64_t caps_effective(const struct caps *caps)
{
    return caps->words[0].effective | (uint64_t)caps->words[1].effective << 32;
}

static uint64_t caps_permitted(const struct caps *caps)
{
    return caps->words[0].permitted | (uint64_t)caps->words[1].permitted << 32;
}

/* Without CAP_SETPCAP the set stays; under no_new_privs it cannot give anything to anybody. */
static bool limit_bounding_set(uint64_t mask, uint64_t effective, struct err *err)
{
    if (effective >> CAP_SETPCAP & 1)
        return drop_bounding_set(mask, err);
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return err_set(err, ERR_INTERNAL,
            "the bounding set cannot be limited without CAP_SETPCAP or no_new_privs");
    return true;
}

bool sandbox_keep_caps(uint64_t mask, struct err *err)
{
    struct caps now, after;
    if (!caps_call(SYS_capget, "read", &now, err))
        return false;
    uint64_t missing = mask & ~caps_permitted(&now);
    if (missing)
        return err_set(err, ERR_CONFIG,
            "capability %d is needed and not there; start as root (in a container: add it)",
            __builtin_ctzll(missing));
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "clear ambient capabilities");
    if (!limit_bounding_set(mask, caps_effective(&now), err))
        return false;
    struct caps kept = {0};
    for (int word = 0; word < 2; word++)
        kept.words[word].effective = kept.words[word].permitted = (uint32_t)(mask >> 32 * word);
    if (!caps_call(SYS_capset, "limit", &kept, err) || !caps_call(SYS_capget, "read", &after, err))
        return false;
    if (caps_effective(&after) != mask || caps_permitted(&after) != mask ||
        after.words[0].inheritable || after.words[1].inheritable)
        return err_set(err, ERR_INTERNAL, "capabilities were not limited as asked");
    return true;
}

/* -- system calls ------------------------------------------------------------------------------ */

/* What libc, our allocator of secrets, the event loop and the log need once everything is open. */
static const char *const base_syscalls[] = {
    /* memory; memfd_secret and ftruncate make a new secret */
    "brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mlock", "mlock2", "munlock",
    "memfd_secret", "ftruncate",
    /* open descriptors */
    "read", "write", "readv", "writev", "pread64", "pwrite64", "lseek", "close", "fstat",
    "newfstatat", "fcntl", "sendmsg",
    /* waiting */
    "poll", "ppoll", "epoll_wait", "epoll_pwait", "epoll_ctl", "timerfd_settime", "futex",
    "sched_yield",
    /* clocks and randomness */
    "clock_gettime", "clock_getres", "gettimeofday", "time", "nanosleep", "clock_nanosleep",
    "getrandom",
    /* signals, threads that exist, and the end */
    "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall",
    "set_robust_list", "rseq", "membarrier", "sched_getaffinity", "getpid", "gettid", "getppid",
    "getuid", "geteuid", "getgid", "getegid", "sysinfo", "exit", "exit_group", NULL};

/* What our programs do between exec and their own filter. */
static const char *const start_syscalls[] = {
    /* to start one */
    "clone", "clone3", "vfork", "fork", "execve", "execveat", "wait4", "waitid", "kill", "tgkill",
    "pidfd_open", "pidfd_send_signal", "close_range", "dup", "dup2", "dup3", "pipe2", "chdir",
    "setsid",
    /* dynamic linking */
    "arch_prctl", "set_tid_address", "openat", "open", "access", "faccessat", "faccessat2", "stat",
    "readlink", "readlinkat", "getcwd", "statfs", "fstatfs", "statx", "getdents64",
    /* change of user */
    "getgroups", "setgroups", "getresuid", "getresgid", "setuid", "setgid", "setresuid",
    "setresgid", "setreuid", "setregid", "capget", "capset", "umask",
    /* sandbox and locked memory */
    "prctl", "seccomp", "landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self",
    "setrlimit", "getrlimit", "mlockall", "munlockall", "memfd_create",
    /* sockets, event loop, log */
    "socket", "socketpair", "connect", "bind", "listen", "accept4", "sendto", "recvmsg", "recvfrom",
    "shutdown", "getsockopt", "setsockopt", "getsockname", "getpeername", "epoll_create1",
    "eventfd2", "timerfd_create", "signalfd4", "rt_sigtimedwait", "ioctl", "uname", NULL};

static void filter_release(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

static bool allow(scmp_filter_ctx filter, const char *const *names, struct err *err)
{
    for (; *names; names++) {
        int number = seccomp_syscall_resolve_name(*names);
        if (number == __NR_SCMP_ERROR)
            return err_set(
                err, ERR_INTERNAL, "system call \"%s\" is unknown to libseccomp", *names);
        /* One that this machine does not have gets a pseudo number and no rule. */
        int failed = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        if (failed) {
            errno = -failed;
            return err_set_errno(err, ERR_INTERNAL, "allow system call %s", *names);
        }
    }
    return true;
}

static bool allow_rules(
    scmp_filter_ctx filter, const struct sandbox_rule *rules, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++) {
        int number = seccomp_syscall_resolve_name(rules[i].syscall);
        if (number == __NR_SCMP_ERROR)
            return err_set(
                err, ERR_INTERNAL, "system call \"%s\" is unknown to libseccomp", rules[i].syscall);
        int failed = seccomp_rule_add(
            filter, SCMP_ACT_ALLOW, number, 1, SCMP_A0(SCMP_CMP_EQ, rules[i].first_argument));
        if (failed) {
            errno = -failed;
            return err_set_errno(err, ERR_INTERNAL, "allow system call %s", rules[i].syscall);
        }
    }
    return true;
}

/* abort() and pthread_kill() signal this process, getrlimit() asks about it (0): with any other number both reach every process
 * of the same user, such as the one that made this one to be rid of the risk. */
static bool allow_on_self(scmp_filter_ctx filter, struct err *err)
{
    const struct sandbox_rule rules[] = {{"tgkill", (uint64_t)getpid()}, {"prlimit64", 0}};
    return allow_rules(filter, rules, ARRAY_LEN(rules), err);
}

/* Empty but for the base list. */
static bool filter_new(uint32_t otherwise, scmp_filter_ctx *ret_filter, struct err *err)
{
    AUTO_DONE(filter_release) scmp_filter_ctx filter = seccomp_init(otherwise);
    if (!filter) /* libseccomp asks the kernel by seccomp(2) what it can do */
        return err_set(err, ERR_CONFIG,
            "set up the system call filter: seccomp(2) is refused here; let the unit's "
            "SystemCallFilter= or the container's profile name seccomp");
    int failed = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    if (!failed)
        failed = seccomp_attr_set(
            filter, SCMP_FLTATR_CTL_TSYNC, 1); /* threads that exist already, too */
    if (!failed)
        failed = seccomp_attr_set(
            filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* binary tree: each call is checked */
    if (failed) {
        errno = -failed;
        return err_set_errno(err, ERR_INTERNAL, "set up the system call filter");
    }
    if (!allow(filter, base_syscalls, err))
        return false;
    *ret_filter = take_ptr(filter);
    return true;
}

static bool filter_load(scmp_filter_ctx filter, struct err *err)
{
    if (RELAXED) {
        log_debug("sanitizer build: the system call filter is not loaded");
        return true;
    }
    int failed = seccomp_load(filter);
    if (failed) {
        errno = -failed;
        return err_set_errno(err, ERR_CONFIG,
            "load the system call filter (does the kernel have CONFIG_SECCOMP_FILTER?)");
    }
    return true;
}

bool sandbox_seccomp(const char *const *syscalls, struct err *err)
{
    return sandbox_seccomp_rules(syscalls, NULL, 0, err);
}

bool sandbox_seccomp_rules(const char *const *syscalls, const struct sandbox_rule *rules,
    size_t rule_count, struct err *err)
{
    AUTO_DONE(filter_release) scmp_filter_ctx filter = NULL;
    return filter_new(SCMP_ACT_KILL_PROCESS, &filter, err) && allow_on_self(filter, err) &&
           allow(filter, syscalls, err) && allow_rules(filter, rules, rule_count, err) &&
           filter_load(filter, err);
}

bool sandbox_seccomp_parent(const char *const *const *lists, struct err *err)
{
    static const struct sandbox_rule rules[] = {{"prlimit64", 0}};
    AUTO_DONE(filter_release) scmp_filter_ctx filter = NULL;
    if (!filter_new(SCMP_ACT_ERRNO(ENOSYS), &filter, err) || !allow(filter, start_syscalls, err) ||
        !allow_rules(filter, rules, ARRAY_LEN(rules), err))
        return false;
    for (; *lists; lists++)
        if (!allow(filter, *lists, err))
            return false;
    return filter_load(filter, err);
}
