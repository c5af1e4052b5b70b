/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server half of the control socket (fs/control.h), in the worker. control_start is called once as
 * root, before privilege is dropped and before the loop runs: it binds the socket and looks up
 * users; it must not start threads. Everything after happens on the loop's thread, as user
 * `sealedfs`.
 */
#pragma once

#include "fs/resolver.h"
#include "fs/sealedfs_conf.h"
#include "fs/worker.h"

struct control_server;

/* All four outlive the server. */
bool control_start(struct loop *loop, const struct sealedfs_conf *conf, struct worker *worker,
    struct resolver *resolver, struct control_server **ret_server, struct err *err) MUST_CHECK;
void control_stop(struct control_server *server); /* NULL is fine */
