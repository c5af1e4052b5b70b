/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the HTTP client, for kbs/http.c (requests on the loop) and kbs/http_outcome.c (what curl's results mean). */
#pragma once

#include <curl/curl.h>
#include <sys/queue.h>

#include "kbs/http.h"
#include "kbs/http_headers.h"
#include "kbs/origin.h"
#include "kbs/proxy.h"
#include "kbs/trust.h"

/* A descriptor that curl wants to hear of. */
struct sock {
    LIST_ENTRY(sock) link;
    struct http *http;
    struct loop_watch *watch;
    int fd;
};

struct http {
    struct loop *loop;
    struct loop_timer *timer;
    CURLM *multi;
    X509_STORE *store; /* NULL when only pinned keys count */
    char *ca_file, *pinned_key, *user_agent, *unix_socket, *peer;
    struct proxy *proxy;
    struct curl_slist *proxy_headers; /* the password is in it: wiping memory, as all of curl's */
    struct trust_dates refused;       /* of the certificate that was refused last */
    bool allow_plain;
    long connect_timeout_ms;
    LIST_HEAD(, http_call) calls;
    LIST_HEAD(, sock) socks;
    struct sock *acting; /* whose event is being handled, unless it was removed meanwhile */
    bool *freed;         /* set to true by http_free, for the function that is calling back */
};

struct http_call {
    LIST_ENTRY(http_call) link;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    struct loop_timer *deadline;
    char origin[ORIGIN_SIZE]; /* "https://host:port", for errors */
    const char *proxy;        /* its origin, borrowed; NULL: directly */
    char error[CURL_ERROR_SIZE];
    struct err failed; /* set by a callback that stopped the transfer */
    struct http_headers received;
    struct buf body;
    struct secret *secret_body;
    size_t sent; /* of secret_body */
    int64_t started_ms, timeout_ms;
    bool delivering;
    http_fn *fn;
    void *arg;
};

/* A result that is no answer, as cause and remedy. */
void http_explain(const struct http_call *call, CURLcode result, struct err *err);
