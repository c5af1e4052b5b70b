/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor_client.h"

#include <errno.h>
#include <string.h>

#include "crypt/base/ipc.h"

void monitor_client_init(struct monitor_client *client, int fd)
{
    client->fd = fd;
    client->number = 0;
    pthread_mutex_init(&client->lock, NULL);
    lanes_init(&client->lanes);
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

static bool send_request(
    int fd, const struct monitor_request *request, struct buf *message, struct err *err)
{
    message->len = 0;
    return monitor_request_encode(request, message, err) &&
           ipc_send(fd, buf_bytes(message), NULL, 0, err);
}

static bool receive_answer(int fd, struct buf *message, struct descriptors *got, struct err *err)
{
    bool closed = false;
    return ipc_receive(fd, message, got->fds, &got->count, &closed, err) &&
           (!closed || err_set(err, ERR_UNREACH, "the monitor has gone"));
}

static bool ask_monitor(struct monitor_client *client, struct monitor_request *request,
    struct buf *message, struct descriptors *got, struct err *err)
{
    pthread_mutex_lock(&client->lock);
    request->number = ++client->number;
    bool done = send_request(client->fd, request, message, err) &&
                receive_answer(client->fd, message, got, err);
    pthread_mutex_unlock(&client->lock);
    return done;
}

static bool ask_for_socket(
    struct monitor_client *client, enum monitor_operation operation, int *ret_fd, struct err *err);

static bool ask_opener(struct monitor_client *client, struct lane *lane,
    struct monitor_request *request, struct buf *message, struct descriptors *got, struct err *err)
{
    if (!lane_settle(lane, err) ||
        (lane->fd < 0 && !ask_for_socket(client, MONITOR_LANE, &lane->fd, err)))
        return false;
    request->number = lane->number = lane->number + 1 ? lane->number + 1 : 1;
    if (!send_request(lane->fd, request, message, err) ||
        !lane_await(lane, request->number, client->lanes.wait_ms, err))
        return false;
    return receive_answer(lane->fd, message, got, err);
}

/* An opener that has gone is replaced once. */
static bool ask_on_lane(struct monitor_client *client, struct lane *lane,
    struct monitor_request *request, struct buf *message, struct descriptors *got, struct err *err)
{
    if (!lane_enter(lane, err))
        return false;
    bool done = ask_opener(client, lane, request, message, got, err);
    if (!done && err->code == ERR_UNREACH) {
        lane_close(lane);
        err_clear(err);
        done = ask_opener(client, lane, request, message, got, err);
    }
    if (!done && err->code != ERR_TIMEOUT)
        lane_close(lane);
    lane_leave(lane);
    return done;
}

/* `got` is the caller's, also after a failure. */
static bool ask(struct monitor_client *client, enum monitor_operation operation, uint16_t mount,
    const char *path, uint64_t cookie, struct buf *message, struct descriptors *got,
    struct monitor_answer *ret_answer, struct err *err)
{
    struct monitor_request request = {.operation = operation, .mount = mount, .cookie = cookie};
    bool is_path = operation == MONITOR_OPEN || operation == MONITOR_LIST;
    struct lane *lane = is_path ? lanes_find(&client->lanes, mount, path) : NULL;
    if (strlen(path) >= sizeof request.path)
        return err_set_at(err, ERR_FORMAT, ENAMETOOLONG, __FILE__, __LINE__, "path");
    memcpy(request.path, path, strlen(path) + 1);
    if (lane ? !ask_on_lane(client, lane, &request, message, got, err)
             : !ask_monitor(client, &request, message, got, err))
        return is_path ? err_wrap(err, "source file %s", path) : false;
    struct monitor_answer answer;
    if (!monitor_answer_decode(buf_bytes(message), &answer, err))
        return false;
    if (answer.number != request.number || answer.operation != operation)
        return err_set(err, ERR_INTERNAL, "the monitor answered another request");
    if (answer.sys_errno != 0)
        return err_set_at(
            err, ERR_IO, answer.sys_errno, __FILE__, __LINE__, "source file %s", path);
    *ret_answer = answer;
    return true;
}

static bool ask_for_socket(
    struct monitor_client *client, enum monitor_operation operation, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_answer answer;
    AUTO_DONE(descriptors_done) struct descriptors got = {.count = 0};
    if (!ask(client, operation, 0, "", 0, &message, &got, &answer, err))
        return false;
    if (got.count != 1)
        return err_set(err, ERR_INTERNAL, "the monitor sent %zu descriptors", got.count);
    *ret_fd = take_fd(got.fds[0]);
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
    return ask_for_socket(client, MONITOR_WITNESS, ret_fd, err) ||
           err_wrap(err, "the monitor's witness");
}
