/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "attest/runtime.h"
#include "crypt/base/ipc.h"

#define PROGRAM "sealed-attestd"
/* A listening attestd takes a connection at once; its loop never waits for the TPM. */
#define CONNECT_MS 500
/* A credential with its head, or a refusal with its text. */
#define CREDENTIAL_PACKET_MAX 1024

struct attest_call {
    STAILQ_ENTRY(attest_call) link;
    struct attest_client *client;
    enum attest_kind kind;
    struct buf request;
    struct loop_timer *deadline;
    int64_t timeout_ms;
    attest_fn *fn;
    void *arg;
};

struct attest_client {
    struct loop *loop;
    char *path;
    int fd; /* -1: not connected */
    struct loop_watch *watch;
    struct loop_timer *pump; /* sends the next request, outside of the callers' stacks */
    bool in_flight;          /* the head of the queue has been sent */
    struct buf answer;       /* what has come of its answer */
    STAILQ_HEAD(, attest_call) calls;
};

static void disconnect(struct attest_client *client)
{
    loop_unwatch(client->watch);
    client->watch = NULL;
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->in_flight = false;
    buf_done(&client->answer);
}

static void call_free(struct attest_call *call)
{
    if (!call)
        return;
    loop_timer_free(call->deadline);
    buf_done(&call->request);
    free(call);
}
DEFINE_AUTO(struct attest_call, call_free);

/* Takes the call out of the queue. An answer still under way to it must not be read as the next
 * one's. */
static void call_unlink(struct attest_call *call)
{
    struct attest_client *client = call->client;
    if (client->in_flight && STAILQ_FIRST(&client->calls) == call)
        disconnect(client);
    STAILQ_REMOVE(&client->calls, call, attest_call, link);
    if (!STAILQ_EMPTY(&client->calls))
        loop_timer_set(client->pump, 0);
}

/* The last use of the client by the caller of this function: the callback may free it. */
static void call_finish(
    struct attest_call *call, const struct attest_answer *answer, const struct err *err)
{
    AUTO(call_free) struct attest_call *ended = call;
    call_unlink(ended);
    ended->fn(ended->arg, answer, err);
}

static void call_expired(void *arg)
{
    struct attest_call *call = arg;
    struct err err = ERR_INIT;
    err_set(&err, ERR_TIMEOUT, "%s did not answer within %lld ms", PROGRAM,
        (long long)call->timeout_ms);
    call_finish(call, NULL, &err);
}

/* One packet more of an answer. */
static bool receive_more(int fd, enum attest_kind kind, struct buf *answer, bool *ret_closed,
    bool *ret_whole, struct err *err)
{
    auto_buf packet = BUF_INIT(IPC_MESSAGE_MAX);
    if (!ipc_receive(fd, &packet, NULL, NULL, ret_closed, err) ||
        !buf_append(answer, buf_bytes(&packet), err))
        return false;
    *ret_whole = attest_answer_missing(kind, buf_bytes(answer)) == 0;
    return true;
}

static void take_answer(struct attest_client *client)
{
    struct attest_call *call = STAILQ_FIRST(&client->calls);
    auto_buf message = BUF_INIT(ATTEST_ANSWER_MAX);
    struct attest_answer answer;
    struct err err = ERR_INIT;
    bool closed = false, whole = false;
    if (!receive_more(client->fd, call->kind, &client->answer, &closed, &whole, &err)) {
        if (err.code == ERR_BUSY)
            return;
        err_wrap(&err, "answer of %s", PROGRAM);
        call_finish(call, NULL, &err);
        return;
    }
    if (closed) {
        err_set(
            &err, ERR_ATTEST, "%s closed the connection before it answered; see its log", PROGRAM);
        call_finish(call, NULL, &err);
        return;
    }
    if (!whole)
        return;
    message = client->answer; /* decoded from here on: the callback may free the client */
    client->answer = (struct buf)BUF_INIT(ATTEST_ANSWER_MAX);
    bool decoded = attest_answer_decode(call->kind, buf_bytes(&message), &answer, &err);
    if (!decoded) {
        call_finish(call, NULL, &err); /* out of step: this also drops the connection */
        return;
    }
    client->in_flight = false;
    if (answer.refused)
        call_finish(call, NULL, &answer.cause);
    else
        call_finish(call, &answer, &err);
}

static void on_readable(void *arg, uint32_t events)
{
    struct attest_client *client = arg;
    (void)events;
    if (client->in_flight)
        take_answer(client);
    else
        disconnect(client); /* attestd has gone, or talks out of turn */
}

