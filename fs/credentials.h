/* SPDX-License-Identifier: Apache-2.0 */
/*
 * LoadCredential=ID:/run/sealedfs/credentials.sock of systemd units (systemd.exec(5)). For each credential the service manager connects a
 * stream from an address that names the unit and the credential (fs/credential_name.h) and reads it to its end. The sections
 * [credential:NAME] say who gets what; the first that fits decides, and without one the answer is no.
 *
 * The protocol has no word for no: systemd 252 takes an empty answer for an empty credential and starts the unit (systemd's issue 27373). So a
 * refusal is longer than what it takes (fs/keeper.h), and the unit fails. For the same reason a plaintext of no bytes is refused.
 *
 * Runs on the resolver's loop and never blocks it: answers wait for the socket, a peer that does not read is cut off.
 */
#pragma once

#include <limits.h>

#include "fs/resolver.h"
#include "fs/sealedfs_conf.h"

struct credentials;

/* The directory of the sealed string, which the worker must be able to open files in; false: the resource is none of files. */
bool credentials_directory(const struct conf_unit_credential *item, char ret_path[PATH_MAX]);
/* In the monitor: binds the socket, which outlives workers. */
bool credentials_bind(const struct sealedfs_conf *conf, int *ret_fd, struct err *err) MUST_CHECK;
/* In the worker, as root, before threads and secrets: starts the keeper on it. Takes `listen_fd`; -1: *ret_fd is -1 as well. */
bool credentials_keep(const struct sealedfs_conf *conf, int listen_fd, int *ret_fd, struct err *err)
    MUST_CHECK;
/* `keeper_fd` from credentials_keep, owned from here on; conf and resolver are borrowed. When the keeper dies the loop is stopped: the
 * worker's successor has a new one. */
bool credentials_start(struct loop *loop, const struct sealedfs_conf *conf, int keeper_fd,
    struct resolver *resolver, struct credentials **ret_credentials, struct err *err) MUST_CHECK;
/* -- from one worker to the next ----------------------------------------------------------------- */

/* In the old one: nothing is accepted any more, and each connection that waits for an answer of which nothing has been sent is given to
 * `give`, until that is false. An answer that was begun is ended, if its reader reads. */
void credentials_give(struct credentials *credentials, bool (*give)(void *arg, int fd), void *arg);
/* The successor holds the first `held` of those: our keeper lets go of them. */
void credentials_given(struct credentials *credentials, size_t held);
/* There is none after all. */
void credentials_go_on(struct credentials *credentials);
/* In the successor: one of them. False: it is not held. `fd` stays the caller's. */
bool credentials_adopt(struct credentials *credentials, int fd);

/* NULL is fine. What is not answered yet is refused, by the keeper. */
void credentials_free(struct credentials *credentials);
