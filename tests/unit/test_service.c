/* SPDX-License-Identifier: Apache-2.0 */
/* The service with an attester that waits when told to, and its real client, on one loop. */
#include "tests/unit/unit.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <unistd.h>

#include "attest/client.h"
#include "attest/service.h"
#include "crypt/base/ipc.h"

#define PUBKEY                                                      \
    "{\"alg\":\"ECDH-ES+A256KW\",\"crv\":\"P-256\",\"kty\":\"EC\"," \
    "\"x\":\"gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0\","        \
    "\"y\":\"SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps\"}"
#define CREDENTIAL "0123456789abcdef0123456789abcdef"

static sem_t slow_tpm;
static atomic_bool tpm_is_slow;
static atomic_int evidence_runs;

static bool fake_evidence(const struct attester_conf *conf, const struct hash *report_data,
    struct buf *out, struct err *err)
{
    (void)conf;
    if (atomic_load(&tpm_is_slow))
        while (sem_wait(&slow_tpm) != 0)
            ;
    atomic_fetch_add(&evidence_runs, 1);
    return buf_printf(out, err, "{\"len\":%zu}", report_data->len);
}

static bool fake_enrol(
    const struct attester_conf *conf, bool create, struct attester_enrolment *out, struct err *err)
{
    (void)conf;
    if (!create)
        return err_set(err, ERR_ATTEST, "no attestation key at handle 0x81010002");
    return buf_append_str(&out->ek_public, "ek", err) &&
           buf_append_str(&out->ak_public, "ak", err) && buf_append_str(&out->ak_spki, "spki", err);
}

static bool fake_activate(const struct attester_conf *conf, struct bytes credential,
    struct bytes secret, struct secret **ret_credential, struct err *err)
{
    (void)conf;
    (void)secret;
    if (!bytes_equal(credential, bytes_str("blob")))
        return err_set(err, ERR_CRYPTO, "made for another TPM");
    return secret_copy(bytes_str(CREDENTIAL), ret_credential, err);
}

static const struct attester fake = {
    .tee = "tpm", .evidence = fake_evidence, .enrol = fake_enrol, .activate = fake_activate};

struct reply {
    bool came;
    struct err err;
    char body[256];
    size_t len;
};

struct bench {
    char path[64];
    struct loop *loop;
    int listen_fd;
    struct attestd_conf conf;
    struct attestd_uids uids;
    struct service *service;
    struct attest_client *client;
};

static void on_answer(void *arg, const struct attest_answer *answer, const struct err *err)
{
    struct reply *reply = arg;
    assert_false(reply->came);
    reply->came = true;
    if (!answer) {
        reply->err = *err;
        assert_int_not_equal(err->code, ERR_OK);
        return;
    }
    reply->len = answer->body.len;
    if (reply->len > 0)
        memcpy(reply->body, answer->body.data, reply->len);
}

static struct attest_call *ask(
    struct bench *bench, const struct attest_request *request, struct reply *reply)
{
    struct err err = ERR_INIT;
    struct attest_call *call = NULL;
    memset(reply, 0, sizeof *reply);
    assert_done(
        attest_client_send(bench->client, request, 120000, on_answer, reply, &call, &err), &err);
    assert_false(reply->came);
    return call;
}

static void await(struct bench *bench, const struct reply *reply)
{
    struct err err = ERR_INIT;
    while (!reply->came)
        assert_done(loop_turn(bench->loop, 20000, &err), &err);
}

static struct attest_request evidence_request(void)
{
    return (struct attest_request){
        .kind = ATTEST_EVIDENCE, .nonce = "bm9uY2U=", .hash = HASH_SHA384, .tee_pubkey = PUBKEY};
}

static void start(struct bench *bench)
{
    struct err err = ERR_INIT;
    assert_done(service_new(bench->loop, bench->listen_fd, &bench->conf, &bench->uids, &fake,
                    &bench->service, &err),
        &err);
    assert_done(attest_client_new(bench->loop, bench->path, &bench->client, &err), &err);
}

