/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inject PID CALL [ARGUMENT]: makes the first thread of a running process do something by ptrace(2), as one that was taken over would,
 * and prints what came of it: "ok", the errno's name, or "SIGSYS" when the kernel ended the process for it. Exit 0 whenever that is known;
 * 1 when it cannot attach, with the errno's name (EPERM: what the process's own user must see).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypt/base/cleanup.h"

/* Where the arguments in memory go: below the stack pointer and its red zone. */
#define SCRATCH_OFFSET 8192

struct target {
    pid_t pid;
    struct user_regs_struct saved;
    uint64_t scratch;
};

static void end(int status, const char *text)
{
    puts(text);
    exit(status);
}

static void wait_stop(const struct target *target)
{
    int status;
    if (waitpid(target->pid, &status, __WALL) != target->pid)
        end(1, strerrorname_np(errno));
    if (WIFSIGNALED(status))
        end(0, WTERMSIG(status) == SIGSYS ? "SIGSYS" : strsignal(WTERMSIG(status)));
    if (!WIFSTOPPED(status))
        end(0, "exited");
}

static void attach(struct target *target, pid_t pid)
{
    target->pid = pid;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
        end(1, strerrorname_np(errno));
    if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) < 0)
        end(1, "PTRACE_INTERRUPT");
    wait_stop(target);
    if (ptrace(PTRACE_GETREGS, pid, NULL, &target->saved) < 0)
        end(1, "PTRACE_GETREGS");
    target->scratch = (target->saved.rsp - SCRATCH_OFFSET) & ~(uint64_t)15;
}

/* Words, since process_vm_writev(2) may meet a page that is not there yet. */
static uint64_t put(const struct target *target, uint64_t offset, const void *data, size_t len)
{
    for (size_t at = 0; at < len; at += sizeof(long)) {
        long word = 0;
        memcpy(&word, (const char *)data + at, len - at < sizeof word ? len - at : sizeof word);
        if (ptrace(PTRACE_POKEDATA, target->pid, target->scratch + offset + at, word) < 0)
            end(1, "PTRACE_POKEDATA");
    }
    return target->scratch + offset;
}

static long call(const struct target *target, long number, const uint64_t *args)
{
    static const uint16_t instruction = 0x050f; /* syscall */
    struct user_regs_struct regs = target->saved;
    errno = 0;
    /* Threads that wait do so in a system call: the instruction lies just before. */
    long word = ptrace(PTRACE_PEEKTEXT, target->pid, regs.rip - sizeof instruction, NULL);
    if (errno != 0 || (uint16_t)word != instruction)
        end(1, "the thread does not wait in a system call");
    regs.rip -= sizeof instruction;
    regs.orig_rax = (unsigned long)-1; /* or the kernel restarts the call that was interrupted */
    regs.rax = (unsigned long)number;
    regs.rdi = args[0];
    regs.rsi = args[1];
    regs.rdx = args[2];
    regs.r10 = args[3];
    regs.r8 = args[4];
    regs.r9 = args[5];
    if (ptrace(PTRACE_SETREGS, target->pid, NULL, &regs) < 0 ||
        ptrace(PTRACE_SINGLESTEP, target->pid, NULL, NULL) < 0)
        end(1, "PTRACE_SINGLESTEP");
    wait_stop(target);
    if (ptrace(PTRACE_GETREGS, target->pid, NULL, &regs) < 0)
        end(1, "PTRACE_GETREGS");
    return (long)regs.rax;
}

static long open_as(const struct target *target, const char *path, int flags)
{
    const uint64_t args[6] = {(uint64_t)AT_FDCWD, put(target, 0, path, strlen(path) + 1),
        (uint64_t)flags | O_CLOEXEC | O_NONBLOCK, 0600};
    return call(target, SYS_openat, args);
}

static void close_in(const struct target *target, long fd)
{
    const uint64_t args[6] = {(uint64_t)fd};
    if (fd >= 0)
        call(target, SYS_close, args);
}

static long do_read(const struct target *target, const char *path)
{
    return open_as(target, path, O_RDONLY);
}

static long do_write(const struct target *target, const char *path)
{
    return open_as(target, path, O_WRONLY);
}

