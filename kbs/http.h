/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP(S) client on a loop; the only user of libcurl. TLS 1.2 or later; trust is a CA file (read once, at http_new) or pinned
 * public keys ("sha256//base64", then the certificate's chain does not matter but its key does) or both; plain http:// only to
 * loopback unless `allow_plain`. Connections are kept and reused. No redirects, no proxy but the configured one, whatever the environment says, no
 * netrc, only http and https. Response bodies and headers are capped; a request has a total deadline. Bodies are public data
 * (ciphertext, JSON); plaintext never passes here from the guest's side. Loop thread only.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/loop.h"
#include "crypt/base/secret.h"

struct http;
struct http_call;

struct http_conf {
    const char *ca_file;    /* PEM; NULL: the system's store */
    const char *pinned_key; /* "sha256//…[;sha256//…]" or NULL */
    const char
        *proxy; /* "http://host:port": every request goes through CONNECT there; NULL: none */
    const char *proxy_credential; /* file with user:password, read once; NULL: none */
    const char *const *no_proxy;  /* hosts, and domains with all below, that are reached directly */
    size_t no_proxy_count;
    bool allow_plain;
    int64_t connect_timeout_ms; /* 0: 10 s */
    const char *user_agent;     /* NULL: "sealedfs/VERSION" */
    const char *
        unix_socket; /* path: every request goes there, whatever host its URL names; NULL: by TCP */
    const char *peer; /* who answers, for errors; NULL: "key broker" */
};

struct http_request {
    const char *method; /* "GET", "POST", "PUT", "DELETE" */
    const char *url;
    struct bytes body; /* copied; empty for none */
    const struct secret *
        secret_body; /* instead of body, for an admin's upload; referenced until the answer; or NULL */
    const char *content_type; /* NULL: application/json when there is a body */
    const char *cookie;       /* "name=value" or NULL */
    const char *bearer;       /* token text or NULL */
    int64_t timeout_ms;       /* total; required */
    size_t response_max;      /* body bytes; required */
    const char *const
        *keep; /* names of further headers of the answer (http_headers.h), not copied; or NULL */
};

struct http_response {
    long status;
    struct bytes body; /* borrowed during the callback */
    char content_type[128];
    /* "name=value; name=value" of all Set-Cookie lines without attributes, as `cookie` of a later
     * request takes it; "" for none. */
    char set_cookie[512];
    int64_t date; /* unix seconds by the server's clock; 0: it did not say */
    int64_t elapsed_ms;
    const char *const *
        kept; /* HTTP_KEEP_MAX values in the order of `keep`, NULL for one that did not come; borrowed as the body, never of http_ask() */
};

/* `response` NULL: no HTTP answer came (ERR_UNREACH, ERR_TIMEOUT, ERR_FORMAT when over the cap); the message names host and cause
 * ("certificate expired", "name does not match", "connection refused") and the remedy. Any HTTP status is a response. */
typedef void http_fn(void *arg, const struct http_response *response, const struct err *err);

bool http_new(struct loop *loop, const struct http_conf *conf, struct http **ret_http,
    struct err *err) MUST_CHECK;
void http_free(struct http *http); /* cancels without calling back */
DEFINE_AUTO(struct http, http_free);
/* Calls back exactly once, never from inside, unless cancelled. */
bool http_send(struct http *http, const struct http_request *request, http_fn *fn, void *arg,
    struct http_call **ret_call, struct err *err) MUST_CHECK;
void http_cancel(struct http_call *call); /* NULL is fine */

/* Blocking form for tools: turns a private loop. The body is appended to `body`. */
bool http_ask(const struct http_conf *conf, const struct http_request *request, struct buf *body,
    struct http_response *ret_response, struct err *err) MUST_CHECK;
