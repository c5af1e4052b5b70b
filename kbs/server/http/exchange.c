/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/exchange.h"

#include <stdio.h>

#include "crypt/base/log.h"

#define SECRET_START     4096
#define STATUS_TOO_LARGE 413
/* A body that nobody wants is read and dropped up to this many times the limit, then the connection is cut. */
#define DROP_FACTOR 4

struct exchange *exchange_new(const char *uri)
{
    AUTO(exchange_free) struct exchange *exchange = calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    response_init(&exchange->response);
    exchange->uri = strdup(uri);
    if (!exchange->uri)
        return NULL;
    exchange->request.uri = exchange->uri;
    return take_ptr(exchange);
}

void exchange_free(struct exchange *exchange)
{
    if (!exchange)
        return;
    request_done(&exchange->request);
    response_done(&exchange->response);
    buf_done(&exchange->body);
    secret_unref(exchange->secret);
    free(exchange->uri);
    free(exchange);
}

static void refuse_size(struct exchange *exchange)
{
    response_refuse(&exchange->response, "HTTPFailed", NULL,
        "the body is larger than the %zu bytes that are taken here", exchange->body_max);
    exchange->response.status = STATUS_TOO_LARGE;
    exchange->route = NULL;
}

static size_t body_limit(const struct server *server, const struct route *route)
{
    size_t max = (size_t)server->conf->server.body_max;
    if (route && route->body_max > 0 && route->body_max < max)
        max = route->body_max;
    if (route && route->secret_body && max > SECRET_SIZE_MAX)
        max = SECRET_SIZE_MAX;
    return max;
}

bool exchange_head(struct server *server, struct exchange *exchange, const char *length)
{
    if (!route_admit(server, &exchange->request, &exchange->route, &exchange->response))
        exchange->route = NULL;
    exchange->body_max = exchange->body.max = body_limit(server, exchange->route);
    if (!length || strtoull(length, NULL, 10) <= exchange->body_max)
        return true;
    refuse_size(exchange);
    return false;
}

/* Grows by doubling into new locked memory; what is left behind is wiped. */
static bool secret_grow(struct exchange *exchange, size_t need, struct err *err)
{
    struct secret *grown = NULL;
    size_t size = exchange->secret ? secret_len(exchange->secret) : SECRET_START;
    while (size < need)
        size *= 2;
    if (size > SECRET_SIZE_MAX)
        size = need;
    if (!secret_new(size, &grown, err))
        return false;
    if (exchange->secret_used > 0)
        memcpy(secret_data(grown), secret_data(exchange->secret), exchange->secret_used);
    secret_unref(exchange->secret);
    exchange->secret = grown;
    return true;
}

static bool secret_append(struct exchange *exchange, struct bytes data, struct err *err)
{
    size_t need = exchange->secret_used + data.len;
    size_t have = exchange->secret ? secret_len(exchange->secret) : 0;
    if (need > have && !secret_grow(exchange, need, err))
        return false;
    memcpy(secret_data(exchange->secret) + exchange->secret_used, data.data, data.len);
    exchange->secret_used = need;
    return true;
}

bool exchange_body(struct exchange *exchange, struct bytes data)
{
    struct err err = ERR_INIT;
    exchange->body_len += data.len;
    if (exchange->body_len > exchange->body_max) {
        if (exchange->route)
            refuse_size(exchange);
        return exchange->body_len / DROP_FACTOR <= exchange->body_max;
    }
    if (!exchange->route || data.len == 0)
        return true;
    if (exchange->route->secret_body ? secret_append(exchange, data, &err)
                                     : buf_append(&exchange->body, data, &err))
        return true;
    response_refuse(
        &exchange->response, "HTTPFailed", NULL, "no memory for the body; try again later");
    exchange->response.cause = err;
    exchange->route = NULL;
    return true;
}

static void run(struct server *server, struct exchange *exchange)
{
    if (!exchange->route)
        return;
    if (exchange->secret)
        secret_truncate(exchange->secret, exchange->secret_used);
    exchange->request.body = buf_bytes(&exchange->body);
    exchange->request.body_secret = exchange->secret;
    route_run(server, exchange->route, &exchange->request, &exchange->response);
}

void exchange_finish(struct server *server, struct exchange *exchange)
{
    run(server, exchange);
    if (server->conf->server.error_style == KBS_ERRORS_STRICT)
        response_make_strict(&exchange->response);
}

void exchange_log(const struct exchange *exchange, const char *method)
{
    const struct response *response = &exchange->response;
    char status[12];
    snprintf(status, sizeof status, "%d", response->status);
    const struct log_field fields[] = {
        {"PEER", exchange->request.peer},
        {"STATUS", status},
        {"ERROR", response->error_name},
        {"ID", response->ref[0] ? response->ref : NULL},
    };
    if (response->cause.code != ERR_OK)
        log_err(LOG_LEVEL_NOTICE, &response->cause, "%s %.200s", method, exchange->uri);
    if (response->audit[0])
        log_text(LOG_LEVEL_NOTICE, fields, ARRAY_LEN(fields), "%s", response->audit);
    log_text(response->error_name ? LOG_LEVEL_INFO : LOG_LEVEL_DEBUG, fields, ARRAY_LEN(fields),
        "%s %.200s", method, exchange->uri);
}
