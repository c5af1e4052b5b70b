/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/httpd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "crypt/base/log.h"
#include "crypt/base/loop.h"
#include "kbs/server/http/exchange.h"
#include "kbs/server/http/watchdog.h"

#define LISTEN_BACKLOG 256
#define HEAD_MAX       (64u * 1024) /* request line and headers: a token may be some 16 KiB */
#define STACK_SIZE     (256u * 1024)
#define TICK_MIN_MS    20
#define TICK_MAX_MS    1000
#define PEER_SIZE      64
#define TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct httpd {
    struct server *server;
    struct MHD_Daemon *daemon;
    struct watchdog *watchdog;
    pthread_mutex_t lock;
    pthread_cond_t idle;
    size_t in_flight; /* requests whose line has come and whose answer has not gone */
    bool stopping;
};

struct connection {
    struct watch watch;
    char peer[PEER_SIZE];
};

/* -- one request ------------------------------------------------------------------------------- */

static const char *header(struct MHD_Connection *http, const char *name)
{
    return MHD_lookup_connection_value(http, MHD_HEADER_KIND, name);
}

static enum request_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum request_method method;
    } methods[] = {
        {MHD_HTTP_METHOD_GET, REQUEST_GET},
        {MHD_HTTP_METHOD_HEAD, REQUEST_GET},
        {MHD_HTTP_METHOD_POST, REQUEST_POST},
        {MHD_HTTP_METHOD_PUT, REQUEST_PUT},
        {MHD_HTTP_METHOD_DELETE, REQUEST_DELETE},
    };
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (strcmp(methods[i].name, name) == 0)
            return methods[i].method;
    return REQUEST_OTHER;
}

/* What a proxy in front could read otherwise than we do: where a request ends, or whose it is. */
struct framing {
    unsigned lengths, encodings, hosts, authorizations;
    bool odd;
};

static enum MHD_Result frame(
    void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct framing *framing = arg;
    (void)kind;
    /* "Content-Length :" (RFC 9112 section 5.1) is another header to us, and none to some others. */
    if (name[0] == '\0' || name[strcspn(name, " \t\r\n")] != '\0')
        framing->odd = true;
    if (strcasecmp(name, MHD_HTTP_HEADER_CONTENT_LENGTH) == 0)
        framing->lengths++;
    else if (strcasecmp(name, MHD_HTTP_HEADER_HOST) == 0)
        framing->hosts++;
    else if (strcasecmp(name, MHD_HTTP_HEADER_AUTHORIZATION) == 0)
        framing->authorizations++;
    else if (strcasecmp(name, MHD_HTTP_HEADER_TRANSFER_ENCODING) == 0) {
        framing->encodings++;
        framing->odd = framing->odd || !value || strcasecmp(value, "chunked") != 0;
    }
    return MHD_YES;
}

/* RFC 9112 sections 3.2, 5.1 and 6.3 call everything else an attack or an error. */
static bool well_framed(struct MHD_Connection *http)
{
    struct framing framing = {0};
    MHD_get_connection_values(http, MHD_HEADER_KIND, frame, &framing);
    return !framing.odd && framing.lengths + framing.encodings <= 1 && framing.hosts <= 1 &&
           framing.authorizations <= 1;
}

/* The head is here. False: the connection is to be closed. */
static bool begin(struct httpd *httpd, struct MHD_Connection *http, struct exchange *exchange,
    const char *method, bool *ret_answer_now)
{
    struct request *request = &exchange->request;
    const char *length = header(http, MHD_HTTP_HEADER_CONTENT_LENGTH);
    if (!well_framed(http))
        return false;
    request->method = method_of(method);
    request->authorization = header(http, MHD_HTTP_HEADER_AUTHORIZATION);
    request->cookie = header(http, MHD_HTTP_HEADER_COOKIE);
    *ret_answer_now = !exchange_head(httpd->server, exchange, length);
    return true;
}

