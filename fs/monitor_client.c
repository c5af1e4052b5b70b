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

struct descriptors {
    int fds[IPC_FDS_MAX];
    size_t count;
};

static void descriptors_done(struct descriptors *got)
{
    for (size_t i = 0; i < got->count; i++)
        if (got->fds[i] >= 0)
            close(got->fds[i]);
}

/* `got` is the caller's, also after a failure. */
static bool ask(struct monitor_client *client, enum monitor_operation operation, uint16_t mount,
    const char *path, uint64_t cookie, struct buf *message, struct descriptors *got,
    struct monitor_answer *ret_answer, struct err *err)
{
    struct monitor_request request = {.operation = operation, .mount = mount, .cookie = cookie};
    if (strlen(path) >= sizeof request.path)
        return err_set_at(err, ERR_FORMAT, ENAMETOOLONG, __FILE__, __LINE__, "path");
    memcpy(request.path, path, strlen(path) + 1);
    pthread_mutex_lock(&client->lock);
    request.number = ++client->number;
    bool done = exchange(client, &request, message, got->fds, &got->count, err);
    pthread_mutex_unlock(&client->lock);
    struct monitor_answer answer;
    if (!done || !monitor_answer_decode(buf_bytes(message), &answer, err))
        return false;
    if (answer.number != request.number || answer.operation != operation)
        return err_set(err, ERR_INTERNAL, "the monitor answered another request");
    if (answer.sys_errno != 0)
        return err_set_at(
            err, ERR_IO, answer.sys_errno, __FILE__, __LINE__, "source file %s", path);
    *ret_answer = answer;
    return true;
}

bool monitor_open(struct monitor_client *client, uint16_t mount, const char *path,
    struct monitor_file *ret_file, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    AUTO_DONE(descriptors_done) struct descriptors got = {.count = 0};
    if (!ask(client, MONITOR_OPEN, mount, path, 0, &message, &got, &answer, err))
        return false;
    if (got.count != 1u + (answer.elsewhere && answer.content_errno == 0))
        return err_set(err, ERR_INTERNAL, "the monitor sent %zu descriptors", got.count);
    *ret_file = (struct monitor_file){.fd = take_fd(got.fds[0]),
        .origin = answer.origin,
        .elsewhere = answer.elsewhere,
        .content_fd = got.count > 1 ? take_fd(got.fds[1]) : -1,
        .content_errno = answer.content_errno};
    return true;
}

bool monitor_list(struct monitor_client *client, uint16_t mount, const char *path, uint64_t cookie,
    struct buf *message, struct monitor_answer *ret_answer, struct err *err)
{
    AUTO_DONE(descriptors_done) struct descriptors got = {.count = 0};
    return ask(client, MONITOR_LIST, mount, path, cookie, message, &got, ret_answer, err);
}

bool monitor_witness(struct monitor_client *client, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    AUTO_DONE(descriptors_done) struct descriptors got = {.count = 0};
    if (!ask(client, MONITOR_WITNESS, 0, "", 0, &message, &got, &answer, err))
        return err_wrap(err, "the monitor's witness");
    if (got.count != 1)
        return err_set(err, ERR_INTERNAL, "the monitor sent %zu descriptors", got.count);
    *ret_fd = take_fd(got.fds[0]);
    return true;
}
