/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a first read, each measured alone, medians in microseconds as one JSON object:
 *     bench_wire URL CA-FILE ATTESTD-SOCKET REPOSITORY/TYPE/TAG ROUNDS
 * first_*: on a new TLS connection, which first_auth opens. kept_*: the same once more on that connection. auth, attest and get are one
 * exchange with the KBS each, quote one with attestd and the TPM. keepalive_get: many GETs of one resource on one connection.
 * The exchanges are made with our HTTP client and without our RCAR client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "attest/client.h"
#include "crypt/base/ipc.h"
#include "crypt/jwk.h"
#include "attest/runtime.h"
#include "kbs/http.h"
#include "kbs/proto.h"

struct round {
    double auth, quote, attest, get;
};

struct wire {
    struct loop *loop;
    struct http *http;
    const char *url;
    bool done;
    long status;
    char cookie[512];
    struct buf body;
};

static double now_us(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e6 + (double)time.tv_nsec / 1e3;
}

static void die_of(const struct err *err)
{
    fprintf(stderr, "bench_wire: %s\n", err->message);
    exit(1);
}

static void on_answer(void *arg, const struct http_response *response, const struct err *err)
{
    struct wire *wire = arg;
    struct err copy = *err;
    if (!response)
        die_of(&copy);
    wire->done = true;
    wire->status = response->status;
    if (response->set_cookie[0])
        snprintf(wire->cookie, sizeof wire->cookie, "%s", response->set_cookie);
    wire->body.len = 0;
    if (!buf_append(&wire->body, response->body, &copy))
        die_of(&copy);
}

/* One exchange; its time. */
static double exchange(struct wire *wire, const char *method, const char *path, const char *body,
    const char *cookie, const char *bearer)
{
    struct err err = ERR_INIT;
    char url[1024];
    struct http_call *call;
    snprintf(url, sizeof url, "%s%s", wire->url, path);
    struct http_request request = {.method = method,
        .url = url,
        .body = body ? bytes_str(body) : BYTES_EMPTY,
        .cookie = cookie,
        .bearer = bearer,
        .timeout_ms = 30000,
        .response_max = 4u << 20};
    double begin = now_us();
    wire->done = false;
    if (!http_send(wire->http, &request, on_answer, wire, &call, &err))
        die_of(&err);
    while (!wire->done)
        if (!loop_turn(wire->loop, -1, &err))
            die_of(&err);
    if (wire->status != 200) {
        fprintf(stderr, "bench_wire: %s %s answered %ld: %s\n", method, path, wire->status,
            buf_text(&wire->body));
        exit(1);
    }
    return now_us() - begin;
}

static char *handshake(struct wire *wire, const char *attestd, struct round *round)
{
    struct err err = ERR_INIT;
    struct proto_challenge challenge;
    struct attest_request request;
    struct attest_answer answer;
    auto_jwk *key = NULL;
    auto_json *pubkey = NULL;
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    auto_free char *body = NULL;
    char *token = NULL;
    round->auth = exchange(wire, "POST", "/kbs/v0/auth",
        "{\"version\":\"0.4.0\",\"tee\":\"tpm\",\"extra-params\":{}}", NULL, NULL);
    if (!proto_challenge_decode(buf_bytes(&wire->body), &challenge, &err) ||
        !jwk_generate(JWK_EC_P256, NULL, &key, &err) || !runtime_tee_pubkey(key, &pubkey, &err) ||
        !attest_request_evidence(&request, challenge.nonce, challenge.hash, key, &err))
        die_of(&err);
    int64_t next_s = 0;
    double begin = now_us();
    if (!attest_ask(attestd, &request, 30000, &message, &answer, &err))
        die_of(&err);
    round->quote = now_us() - begin;
    if (!proto_attest_encode(challenge.nonce, pubkey, answer.body, &body, &err))
        die_of(&err);
    round->attest = exchange(wire, "POST", "/kbs/v0/attest", body, wire->cookie, NULL);
    if (!proto_token_decode(buf_bytes(&wire->body), &token, &next_s, &err))
        die_of(&err);
    return token;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare);
    return values[count / 2];
}

#define GETS 50

static double *take(double *values, const struct round *rounds, size_t count, size_t member)
{
    for (size_t i = 0; i < count; i++)
        memcpy(&values[i], (const char *)&rounds[i] + member, sizeof *values);
    return values;
}

static void print_parts(
    const char *name, const struct round *rounds, size_t count, double *values, char end)
{
    static const struct {
        const char *name;
        size_t member;
    } parts[] = {{"auth", offsetof(struct round, auth)}, {"quote", offsetof(struct round, quote)},
        {"attest", offsetof(struct round, attest)}, {"get", offsetof(struct round, get)}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        printf(",\"%s_%s\":%.1f", name, parts[i].name,
            median(take(values, rounds, count, parts[i].member), count));
    printf("%c", end);
}

static void measure(struct wire *wire, char **argv, struct round *first, struct round *kept,
    double *gets, size_t get_count)
{
    char path[512];
    snprintf(path, sizeof path, "/kbs/v0/resource/%s", argv[4]);
    for (int i = 0; i < 2; i++) {
        struct round *round = i == 0 ? first : kept;
        char *token = handshake(wire, argv[3], round);
        round->get = exchange(wire, "GET", path, NULL, NULL, token);
        for (size_t j = 0; i == 1 && j < get_count; j++)
            gets[j] = exchange(wire, "GET", path, NULL, NULL, token);
        free(token);
    }
}

int main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    size_t count = argc == 6 ? (size_t)atoi(argv[5]) : 0;
    if (count == 0) {
        fprintf(
            stderr, "usage: bench_wire URL CA-FILE ATTESTD-SOCKET REPOSITORY/TYPE/TAG ROUNDS\n");
        return 2;
    }
    struct round *first = calloc(count, sizeof *first), *kept = calloc(count, sizeof *kept);
    double *gets = calloc(count * GETS, sizeof *gets);
    if (!first || !kept || !gets || !secret_init_process(1u << 20, &err))
        die_of(&err);
    for (size_t i = 0; i < count; i++) {
        struct wire wire = {.url = argv[1], .body = BUF_INIT(4u << 20)};
        struct http_conf conf = {.ca_file = argv[2]};
        if (!loop_new(&wire.loop, &err) || !http_new(wire.loop, &conf, &wire.http, &err))
            die_of(&err);
        measure(&wire, argv, &first[i], &kept[i], gets + i * GETS, GETS);
        buf_done(&wire.body);
        http_free(wire.http);
        loop_free(wire.loop);
    }
    printf("{\"keepalive_get\":%.1f", median(gets, count * GETS));
    print_parts("first", first, count, gets, ' ');
    print_parts("kept", kept, count, gets, '}');
    printf("\n");
    free(first);
    free(kept);
    free(gets);
    return 0;
}