static bool is_stopping(struct httpd *httpd)
{
    pthread_mutex_lock(&httpd->lock);
    bool stopping = httpd->stopping;
    pthread_mutex_unlock(&httpd->lock);
    return stopping;
}

static enum MHD_Result answer(
    struct httpd *httpd, struct MHD_Connection *http, struct exchange *exchange, const char *method)
{
    struct response *response = &exchange->response;
    exchange_log(exchange, method);
    size_t len = response->body.len;
    char *data = len > 0 ? buf_take_text(&response->body) : NULL;
    struct MHD_Response *reply = MHD_create_response_from_buffer(
        data ? len : 0, data, data ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!reply) {
        free(data);
        return MHD_NO;
    }
    bool ok = true;
    if (response->content_type)
        ok = MHD_add_response_header(reply, MHD_HTTP_HEADER_CONTENT_TYPE, response->content_type) ==
             MHD_YES;
    if (ok && response->cookie[0])
        ok =
            MHD_add_response_header(reply, MHD_HTTP_HEADER_SET_COOKIE, response->cookie) == MHD_YES;
    if (ok && response->retry_after_s > 0) {
        char seconds[12];
        snprintf(seconds, sizeof seconds, "%d", response->retry_after_s);
        ok = MHD_add_response_header(reply, MHD_HTTP_HEADER_RETRY_AFTER, seconds) == MHD_YES;
    }
    if (ok && is_stopping(httpd))
        ok = MHD_add_response_header(reply, MHD_HTTP_HEADER_CONNECTION, "close") == MHD_YES;
    enum MHD_Result result =
        ok ? MHD_queue_response(http, (unsigned)response->status, reply) : MHD_NO;
    MHD_destroy_response(reply);
    return result;
}

/* libmicrohttpd calls this with the head, with each piece of the body, and once more at its end. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *http, const char *url,
    const char *method, const char *version, const char *upload_data, size_t *upload_data_size,
    void **slot)
{
    struct httpd *httpd = arg;
    struct exchange *exchange = *slot;
    bool answer_now = false;
    (void)url;
    (void)version;
    if (!exchange)
        return MHD_NO;
    if (!exchange->begun) {
        exchange->begun = true;
        if (!begin(httpd, http, exchange, method, &answer_now))
            return MHD_NO;
        return answer_now ? answer(httpd, http, exchange, method) : MHD_YES;
    }
    if (*upload_data_size > 0) {
        bool go_on = exchange_body(exchange, bytes_of(upload_data, *upload_data_size));
        *upload_data_size = 0;
        return go_on ? MHD_YES : MHD_NO;
    }
    exchange_finish(httpd->server, exchange);
    return answer(httpd, http, exchange, method);
}

/* -- connections and their deadlines ----------------------------------------------------------- */

static struct connection *connection_of(struct MHD_Connection *http)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info ? info->socket_context : NULL;
}

static void peer_name(struct MHD_Connection *http, char out[PEER_SIZE])
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info ? info->client_addr : NULL;
    char host[INET6_ADDRSTRLEN] = "?";
    unsigned port = 0;
    if (address && address->sa_family == AF_INET) {
        const struct sockaddr_in *four = (const void *)address;
        inet_ntop(AF_INET, &four->sin_addr, host, sizeof host);
        port = ntohs(four->sin_port);
    } else if (address && address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)address;
        inet_ntop(AF_INET6, &six->sin6_addr, host, sizeof host);
        port = ntohs(six->sin6_port);
    }
    snprintf(out, PEER_SIZE, "%s:%u", host, port);
}

