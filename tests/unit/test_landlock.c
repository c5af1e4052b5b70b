/* SPDX-License-Identifier: Apache-2.0 */
/* What Landlock forbids is tried in a child, on the kernel that runs the test. */
#include "crypt/base/landlock.h"

#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/sandbox.h"

#define hold(condition)                                                                         \
    do {                                                                                        \
        if (!(condition)) {                                                                     \
            fprintf(stderr, "%s:%d: %s: errno %d, %s\n", __FILE__, __LINE__, #condition, errno, \
                err.message);                                                                   \
            _exit(1);                                                                           \
        }                                                                                       \
    } while (0)

static struct err err;
static char dir[] = "/tmp/test_landlock.XXXXXX";
static char open_dir[64], shut_dir[64], lone_file[64], open_file[64], shut_file[64], later_dir[64];

static void assert_child_holds(void (*fn)(void))
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
            fn();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        fail_msg("child ended with status 0x%x", (unsigned)status);
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    close(fd);
    return 0;
}

static void child_reads(void)
{
    const struct landlock_rule rules[] = {{open_dir, LANDLOCK_READ}, {lone_file, LANDLOCK_READ},
        {NULL, LANDLOCK_READ}, {later_dir, LANDLOCK_READ}};
    int before = open(shut_file, O_RDONLY | O_CLOEXEC);
    char byte;
    hold(before >= 0);
    hold(landlock_held() == 0);
    hold(landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_ANY, &err));
    hold(landlock_held() > 0 && landlock_held() == landlock_abi());
    hold(try_open(open_file, O_RDONLY) == 0);
    hold(try_open(open_dir, O_RDONLY | O_DIRECTORY) == 0);
    hold(try_open(lone_file, O_RDONLY) == 0);
    hold(try_open(open_file, O_WRONLY) == EACCES);
    hold(try_open(open_file, O_RDONLY | O_TRUNC) == EACCES);
    hold(try_open(lone_file, O_RDWR) == EACCES);
    hold(try_open(shut_file, O_RDONLY) == EACCES);
    hold(try_open(shut_dir, O_RDONLY | O_DIRECTORY) == EACCES);
    hold(mkdir(later_dir, 0700) < 0 && errno == EACCES);
    hold(unlink(open_file) < 0 && errno == EACCES);
    hold(read(before, &byte, 1) == 1); /* what is open stays open */
}

static void reads_what_the_table_names(void **state)
{
    (void)state;
    assert_child_holds(child_reads);
}

static void child_keeps_a_store(void)
{
    char a[128], b[128], sub[128], link_path[128];
    const struct landlock_rule rules[] = {
        {open_dir, LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE}};
    snprintf(sub, sizeof sub, "%s/sub", open_dir);
    snprintf(a, sizeof a, "%s/new", open_dir);
    snprintf(b, sizeof b, "%s/sub/moved", open_dir);
    snprintf(link_path, sizeof link_path, "%s/link", open_dir);
    hold(landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_NONE, &err));
    hold(mkdir(sub, 0700) == 0);
    hold(try_open(a, O_WRONLY | O_CREAT | O_EXCL) == 0);
    hold(rename(a, b) == 0); /* to another directory */
    hold(try_open(b, O_WRONLY | O_TRUNC) == 0);
    hold(symlink("/etc/passwd", link_path) < 0 && errno == EACCES);
    hold(rename(b, shut_dir) < 0);
    hold(unlink(b) == 0 && rmdir(sub) == 0);
    hold(try_open(shut_file, O_RDONLY) == EACCES);
}

static void keeps_a_store(void **state)
{
    (void)state;
    assert_child_holds(child_keeps_a_store);
}

static void child_runs_one_program(void)
{
    char *argv[] = {(char[]){"true"}, NULL};
    const struct landlock_rule rules[] = {LANDLOCK_LIBRARIES, {"/usr", LANDLOCK_READ}};
    hold(landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_ANY, &err));
    hold(execv("/bin/true", argv) < 0 && errno == EACCES); /* read is not run */
}

static void reading_is_not_running(void **state)
{
    (void)state;
    assert_child_holds(child_runs_one_program);
}

static int tcp_error(bool listening, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    auto_fd int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int done = listening ? bind(fd, (struct sockaddr *)&to, sizeof to)
                         : connect(fd, (struct sockaddr *)&to, sizeof to);
    return done < 0 ? errno : 0;
}