static long do_make(const struct target *target, const char *path)
{
    return open_as(target, path, O_WRONLY | O_CREAT | O_EXCL);
}

static long do_run(const struct target *target, const char *path)
{
    uint64_t argv[2] = {0};
    uint64_t name = put(target, 0, path, strlen(path) + 1);
    argv[0] = name;
    uint64_t list = put(target, 4096, argv, sizeof argv);
    const uint64_t args[6] = {name, list, list + sizeof argv[0]};
    return call(target, SYS_execve, args);
}

static long do_connect(const struct target *target, int family, const void *address, size_t len)
{
    const uint64_t args[6] = {(uint64_t)family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK};
    long fd = call(target, SYS_socket, args);
    if (fd < 0)
        return fd;
    const uint64_t to[6] = {(uint64_t)fd, put(target, 0, address, len), len};
    long result = call(target, SYS_connect, to);
    close_in(target, fd);
    return result == -EINPROGRESS ? 0 : result;
}

static long do_tcp(const struct target *target, const char *port)
{
    const struct sockaddr_in address = {.sin_family = AF_INET,
        .sin_port = htons((uint16_t)atoi(port)),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return do_connect(target, AF_INET, &address, sizeof address);
}

static long do_unix(const struct target *target, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strnlen(path, sizeof address.sun_path);
    memcpy(address.sun_path, path, len);
    if (path[0] == '@') /* an abstract name */
        address.sun_path[0] = '\0';
    return do_connect(target, AF_UNIX, &address, offsetof(struct sockaddr_un, sun_path) + len);
}

static long do_listen(const struct target *target, const char *argument)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const uint64_t args[6] = {AF_INET, SOCK_STREAM | SOCK_CLOEXEC};
    (void)argument;
    long fd = call(target, SYS_socket, args);
    if (fd < 0)
        return fd;
    const uint64_t at[6] = {(uint64_t)fd, put(target, 0, &address, sizeof address), sizeof address};
    long result = call(target, SYS_bind, at);
    close_in(target, fd);
    return result;
}

static long do_signal(const struct target *target, const char *pid)
{
    const uint64_t args[6] = {(uint64_t)atoi(pid), 0};
    return call(target, SYS_kill, args);
}

static long do_trace(const struct target *target, const char *pid)
{
    const uint64_t args[6] = {PTRACE_SEIZE, (uint64_t)atoi(pid)};
    return call(target, SYS_ptrace, args);
}

/* Any call, by its number, with zeros. */
static long do_call(const struct target *target, const char *number)
{
    const uint64_t args[6] = {0};
    return call(target, atol(number), args);
}

static long do_dumpable(const struct target *target, const char *argument)
{
    const uint64_t args[6] = {PR_SET_DUMPABLE, (uint64_t)atoi(argument)};
    return call(target, SYS_prctl, args);
}

static const struct {
    const char *name;
    long (*run)(const struct target *target, const char *argument);
} calls[] = {
    {"read", do_read},
    {"write", do_write},
    {"make", do_make},
    {"run", do_run},
    {"tcp", do_tcp},
    {"unix", do_unix},
    {"listen", do_listen},
    {"signal", do_signal},
    {"trace", do_trace},
    {"call", do_call},
    {"dumpable", do_dumpable},
};

int main(int argc, char **argv)
{
    struct target target;
    if (argc < 3)
        end(2, "usage: inject PID CALL [ARGUMENT]");
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (strcmp(argv[2], calls[i].name) != 0)
            continue;
        attach(&target, atoi(argv[1]));
        long result = calls[i].run(&target, argc > 3 ? argv[3] : "");
        if (calls[i].run == do_read || calls[i].run == do_write || calls[i].run == do_make)
            close_in(&target, result);
        ptrace(PTRACE_SETREGS, target.pid, NULL, &target.saved);
        ptrace(PTRACE_DETACH, target.pid, NULL, NULL);
        if (result >= 0 || result < -4095)
            end(0, "ok");
        const char *name = strerrorname_np((int)-result);
        end(0, name ? name : "an unknown errno");
    }
    end(2, "no such call");
}