/* The end comes before libmicrohttpd closes the socket, so the watchdog never sees a stale one. */
static void on_connection(
    void *arg, struct MHD_Connection *http, void **slot, enum MHD_ConnectionNotificationCode code)
{
    struct httpd *httpd = arg;
    struct connection *connection = *slot;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (connection)
            watchdog_remove(httpd->watchdog, &connection->watch);
        free(connection);
        *slot = NULL;
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(http, MHD_CONNECTION_INFO_CONNECTION_FD);
    connection = calloc(1, sizeof *connection);
    if (!connection || !info) {
        if (info)
            shutdown(info->connect_fd, SHUT_RDWR);
        free(connection);
        return;
    }
    peer_name(http, connection->peer);
    watchdog_add(httpd->watchdog, &connection->watch, info->connect_fd,
        httpd->server->conf->server.request_ms);
    *slot = connection;
}

/* The request line is here, nothing of it unescaped; what is returned becomes the request's slot. */
static void *on_request_line(void *arg, const char *uri, struct MHD_Connection *http)
{
    struct httpd *httpd = arg;
    struct connection *connection = connection_of(http);
    struct exchange *exchange = connection ? exchange_new(uri) : NULL;
    if (!exchange)
        return NULL;
    exchange->request.peer = connection->peer;
    watchdog_set(httpd->watchdog, &connection->watch, httpd->server->conf->server.request_ms);
    pthread_mutex_lock(&httpd->lock);
    httpd->in_flight++;
    pthread_mutex_unlock(&httpd->lock);
    return exchange;
}

static void on_completed(
    void *arg, struct MHD_Connection *http, void **slot, enum MHD_RequestTerminationCode code)
{
    struct httpd *httpd = arg;
    struct exchange *exchange = *slot;
    struct connection *connection = connection_of(http);
    (void)code;
    if (!exchange)
        return;
    if (connection)
        watchdog_set(httpd->watchdog, &connection->watch, httpd->server->conf->server.idle_ms);
    exchange_free(exchange);
    *slot = NULL;
    pthread_mutex_lock(&httpd->lock);
    if (--httpd->in_flight == 0)
        pthread_cond_broadcast(&httpd->idle);
    pthread_mutex_unlock(&httpd->lock);
}

/* Routes and access rules see the URI as it came. */
static size_t keep_escapes(void *arg, struct MHD_Connection *http, char *text)
{
    (void)arg;
    (void)http;
    return strlen(text);
}

/* -- start and stop ---------------------------------------------------------------------------- */

bool httpd_bind(const struct kbs_conf *conf, int *ret_fd, uint16_t *ret_port, struct err *err)
{
    struct kbs_address address;
    static const int on = 1;
    if (!kbs_conf_address(conf->server.listen, &address, err))
        return false;
    auto_fd int fd =
        socket(address.any.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
        return err_set_errno(err, ERR_IO, "socket");
    if (bind(fd, (struct sockaddr *)&address.any, address.len) < 0 ||
        listen(fd, LISTEN_BACKLOG) < 0)
        return err_set_errno(err, ERR_CONFIG, "listen on %s", conf->server.listen);
    socklen_t len = sizeof address.any;
    if (getsockname(fd, (struct sockaddr *)&address.any, &len) < 0)
        return err_set_errno(err, ERR_IO, "getsockname");
    /* The port is at the same place in both families. */
    *ret_port = ntohs(((const struct sockaddr_in *)(const void *)&address.any)->sin_port);
    *ret_fd = take_fd(fd);
    return true;
}

static void PRINTF_LIKE(2, 0) on_log(void *arg, const char *format, va_list args)
{
    char text[512];
    (void)arg;
    vsnprintf(text, sizeof text, format, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("libmicrohttpd: %s", text);
}

static int64_t tick_of(const struct kbs_conf *conf)
{
    int64_t least = conf->server.request_ms < conf->server.idle_ms ? conf->server.request_ms
                                                                   : conf->server.idle_ms;
    int64_t tick = least / 8;
    return tick < TICK_MIN_MS ? TICK_MIN_MS : tick > TICK_MAX_MS ? TICK_MAX_MS : tick;
}

static struct MHD_Daemon *start_daemon(
    struct httpd *httpd, int listen_fd, const char *tls_key, const char *tls_cert)
{
    const struct kbs_conf *conf = httpd->server->conf;
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    struct MHD_OptionItem pool[2] = {{MHD_OPTION_END, 0, NULL}, {MHD_OPTION_END, 0, NULL}};
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    if (conf->server.threads > 1)
        pool[0] = (struct MHD_OptionItem){
            MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)conf->server.threads, NULL};
    if (tls_key) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)tls_key};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)tls_cert};
        tls[2] = (struct MHD_OptionItem){
            MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)(uintptr_t)TLS_PRIORITIES};
        tls[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, httpd, MHD_OPTION_EXTERNAL_LOGGER,
        on_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)conf->server.connections, MHD_OPTION_PER_IP_CONNECTION_LIMIT,
        (unsigned)conf->server.connections_per_ip, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)HEAD_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)(conf->server.idle_ms / 1000 + 1), MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_SIZE, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_URI_LOG_CALLBACK,
        on_request_line, httpd, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, httpd, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, httpd, MHD_OPTION_ARRAY, pool, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