/* To our callers "unreachable" means a key broker: without attestd there is no evidence, which is another matter. */
static bool attestd_connect(const char *path, int timeout_ms, int *ret_fd, struct err *err)
{
    if (ipc_connect(path, PROGRAM, timeout_ms, ret_fd, err))
        return true;
    if (err->code == ERR_UNREACH)
        err->code = ERR_ATTEST;
    return false;
}

static bool connect_now(struct attest_client *client, struct err *err)
{
    auto_fd int fd = -1;
    if (!attestd_connect(client->path, CONNECT_MS, &fd, err))
        return false;
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return err_set_errno(err, ERR_IO, "connection to %s", PROGRAM);
    if (!loop_watch_fd(client->loop, fd, EPOLLIN, on_readable, client, &client->watch, err))
        return false;
    client->fd = take_fd(fd);
    return true;
}

/* attestd refuses a stranger at once and hangs up: then sending fails, but the refusal can be read. */
static bool send_or_read(int fd, struct bytes message, struct err *err)
{
    return ipc_send(fd, message, NULL, 0, err) || err->code == ERR_UNREACH;
}

/* Sends on the connection there is; if that one died while it was idle, once more on a new one. */
static bool send_request(struct attest_client *client, struct attest_call *call, struct err *err)
{
    struct bytes message = buf_bytes(&call->request);
    if (client->fd >= 0) {
        if (ipc_send(client->fd, message, NULL, 0, err))
            return true;
        disconnect(client);
    }
    return connect_now(client, err) && send_or_read(client->fd, message, err);
}

static void pump(void *arg)
{
    struct attest_client *client = arg;
    struct attest_call *call = STAILQ_FIRST(&client->calls);
    struct err err = ERR_INIT;
    if (client->in_flight || !call)
        return;
    if (send_request(client, call, &err)) {
        client->in_flight = true;
        return;
    }
    disconnect(client);
    call_finish(call, NULL, &err);
}

bool attest_client_new(
    struct loop *loop, const char *socket_path, struct attest_client **ret_client, struct err *err)
{
    AUTO(attest_client_free) struct attest_client *client = calloc(1, sizeof *client);
    if (!client)
        return err_nomem(err);
    client->loop = loop;
    client->fd = -1;
    client->answer = (struct buf)BUF_INIT(ATTEST_ANSWER_MAX);
    STAILQ_INIT(&client->calls);
    client->path = strdup(socket_path);
    if (!client->path)
        return err_nomem(err);
    if (!loop_timer_new(loop, pump, client, &client->pump, err))
        return false;
    *ret_client = take_ptr(client);
    return true;
}

void attest_client_free(struct attest_client *client)
{
    struct attest_call *call;
    if (!client)
        return;
    disconnect(client);
    while ((call = STAILQ_FIRST(&client->calls))) {
        STAILQ_REMOVE_HEAD(&client->calls, link);
        call_free(call);
    }
    loop_timer_free(client->pump);
    free(client->path);
    free(client);
}

bool attest_client_send(struct attest_client *client, const struct attest_request *request,
    int64_t timeout_ms, attest_fn *fn, void *arg, struct attest_call **ret_call, struct err *err)
{
    if (request->kind == ATTEST_ACTIVATE)
        return err_set(err, ERR_INTERNAL, "a credential is asked for with attest_ask_credential");
    AUTO(call_free) struct attest_call *call = calloc(1, sizeof *call);
    if (!call)
        return err_nomem(err);
    *call = (struct attest_call){.client = client,
        .kind = request->kind,
        .request = BUF_INIT(IPC_MESSAGE_MAX),
        .timeout_ms = timeout_ms,
        .fn = fn,
        .arg = arg};
    if (!attest_request_encode(request, &call->request, err) ||
        !loop_timer_new(client->loop, call_expired, call, &call->deadline, err))
        return false;
    loop_timer_set(call->deadline, timeout_ms);
    STAILQ_INSERT_TAIL(&client->calls, call, link);
    loop_timer_set(client->pump, 0);
    *ret_call = take_ptr(call);
    return true;
}

void attest_client_cancel(struct attest_call *call)
{
    if (!call)
        return;
    call_unlink(call);
    call_free(call);
}

static bool refusal(const struct attest_answer *answer, struct err *err)
{
    *err = answer->cause;
    return false;
}

