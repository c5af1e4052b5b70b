/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's end of the control socket (fs/control.h): runs on the resolver's loop, never blocks
 * it: answers wait for the socket to take them, and a peer that does not read is cut off after
 * CONTROL_TIMEOUT_MS.
 */
#pragma once

#include <sys/types.h>

#include "fs/control.h"
#include "fs/resolver.h"
#include "fs/worker.h"

struct control_server;

struct control_conf {
    int listen_fd;     /* from control_listen; the server owns it from here on */
    const uid_t *uids; /* who may use it besides root and the worker's own uid */
    size_t uid_count;
    int64_t timeout_ms;     /* of one operation */
    struct worker *renewer; /* gives reload and upgrade on; NULL: nobody can. Borrowed */
};

/* Binds the socket; made before privilege is dropped. Everybody may connect (the uids that may are
 * a matter of configuration, not of groups); who may ask is decided by SO_PEERCRED. */
bool control_listen(const char *path, int *ret_fd, struct err *err) MUST_CHECK;
/* `worker` NULL: an agent without a filesystem. Borrowed: resolver, worker, uids. */
bool control_start(struct loop *loop, const struct control_conf *conf, struct resolver *resolver,
    struct worker *worker, struct control_server **ret_server, struct err *err) MUST_CHECK;
void control_free(struct control_server *server); /* NULL is fine; ends every connection */
