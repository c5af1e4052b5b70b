/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/scrape.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "crypt/base/ipc.h"
#include "crypt/base/log.h"
#include "crypt/base/number.h"

#define SOCKET_MODE 0660
#define BACKLOG     16

struct visitor {
    struct scrape *scrape;
    struct visitor *next;
    int fd;
    struct loop_watch *watch;
    struct loop_timer *limit;
    struct buf request, answer;
    size_t sent;
};

struct scrape {
    struct scrape_conf conf;
    struct loop_watch *watch;
    struct visitor *visitors;
    size_t count;
};

/* -- requests ----------------------------------------------------------------------------------- */

/* Field lines are not looked at: nothing in them changes a fixed page. They must end, and hold no NUL. */
enum scrape_verdict scrape_parse(struct bytes request, enum scrape_page *ret_page)
{
    static const struct {
        const char *target;
        enum scrape_page page;
    } pages[] = {
        {"/metrics", SCRAPE_METRICS}, {"/healthz", SCRAPE_HEALTH}, {"/readyz", SCRAPE_READY}};
    const uint8_t *end = memmem(request.data, request.len, "\r\n\r\n", 4);
    if (request.len > 0 && memchr(request.data, '\0', request.len))
        return SCRAPE_BAD;
    if (!end)
        return request.len >= SCRAPE_REQUEST_MAX ? SCRAPE_BAD : SCRAPE_MORE;
    char line[128];
    size_t len =
        (size_t)((const uint8_t *)memmem(request.data, request.len, "\r\n", 2) - request.data);
    if (len >= sizeof line)
        return SCRAPE_BAD;
    memcpy(line, request.data, len);
    line[len] = '\0';
    /* RFC 9112 section 3: three words with one blank between each. */
    char *rest = line, *method = strsep(&rest, " "), *target = strsep(&rest, " "), *version = rest;
    if (!version || strncmp(version, "HTTP/1.", 7) != 0 ||
        version[strcspn(version, " \t")] != '\0' ||
        strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(method) || method[0] == '\0')
        return SCRAPE_BAD;
    if (strcmp(method, "GET") != 0)
        return SCRAPE_METHOD;
    target[strcspn(target, "?")] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(pages); i++)
        if (strcmp(target, pages[i].target) == 0) {
            *ret_page = pages[i].page;
            return SCRAPE_ASKS;
        }
    return SCRAPE_UNKNOWN;
}

static bool put_answer(struct buf *out, const char *status, struct bytes body, struct err *err)
{
    return buf_printf(out, err,
               "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
               "Content-Length: %zu\r\nConnection: close\r\n%s\r\n",
               status, body.len, strncmp(status, "405", 3) == 0 ? "Allow: GET\r\n" : "") &&
           buf_append(out, body, err);
}

static bool answer(
    struct visitor *visitor, enum scrape_verdict verdict, enum scrape_page page, struct err *err)
{
    static const char *const statuses[] = {[SCRAPE_BAD] = "400 Bad Request",
        [SCRAPE_METHOD] = "405 Method Not Allowed",
        [SCRAPE_UNKNOWN] = "404 Not Found"};
    auto_buf body = BUF_INIT(SCRAPE_ANSWER_MAX);
    bool good = false;
    if (verdict != SCRAPE_ASKS)
        return buf_printf(&body, err, "pages: /metrics /healthz /readyz\n") &&
               put_answer(&visitor->answer, statuses[verdict], buf_bytes(&body), err);
    return visitor->scrape->conf.page(visitor->scrape->conf.arg, page, &body, &good, err) &&
           put_answer(&visitor->answer, good ? "200 OK" : "503 Service Unavailable",
               buf_bytes(&body), err);
}

/* -- connections -------------------------------------------------------------------------------- */

static void visitor_free(struct visitor *visitor)
{
    struct scrape *scrape = visitor->scrape;
    struct visitor **at = &scrape->visitors;
    while (*at != visitor)
        at = &(*at)->next;
    *at = visitor->next;
    scrape->count--;
    loop_unwatch(visitor->watch);
    loop_timer_free(visitor->limit);
    buf_done(&visitor->request);
    buf_done(&visitor->answer);
    close(visitor->fd);
    free(visitor);
}

static void on_limit(void *arg)
{
    visitor_free(arg);
}

/* False: this connection is at its end. */
static bool read_more(struct visitor *visitor, struct err *err)
{
    char part[1024];
    enum scrape_page page = SCRAPE_METRICS;
    ssize_t len = recv(visitor->fd, part, sizeof part, MSG_DONTWAIT);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    if (len == 0 || !buf_append(&visitor->request, bytes_of(part, (size_t)len), err))
        return false;
    enum scrape_verdict verdict = scrape_parse(buf_bytes(&visitor->request), &page);
    if (verdict == SCRAPE_MORE)
        return true;
    return answer(visitor, verdict, page, err) && loop_watch_change(visitor->watch, EPOLLOUT, err);
}

