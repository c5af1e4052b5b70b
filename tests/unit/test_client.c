/* SPDX-License-Identifier: Apache-2.0 */
/* The client against a server that misbehaves. The well-behaved one is in test_service.c. */
#include "tests/unit/unit.h"

#include <unistd.h>

#include "attest/client.h"
#include "crypt/base/ipc.h"

struct world {
    char path[64];
    struct loop *loop;
    struct attest_client *client;
    int listen_fd, peer_fd;
    struct loop_watch *listen_watch, *peer_watch;
    int accepted, received;
    enum { ANSWER, SILENT, CLOSE, GARBAGE, LONG, HALF } mode;
};

struct reply {
    int came;
    struct err err;
    char tee[32];
    size_t len; /* of the body */
    struct attest_client **free_this;
};

/* Two whole packets and a part of one. */
static const uint8_t long_body[150000];

static void drop_peer(struct world *world)
{
    if (world->peer_fd < 0)
        return;
    loop_unwatch(world->peer_watch);
    close(world->peer_fd);
    world->peer_fd = -1;
}

static void on_peer(void *arg, uint32_t events)
{
    struct world *world = arg;
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX), out = BUF_INIT(ATTEST_ANSWER_MAX);
    struct err err = ERR_INIT;
    bool closed = false;
    (void)events;
    assert_done(ipc_receive(world->peer_fd, &message, NULL, NULL, &closed, &err), &err);
    if (closed) {
        drop_peer(world);
        return;
    }
    world->received++;
    struct attest_answer answer = {.tee = "tpm", .body = bytes_str("{}")};
    switch (world->mode) {
    case ANSWER:
        assert_done(attest_answer_encode(ATTEST_INFO, &answer, &out, &err), &err);
        assert_done(ipc_send(world->peer_fd, buf_bytes(&out), NULL, 0, &err), &err);
        break;
    case LONG:
    case HALF:
        answer.body = bytes_of(long_body, sizeof long_body);
        assert_done(attest_answer_encode(ATTEST_EVIDENCE, &answer, &out, &err), &err);
        for (size_t at = 0; at < out.len; at += IPC_MESSAGE_MAX)
            if (world->mode == LONG || at == 0)
                assert_done(ipc_send(world->peer_fd,
                                bytes_slice(buf_bytes(&out), at, IPC_MESSAGE_MAX), NULL, 0, &err),
                    &err);
        if (world->mode == HALF)
            drop_peer(world);
        break;
    case GARBAGE:
        assert_done(ipc_send(world->peer_fd, bytes_str("garbage"), NULL, 0, &err), &err);
        break;
    case CLOSE:
        drop_peer(world);
        break;
    case SILENT:
        break;
    }
}

static void on_accept(void *arg, uint32_t events)
{
    struct world *world = arg;
    struct ipc_peer peer;
    struct err err = ERR_INIT;
    (void)events;
    drop_peer(world);
    assert_done(ipc_accept(world->listen_fd, &world->peer_fd, &peer, &err), &err);
    world->accepted++;
    assert_done(loop_watch_fd(
                    world->loop, world->peer_fd, EPOLLIN, on_peer, world, &world->peer_watch, &err),
        &err);
}

static void serve(struct world *world)
{
    struct err err = ERR_INIT;
    assert_done(ipc_listen(world->path, 0600, &world->listen_fd, &err), &err);
    assert_done(loop_watch_fd(world->loop, world->listen_fd, EPOLLIN, on_accept, world,
                    &world->listen_watch, &err),
        &err);
}

static void stop_serving(struct world *world)
{
    drop_peer(world);
    loop_unwatch(world->listen_watch);
    if (world->listen_fd >= 0)
        close(world->listen_fd);
    world->listen_fd = -1;
    world->listen_watch = NULL;
    unlink(world->path);
}

static int setup(void **state)
{
    static struct world world;
    char dir[] = "/tmp/test-client.XXXXXX";
    struct err err = ERR_INIT;
    memset(&world, 0, sizeof world);
    world.peer_fd = world.listen_fd = -1;
    assert_non_null(mkdtemp(dir));
    snprintf(world.path, sizeof world.path, "%s/sock", dir);
    assert_done(loop_new(&world.loop, &err), &err);
    assert_done(attest_client_new(world.loop, world.path, &world.client, &err), &err);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    attest_client_free(world->client);
    stop_serving(world);
    loop_free(world->loop);
    *strrchr(world->path, '/') = '\0';
    rmdir(world->path);
    return 0;
}

static void on_answer(void *arg, const struct attest_answer *answer, const struct err *err)
{
    struct reply *reply = arg;
    reply->came++;
    reply->len = answer ? answer->body.len : 0;
    if (answer)
        snprintf(reply->tee, sizeof reply->tee, "%s", answer->tee);
    else
        reply->err = *err;
    if (reply->free_this) {
        attest_client_free(*reply->free_this);
        *reply->free_this = NULL;
    }
}

static struct attest_call *ask(struct world *world, int64_t timeout_ms, struct reply *reply)
{
    bool is_long = world->mode == LONG || world->mode == HALF;
    struct attest_request request = {
        .kind = is_long ? ATTEST_EVIDENCE : ATTEST_INFO, .nonce = "nonce", .tee_pubkey = "{}"};
    struct attest_call *call = NULL;
    struct err err = ERR_INIT;
    reply->came = 0;
    err_clear(&reply->err);
    assert_done(
        attest_client_send(world->client, &request, timeout_ms, on_answer, reply, &call, &err),
        &err);
    return call;
}

