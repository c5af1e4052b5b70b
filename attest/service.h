/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket of sealed-attestd: who may ask, how often, and what. Connections live on the loop; what needs the TPM goes to
 * one thread (jobs.h), so that a slow TPM delays neither a refusal nor INFO nor a new connection.
 *
 * Answers only uids of the list (SO_PEERCRED); others get one refusal and are logged. A request that waits longer than the
 * deadline is answered with ERR_TIMEOUT; if it is with the TPM already, its outcome is thrown away. A client that goes
 * takes its waiting request with it.
 */
#pragma once

#include "attest/attestd_conf.h"
#include "crypt/base/loop.h"

struct service;

/* Borrows everything it is given; `listen_fd` is from ipc_listen(). */
bool service_new(struct loop *loop, int listen_fd, const struct attestd_conf *conf,
    const struct attestd_uids *uids, const struct attester *attester, struct service **ret_service,
    struct err *err) MUST_CHECK;
void service_free(struct service *service);
DEFINE_AUTO(struct service, service_free);
