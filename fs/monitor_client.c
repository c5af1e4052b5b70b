/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor_client.h"

#include <errno.h>
#include <string.h>

#include "crypt/base/ipc.h"

void monitor_client_init(struct monitor_client *client, int fd)
{
    *client = (struct monitor_client){.fd = fd};
    pthread_mutex_init(&client->lock, NULL);
}

static bool exchange(struct monitor_client *client, const struct monitor_request *request,
    struct buf *message, int *fds, size_t *ret_fd_count, struct err *err)
{
    bool closed;
    message->len = 0;
    if (!monitor_request_encode(request, message, err) ||
        !ipc_send(client->fd, buf_bytes(message), NULL, 0, err) ||
        !ipc_receive(client->fd, message, fds, ret_fd_count, &closed, err))
        return false;
    return !closed || err_set(err, ERR_UNREACH, "the monitor has gone");
}

/* On success *ret_fd is the caller's, or -1. */
static bool ask(struct monitor_client *client, enum monitor_operation operation, uint16_t mount,
    const char *path, uint64_t cookie, struct buf *message, struct monitor_answer *ret_answer,
    int *ret_fd, struct err *err)
{
    struct monitor_request request = {.operation = operation, .mount = mount, .cookie = cookie};
    int fds[IPC_FDS_MAX] = {-1, -1, -1, -1};
    size_t fd_count = 0;
    if (strlen(path) >= sizeof request.path)
        return err_set_at(err, ERR_FORMAT, ENAMETOOLONG, __FILE__, __LINE__, "path");
    memcpy(request.path, path, strlen(path) + 1);
    pthread_mutex_lock(&client->lock);
    request.number = ++client->number;
    bool done = exchange(client, &request, message, fds, &fd_count, err);
    pthread_mutex_unlock(&client->lock);
    auto_fd int fd = fds[0];
    for (size_t i = 1; i < fd_count; i++)
        close(fds[i]);
    struct monitor_answer answer;
    if (!done || !monitor_answer_decode(buf_bytes(message), &answer, err))
        return false;
    if (answer.number != request.number || answer.operation != operation)
        return err_set(err, ERR_INTERNAL, "the monitor answered another request");
    if (answer.sys_errno != 0)
        return err_set_at(
            err, ERR_IO, answer.sys_errno, __FILE__, __LINE__, "source file %s", path);
    *ret_answer = answer;
    *ret_fd = take_fd(fd);
    return true;
}

bool monitor_open(
    struct monitor_client *client, uint16_t mount, const char *path, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    int fd;
    if (!ask(client, MONITOR_OPEN, mount, path, 0, &message, &answer, &fd, err))
        return false;
    if (fd < 0)
        return err_set(err, ERR_INTERNAL, "the monitor sent no descriptor");
    *ret_fd = fd;
    return true;
}

bool monitor_list(struct monitor_client *client, uint16_t mount, const char *path, uint64_t cookie,
    struct buf *message, struct monitor_answer *ret_answer, struct err *err)
{
    auto_fd int fd = -1;
    return ask(client, MONITOR_LIST, mount, path, cookie, message, ret_answer, &fd, err);
}

bool monitor_witness(struct monitor_client *client, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    int fd;
    if (!ask(client, MONITOR_WITNESS, 0, "", 0, &message, &answer, &fd, err))
        return err_wrap(err, "the monitor's witness");
    if (fd < 0)
        return err_set(err, ERR_INTERNAL, "the monitor sent no descriptor");
    *ret_fd = fd;
    return true;
}
