/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor.h"

#include <errno.h>

#include "crypt/base/ipc.h"
#include "fs/monitor_wire.h"
#include "fs/namespace.h"
#include "fs/opener.h"

struct reply {
    struct monitor_answer answer;
    struct buf entries;
    int fds[2];
    size_t fd_count;
};

static bool is_own(const void *arg, dev_t device)
{
    const struct monitor *monitor = arg;
    for (size_t i = 0; i < monitor->count; i++)
        if (monitor->mounts[i].own == device)
            return true;
    return false;
}

static bool answer_open(const struct monitor *monitor, const struct monitor_request *request,
    struct reply *reply, struct err *err)
{
    struct beneath_own own = {is_own, monitor};
    struct namespace_file file;
    struct monitor_answer *answer = &reply->answer;
    if (monitor->is_opener && namespace_makes(monitor->mounts[request->mount].space, request->path))
        return err_set(err, ERR_FORMAT, "an opener is asked for a name below .kbs");
    answer->sys_errno =
        namespace_open(monitor->mounts[request->mount].space, &own, request->path, &file);
    if (answer->sys_errno != 0)
        return true;
    answer->origin = file.origin;
    answer->elsewhere = file.elsewhere;
    answer->content_errno = file.content_errno;
    reply->fds[reply->fd_count++] = file.fd;
    if (file.content_fd >= 0)
        reply->fds[reply->fd_count++] = file.content_fd;
    return true;
}

static bool add_entry(void *arg, const struct monitor_entry *entry)
{
    struct reply *reply = arg;
    struct err err = ERR_INIT;
    if (reply->entries.len + sizeof *entry > MONITOR_ENTRIES_MAX ||
        !monitor_entry_encode(entry, &reply->entries, &err))
        return false;
    reply->answer.count++;
    reply->answer.cookie = entry->cookie;
    return true;
}

static bool answer_list(const struct monitor *monitor, const struct monitor_request *request,
    struct reply *reply, struct err *err)
{
    struct beneath_own own = {is_own, monitor};
    struct monitor_answer *answer = &reply->answer;
    bool end;
    (void)err;
    answer->cookie = request->cookie;
    answer->sys_errno = namespace_list(monitor->mounts[request->mount].space, &own, request->path,
        request->cookie, add_entry, reply, &end);
    answer->more = answer->sys_errno == 0 && !end;
    return true;
}

static bool answer_witness(const struct monitor *monitor, const struct monitor_request *request,
    struct reply *reply, struct err *err)
{
    struct err cause = ERR_INIT;
    int fd;
    (void)request;
    (void)err;
    if (!monitor->witness)
        reply->answer.sys_errno = EOPNOTSUPP;
    else if (!witness_lane(monitor->witness, &fd, &cause))
        reply->answer.sys_errno = cause.code == ERR_BUSY ? EBUSY : ENOMEM;
    else
        reply->fds[reply->fd_count++] = fd;
    return true;
}

static bool answer_lane(const struct monitor *monitor, const struct monitor_request *request,
    struct reply *reply, struct err *err)
{
    struct err cause = ERR_INIT;
    int fd;
    (void)request;
    (void)err;
    if (!monitor->openers)
        reply->answer.sys_errno = EOPNOTSUPP;
    else if (!opener_start(monitor->openers, monitor, &fd, &cause))
        reply->answer.sys_errno = cause.code == ERR_BUSY ? EBUSY : ENOMEM;
    else
        reply->fds[reply->fd_count++] = fd;
    return true;
}

/* All that the worker can ask for. */
static bool (*const operations[])(const struct monitor *monitor,
    const struct monitor_request *request, struct reply *reply, struct err *err) = {
    [MONITOR_OPEN] = answer_open,
    [MONITOR_LIST] = answer_list,
    [MONITOR_WITNESS] = answer_witness,
    [MONITOR_LANE] = answer_lane,
};

static void reply_done(struct reply *reply)
{
    buf_done(&reply->entries);
    for (size_t i = 0; i < reply->fd_count; i++)
        close(reply->fds[i]);
}

static bool answer_request(
    const struct monitor *monitor, const struct monitor_request *request, int fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    AUTO_DONE(reply_done)
    struct reply reply = {.answer = {.operation = request->operation, .number = request->number},
        .entries = BUF_INIT(MONITOR_ENTRIES_MAX)};
    if (!operations[request->operation](monitor, request, &reply, err))
        return false;
    if (reply.answer.sys_errno != 0)
        reply.answer.count = 0;
    else
        reply.answer.entries = buf_bytes(&reply.entries);
    return monitor_answer_encode(&reply.answer, &message, err) &&
           ipc_send(fd, buf_bytes(&message), reply.fds, reply.fd_count, err);
}

bool monitor_serve(const struct monitor *monitor, int fd, bool *ret_closed, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct monitor_request request;
    bool closed;
    if (!ipc_receive(fd, &message, NULL, NULL, &closed, err))
        return err_wrap(err, "request of the worker");
    if (closed) {
        *ret_closed = true;
        return true;
    }
    if (!monitor_request_decode(buf_bytes(&message), &request, err))
        return false;
    if (request.mount >= monitor->count)
        return err_set(err, ERR_FORMAT, "monitor request for mount %u; there are %zu",
            request.mount, monitor->count);
    *ret_closed = false;
    return answer_request(monitor, &request, fd, err);
}
