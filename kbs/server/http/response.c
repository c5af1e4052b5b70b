/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "kbs/proto.h"
#include "kbs/server/http/route.h"

#define STATUS_OK           200
#define STATUS_UNAUTHORIZED 401
#define STATUS_NOT_FOUND    404
#define STATUS_UNAVAILABLE  503

void response_init(struct response *response)
{
    *response = (struct response){.status = STATUS_OK, .body = BUF_INIT(RESPONSE_BODY_MAX)};
}

void response_done(struct response *response)
{
    buf_done(&response->body);
}

/* protocol.md A.4: 404 for these two, 401 for everything else; but see response_blame(). */
static int status_of(const char *name)
{
    bool missing = strcmp(name, "PluginNotFound") == 0 || strcmp(name, "InvalidRequestPath") == 0;
    return missing ? STATUS_NOT_FOUND : STATUS_UNAUTHORIZED;
}

void response_refuse(
    struct response *response, const char *name, const char *ref, const char *format, ...)
{
    struct proto_error error = {0};
    struct err err = ERR_INIT;
    auto_free char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vsnprintf(error.detail, sizeof error.detail, format, args);
    va_end(args);
    snprintf(error.name, sizeof error.name, "%s", name);
    response->ref[0] = '\0';
    if (ref && *ref) {
        snprintf(response->ref, sizeof response->ref, "%s", ref);
        /* The id matters more than the last words of a long text. */
        size_t room = sizeof error.detail - sizeof " [id ]" - strlen(response->ref);
        size_t used = len < 0 ? 0 : strlen(error.detail);
        if (used > room)
            used = room;
        snprintf(error.detail + used, sizeof error.detail - used, " [id %s]", response->ref);
    }
    response->status = status_of(name);
    response->content_type = NULL;
    response->error_name = name;
    buf_done(&response->body);
    response->body = (struct buf)BUF_INIT(RESPONSE_BODY_MAX);
    if (!proto_error_encode(&error, &text, &err) || !buf_append_str(&response->body, text, &err))
        response->cause = err;
}

bool response_own_fault(const struct err *err)
{
    static const enum err_code ours[] = {
        ERR_NOMEM, ERR_IO, ERR_UNREACH, ERR_TIMEOUT, ERR_BUSY, ERR_CONFIG, ERR_INTERNAL};
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (ours[i] == err->code)
            return true;
    return false;
}

void response_blame(struct response *response, const struct err *err)
{
    if (response_own_fault(err))
        response->status = STATUS_UNAVAILABLE;
    response->cause = *err;
}

/* What is not here goes by its cause. */
static const struct {
    const char *name;
    int status;
} strict_statuses[] = {
    {"TokenNotFound", 401},
    {"TokenVerifierError", 401},
    {"PolicyDeny", 403},
    {"ParsePolicyError", 400},
    {"SerdeError", 400},
    {"JweError", 400},
};

void response_make_strict(struct response *response)
{
    enum err_code cause = response->cause.code;
    if (!response->error_name || response->status != STATUS_UNAUTHORIZED)
        return;
    int status = response->strict_status;
    for (size_t i = 0; status == 0 && i < ARRAY_LEN(strict_statuses); i++)
        if (strcmp(strict_statuses[i].name, response->error_name) == 0)
            status = strict_statuses[i].status;
    if (status == 0 && cause != ERR_OK)
        status = err_info(cause)->http_status;
    if (status != 0)
        response->status = status;
}

bool response_json(struct response *response, const char *text, struct err *err)
{
    response->content_type = "application/json";
    return buf_append_str(&response->body, text, err);
}
