/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/exec_watch.h"

#include <arpa/inet.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define AT_KIND (NLMSG_HDRLEN + sizeof(struct cn_msg) + offsetof(struct proc_event, what))

/* Before Linux 6.6 one gets forks, exits and all the rest as well. */
static bool want_only_exec(int fd, struct err *err)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)AT_KIND),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(PROC_EVENT_EXEC), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    const struct sock_fprog program = {ARRAY_LEN(code), code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0 ||
           err_set_errno(err, ERR_CONFIG, "filter of process events");
}

static bool subscribe(int fd, struct err *err)
{
    const uint32_t operation = PROC_CN_MCAST_LISTEN;
    const struct cn_msg message = {.id = {CN_IDX_PROC, CN_VAL_PROC}, .len = sizeof operation};
    const struct nlmsghdr head = {
        .nlmsg_len = NLMSG_HDRLEN + sizeof message + sizeof operation, .nlmsg_type = NLMSG_DONE};
    uint8_t request[NLMSG_HDRLEN + sizeof message + sizeof operation] = {0};
    memcpy(request, &head, sizeof head);
    memcpy(request + NLMSG_HDRLEN, &message, sizeof message);
    memcpy(request + NLMSG_HDRLEN + sizeof message, &operation, sizeof operation);
    const struct sockaddr_nl group = {.nl_family = AF_NETLINK, .nl_groups = CN_IDX_PROC};
    return (bind(fd, (const struct sockaddr *)&group, sizeof group) == 0 &&
               send(fd, request, sizeof request, 0) == (ssize_t)sizeof request) ||
           err_set_errno(err, ERR_CONFIG, "process events of the kernel");
}

enum exec_notice exec_watch_next(int fd, pid_t *ret_pid)
{
    uint8_t data[512] __attribute__((aligned(8)));
    struct proc_event event = {0};
    const size_t at = NLMSG_HDRLEN + sizeof(struct cn_msg);
    ssize_t len = recv(fd, data, sizeof data, MSG_DONTWAIT);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR ? EXEC_NONE : EXEC_LOST;
    if ((size_t)len < at + offsetof(struct proc_event, event_data) + sizeof event.event_data.exec)
        return EXEC_LOST;
    /* The largest kind of event has grown with time; this one has not. */
    memcpy(&event, data + at, (size_t)len - at < sizeof event ? (size_t)len - at : sizeof event);
    if ((int)event.what != (int)PROC_EVENT_EXEC)
        return EXEC_LOST;
    *ret_pid = event.event_data.exec.process_tgid;
    return EXEC_ONE;
}

/* A failed execve is no event, so the child executes something that is there for certain: this program, for its version. */
static pid_t execute_something(void)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    char name[] = "sealedfs", option[] = "--version";
    char *argv[] = {name, option, NULL};
    for (int i = 0; i <= 2; i++)
        close(i);
    execv("/proc/self/exe", argv);
    _exit(127);
}

static bool saw(int fd, pid_t child)
{
    pid_t pid = 0;
    enum exec_notice notice;
    while ((notice = exec_watch_next(fd, &pid)) != EXEC_NONE)
        if (notice == EXEC_ONE && pid == child)
            return true;
    return false;
}

/* Older kernels ignore a subscription from another namespace without a word, and numbers might be those of another. */
static bool prove(int fd, struct err *err)
{
    int status;
    pid_t child = execute_something();
    if (child < 0)
        return err_set_errno(err, ERR_NOMEM, "fork");
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return saw(fd, child) ||
           err_set(err, ERR_CONFIG,
               "the kernel gives no process events here (CONFIG_PROC_EVENTS, or a namespace)");
}

bool exec_watch_new(int *ret_fd, struct err *err)
{
    auto_fd int fd =
        socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_CONNECTOR);
    if (fd < 0)
        return err_set_errno(err, ERR_CONFIG, "process events of the kernel");
    if (!want_only_exec(fd, err) || !subscribe(fd, err) || !prove(fd, err))
        return false;
    *ret_fd = take_fd(fd);
    return true;
}
