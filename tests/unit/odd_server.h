/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP server in threads, on a TCP port and on a socket in /tmp, that answers or misbehaves as the path of a request says. */
#pragma once

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

static int tcp_fd, unix_fd;
static char base_url[64], one_url[96], socket_path[64];
static atomic_int hits, held;
static atomic_bool holding;

static void say(int fd, const char *text)
{
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
        if (n <= 0)
            return;
        text += n;
        len -= (size_t)n;
    }
}

static void say_body(int fd, const char *headers, const char *body)
{
    char head[2048];
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n%s\r\n", strlen(body),
        headers);
    say(fd, head);
    say(fd, body);
}

static pthread_mutex_t hold_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t hold_changed = PTHREAD_COND_INITIALIZER;

static void hold(void)
{
    pthread_mutex_lock(&hold_lock);
    held++;
    while (holding)
        pthread_cond_wait(&hold_changed, &hold_lock);
    pthread_mutex_unlock(&hold_lock);
}

static inline void set_holding(bool on)
{
    pthread_mutex_lock(&hold_lock);
    holding = on;
    pthread_cond_broadcast(&hold_changed);
    pthread_mutex_unlock(&hold_lock);
}

static void answer(int fd, const char *request)
{
    const char *line_end = strstr(request, "\r\n");
    const char *path = strchr(request, ' ') + 1;
    hits++;
    if (strncmp(path, "/hold", 5) == 0) {
        hold();
        say_body(fd, "", "held");
    } else if (strncmp(path, "/big", 4) == 0) {
        char *big = calloc(1, 300001);
        assert_non_null(big);
        memset(big, 'x', 300000);
        say_body(fd, "", big);
        free(big);
    } else if (strncmp(path, "/chain", 6) == 0) {
        say_body(fd,
            "Content-Type: application/json\r\nTCB-Info-Issuer-Chain: %2D%2DBEGIN\r\nExpires: "
            "soon\r\nETag: \x01\r\nRetry-After: 7\r\nDate: Mon, 23 Nov 2026 05:10:22 GMT\r\n",
            "{}");
    } else if (strncmp(path, "/none", 5) == 0) {
        say(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(path, "/away", 5) == 0) {
        say(fd, "HTTP/1.1 302 Found\r\nLocation: /echo\r\nContent-Length: 0\r\n\r\n");
    } else if (strncmp(path, "/nonsense", 9) !=
               0) { /* the request itself, without its head's noise */
        char *token = strstr(request, "Authorization: "), *body = strstr(request, "\r\n\r\n");
        char *echo = NULL;
        assert_true(asprintf(&echo, "%.*s|%.*s|%s", (int)(line_end - request), request,
                        token ? (int)strcspn(token, "\r") : 0, token ? token : "", body + 4) > 0);
        say_body(fd, "", echo);
        free(echo);
    } else {
        say(fd, "\x16\x03 what?\r\n\r\n");
    }
}

/* Keeps the connection until its peer ends it. */
static void *serve(void *arg)
{
    char request[8192];
    int fd = (int)(intptr_t)arg;
    for (;;) {
        size_t len = 0;
        char *end = NULL, *length;
        do {
            ssize_t n = recv(fd, request + len, sizeof request - 1 - len, 0);
            if (n <= 0) {
                close(fd);
                return NULL;
            }
            len += (size_t)n;
            request[len] = '\0';
            end = strstr(request, "\r\n\r\n");
            length = strstr(request, "Content-Length: ");
        } while (!end || (length && strlen(end + 4) < strtoul(length + 16, NULL, 10)));
        answer(fd, request);
    }
}

static void *accept_all(void *arg)
{
    int listener = (int)(intptr_t)arg;
    for (;;) {
        pthread_t thread;
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return NULL;
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd) == 0)
            pthread_detach(thread);
    }
}

static void start_server(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    socklen_t len = sizeof address;
    pthread_t thread;
    tcp_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    unix_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(socket_path, sizeof socket_path, "/tmp/sealed-courier-test.%d", (int)getpid());
    snprintf(name.sun_path, sizeof name.sun_path, "%s", socket_path);
    assert_int_equal(bind(tcp_fd, (void *)&address, sizeof address), 0);
    assert_int_equal(bind(unix_fd, (void *)&name, sizeof name), 0);
    assert_int_equal(listen(tcp_fd, 128), 0);
    assert_int_equal(listen(unix_fd, 16), 0);
    assert_int_equal(getsockname(tcp_fd, (void *)&address, &len), 0);
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    snprintf(one_url, sizeof one_url, "%s/echo?one=1", base_url);
    assert_int_equal(pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)tcp_fd), 0);
    pthread_detach(thread);
    assert_int_equal(pthread_create(&thread, NULL, accept_all, (void *)(intptr_t)unix_fd), 0);
    pthread_detach(thread);
}
