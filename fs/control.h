/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's control socket (default /run/sealedfs/control.sock), SOCK_SEQPACKET. Who may ask is decided by SO_PEERCRED: root,
 * the worker's own uid and uids that the configuration names. A request is one JSON object and so is the answer; plaintext follows
 * as secret packets (ipc_send_secret) of the announced length: plaintext is never a JSON value.
 *
 *     {"op":"get","uri":"kbs:///r/t/t"}         {"ok":true,"length":N}, then N bytes of plaintext
 *     {"op":"unseal","path":"ctx/path"}         the same; the text comes as a memfd sealed against write and shrink; "path" is
 *                                               the context and may be absent
 *     {"op":"attest"}                           {"ok":true,"status":{…}}; attests if there is no good token
 *     {"op":"token"}                            {"ok":true,"length":N}, then the JWT; root only
 *     {"op":"explain","path":P} or "id":ID      {"ok":true,"explanation":{…}}
 *     {"op":"flush"}                            {"ok":true,"flushed":N}; wipes all secrets, also open ones, and kept keys; with "token":true also
 *                                               the token and its key
 *     {"op":"status"}                           {"ok":true,"status":{…}}
 *     {"op":"reload"}                           {"ok":true} when the new configuration is in use; root only; answered by the monitor
 *     {"op":"upgrade","discard":false}          the same with the program that is on disk now; discard: nothing is taken over
 *     any refusal                               {"ok":false,"code":"denied-policy","message":"…","ref":"…"}
 *
 * An explanation: {"id","path","time","code","class","message","kbs_ref",
 *                  "guest":{"changed":[{"pcr":11,"was":hex,"now":hex,"events":[…]}],"since":unix seconds}}  (fs/resolve_changes.h)
 */
#pragma once

#include "crypt/base/json.h"
#include "crypt/base/secret.h"

#define CONTROL_SOCKET_DEFAULT "/run/sealedfs/control.sock"
#define CONTROL_TIMEOUT_MS     60000

/* Client side, blocking, for fs/cli. `fd` -1: none. *ret_secret may be NULL when the operation has
 * no plaintext; else required. A refusal becomes err with its code, message and ref. */
bool control_ask(const char *socket_path, const json_t *request, int fd, json_t **ret_answer,
    struct secret **ret_secret, struct err *err) MUST_CHECK;
