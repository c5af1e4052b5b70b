/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking form of a request, for tools. */
#include "kbs/http.h"

struct asked {
    bool done;
    struct buf *body;
    struct http_response *response;
    struct err err;
};

static void on_answer(void *arg, const struct http_response *response, const struct err *err)
{
    struct asked *asked = arg;
    size_t before = asked->body->len;
    asked->done = true;
    asked->err = *err;
    if (!response || !buf_append(asked->body, response->body, &asked->err))
        return;
    *asked->response = *response;
    asked->response->kept = NULL; /* gone with the call */
    asked->response->body = bytes_slice(buf_bytes(asked->body), before, response->body.len);
}

bool http_ask(const struct http_conf *conf, const struct http_request *request, struct buf *body,
    struct http_response *ret_response, struct err *err)
{
    AUTO(loop_free) struct loop *loop = NULL;
    AUTO(http_free) struct http *http = NULL;
    struct http_response response = {0};
    struct asked asked = {.body = body, .response = &response};
    struct http_call *call = NULL;
    if (!loop_new(&loop, err) || !http_new(loop, conf, &http, err) ||
        !http_send(http, request, on_answer, &asked, &call, err))
        return false;
    while (!asked.done)
        if (!loop_turn(loop, -1, err))
            return false;
    if (asked.err.code != ERR_OK) {
        *err = asked.err;
        return false;
    }
    *ret_response = response;
    return true;
}