static int setup(void **state)
{
    static struct bench bench;
    struct err err = ERR_INIT;
    char dir[] = "/tmp/test-service.XXXXXX";
    memset(&bench, 0, sizeof bench);
    sem_init(&slow_tpm, 0, 0);
    atomic_store(&tpm_is_slow, false);
    atomic_store(&evidence_runs, 0);
    assert_non_null(mkdtemp(dir));
    snprintf(bench.path, sizeof bench.path, "%s/sock", dir);
    assert_done(loop_new(&bench.loop, &err), &err);
    assert_done(ipc_listen(bench.path, 0600, &bench.listen_fd, &err), &err);
    bench.conf = (struct attestd_conf){.rate = 1000,
        .burst = 1000,
        .rate_total = 1000,
        .burst_total = 1000,
        .deadline_ms = 120000,
        .attester = {.tcti = (char *)(uintptr_t) "device:/dev/none", .ak_handle = 0x81010002}};
    bench.uids = (struct attestd_uids){.items = {getuid()}, .count = 1};
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    char *slash = strrchr(bench->path, '/');
    for (int i = 0; i < 100; i++)
        sem_post(&slow_tpm);
    attest_client_free(bench->client);
    service_free(bench->service);
    loop_free(bench->loop);
    close(bench->listen_fd);
    unlink(bench->path);
    *slash = '\0';
    rmdir(bench->path);
    return 0;
}

static void test_evidence_is_bound_to_the_digest(void **state)
{
    struct bench *bench = *state;
    struct attest_request request = evidence_request();
    struct reply reply;
    start(bench);
    ask(bench, &request, &reply);
    await(bench, &reply);
    assert_int_equal(reply.err.code, ERR_OK);
    assert_string_equal(reply.body, "{\"len\":48}");
    request.hash = HASH_SHA256;
    ask(bench, &request, &reply);
    await(bench, &reply);
    assert_string_equal(reply.body, "{\"len\":32}");
}

static void test_bad_pubkey_never_reaches_the_attester(void **state)
{
    struct bench *bench = *state;
    static const char *const keys[] = {"{}", "[]", "{\"kty\":\"EC\",\"kty\":\"EC\"}", "nonsense"};
    start(bench);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        struct attest_request request = evidence_request();
        struct reply reply;
        snprintf(request.tee_pubkey, sizeof request.tee_pubkey, "%s", keys[i]);
        ask(bench, &request, &reply);
        await(bench, &reply);
        assert_int_equal(reply.err.code, ERR_FORMAT);
    }
    assert_int_equal(atomic_load(&evidence_runs), 0);
}

static void test_strangers_are_refused(void **state)
{
    struct bench *bench = *state;
    struct attest_request request = evidence_request();
    struct reply reply;
    bench->uids.items[0] = getuid() + 1;
    start(bench);
    ask(bench, &request, &reply);
    await(bench, &reply);
    assert_int_equal(reply.err.code, ERR_DENIED_LOCAL);
    assert_non_null(strstr(reply.err.message, "allow_users"));
    assert_int_equal(atomic_load(&evidence_runs), 0);
}

static void test_rate(void **state)
{
    struct bench *bench = *state;
    struct attest_request request = {.kind = ATTEST_INFO};
    struct reply reply;
    bench->conf.rate = 1;
    bench->conf.burst = 3;
    start(bench);
    int answered = -1;
    do { /* more than the burst only if the machine stands still for a second */
        ask(bench, &request, &reply);
        await(bench, &reply);
        answered++;
    } while (reply.err.code == ERR_OK && answered < 100);
    assert_in_range(answered, 3, 99);
    assert_int_equal(reply.err.code, ERR_BUSY);
    assert_non_null(strstr(reply.err.message, "burst"));
}

/* Another connection gets its answer while the TPM hangs; the one that waits gets a timeout; later all is well again. */
static void test_a_slow_tpm_stops_only_its_own_request(void **state)
{
    struct bench *bench = *state;
    struct attest_request request = evidence_request(), info = {.kind = ATTEST_INFO};
    struct reply slow, quick, later;
    struct err err = ERR_INIT;
    struct attest_client *other = NULL;
    bench->conf.deadline_ms = 100;
    atomic_store(&tpm_is_slow, true);
    start(bench);
    ask(bench, &request, &slow);
    assert_done(attest_client_new(bench->loop, bench->path, &other, &err), &err);
    struct attest_client *first = bench->client;
    bench->client = other;
    ask(bench, &info, &quick);
    await(bench, &quick);
    assert_int_equal(quick.err.code, ERR_OK);
    assert_non_null(strstr(quick.body, "0x81010002"));
    await(bench, &slow);
    assert_int_equal(slow.err.code, ERR_TIMEOUT);
    atomic_store(&tpm_is_slow, false);
    sem_post(&slow_tpm);
    bench->conf.deadline_ms = 120000;
    bench->client = first;
    ask(bench, &request, &later);
    await(bench, &later);
    assert_int_equal(later.err.code, ERR_OK);
    attest_client_free(other);
}

