/* SPDX-License-Identifier: Apache-2.0 */
/* Each promise is proved in a child, which a real kernel kills or refuses; exit 77 where that needs
 * root. */
#include "crypt/base/sandbox.h"

#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* In a child: says what did not hold and fails the test. */
#define hold(condition)                                                                      \
    do {                                                                                     \
        if (!(condition)) {                                                                  \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, err.message); \
            _exit(1);                                                                        \
        }                                                                                    \
    } while (0)

static int in_child(void (*fn)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void assert_child_holds(void (*fn)(void))
{
    int status = in_child(fn);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("child ended with status 0x%x", (unsigned)status);
}

static struct err err;

/* The value behind "Name:" in /proc/self/status, read as hexadecimal. */
static unsigned long long status_value(const char *name)
{
    char line[256];
    unsigned long long value = ~0ull;
    FILE *file = fopen("/proc/self/status", "re");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtoull(line + strlen(name) + 1, NULL, 16);
    if (file)
        fclose(file);
    return value;
}

/* -- harden -- */

static void child_hardens(void)
{
    close(0);
    int high = fcntl(1, F_DUPFD, 100); /* without close-on-exec */
    hold(sandbox_harden(&err));
    hold(fcntl(0, F_GETFD) >= 0);
    hold(fcntl(high, F_GETFD) & FD_CLOEXEC);
    hold(!(fcntl(1, F_GETFD) & FD_CLOEXEC));
    hold(umask(0) == 077);
    hold(status_value("NoNewPrivs") == 1);
    struct rlimit core;
    hold(getrlimit(RLIMIT_CORE, &core) == 0 && core.rlim_cur == 0 && core.rlim_max == 0);
    FILE *filter = fopen("/proc/self/coredump_filter", "re");
    unsigned kinds = ~0u;
    hold(filter && fscanf(filter, "%x", &kinds) == 1 && kinds == 0);
    fclose(filter);
    int fds[2];
    hold(pipe2(fds, O_CLOEXEC) == 0 && close(fds[0]) == 0);
    hold(write(fds[1], "x", 1) < 0 && errno == EPIPE); /* and no SIGPIPE */
    hold(sandbox_relaxed() || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
}

static void harden_does_what_it_says(void **state)
{
    (void)state;
    assert_child_holds(child_hardens);
}

/* -- users -- */

static void child_becomes_nobody(void)
{
    hold(sandbox_harden(&err));
    hold(sandbox_become_user("nobody", NULL, &err));
    hold(getuid() != 0 && geteuid() == getuid());
    hold(setuid(0) < 0 && seteuid(0) < 0 && setgid(0) < 0);
    gid_t groups[32];
    hold(getgroups(32, groups) == 1 && groups[0] == getgid());
    hold(open("/etc/shadow", O_RDONLY | O_CLOEXEC) < 0);
    hold(status_value("CapPrm") == 0 && status_value("CapEff") == 0 && status_value("CapBnd") == 0);
    /* setuid made us dumpable again; that must have been taken back. */
    hold(sandbox_relaxed() || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    /* A second call by the user itself is a check only. */
    hold(sandbox_become_user("nobody", NULL, &err));
    hold(!sandbox_become_user("nobody", "tty", &err) && strstr(err.message, "without group tty"));
    hold(!sandbox_become_user("daemon", NULL, &err) &&
         strstr(err.message, "start as root or as user daemon"));
}

static void root_cannot_be_had_back(void **state)
{
    (void)state;
    assert_child_holds(child_becomes_nobody);
}

static void child_takes_extra_group(void)
{
    hold(sandbox_become_user("nobody", "tty", &err));
    gid_t groups[32];
    hold(getgroups(32, groups) == 2);
    hold(sandbox_become_user("nobody", "tty", &err));
}

static void extra_group_is_taken(void **state)
{
    (void)state;
    assert_child_holds(child_takes_extra_group);
}

static void wrong_users_are_refused(void **state)
{
    (void)state;
    uid_t uid = 4711;
    gid_t gid = 4711;
    assert_refused(
        sandbox_user_ids("no-such-user", &uid, &gid, &err), &err, ERR_CONFIG, "systemd-sysusers");
    assert_int_equal(uid, 4711);
    assert_refused(sandbox_become_user("no-such-user", NULL, &err), &err, ERR_CONFIG,
        "user no-such-user does not exist");
    assert_refused(sandbox_become_user("nobody", "no-such-group", &err), &err, ERR_CONFIG,
        "group no-such-group");
    assert_refused(sandbox_become_user("root", NULL, &err), &err, ERR_CONFIG, "root");
    assert_int_equal(geteuid(), 0);
}

/* -- capabilities -- */

static void child_keeps_two(void)
{
    uint64_t mask = 1ull << CAP_SYS_ADMIN | 1ull << CAP_CHOWN;
    hold(sandbox_keep_caps(mask, &err));
    hold(status_value("CapEff") == mask && status_value("CapPrm") == mask &&
         status_value("CapBnd") == mask);
    hold(status_value("CapInh") == 0 && status_value("CapAmb") == 0);
    hold(!sandbox_keep_caps(1ull << CAP_NET_ADMIN, &err) && err.code == ERR_CONFIG);
    hold(strstr(err.message, "capability 12"));
    /* Without CAP_SETPCAP the bounding set can go only by way of no_new_privs. */
    hold(!sandbox_keep_caps(0, &err) && err.code == ERR_INTERNAL);
    hold(sandbox_harden(&err) && sandbox_keep_caps(0, &err));
    hold(status_value("CapEff") == 0 && status_value("CapPrm") == 0);
}

static void capabilities_are_exactly_the_mask(void **state)
{
    (void)state;
    assert_child_holds(child_keeps_two);
}

static void child_keeps_none(void)
{
    hold(sandbox_keep_caps(0, &err));
    hold(status_value("CapEff") == 0 && status_value("CapPrm") == 0 && status_value("CapBnd") == 0);
    hold(open("/etc/shadow", O_WRONLY | O_CLOEXEC) < 0 ||
         geteuid() == 0); /* owner's right remains */
    hold(chown("/etc/shadow", 1, 1) < 0);
}

static void no_capability_means_none(void **state)
{
    (void)state;
    assert_child_holds(child_keeps_none);
}

/* -- seccomp -- */

static const char *const no_more[] = {NULL};
static const char *const sockets[] = {"socket", NULL};

static void child_opens_a_socket(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp(no_more, &err));
    (void)!socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static void child_opens_a_file(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp(sockets, &err));
    (void)!open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* The parent stands for the front of a sandboxed child, under the same user. */
static void child_signals_its_parent(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp(no_more, &err));
    (void)!tgkill(getppid(), getppid(), 0);
}

static void child_limits_its_parent(void)
{
    static const struct rlimit few = {1, 1};
    pid_t parent = getppid();
    hold(sandbox_harden(&err) && sandbox_seccomp(no_more, &err));
    (void)!prlimit(parent, RLIMIT_MSGQUEUE, &few, NULL);
}

static void child_aborts(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp(no_more, &err));
    abort();
}

static void child_does_what_is_allowed(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp(sockets, &err));
    struct rlimit limit;
    hold(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
    hold(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    char *memory = malloc(1 << 20);
    hold(memory);
    free(memory);
}

/* Of a process that starts programs: what is not allowed fails, and what it starts may shut itself further. */
static const char *const *const nothing_more[] = {NULL};

static void child_is_a_parent(void)
{
    hold(sandbox_harden(&err) && sandbox_seccomp_parent(nothing_more, &err));
    if (!sandbox_relaxed())
        hold(syscall(SYS_keyctl, 0, 0, 0, 0, 0) < 0 && errno == ENOSYS);
    int status;
    pid_t grandchild = fork();
    if (grandchild == 0) {
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    hold(waitpid(grandchild, &status, 0) == grandchild && status == 0);
    hold(sandbox_seccomp_parent(nothing_more, &err)); /* as after executing itself */
    grandchild = fork();
    if (grandchild == 0) {
        hold(sandbox_seccomp(no_more, &err));
        (void)!socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        _exit(0);
    }
    hold(waitpid(grandchild, &status, 0) == grandchild);
    hold(sandbox_relaxed() || (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS));
    grandchild = fork();
    if (grandchild == 0)
        abort();
    hold(waitpid(grandchild, &status, 0) == grandchild && WTERMSIG(status) == SIGABRT);
}

static void parents_are_refused_not_killed(void **state)
{
    (void)state;
    assert_child_holds(child_is_a_parent);
}

static void forbidden_calls_kill(void **state)
{
    (void)state;
    if (sandbox_relaxed())
        skip(); /* the filter is not loaded in sanitizer builds */
    void (*const children[])(void) = {child_opens_a_socket, child_opens_a_file,
        child_signals_its_parent, child_limits_its_parent};
    for (size_t i = 0; i < ARRAY_LEN(children); i++) {
        int status = in_child(children[i]);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), SIGSYS);
    }
    assert_int_equal(WTERMSIG(in_child(child_aborts)), SIGABRT);
}

static void allowed_calls_work(void **state)
{
    (void)state;
    assert_child_holds(child_does_what_is_allowed);
}

static void unknown_calls_are_named(void **state)
{
    static const char *const wrong[] = {"socket", "opne", NULL};
    (void)state;
    assert_refused(sandbox_seccomp(wrong, &err), &err, ERR_INTERNAL, "\"opne\"");
}

/* -- parent -- */

static void child_with_lost_parent(void)
{
    hold(!sandbox_die_with_parent(getppid() + 1, &err) && err.code == ERR_UNREACH);
}

static void lost_parent_is_noticed(void **state)
{
    (void)state;
    assert_child_holds(child_with_lost_parent);
}

/* Parent -> middle -> child; the middle one is killed and the child's end of the pipe must close.
 */
static void child_dies_with_its_parent(void **state)
{
    (void)state;
    int ready[2], alive[2], status;
    char byte;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pipe2(alive, O_CLOEXEC), 0);
    fflush(NULL);
    pid_t middle = fork();
    if (middle == 0) {
        pid_t self = getpid();
        if (fork() == 0) {
            hold(sandbox_die_with_parent(self, &err));
            hold(write(ready[1], "r", 1) == 1);
        }
        for (;;)
            pause();
    }
    close(ready[1]);
    close(alive[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(middle, SIGKILL);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(read(alive[0], &byte, 1), 0); /* blocks until the last holder has gone */
    close(ready[0]);
    close(alive[0]);
}

int main(void)
{
    if (geteuid() != 0) {
        fprintf(stderr, "skipped: becoming another user and dropping capabilities can only be "
                        "tested as root\n");
        return 77;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(harden_does_what_it_says),
        cmocka_unit_test(root_cannot_be_had_back),
        cmocka_unit_test(extra_group_is_taken),
        cmocka_unit_test(wrong_users_are_refused),
        cmocka_unit_test(capabilities_are_exactly_the_mask),
        cmocka_unit_test(no_capability_means_none),
        cmocka_unit_test(forbidden_calls_kill),
        cmocka_unit_test(parents_are_refused_not_killed),
        cmocka_unit_test(allowed_calls_work),
        cmocka_unit_test(unknown_calls_are_named),
        cmocka_unit_test(lost_parent_is_noticed),
        cmocka_unit_test(child_dies_with_its_parent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
