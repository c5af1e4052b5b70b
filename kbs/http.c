/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/http.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>

#include "kbs/http_private.h"
#include "kbs/wiping.h"

#define CONNECTIONS_MAX    8L
#define CONNECT_DEFAULT_MS 10000

/* -- setting up -------------------------------------------------------------------------------- */

static bool global_ready;

static void global_init(void)
{
    global_ready = curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiping_malloc, wiping_free,
                       wiping_realloc, wiping_strdup, wiping_calloc) == CURLE_OK;
}

static bool global_once(struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, global_init);
    return global_ready || err_set(err, ERR_NOMEM, "libcurl cannot be set up");
}

static void finish_calls(struct http *http);

/* curl sends a request only after this event or a later one; the ACKs of what comes before the answer (TLS 1.3 session
 * tickets) must not be delayed, or a peer that waits for them (Nagle) answers the first request 40 ms late. */
static void hurry_acks(struct http *http)
{
    struct sock *sock;
    int on = 1;
    LIST_FOREACH(sock, &http->socks, link)
    (void)setsockopt(sock->fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void on_sock(void *arg, uint32_t events)
{
    struct sock *sock = arg;
    struct http *http = sock->http;
    int running = 0;
    int mask = 0;
    if (events & EPOLLIN)
        mask |= CURL_CSELECT_IN;
    if (events & EPOLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (events & (EPOLLERR | EPOLLHUP))
        mask |= CURL_CSELECT_ERR;
    curl_multi_socket_action(http->multi, sock->fd, mask, &running);
    hurry_acks(http);
    finish_calls(http);
}

static void on_timer(void *arg)
{
    struct http *http = arg;
    int running = 0;
    curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    hurry_acks(http);
    finish_calls(http);
}

static int want_timer(CURLM *multi, long timeout_ms, void *arg)
{
    struct http *http = arg;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(http->timer);
    else
        loop_timer_set(http->timer, timeout_ms);
    return 0;
}

static void sock_free(struct sock *sock)
{
    loop_unwatch(sock->watch);
    LIST_REMOVE(sock, link);
    free(sock);
}

static bool sock_watch(struct http *http, struct sock *sock, int fd, uint32_t events)
{
    struct err err = ERR_INIT;
    if (sock)
        return loop_watch_change(sock->watch, events, &err);
    auto_free struct sock *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return false;
    fresh->http = http;
    fresh->fd = fd;
    if (!loop_watch_fd(http->loop, fd, events, on_sock, fresh, &fresh->watch, &err))
        return false;
    LIST_INSERT_HEAD(&http->socks, fresh, link);
    curl_multi_assign(http->multi, fd, take_ptr(fresh));
    return true;
}

static int want_sock(CURL *easy, curl_socket_t fd, int what, void *arg, void *sock)
{
    static const uint32_t events[] = {[CURL_POLL_NONE] = 0,
        [CURL_POLL_IN] = EPOLLIN,
        [CURL_POLL_OUT] = EPOLLOUT,
        [CURL_POLL_INOUT] = EPOLLIN | EPOLLOUT};
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (sock)
            sock_free(sock);
        return 0;
    }
    return sock_watch(arg, sock, fd, events[what]) ? 0 : -1;
}

static bool copy_text(const char *text, char **ret_copy, struct err *err)
{
    if (!text)
        return true;
    *ret_copy = strdup(text);
    return *ret_copy || err_nomem(err);
}

bool http_new(
    struct loop *loop, const struct http_conf *conf, struct http **ret_http, struct err *err)
{
    if (!global_once(err) || (conf->pinned_key && !trust_check_pin(conf->pinned_key, err)))
        return false;
    AUTO(http_free) struct http *http = calloc(1, sizeof *http);
    if (!http)
        return err_nomem(err);
    struct proxy_conf proxy = {.url = conf->proxy,
        .credential = conf->proxy_credential,
        .except = conf->no_proxy,
        .except_count = conf->no_proxy_count};
    http->loop = loop;
    http->allow_plain = conf->allow_plain;
    http->connect_timeout_ms =
        conf->connect_timeout_ms > 0 ? (long)conf->connect_timeout_ms : CONNECT_DEFAULT_MS;
    if (!copy_text(conf->ca_file, &http->ca_file, err) ||
        !copy_text(conf->pinned_key, &http->pinned_key, err) ||
        !proxy_new(&proxy, &http->proxy, err) ||
        !copy_text(conf->user_agent ? conf->user_agent : "sealedfs/" SEALED_VERSION,
            &http->user_agent, err) ||
        !copy_text(conf->unix_socket, &http->unix_socket, err) ||
        !copy_text(conf->peer ? conf->peer : "key broker", &http->peer, err) ||
        !loop_timer_new(loop, on_timer, http, &http->timer, err))
        return false;
    /* With pinned keys alone the chain does not matter. */
    if ((conf->ca_file || !conf->pinned_key) && !trust_load(conf->ca_file, &http->store, err))
        return false;
    const char *header = proxy_header(http->proxy);
    http->proxy_headers = header ? curl_slist_append(NULL, header) : NULL;
    http->multi = curl_multi_init();
    if (!http->multi || (header && !http->proxy_headers))
        return err_nomem(err);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, want_sock);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, want_timer);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, CONNECTIONS_MAX);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, CONNECTIONS_MAX);
    *ret_http = take_ptr(http);
    return true;
}