static bool ask_connect(const char *socket_path, const struct attest_request *request,
    int timeout_ms, int *ret_fd, struct err *err)
{
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    auto_fd int fd = -1;
    if (!attest_request_encode(request, &message, err) ||
        !attestd_connect(socket_path, timeout_ms, &fd, err) ||
        !send_or_read(fd, buf_bytes(&message), err))
        return false;
    *ret_fd = take_fd(fd);
    return true;
}

/* The packets after the first are there at once. */
static bool receive_whole(
    int fd, enum attest_kind kind, int timeout_ms, struct buf *answer, struct err *err)
{
    auto_buf packet = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    answer->len = 0;
    do {
        if (!ipc_receive_within(fd, timeout_ms, &packet, &closed, err))
            return err_wrap(err, "answer of %s", PROGRAM);
        if (closed)
            return err_set(err, ERR_ATTEST,
                "%s closed the connection before it answered; see its log", PROGRAM);
        if (!buf_append(answer, buf_bytes(&packet), err))
            return err_wrap(err, "answer of %s", PROGRAM);
    } while (attest_answer_missing(kind, buf_bytes(answer)) > 0);
    return true;
}

bool attest_ask(const char *socket_path, const struct attest_request *request, int timeout_ms,
    struct buf *message, struct attest_answer *ret_answer, struct err *err)
{
    auto_fd int fd = -1;
    struct attest_answer answer;
    if (request->kind == ATTEST_ACTIVATE)
        return err_set(err, ERR_INTERNAL, "a credential is asked for with attest_ask_credential");
    if (!ask_connect(socket_path, request, timeout_ms, &fd, err))
        return false;
    if (!receive_whole(fd, request->kind, timeout_ms, message, err))
        return false;
    if (!attest_answer_decode(request->kind, buf_bytes(message), &answer, err))
        return false;
    if (answer.refused)
        return refusal(&answer, err);
    *ret_answer = answer;
    return true;
}

/* One packet straight into locked memory: ipc_receive() would leave the credential on its stack. */
static bool receive_locked(
    int fd, int timeout_ms, const struct secret_bounce *bounce, size_t *ret_len, struct err *err)
{
    struct pollfd readable = {.fd = fd, .events = POLLIN};
    int ready = poll(&readable, 1, timeout_ms);
    if (ready < 0)
        return err_set_errno(err, ERR_IO, "answer of %s", PROGRAM);
    if (ready == 0)
        return err_set(err, ERR_TIMEOUT, "%s did not answer within %d ms", PROGRAM, timeout_ms);
    ssize_t got = recv(fd, bounce->data, bounce->size, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0)
        return err_set_errno(err, ERR_IO, "answer of %s", PROGRAM);
    if (got == 0)
        return err_set(
            err, ERR_ATTEST, "%s closed the connection before it answered; see its log", PROGRAM);
    if ((size_t)got > bounce->size)
        return err_set(err, ERR_FORMAT, "answer of %s: %zd bytes, %zu expected at most", PROGRAM,
            got, bounce->size);
    *ret_len = (size_t)got;
    return true;
}

bool attest_ask_credential(const char *socket_path, const struct attest_request *request,
    int timeout_ms, struct secret **ret_credential, struct err *err)
{
    auto_fd int fd = -1;
    AUTO_DONE(secret_bounce_done) struct secret_bounce bounce = {0};
    struct attest_answer answer;
    size_t len = 0;
    if (!secret_bounce_init(&bounce, CREDENTIAL_PACKET_MAX, err) ||
        !ask_connect(socket_path, request, timeout_ms, &fd, err) ||
        !receive_locked(fd, timeout_ms, &bounce, &len, err))
        return false;
    bool done = attest_answer_decode(ATTEST_ACTIVATE, bytes_of(bounce.data, len), &answer, err);
    if (done)
        done =
            answer.refused ? refusal(&answer, err) : secret_copy(answer.body, ret_credential, err);
    secret_bounce_wipe(&bounce, len);
    return done;
}

bool attest_request_evidence(struct attest_request *ret_request, const char *nonce,
    enum hash_alg hash, const struct jwk *tee_key, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_EVIDENCE, .hash = hash};
    auto_json *json = NULL;
    if (!runtime_tee_pubkey(tee_key, &json, err))
        return false;
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    if (strlen(text) > ATTEST_PUBKEY_MAX || strlen(nonce) > ATTEST_NONCE_MAX)
        return err_set(err, ERR_FORMAT, "nonce or tee-pubkey too long for %s", PROGRAM);
    memcpy(request.tee_pubkey, text, strlen(text) + 1);
    memcpy(request.nonce, nonce, strlen(nonce) + 1);
    *ret_request = request;
    return true;
}
