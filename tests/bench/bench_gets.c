/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench_gets URL CA-FILE ATTESTD-SOCKET REPOSITORY/TYPE/ COUNT CONNECTIONS: the resources …/0, …/1, … with so many GETs under way at once, each
 * on a connection that is open already. @FILE instead of the socket: a file with a token. Prints the milliseconds from the first request to the last answer. Answers are not decrypted.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crypt/base/file.h"
#include "kbs/client.h"

#define TIMEOUT_MS 120000

struct gets {
    struct loop *loop;
    struct http *http;
    const char *url, *prefix;
    char *token;
    size_t sent, answered, count;
};

static double now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void die_of(const struct err *err)
{
    fprintf(stderr, "bench_gets: %s\n", err->message);
    exit(1);
}

static void send_next(struct gets *gets);

static void on_answer(void *arg, const struct http_response *response, const struct err *err)
{
    struct gets *gets = arg;
    if (!response)
        die_of(err);
    if (response->status != 200) {
        fprintf(stderr, "bench_gets: the broker answers %ld\n", response->status);
        exit(1);
    }
    gets->answered++;
    send_next(gets);
}

static void send_next(struct gets *gets)
{
    struct err err = ERR_INIT;
    struct http_call *call;
    char url[1024];
    if (gets->sent == gets->count)
        return;
    snprintf(url, sizeof url, "%s/kbs/v0/resource/%s%zu", gets->url, gets->prefix, gets->sent++);
    struct http_request request = {.method = "GET",
        .url = url,
        .bearer = gets->token,
        .timeout_ms = TIMEOUT_MS,
        .response_max = 1u << 20};
    if (!http_send(gets->http, &request, on_answer, gets, &call, &err))
        die_of(&err);
}

/* The first `count` resources, `at_once` of them at a time. */
static double run(struct gets *gets, size_t count, size_t at_once)
{
    struct err err = ERR_INIT;
    double begin = now_ms();
    gets->count = count;
    gets->sent = gets->answered = 0;
    for (size_t i = 0; i < at_once; i++)
        send_next(gets);
    while (gets->answered < count)
        if (!loop_turn(gets->loop, -1, &err))
            die_of(&err);
    return now_ms() - begin;
}

static void on_token(void *arg, const char *token, const struct err *err)
{
    struct gets *gets = arg;
    if (!token || !(gets->token = strdup(token)))
        die_of(err);
}

static void read_token(struct gets *gets, const char *path)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(65536);
    if (!file_read(path, 65536, &text, &err))
        die_of(&err);
    gets->token = strndup(buf_text(&text), strcspn(buf_text(&text), "\r\n"));
}

static void attest(struct gets *gets, const struct kbs_client_conf *conf)
{
    struct err err = ERR_INIT;
    AUTO(kbs_client_free) struct kbs_client *client = NULL;
    if (!kbs_client_new(gets->loop, conf, &client, &err) ||
        !kbs_client_attest(client, TIMEOUT_MS, on_token, gets, &err))
        die_of(&err);
    while (!gets->token)
        if (!loop_turn(gets->loop, -1, &err))
            die_of(&err);
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    size_t count = argc == 7 ? (size_t)atoi(argv[5]) : 0;
    size_t connections = argc == 7 ? (size_t)atoi(argv[6]) : 0;
    if (count == 0 || connections == 0 || connections > count) {
        fprintf(stderr,
            "usage: bench_gets URL CA-FILE ATTESTD-SOCKET REPOSITORY/TYPE/ COUNT CONNECTIONS\n");
        return 2;
    }
    struct gets gets = {.url = argv[1], .prefix = argv[4]};
    const char *urls[] = {argv[1]};
    const struct kbs_client_conf conf = {.urls = urls,
        .url_count = 1,
        .http = {.ca_file = argv[2]},
        .attest_socket = argv[3],
        .request_timeout_ms = TIMEOUT_MS,
        .attest_timeout_ms = TIMEOUT_MS};
    if (!secret_init_process(1u << 20, &err) || !loop_new(&gets.loop, &err) ||
        !http_new(gets.loop, &conf.http, &gets.http, &err))
        die_of(&err);
    if (argv[3][0] == '@')
        read_token(&gets, argv[3] + 1);
    else
        attest(&gets, &conf);
    (void)run(&gets, connections, connections); /* opens the connections */
    printf("%.2f\n", run(&gets, count, connections));
    http_free(gets.http);
    loop_free(gets.loop);
    free(gets.token);
    return 0;
}