static void call_free(struct http_call *call)
{
    if (call->easy) {
        curl_multi_remove_handle(call->http->multi, call->easy);
        curl_easy_cleanup(call->easy);
    }
    curl_slist_free_all(call->headers);
    loop_timer_free(call->deadline);
    LIST_REMOVE(call, link);
    secret_unref(call->secret_body);
    /* A session cookie and a token may be in them. */
    http_headers_done(&call->received);
    OPENSSL_cleanse(&call->received, sizeof call->received);
    if (call->body.data)
        OPENSSL_cleanse(call->body.data, call->body.size);
    buf_done(&call->body);
    free(call);
}

void http_free(struct http *http)
{
    if (!http)
        return;
    if (http->freed)
        *http->freed = true;
    while (!LIST_EMPTY(&http->calls))
        call_free(LIST_FIRST(&http->calls));
    if (http->multi)
        curl_multi_cleanup(http->multi);
    while (!LIST_EMPTY(&http->socks))
        sock_free(LIST_FIRST(&http->socks));
    loop_timer_free(http->timer);
    trust_free(http->store);
    free(http->ca_file);
    free(http->pinned_key);
    curl_slist_free_all(http->proxy_headers);
    proxy_free(http->proxy);
    free(http->user_agent);
    free(http->unix_socket);
    free(http->peer);
    free(http);
}

/* -- a transfer -------------------------------------------------------------------------------- */

/* The usual verification, and what it refused is kept for the text of the error. The client outlives its connections. */
static int on_verify(X509_STORE_CTX *ctx, void *arg)
{
    struct http *http = arg;
    int verdict = X509_verify_cert(ctx);
    if (verdict != 1)
        trust_note(ctx, &http->refused);
    return verdict;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ctx, void *arg)
{
    struct http *http = arg;
    (void)easy;
    SSL_CTX_set1_cert_store(ctx, http->store);
    SSL_CTX_set_cert_verify_callback(ctx, on_verify, http);
    return CURLE_OK;
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    return http_headers_line(&call->received, bytes_of(data, size * count), &call->failed)
               ? size * count
               : 0;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    if (buf_append(&call->body, bytes_of(data, size * count), &call->failed))
        return size * count;
    if (call->failed.code == ERR_FORMAT)
        err_set(&call->failed, ERR_FORMAT, "an answer of more than %zu bytes", call->body.max);
    return 0;
}

static size_t on_upload(char *out, size_t size, size_t count, void *arg)
{
    struct http_call *call = arg;
    struct bytes part = bytes_slice(secret_bytes(call->secret_body), call->sent, size * count);
    if (part.len > 0)
        memcpy(out, part.data, part.len);
    call->sent += part.len;
    return part.len;
}

