/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request from its first line to its answer, as the HTTP library delivers it: the head, pieces of the body, the
 * end. Belongs to one thread at a time. The body of a route that is `secret_body` is gathered in locked memory.
 */
#pragma once

#include "kbs/server/server.h"

struct exchange {
    struct request request;
    struct response response;
    const struct route *route; /* NULL: the answer is made already, the body is dropped */
    char *uri;                 /* raw */
    struct buf body;
    struct secret *secret;
    size_t secret_used;
    size_t body_len, body_max;
    bool begun; /* the head has come; for the caller */
};

/* NULL when memory is out. */
struct exchange *exchange_new(const char *uri);
void exchange_free(struct exchange *exchange);
DEFINE_AUTO(struct exchange, exchange_free);

/* With the head: request's method, headers and peer are set. `length`: of Content-Length, or NULL. False: the announced body is
 * too large, answer at once and do not read it. */
bool exchange_head(struct server *server, struct exchange *exchange, const char *length) MUST_CHECK;
/* One piece of the body. False: far more than was allowed, end the connection. */
bool exchange_body(struct exchange *exchange, struct bytes data) MUST_CHECK;
/* The body is complete: the response is made. */
void exchange_finish(struct server *server, struct exchange *exchange);
void exchange_log(const struct exchange *exchange, const char *method);