/* A cancelled request that has not started is never made; the next one gets its own answer. */
static void test_cancel_and_ask_again(void **state)
{
    struct bench *bench = *state;
    struct attest_request request = evidence_request();
    struct reply first, second;
    struct err err = ERR_INIT;
    atomic_store(&tpm_is_slow, true);
    start(bench);
    struct attest_call *call = ask(bench, &request, &first);
    for (int i = 0; i < 10; i++)
        assert_done(loop_turn(bench->loop, 5, &err), &err);
    attest_client_cancel(call);
    atomic_store(&tpm_is_slow, false);
    sem_post(&slow_tpm);
    request.hash = HASH_SHA256;
    ask(bench, &request, &second);
    await(bench, &second);
    assert_false(first.came);
    assert_string_equal(second.body, "{\"len\":32}");
}

/* Blocking calls would wait for the service on this same loop. */
static void ask_activate(
    struct bench *bench, const char *blob, struct buf *message, struct attest_answer *ret_answer)
{
    struct err err = ERR_INIT;
    auto_fd int fd = -1;
    auto_buf packed = BUF_INIT(IPC_MESSAGE_MAX);
    bool closed = false;
    const struct attest_request request = {
        .kind = ATTEST_ACTIVATE, .credential = bytes_str(blob), .secret = bytes_str("secret")};
    assert_done(attest_request_encode(&request, &packed, &err), &err);
    assert_done(ipc_connect(bench->path, "test", 1000, &fd, &err), &err);
    assert_done(ipc_send(fd, buf_bytes(&packed), NULL, 0, &err), &err);
    do
        assert_done(loop_turn(bench->loop, 10, &err), &err);
    while (!ipc_receive_within(fd, 0, message, &closed, &err) && err.code == ERR_TIMEOUT);
    assert_false(closed);
    assert_done(attest_answer_decode(ATTEST_ACTIVATE, buf_bytes(message), ret_answer, &err), &err);
}

static void test_enrolment_answers(void **state)
{
    struct bench *bench = *state;
    struct attest_request enrol = {.kind = ATTEST_ENROL};
    auto_buf message = BUF_INIT(IPC_MESSAGE_MAX);
    struct attest_answer answer;
    struct reply reply;
    start(bench);
    ask(bench, &enrol, &reply);
    await(bench, &reply);
    assert_int_equal(reply.err.code, ERR_ATTEST);
    enrol.create = true;
    ask(bench, &enrol, &reply);
    await(bench, &reply);
    assert_int_equal(reply.err.code, getuid() == 0 ? ERR_OK : ERR_DENIED_LOCAL);
    ask_activate(bench, "blob", &message, &answer);
    assert_false(answer.refused);
    assert_int_equal(answer.body.len, 32);
    assert_memory_equal(answer.body.data, CREDENTIAL, 32);
    ask_activate(bench, "other", &message, &answer);
    assert_true(answer.refused);
    assert_int_equal(answer.cause.code, ERR_CRYPTO);
}

/* A credential would pass through ordinary memory on the way to the callback. */
static void test_no_credential_through_the_loop(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    struct attest_call *call = NULL;
    struct reply reply = {0};
    const struct attest_request request = {
        .kind = ATTEST_ACTIVATE, .credential = bytes_str("blob"), .secret = bytes_str("secret")};
    start(bench);
    assert_refused(
        attest_client_send(bench->client, &request, 1000, on_answer, &reply, &call, &err), &err,
        ERR_INTERNAL, "attest_ask_credential");
}