static bool send_more(struct visitor *visitor)
{
    struct bytes left =
        bytes_slice(buf_bytes(&visitor->answer), visitor->sent, visitor->answer.len);
    ssize_t len = send(visitor->fd, left.data, left.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (len < 0)
        return errno == EAGAIN || errno == EINTR;
    visitor->sent += (size_t)len;
    return visitor->sent < visitor->answer.len;
}

static void on_visitor(void *arg, uint32_t flags)
{
    struct visitor *visitor = arg;
    struct err err = ERR_INIT;
    (void)flags;
    bool goes_on = visitor->answer.len > 0 ? send_more(visitor) : read_more(visitor, &err);
    if (err.code != ERR_OK)
        log_err(LOG_LEVEL_DEBUG, &err, "metrics");
    if (!goes_on)
        visitor_free(visitor);
}

static bool visitor_new(struct scrape *scrape, int fd, struct err *err)
{
    struct visitor *visitor = calloc(1, sizeof *visitor);
    if (!visitor) {
        close(fd);
        return err_nomem(err);
    }
    *visitor = (struct visitor){.scrape = scrape,
        .next = scrape->visitors,
        .fd = fd,
        .request = BUF_INIT(SCRAPE_REQUEST_MAX + 1024),
        .answer = BUF_INIT(SCRAPE_ANSWER_MAX + 1024)};
    scrape->visitors = visitor;
    scrape->count++;
    if (!loop_timer_new(scrape->conf.loop, on_limit, visitor, &visitor->limit, err) ||
        !loop_watch_fd(scrape->conf.loop, fd, EPOLLIN, on_visitor, visitor, &visitor->watch, err)) {
        visitor_free(visitor);
        return false;
    }
    loop_timer_set(visitor->limit, SCRAPE_LIMIT_MS);
    return true;
}

/* Who has been here longest has had the most time: idle connections keep nobody from learning that all is well. */
static struct visitor *oldest(const struct scrape *scrape)
{
    struct visitor *visitor = scrape->visitors;
    while (visitor->next)
        visitor = visitor->next;
    return visitor;
}

static void on_listen(void *arg, uint32_t flags)
{
    struct scrape *scrape = arg;
    struct err err = ERR_INIT;
    (void)flags;
    int fd = accept4(scrape->conf.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            loop_watch_rest(scrape->watch, SCRAPE_REST_MS); /* no descriptor is left */
        return;
    }
    if (scrape->count >= SCRAPE_PEERS_MAX)
        visitor_free(oldest(scrape));
    if (!visitor_new(scrape, fd, &err))
        log_err(LOG_LEVEL_WARNING, &err, "metrics");
}

/* -- the socket --------------------------------------------------------------------------------- */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The two ways to write loopback and a port. */
static bool parse_loopback(const char *where, union address *ret_address, socklen_t *ret_len)
{
    const char *port = strncmp(where, "127.0.0.1:", 10) == 0 ? where + 10
                       : strncmp(where, "[::1]:", 6) == 0    ? where + 6
                                                             : NULL;
    int64_t number;
    if (!port || !number_int(port, &number) || number < 1 || number > UINT16_MAX)
        return false;
    *ret_address = (union address){0};
    if (where[0] == '[') {
        ret_address->v6 = (struct sockaddr_in6){.sin6_family = AF_INET6,
            .sin6_port = htons((uint16_t)number),
            .sin6_addr = IN6ADDR_LOOPBACK_INIT};
        *ret_len = sizeof ret_address->v6;
    } else {
        ret_address->v4 = (struct sockaddr_in){.sin_family = AF_INET,
            .sin_port = htons((uint16_t)number),
            .sin_addr = {htonl(INADDR_LOOPBACK)}};
        *ret_len = sizeof ret_address->v4;
    }
    return true;
}

static bool find_address(
    const char *where, union address *ret_address, socklen_t *ret_len, struct err *err)
{
    return parse_loopback(where, ret_address, ret_len) ||
           err_set(err, ERR_CONFIG,
               "metrics.listen = %.200s: the path of a socket, 127.0.0.1:port or [::1]:port; for "
               "another address put a proxy with its own rules before it",
               where);
}

bool scrape_check(const char *where, struct err *err)
{
    union address address;
    socklen_t len = 0;
    return where[0] == '/' || find_address(where, &address, &len, err);
}

bool scrape_listen(const char *where, int *ret_fd, struct err *err)
{
    union address address;
    socklen_t len = 0;
    int yes = 1;
    if (where[0] == '/')
        return ipc_listen_stream(where, SOCKET_MODE, ret_fd, err);
    if (!find_address(where, &address, &len, err))
        return false;
    auto_fd int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) < 0 ||
        bind(fd, &address.any, len) < 0 || listen(fd, BACKLOG) < 0)
        return err_set_errno(err, ERR_CONFIG, "metrics.listen = %.200s", where);
    *ret_fd = take_fd(fd);
    return true;
}

bool scrape_start(const struct scrape_conf *conf, struct scrape **ret_scrape, struct err *err)
{
    struct scrape *scrape = calloc(1, sizeof *scrape);
    if (!scrape)
        return err_nomem(err);
    scrape->conf = *conf;
    if (!loop_watch_fd(
            conf->loop, conf->listen_fd, EPOLLIN, on_listen, scrape, &scrape->watch, err)) {
        free(scrape);
        return false;
    }
    *ret_scrape = scrape;
    return true;
}

void scrape_free(struct scrape *scrape)
{
    if (!scrape)
        return;
    while (scrape->visitors)
        visitor_free(scrape->visitors);
    loop_unwatch(scrape->watch);
    close(scrape->conf.listen_fd);
    free(scrape);
}
