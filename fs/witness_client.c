/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/witness_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>

#include "crypt/base/ipc.h"
#include "crypt/base/loop.h"

/* Records sent between two looks at what came back. */
#define DRAIN_EVERY 32

/* What came with an answer. */
struct parcel {
    struct witness_answer answer;
    int fds[IPC_FDS_MAX];
    size_t fd_count;
};

static void close_fds(struct parcel *parcel)
{
    for (size_t i = 0; i < parcel->fd_count; i++)
        close(parcel->fds[i]);
    parcel->fd_count = 0;
}

void witness_client_init(struct witness_client *client,
    bool (*connect)(void *arg, int *ret_fd, struct err *err), void *arg)
{
    *client = (struct witness_client){.connect = connect, .arg = arg, .fd = -1};
    pthread_mutex_init(&client->lock, NULL);
}

/* -- under the lock ----------------------------------------------------------------------------- */

static void disconnect(struct witness_client *client)
{
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->late = 0;
}

static bool be_connected(struct witness_client *client, struct err *err)
{
    int fd;
    if (client->fd >= 0)
        return true;
    if (!client->connect(client->arg, &fd, err))
        return false;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
        close(fd);
        return err_set_errno(err, ERR_INTERNAL, "lane to the witness");
    }
    client->fd = fd;
    return true;
}

/* One answer, whatever it answers. ERR_TIMEOUT: there is none. */
static bool receive(
    struct witness_client *client, int timeout_ms, struct parcel *ret_parcel, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct pollfd ready = {.fd = client->fd, .events = POLLIN};
    bool closed = false;
    int64_t end = loop_now_ms() + timeout_ms;
    int count = poll(&ready, 1, timeout_ms);
    /* The signal that wakes threads for a freeze (ops_freeze) is no reason to give an answer up. */
    for (int64_t left; count < 0 && errno == EINTR; count = poll(&ready, 1, (int)left))
        left = end > loop_now_ms() ? end - loop_now_ms() : 0;
    if (count <= 0)
        return err_set(err, ERR_TIMEOUT, "the monitor's witness does not answer");
    ret_parcel->fd_count = 0;
    if (!ipc_receive(client->fd, &message, ret_parcel->fds, &ret_parcel->fd_count, &closed, err))
        return false;
    if (closed)
        return err_set(err, ERR_UNREACH, "the monitor has gone");
    if (witness_answer_decode(buf_bytes(&message), &ret_parcel->answer, err))
        return true;
    close_fds(ret_parcel);
    return false;
}

/* What lies there unasked: late answers, and records that were lost. False: the lane is closed. */
static bool drain(struct witness_client *client)
{
    struct parcel parcel;
    struct err err = ERR_INIT;
    while (receive(client, 0, &parcel, &err)) {
        close_fds(&parcel);
        if (parcel.answer.number == client->late)
            client->late = 0;
        if (parcel.answer.operation == WITNESS_RECORD)
            client->lost += parcel.answer.sys_errno != 0;
    }
    if (err.code != ERR_TIMEOUT)
        disconnect(client);
    return client->fd >= 0;
}

static bool send_request(
    struct witness_client *client, struct witness_request *request, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    if (++client->number == 0)
        client->number = 1;
    request->number = client->number;
    return witness_request_encode(request, &message, err) &&
           ipc_send(client->fd, buf_bytes(&message), NULL, 0, err);
}

static bool await(struct witness_client *client, const struct witness_request *request,
    int timeout_ms, struct parcel *ret_parcel, struct err *err)
{
    int64_t end = loop_now_ms() + timeout_ms;
    for (;;) {
        int64_t left = end - loop_now_ms();
        if (!receive(client, left > 0 ? (int)left : 0, ret_parcel, err)) {
            if (err->code == ERR_TIMEOUT)
                client->late = request->number;
            else
                disconnect(client);
            return false;
        }
        if (ret_parcel->answer.number == request->number &&
            ret_parcel->answer.operation == request->operation)
            return true;
        close_fds(ret_parcel);
    }
}

static bool exchange(struct witness_client *client, struct witness_request *request, int timeout_ms,
    struct parcel *ret_parcel, struct err *err)
{
    if (client->fd >= 0)
        drain(client);
    if (client->late != 0)
        return err_set(err, ERR_BUSY, "the monitor's witness still owes an earlier answer");
    if (!be_connected(client, err))
        return false;
    if (!send_request(client, request, err)) {
        disconnect(client);
        return false;
    }
    return await(client, request, timeout_ms, ret_parcel, err);
}