/* libmicrohttpd wants NUL-terminated texts. */
static bool terminated(const struct secret *text, struct secret **ret_text, struct err *err)
{
    auto_secret *copy = NULL;
    struct bytes bytes = secret_bytes(text);
    if (!secret_new(bytes.len + 1, &copy, err))
        return false;
    memcpy(secret_data(copy), bytes.data, bytes.len);
    *ret_text = take_ptr(copy);
    return true;
}

static void httpd_free(struct httpd *httpd)
{
    watchdog_free(httpd->watchdog);
    pthread_cond_destroy(&httpd->idle);
    pthread_mutex_destroy(&httpd->lock);
    free(httpd);
}

bool httpd_start(struct server *server, int listen_fd, const struct secret *tls_key,
    struct bytes tls_cert, struct httpd **ret_httpd, struct err *err)
{
    auto_fd int fd = listen_fd;
    auto_secret *key = NULL;
    auto_free char *cert = tls_key ? strndup((const char *)tls_cert.data, tls_cert.len) : NULL;
    struct httpd *httpd = calloc(1, sizeof *httpd);
    if (!httpd)
        return err_nomem(err);
    httpd->server = server;
    pthread_mutex_init(&httpd->lock, NULL);
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&httpd->idle, &attributes);
    pthread_condattr_destroy(&attributes);
    bool ok = (!tls_key || terminated(tls_key, &key, err)) &&
              watchdog_new(tick_of(server->conf), &httpd->watchdog, err);
    if (ok) {
        httpd->daemon =
            start_daemon(httpd, fd, key ? (const char *)secret_bytes(key).data : NULL, cert);
        ok = httpd->daemon || err_set(err, ERR_CONFIG, "the HTTP server does not start%s",
                                  key ? "; do certificate and key (PEM) belong together?" : "");
    }
    if (!ok) {
        httpd_free(httpd);
        return false;
    }
    (void)take_fd(fd);
    *ret_httpd = httpd;
    return true;
}

static void wait_idle(struct httpd *httpd, int64_t limit_ms)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(limit_ms / 1000);
    until.tv_nsec += (long)(limit_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (httpd->in_flight > 0)
        if (pthread_cond_timedwait(&httpd->idle, &httpd->lock, &until) != 0)
            return;
}

void httpd_stop(struct httpd *httpd)
{
    if (!httpd)
        return;
    MHD_socket fd = MHD_quiesce_daemon(httpd->daemon);
    /* The port refuses from now on; closing it must wait for the threads that may still look at it. */
    if (fd != MHD_INVALID_SOCKET)
        shutdown(fd, SHUT_RD);
    pthread_mutex_lock(&httpd->lock);
    httpd->stopping = true;
    wait_idle(httpd, httpd->server->conf->server.stop_ms);
    pthread_mutex_unlock(&httpd->lock);
    MHD_stop_daemon(httpd->daemon);
    if (fd != MHD_INVALID_SOCKET)
        close(fd);
    httpd_free(httpd);
}