static uint16_t port_that_listens(int *ret_fd)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    *ret_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(*ret_fd, (struct sockaddr *)&at, len) < 0 || listen(*ret_fd, 1) < 0 ||
        getsockname(*ret_fd, (struct sockaddr *)&at, &len) < 0)
        return 0;
    return ntohs(at.sin_port);
}

static void child_connects_only(void)
{
    auto_fd int fd = -1;
    uint16_t port = port_that_listens(&fd);
    hold(port != 0);
    hold(landlock_enter(NULL, 0, LANDLOCK_NET_NO_BIND, &err));
    hold(tcp_error(false, port) == 0);
    hold(tcp_error(true, 0) == EACCES);
}

static void child_has_no_network(void)
{
    auto_fd int fd = -1;
    uint16_t port = port_that_listens(&fd);
    hold(port != 0);
    hold(landlock_enter(NULL, 0, LANDLOCK_NET_NONE, &err));
    hold(tcp_error(false, port) == EACCES);
    hold(tcp_error(true, 0) == EACCES);
}

static void ports_are_forbidden(void **state)
{
    (void)state;
    if (landlock_abi() < 4)
        skip();
    assert_child_holds(child_connects_only);
    assert_child_holds(child_has_no_network);
}

static void child_signals_its_parent(void)
{
    hold(kill(getppid(), 0) == 0);
    hold(landlock_enter(NULL, 0, LANDLOCK_NET_NONE, &err));
    hold(kill(getppid(), 0) < 0 && errno == EPERM);
    hold(kill(getpid(), 0) == 0);
}

static void signals_stay_inside(void **state)
{
    (void)state;
    if (landlock_abi() < 6)
        skip();
    assert_child_holds(child_signals_its_parent);
}

/* As on a kernel without it, or in a container whose filter hides it. */
static void child_without_landlock(void)
{
    static const int causes[] = {ENOSYS, EOPNOTSUPP, EPERM};
    const struct landlock_rule rules[] = {{open_dir, LANDLOCK_READ}};
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
        hold(filter && seccomp_rule_add(filter, SCMP_ACT_ERRNO((uint32_t)causes[i]),
                           SCMP_SYS(landlock_create_ruleset), 0) == 0);
        hold(seccomp_load(filter) == 0);
        seccomp_release(filter);
        hold(landlock_abi() == 0);
        hold(landlock_enter(rules, ARRAY_LEN(rules), LANDLOCK_NET_NONE, &err));
        hold(try_open(shut_file, O_RDONLY) == 0 && landlock_held() == 0);
    }
}

static void a_kernel_without_it_is_taken(void **state)
{
    (void)state;
    assert_child_holds(child_without_landlock);
}

static void make_file(char *path, size_t size, const char *in, const char *name)
{
    assert_true(snprintf(path, size, "%s/%s", in, name) < (int)size);
    auto_fd int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "x", 1), 1);
}

static int make_files(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(open_dir, sizeof open_dir, "%s/open", dir);
    snprintf(shut_dir, sizeof shut_dir, "%s/shut", dir);
    snprintf(later_dir, sizeof later_dir, "%s/later", dir);
    assert_int_equal(mkdir(open_dir, 0700), 0);
    assert_int_equal(mkdir(shut_dir, 0700), 0);
    make_file(open_file, sizeof open_file, open_dir, "file");
    make_file(shut_file, sizeof shut_file, shut_dir, "file");
    make_file(lone_file, sizeof lone_file, dir, "file");
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    unlink(open_file);
    unlink(shut_file);
    unlink(lone_file);
    rmdir(open_dir);
    rmdir(shut_dir);
    rmdir(dir);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_table_names),
        cmocka_unit_test(keeps_a_store),
        cmocka_unit_test(reading_is_not_running),
        cmocka_unit_test(ports_are_forbidden),
        cmocka_unit_test(signals_stay_inside),
        cmocka_unit_test(a_kernel_without_it_is_taken),
    };
    if (landlock_abi() == 0 && !sandbox_relaxed()) {
        fprintf(stderr, "skipped: this kernel has no Landlock\n");
        return 77;
    }
    if (sandbox_relaxed())
        return 0; /* shown by the release build */
    return cmocka_run_group_tests(tests, make_files, remove_files);
}