/* curl repeats a request whose kept connection turned out to be closed. */
static int on_rewind(void *arg, curl_off_t offset, int origin)
{
    struct http_call *call = arg;
    if (origin != SEEK_SET || offset < 0 || (size_t)offset > secret_len(call->secret_body))
        return CURL_SEEKFUNC_CANTSEEK;
    call->sent = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

#define SET(option, value) \
    (result = result == CURLE_OK ? curl_easy_setopt(call->easy, option, value) : result)

static CURLcode set_transport(struct http_call *call, const char *url)
{
    const struct http *http = call->http;
    CURLcode result = CURLE_OK;
    SET(CURLOPT_URL, url);
    SET(CURLOPT_PRIVATE, call);
    SET(CURLOPT_ERRORBUFFER, call->error);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    /* "" keeps curl from asking the environment, as does the next */
    SET(CURLOPT_PROXY, call->proxy ? call->proxy : "");
    SET(CURLOPT_NOPROXY, "");
    SET(CURLOPT_HTTPPROXYTUNNEL, call->proxy ? 1L : 0L);
    SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* the token is not for the proxy */
    if (call->proxy && http->proxy_headers)
        SET(CURLOPT_PROXYHEADER, http->proxy_headers);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (http->unix_socket)
        SET(CURLOPT_UNIX_SOCKET_PATH, http->unix_socket);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, http->connect_timeout_ms);
    SET(CURLOPT_USERAGENT, http->user_agent);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, call);
    SET(CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)call->body.max);
    return result;
}

/* curl gets no CA file of its own: our store, parsed once, takes the place of the one it would fill for each connection. */
static CURLcode set_tls(struct http_call *call)
{
    struct http *http = call->http;
    CURLcode result = CURLE_OK;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_CAINFO, NULL);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CA_CACHE_TIMEOUT, 0L);
    SET(CURLOPT_SSL_VERIFYPEER, http->store ? 1L : 0L);
    SET(CURLOPT_SSL_VERIFYHOST, http->store ? 2L : 0L);
    if (http->store) {
        SET(CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx);
        SET(CURLOPT_SSL_CTX_DATA, http);
    }
    if (http->pinned_key)
        SET(CURLOPT_PINNEDPUBLICKEY, http->pinned_key);
    return result;
}

static CURLcode set_body(struct http_call *call, const struct http_request *request)
{
    CURLcode result = CURLE_OK;
    if (call->secret_body) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)secret_len(call->secret_body));
        SET(CURLOPT_READFUNCTION, on_upload);
        SET(CURLOPT_READDATA, call);
        SET(CURLOPT_SEEKFUNCTION, on_rewind);
        SET(CURLOPT_SEEKDATA, call);
    } else if (request->body.len > 0 || strcmp(request->method, "POST") == 0) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        SET(CURLOPT_COPYPOSTFIELDS, request->body.len > 0 ? (const char *)request->body.data : "");
    }
    SET(CURLOPT_CUSTOMREQUEST, request->method);
    return result;
}

/* "Name: value" into the list that curl sends. The line is wiped: it may be a bearer token. */
static bool add_header(struct http_call *call, const char *name, const char *value, struct err *err)
{
    if (!http_header_ok(value))
        return err_set(err, ERR_FORMAT, "%s header with a character that cannot be sent", name);
    size_t size = strlen(name) + strlen(value) + sizeof ": ";
    char *line = wiping_malloc(size);
    if (!line)
        return err_nomem(err);
    snprintf(line, size, "%s: %s", name, value);
    struct curl_slist *headers = curl_slist_append(call->headers, line);
    wiping_free(line);
    if (!headers)
        return err_nomem(err);
    call->headers = headers;
    return true;
}

static bool add_bearer(struct http_call *call, const char *token, struct err *err)
{
    size_t size = strlen(token) + sizeof "Bearer ";
    char *value = wiping_malloc(size);
    if (!value)
        return err_nomem(err);
    snprintf(value, size, "Bearer %s", token);
    bool added = add_header(call, "Authorization", value, err);
    wiping_free(value);
    return added;
}