static void await(struct world *world, const struct reply *reply)
{
    struct err err = ERR_INIT;
    while (!reply->came)
        assert_done(loop_turn(world->loop, 10000, &err), &err);
    assert_int_equal(reply->came, 1);
}

static void test_nobody_listens(void **state)
{
    struct world *world = *state;
    struct reply reply = {0};
    ask(world, 120000, &reply);
    assert_int_equal(reply.came, 0); /* never from inside the call */
    await(world, &reply);
    assert_int_equal(reply.err.code, ERR_ATTEST);
    assert_non_null(strstr(reply.err.message, "sealed-attestd"));
}

static void test_one_connection_serves_a_queue(void **state)
{
    struct world *world = *state;
    struct reply replies[3] = {0};
    serve(world);
    for (size_t i = 0; i < ARRAY_LEN(replies); i++)
        ask(world, 120000, &replies[i]);
    for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
        await(world, &replies[i]);
        assert_string_equal(replies[i].tee, "tpm");
    }
    assert_int_equal(world->accepted, 1);
}

static void test_killed_in_mid_request(void **state)
{
    struct world *world = *state;
    struct reply reply = {0};
    serve(world);
    world->mode = CLOSE;
    ask(world, 120000, &reply);
    await(world, &reply);
    assert_int_equal(reply.err.code, ERR_ATTEST);
    world->mode = ANSWER;
    ask(world, 120000, &reply);
    await(world, &reply);
    assert_int_equal(reply.err.code, ERR_OK);
    assert_int_equal(world->accepted, 2);
}

static void test_restarted_while_idle(void **state)
{
    struct world *world = *state;
    struct reply reply = {0};
    serve(world);
    ask(world, 120000, &reply);
    await(world, &reply);
    stop_serving(world);
    serve(world);
    ask(world, 120000, &reply);
    await(world, &reply);
    assert_int_equal(reply.err.code, ERR_OK);
}

/* The late answer to the first must not be taken for the answer to the second. */
static void test_timeout_leaves_the_next_request_right(void **state)
{
    struct world *world = *state;
    struct reply slow = {0}, next = {0};
    serve(world);
    world->mode = SILENT;
    ask(world, 30, &slow);
    await(world, &slow);
    assert_int_equal(slow.err.code, ERR_TIMEOUT);
    world->mode = ANSWER;
    ask(world, 120000, &next);
    await(world, &next);
    assert_int_equal(next.err.code, ERR_OK);
    assert_int_equal(world->accepted, 2);
    assert_int_equal(slow.came, 1);
}

static void test_garbage(void **state)
{
    struct world *world = *state;
    struct reply reply = {0};
    serve(world);
    world->mode = GARBAGE;
    ask(world, 120000, &reply);
    await(world, &reply);
    assert_int_equal(reply.err.code, ERR_FORMAT);
}

static void test_cancel(void **state)
{
    struct world *world = *state;
    struct reply first = {0}, second = {0}, third = {0};
    struct err err = ERR_INIT;
    serve(world);
    world->mode = SILENT;
    struct attest_call *call = ask(world, 120000, &first);
    struct attest_call *queued = ask(world, 120000, &second);
    while (world->received == 0)
        assert_done(loop_turn(world->loop, 10000, &err), &err);
    attest_client_cancel(queued);
    attest_client_cancel(call);
    attest_client_cancel(NULL);
    world->mode = ANSWER;
    ask(world, 120000, &third);
    await(world, &third);
    assert_int_equal(third.err.code, ERR_OK);
    assert_int_equal(first.came + second.came, 0);
}

static void test_free_in_callback(void **state)
{
    struct world *world = *state;
    struct reply reply = {.free_this = &world->client}, never = {0};
    struct err err = ERR_INIT;
    serve(world);
    ask(world, 120000, &reply);
    ask(world, 120000, &never);
    await(world, &reply);
    assert_null(world->client);
    assert_done(loop_turn(world->loop, 20, &err), &err);
    assert_int_equal(never.came, 0);
}

/* In several packets, once and again; half of one is no answer, and spoils none that follows. */
static void test_long_answers(void **state)
{
    struct world *world = *state;
    struct reply reply = {0};
    serve(world);
    for (int i = 0; i < 3; i++) {
        world->mode = LONG;
        ask(world, 10000, &reply);
        await(world, &reply);
        assert_int_equal(reply.err.code, ERR_OK);
        assert_int_equal(reply.len, sizeof long_body);
        world->mode = HALF;
        ask(world, 10000, &reply);
        await(world, &reply);
        assert_int_equal(reply.err.code, ERR_ATTEST);
    }
}

static void test_too_long_a_nonce(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct attest_request request;
    char nonce[ATTEST_NONCE_MAX + 2];
    auto_jwk *key = NULL;
    memset(nonce, 'n', sizeof nonce - 1);
    nonce[sizeof nonce - 1] = '\0';
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_refused(attest_request_evidence(&request, nonce, HASH_SHA384, key, &err), &err,
        ERR_FORMAT, "nonce");
}

int main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_nobody_listens),
        TEST(test_one_connection_serves_a_queue),
        TEST(test_killed_in_mid_request),
        TEST(test_restarted_while_idle),
        TEST(test_timeout_leaves_the_next_request_right),
        TEST(test_garbage),
        TEST(test_long_answers),
        TEST(test_cancel),
        TEST(test_free_in_callback),
        TEST(test_too_long_a_nonce),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