/* -- requests ----------------------------------------------------------------------------------- */

/* On success the descriptors in the parcel are the caller's. */
static bool ask(struct witness_client *client, struct witness_request *request, int timeout_ms,
    struct parcel *ret_parcel, struct err *err)
{
    pthread_mutex_lock(&client->lock);
    bool done = exchange(client, request, timeout_ms, ret_parcel, err);
    if (!done &&
        err->code == ERR_UNREACH) { /* closed since the last time: once more, on a new one */
        err_clear(err);
        done = exchange(client, request, timeout_ms, ret_parcel, err);
    }
    pthread_mutex_unlock(&client->lock);
    if (!done)
        return false;
    int sys_errno = ret_parcel->answer.sys_errno;
    if (sys_errno == 0)
        return true;
    close_fds(ret_parcel);
    return err_set_at(err, sys_errno == ESRCH ? ERR_NOTFOUND : ERR_IO, sys_errno, __FILE__,
        __LINE__, "the monitor's witness");
}

bool witness_look(struct witness_client *client, pid_t tid, unsigned needs, int timeout_ms,
    struct caller_look *ret_look, struct err *err)
{
    struct witness_request request = {.operation = WITNESS_LOOK, .tid = tid, .needs = needs};
    struct parcel parcel;
    if (!ask(client, &request, timeout_ms, &parcel, err))
        return false;
    if (parcel.fd_count != 2) {
        close_fds(&parcel);
        return err_set(err, ERR_INTERNAL, "a look without its descriptors");
    }
    *ret_look = parcel.answer.look;
    ret_look->cgroup_fd = parcel.fds[0];
    ret_look->status_fd = parcel.fds[1];
    return true;
}

bool witness_may(struct witness_client *client, pid_t tid, const struct permission *asked,
    int timeout_ms, struct err *err)
{
    struct witness_request request = {.operation = WITNESS_MAY, .tid = tid, .permission = *asked};
    struct parcel parcel;
    if (ask(client, &request, timeout_ms, &parcel, err)) {
        close_fds(&parcel);
        return true;
    }
    if (err->sys_errno == EACCES)
        err->code = ERR_DENIED_LOCAL;
    return false;
}

bool witness_execs(struct witness_client *client, int timeout_ms, int *ret_fd, struct err *err)
{
    struct witness_request request = {.operation = WITNESS_EXECS};
    struct parcel parcel;
    if (!ask(client, &request, timeout_ms, &parcel, err))
        return false;
    if (parcel.fd_count != 1) {
        close_fds(&parcel);
        return err_set(err, ERR_INTERNAL, "no descriptor of process events came");
    }
    *ret_fd = parcel.fds[0];
    return true;
}

bool witness_record(struct witness_client *client, const struct audit_record *record,
    int timeout_ms, struct err *err)
{
    struct witness_request request = {
        .operation = WITNESS_RECORD, .want_answer = true, .record = *record};
    struct parcel parcel;
    if (!ask(client, &request, timeout_ms, &parcel, err))
        return err_wrap(err, "audit");
    close_fds(&parcel);
    return true;
}

static bool send_soon(struct witness_client *client, struct witness_request *request)
{
    struct err err = ERR_INIT;
    if (client->fd >= 0 && client->number % DRAIN_EVERY == 0)
        drain(client);
    if (be_connected(client, &err) && send_request(client, request, &err))
        return true;
    if (err.code != ERR_UNREACH)
        return false;
    disconnect(client);
    return be_connected(client, &err) && send_request(client, request, &err);
}

void witness_record_soon(struct witness_client *client, const struct audit_record *record)
{
    struct witness_request request = {.operation = WITNESS_RECORD, .record = *record};
    pthread_mutex_lock(&client->lock);
    client->lost += !send_soon(client, &request);
    pthread_mutex_unlock(&client->lock);
}

uint64_t witness_lost(struct witness_client *client)
{
    pthread_mutex_lock(&client->lock);
    uint64_t lost = client->lost;
    pthread_mutex_unlock(&client->lock);
    return lost;
}
