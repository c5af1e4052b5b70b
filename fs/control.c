/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/control.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/ipc.h"

static bool answer_refused(const json_t *answer, struct err *err)
{
    const char *code = json_member_text(answer, "code"),
               *message = json_member_text(answer, "message");
    const char *ref = json_member_text(answer, "ref");
    enum err_code known = code ? err_code_from_name(code) : ERR_INTERNAL;
    /* A refusal is never "ok", whatever it says: the caller's exit status comes from this. */
    err_set(err, known == ERR_OK ? ERR_INTERNAL : known, "%s",
        message ? message : "refused without a reason");
    snprintf(err->ref, sizeof err->ref, "%s", ref ? ref : "");
    return false;
}

bool control_ask(const char *socket_path, const json_t *request, int fd, json_t **ret_answer,
    struct secret **ret_secret, struct err *err)
{
    auto_free char *text = json_text(request);
    auto_fd int connection = -1;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    auto_json *answer = NULL;
    auto_secret *secret = NULL;
    bool closed = false;
    if (!text)
        return err_nomem(err);
    if (!ipc_connect(socket_path, "sealedfs", CONTROL_TIMEOUT_MS, &connection, err) ||
        !ipc_send(connection, bytes_str(text), &fd, fd >= 0 ? 1 : 0, err) ||
        !ipc_receive_within(connection, 2 * CONTROL_TIMEOUT_MS, &message, &closed, err))
        return err_wrap(err, "agent at %s", socket_path);
    if (closed)
        return err_set(err, ERR_UNREACH,
            "agent at %s closed the connection without an answer; see its log", socket_path);
    if (!json_load_strict(
            buf_bytes(&message), IPC_MESSAGE_MAX, "answer of the agent", &answer, err))
        return false;
    if (!json_is_true(json_object_get(answer, "ok")))
        return answer_refused(answer, err);
    json_int_t len = json_integer_value(json_object_get(answer, "length"));
    if (ret_secret) {
        if (len < 0 || len > (json_int_t)SECRET_SIZE_MAX)
            return err_set(
                err, ERR_FORMAT, "the agent announced %lld bytes of plaintext", (long long)len);
        if (!ipc_receive_secret(connection, (size_t)len, CONTROL_TIMEOUT_MS, &secret, err))
            return err_wrap(err, "agent at %s", socket_path);
        *ret_secret = take_ptr(secret);
    }
    *ret_answer = take_ptr(answer);
    return true;
}