static bool set_headers(struct http_call *call, const struct http_request *request, struct err *err)
{
    bool has_body = call->secret_body || request->body.len > 0;
    const char *type = request->content_type ? request->content_type : "application/json";
    return curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, NULL) == CURLE_OK &&
           /* "Expect:" without value: no waiting for "100 Continue". */
           (call->headers = curl_slist_append(NULL, "Expect:")) != NULL &&
           add_header(call, "Accept", "*/*", err) &&
           (!has_body || add_header(call, "Content-Type", type, err)) &&
           (!request->cookie || add_header(call, "Cookie", request->cookie, err)) &&
           (!request->bearer || add_bearer(call, request->bearer, err)) &&
           curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK;
}

/* -- how it ends ------------------------------------------------------------------------------- */

static void deliver(
    struct http_call *call, const struct http_response *response, const struct err *err)
{
    call->delivering = true;
    loop_timer_clear(call->deadline);
    call->fn(call->arg, response, err);
}

static void on_deadline(void *arg)
{
    struct http_call *call = arg;
    struct http *http = call->http;
    struct err err = ERR_INIT;
    bool freed = false;
    err_set(&err, ERR_TIMEOUT, "%s: no answer within %lld ms%s%s", call->origin,
        (long long)call->timeout_ms, call->proxy ? ", by way of the proxy " : "",
        call->proxy ? call->proxy : "");
    /* Out of curl first: nothing of it may run for a call that has ended. */
    curl_multi_remove_handle(http->multi, call->easy);
    http->freed = &freed;
    deliver(call, NULL, &err);
    if (freed)
        return;
    http->freed = NULL;
    call_free(call);
}

static void finish(struct http_call *call, CURLcode result)
{
    struct err err = ERR_INIT;
    struct http_response response = {.body = buf_bytes(&call->body),
        .date = call->received.date,
        .elapsed_ms = loop_now_ms() - call->started_ms,
        .kept = (const char *const *)call->received.kept};
    curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &response.status);
    memcpy(response.content_type, call->received.content_type, sizeof response.content_type);
    memcpy(response.set_cookie, call->received.set_cookie, sizeof response.set_cookie);
    if (result != CURLE_OK)
        http_explain(call, result, &err);
    deliver(call, result == CURLE_OK ? &response : NULL, &err);
}

static void finish_calls(struct http *http)
{
    bool freed = false;
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(http->multi, &left))) {
        struct http_call *call = NULL;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        curl_multi_remove_handle(http->multi, call->easy);
        http->freed = &freed;
        finish(call, result);
        if (freed)
            return;
        http->freed = NULL;
        call_free(call);
    }
}

/* -- calls ------------------------------------------------------------------------------------- */

bool http_send(struct http *http, const struct http_request *request, http_fn *fn, void *arg,
    struct http_call **ret_call, struct err *err)
{
    char origin[ORIGIN_SIZE];
    if (request->timeout_ms <= 0 || request->response_max == 0)
        return err_set(err, ERR_INTERNAL, "HTTP request without a deadline or a cap");
    if (!origin_of(request->url, http->allow_plain, origin, err))
        return false;
    struct http_call *call = calloc(1, sizeof *call);
    if (!call)
        return err_nomem(err);
    call->http = http;
    call->fn = fn;
    call->arg = arg;
    call->timeout_ms = request->timeout_ms;
    call->started_ms = loop_now_ms();
    call->body.max = request->response_max;
    call->received.keep = request->keep;
    memcpy(call->origin, origin, sizeof origin);
    call->proxy = proxy_for(http->proxy, call->origin);
    LIST_INSERT_HEAD(&http->calls, call, link);
    if (request->secret_body)
        call->secret_body = secret_ref((struct secret *)(uintptr_t)request->secret_body);
    call->easy = curl_easy_init();
    err_nomem(err); /* what remains of it when curl refuses something */
    if (!call->easy || set_transport(call, request->url) != CURLE_OK || set_tls(call) != CURLE_OK ||
        set_body(call, request) != CURLE_OK || !set_headers(call, request, err) ||
        !loop_timer_new(http->loop, on_deadline, call, &call->deadline, err) ||
        curl_multi_add_handle(http->multi, call->easy) != CURLM_OK) {
        call_free(call);
        return false;
    }
    err_clear(err);
    loop_timer_set(call->deadline, request->timeout_ms);
    *ret_call = call;
    return true;
}

void http_cancel(struct http_call *call)
{
    if (call && !call->delivering)
        call_free(call);
}
