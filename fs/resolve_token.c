/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's part of token_command: a pipe whose other end goes to the monitor, which starts the command (fs/token_run.h). */
#include "fs/resolve_token.h"

#include <fcntl.h>
#include <unistd.h>

#include "crypt/base/ipc.h"
#include "fs/child.h"
#include "fs/monitor_wire.h"

bool resolve_token_open(void *arg, int *ret_fd, struct err *err)
{
    struct monitor_event event = {.kind = MONITOR_TOKEN, .mount = (uint16_t)(uintptr_t)arg};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_NOMEM, "pipe");
    auto_fd int input = ends[0], output = ends[1];
    /* The command's own end must not be non-blocking. */
    if (fcntl(output, F_SETFL, 0) < 0)
        return err_set_errno(err, ERR_INTERNAL, "pipe");
    if (!monitor_event_encode(&event, &message, err) ||
        !ipc_send(WORKER_EVENTS, buf_bytes(&message), &output, 1, err))
        return err_wrap(err, "asking the monitor to run token_command");
    *ret_fd = take_fd(input);
    return true;
}