/* A connection that cannot be taken stays in the queue: the loop must not spin on it, and must take it later. */
static void test_out_of_descriptors(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    struct rlimit limit, none;
    auto_fd int fd = -1;
    auto_buf packed = BUF_INIT(IPC_MESSAGE_MAX);
    const struct attest_request request = {.kind = ATTEST_INFO};
    bool closed = false;
    int turns = 0;
    start(bench);
    assert_done(attest_request_encode(&request, &packed, &err), &err);
    assert_done(ipc_connect(bench->path, "test", 1000, &fd, &err), &err);
    assert_done(ipc_send(fd, buf_bytes(&packed), NULL, 0, &err), &err);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_done(loop_turn(bench->loop, 1000, &err), &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    for (; !ipc_receive_within(fd, 0, &packed, &closed, &err); turns++)
        assert_done(loop_turn(bench->loop, 1000, &err), &err);
    assert_in_range(turns, 1, 6);
}

static struct err raw_answer(struct bench *bench, struct bytes message)
{
    struct err err = ERR_INIT;
    auto_fd int fd = -1;
    auto_buf answer = BUF_INIT(IPC_MESSAGE_MAX);
    struct attest_answer decoded;
    bool closed = false;
    assert_done(ipc_connect(bench->path, "test", 1000, &fd, &err), &err);
    assert_done(ipc_send(fd, message, NULL, 0, &err), &err);
    for (int i = 0; i < 4; i++)
        assert_done(loop_turn(bench->loop, 100, &err), &err);
    assert_done(ipc_receive_within(fd, 60000, &answer, &closed, &err), &err);
    assert_false(closed);
    assert_done(attest_answer_decode(ATTEST_INFO, buf_bytes(&answer), &decoded, &err), &err);
    assert_true(decoded.refused);
    assert_done(ipc_receive_within(fd, 60000, &answer, &closed, &err), &err);
    assert_true(closed);
    return decoded.cause;
}

static void test_malformed_requests(void **state)
{
    struct bench *bench = *state;
    static const uint8_t unknown_kind[] = {1, 9}, other_version[] = {7, 2}, trailing[] = {1, 2, 0};
    start(bench);
    struct err cause = raw_answer(bench, bytes_of(unknown_kind, sizeof unknown_kind));
    assert_int_equal(cause.code, ERR_FORMAT);
    assert_non_null(strstr(cause.message, "kind 9"));
    cause = raw_answer(bench, bytes_of(other_version, sizeof other_version));
    assert_non_null(strstr(cause.message, "version 7"));
    cause = raw_answer(bench, bytes_of(trailing, sizeof trailing));
    assert_int_equal(cause.code, ERR_FORMAT);
}

static void test_connections_of_a_user_are_bounded(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    int fds[17];
    start(bench);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        assert_done(ipc_connect(bench->path, "test", 1000, &fds[i], &err), &err);
    for (int i = 0; i < 4; i++)
        assert_done(loop_turn(bench->loop, 20, &err), &err);
    auto_buf answer = BUF_INIT(IPC_MESSAGE_MAX);
    struct attest_answer decoded;
    bool closed = false;
    assert_done(ipc_receive_within(fds[16], 60000, &answer, &closed, &err), &err);
    assert_done(attest_answer_decode(ATTEST_INFO, buf_bytes(&answer), &decoded, &err), &err);
    assert_true(decoded.refused);
    assert_int_equal(decoded.cause.code, ERR_BUSY);
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
    /* Once they have gone there is room again. */
    struct attest_request info = {.kind = ATTEST_INFO};
    struct reply reply;
    assert_done(loop_turn(bench->loop, 20, &err), &err);
    ask(bench, &info, &reply);
    await(bench, &reply);
    assert_int_equal(reply.err.code, ERR_OK);
}

int main(void)
{
    log_init("test", LOG_TARGET_STDERR, LOG_LEVEL_ERROR);
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_evidence_is_bound_to_the_digest),
        TEST(test_bad_pubkey_never_reaches_the_attester),
        TEST(test_strangers_are_refused),
        TEST(test_rate),
        TEST(test_a_slow_tpm_stops_only_its_own_request),
        TEST(test_cancel_and_ask_again),
        TEST(test_enrolment_answers),
        TEST(test_no_credential_through_the_loop),
        TEST(test_out_of_descriptors),
        TEST(test_malformed_requests),
        TEST(test_connections_of_a_user_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
