/* SPDX-License-Identifier: Apache-2.0 */
/* Real courier processes (this program's own file) and a small HTTP server in threads that misbehaves as its path says. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>

#include "kbs/server/outbound/courier.h"
#include "kbs/server/outbound/courier_process.h"
#include "kbs/server/outbound/courier_wire.h"
#include "kbs/server/frames.h"
#include "kbs/server/warden.h"
#include "tests/unit/odd_server.h"

#define LONG_MS 60000

static struct err err;

/* -- the courier ----------------------------------------------------------------------------------- */

static struct courier *courier;
static char ca_path[64];

static struct courier_target targets[] = {
    {.name = "any", .peer = "test server", .url = base_url, .methods = COURIER_GET | COURIER_POST},
    {.name = "one", .peer = "test server", .url = one_url, .methods = COURIER_POST, .exact = true},
    {.name = "local",
        .peer = "test server",
        .url = "http://localhost",
        .unix_socket = socket_path,
        .methods = COURIER_GET},
    {.name = "closed", .peer = "test server", .url = "http://127.0.0.1:1", .methods = COURIER_GET},
    {.name = "trust",
        .peer = "test server",
        .url = "https://localhost",
        .ca_file = ca_path,
        .methods = COURIER_GET},
};

static void write_ca(void)
{
    char command[512];
    snprintf(command, sizeof command,
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout /dev/null "
        "-subj /CN=test -out %s.new 2>/dev/null && mv %s.new %s",
        ca_path, ca_path, ca_path);
    assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
    (void)state;
    auto_secret *token = NULL;
    snprintf(ca_path, sizeof ca_path, "/tmp/sealed-courier-ca.%d", (int)getpid());
    start_server();
    write_ca();
    assert_done(secret_copy(bytes_str("t0ken"), &token, &err), &err);
    targets[0].bearer = token;
    const struct courier_conf conf = {.targets = targets, .count = ARRAY_LEN(targets)};
    assert_done(courier_check(&conf, &err), &err);
    assert_done(courier_new(&conf, &courier, &err), &err);
    assert_done(courier_start(courier, &err), &err);
    targets[0].bearer = NULL;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    courier_stop(courier);
    unlink(socket_path);
    unlink(ca_path);
    return 0;
}

static struct courier_request get(const char *target, const char *path)
{
    return (struct courier_request){.target = target,
        .method = COURIER_GET,
        .path = path,
        .timeout_ms = LONG_MS,
        .response_max = 100000};
}

static bool ask(
    const struct courier_request *request, struct buf *message, struct courier_response *response)
{
    err_clear(&err);
    return courier_ask(courier, request, message, response, &err);
}

static void assert_body(const struct courier_response *response, const char *text)
{
    assert_int_equal(response->body.len, strlen(text));
    assert_memory_equal(response->body.data, text, response->body.len);
}

static void ask_refused(const struct courier_request *request, enum err_code code, const char *text)
{
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    assert_false(ask(request, &message, &response));
    if (err.code != code || !strstr(err.message, text))
        fail_msg("%s: %s", err_info(err.code)->name, err.message);
}

static void answers_come_back(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    struct courier_request request = get("any", "/echo/a?b=c");
    assert_done(ask(&request, &message, &response), &err);
    assert_int_equal(response.status, 200);
    assert_body(&response, "GET /echo/a?b=c HTTP/1.1|Authorization: Bearer t0ken|");
    request = get("one", "");
    request.method = COURIER_POST;
    request.body = bytes_str("hello");
    assert_done(ask(&request, &message, &response), &err);
    assert_body(&response, "POST /echo?one=1 HTTP/1.1||hello");
    request = get("local", "/echo");
    assert_done(ask(&request, &message, &response), &err);
    assert_body(&response, "GET /echo HTTP/1.1||");
    request = get("any", "/none");
    assert_done(ask(&request, &message, &response), &err);
    assert_int_equal(response.status, 404);
    request = get("any", "/away"); /* followed nowhere */
    assert_done(ask(&request, &message, &response), &err);
    assert_int_equal(response.status, 302);
}

static void headers_are_handed_on(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    struct courier_request request = get("any", "/chain");
    assert_done(ask(&request, &message, &response), &err);
    assert_string_equal(response.content_type, "application/json");
    assert_int_equal(response.date, 1795410622);
    assert_true(bytes_equal(response.headers[COURIER_TCB_INFO_CHAIN], bytes_str("%2D%2DBEGIN")));
    assert_true(bytes_equal(response.headers[COURIER_EXPIRES], bytes_str("soon")));
    assert_true(bytes_equal(response.headers[COURIER_RETRY_AFTER], bytes_str("7")));
    assert_null(response.headers[COURIER_ETAG].data); /* not printable */
    assert_null(response.headers[COURIER_CACHE_CONTROL].data);
}

static void only_what_the_table_names(void **state)
{
    (void)state;
    static const char *const bad[] = {"echo", "/..", "/a/../b", "/./a", "/a/%2e%2e/b", "/a%2Fb",
        "/a\\b", "/a b", "/a#b", "/\x7f", "@evil/", "/a%5cb"};
    int before = hits;
    struct courier_request request = get("other", "/echo");
    ask_refused(&request, ERR_CONFIG, "other is not configured");
    request = get("any", "/echo");
    request.method = COURIER_DELETE;
    ask_refused(&request, ERR_CONFIG, "any may not be asked with DELETE");
    request = get("one", "/more");
    request.method = COURIER_POST;
    ask_refused(&request, ERR_CONFIG, "one may not be asked for");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        request = get("any", bad[i]);
        ask_refused(&request, ERR_CONFIG, "any may not be asked for");
    }
    assert_int_equal(hits, before);
}

static void failures_have_a_cause(void **state)
{
    (void)state;
    struct courier_request request = get("closed", "/");
    ask_refused(&request, ERR_UNREACH,
        "closed: http://127.0.0.1:1: cannot connect (does the test server run");
    request = get("any", "/big");
    ask_refused(&request, ERR_FORMAT, "an answer of more than 100000 bytes");
    request = get("any", "/nonsense");
    ask_refused(&request, ERR_FORMAT, "not HTTP");
    set_holding(true);
    request = get("any", "/hold");
    request.timeout_ms = 300;
    ask_refused(&request, ERR_TIMEOUT, "no answer within 300 ms");
    set_holding(false);
}

/* -- many at once ---------------------------------------------------------------------------------- */

struct asker {
    pthread_t thread;
    int number, rounds;
    const char *path;
    int good;
    struct err err;
};

static void *ask_many(void *arg)
{
    struct asker *asker = arg;
    for (int i = 0; i < asker->rounds; i++) {
        auto_buf message = BUF_INIT(0);
        char path[64], wanted[160];
        struct courier_response response;
        struct courier_request request = get("any", path);
        snprintf(path, sizeof path, "%s?%d.%d", asker->path, asker->number, i);
        snprintf(wanted, sizeof wanted, "GET %s HTTP/1.1|Authorization: Bearer t0ken|", path);
        if (!courier_ask(courier, &request, &message, &response, &asker->err))
            return NULL;
        asker->good += response.body.len == 4 || bytes_equal(response.body, bytes_str(wanted));
    }
    return NULL;
}

static void start_askers(struct asker *askers, int count, int rounds, const char *path)
{
    for (int i = 0; i < count; i++) {
        askers[i] = (struct asker){.number = i, .rounds = rounds, .path = path};
        assert_int_equal(pthread_create(&askers[i].thread, NULL, ask_many, &askers[i]), 0);
    }
}

static void end_askers(struct asker *askers, int count, int rounds)
{
    for (int i = 0; i < count; i++) {
        pthread_join(askers[i].thread, NULL);
        assert_string_equal(askers[i].err.message, "");
        assert_int_equal(askers[i].good, rounds);
    }
}

static void each_thread_gets_its_own_answer(void **state)
{
    (void)state;
    struct asker askers[16];
    start_askers(askers, 16, 20, "/echo");
    end_askers(askers, 16, 20);
}

static void wait_until(bool (*fn)(void))
{
    for (int i = 0; i < 60000 && !fn(); i++)
        (void)poll(NULL, 0, 1);
    assert_true(fn());
}

static bool all_pending(void)
{
    return courier_stats(courier).pending == COURIER_PENDING_MAX;
}

static void the_queue_is_bounded(void **state)
{
    (void)state;
    static struct asker askers[COURIER_PENDING_MAX];
    set_holding(true);
    start_askers(askers, COURIER_PENDING_MAX, 1, "/hold");
    wait_until(all_pending);
    struct courier_request request = get("any", "/echo");
    ask_refused(&request, ERR_BUSY, "64 requests over the network are under way already");
    set_holding(false);
    end_askers(askers, COURIER_PENDING_MAX, 1);
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    assert_done(ask(&request, &message, &response), &err);
}

/* -- a courier that dies --------------------------------------------------------------------------- */

static bool one_held(void)
{
    return held >= 1;
}

static bool is_up(void)
{
    return courier_stats(courier).up;
}

static void kill_courier(void)
{
    wait_until(is_up);
    pid_t pid = courier_pid(courier);
    assert_true(pid > 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
}

static void a_dead_one_is_replaced_and_asked_again(void **state)
{
    (void)state;
    struct asker asker;
    uint64_t starts = courier_stats(courier).starts;
    set_holding(true);
    held = 0;
    start_askers(&asker, 1, 1, "/hold");
    wait_until(one_held);
    kill_courier();
    held = 0;
    wait_until(one_held); /* the second time, by the next */
    set_holding(false);
    end_askers(&asker, 1, 1);
    assert_int_equal(courier_stats(courier).starts, starts + 1);
}

static void but_not_for_ever(void **state)
{
    (void)state;
    struct asker asker;
    set_holding(true);
    held = 0;
    start_askers(&asker, 1, 1, "/hold");
    wait_until(one_held);
    kill_courier();
    held = 0;
    wait_until(one_held);
    kill_courier();
    pthread_join(asker.thread, NULL);
    set_holding(false);
    assert_int_equal(asker.err.code, ERR_UNREACH);
    assert_non_null(strstr(asker.err.message, "any: the courier process ended"));
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    struct courier_request request = get("any", "/echo");
    assert_done(ask(&request, &message, &response), &err);
}

static uint64_t starts_before;

static bool started_again(void)
{
    return courier_stats(courier).starts > starts_before && is_up();
}

static void a_replaced_file_is_read_anew(void **state)
{
    (void)state;
    wait_until(is_up);
    starts_before = courier_stats(courier).starts;
    write_ca();
    wait_until(started_again);
}

static void what_cannot_start_says_why(void **state)
{
    (void)state;
    struct courier *other = NULL;
    struct courier_target target = targets[4];
    const struct courier_conf conf = {.targets = &target, .count = 1};
    target.ca_file = "/nowhere/ca.pem";
    err_clear(&err);
    assert_false(courier_check(&conf, &err));
    assert_non_null(strstr(err.message, "trust: CA file /nowhere/ca.pem"));
    err_clear(&err);
    assert_done(courier_new(&conf, &other, &err), &err);
    assert_false(courier_start(other, &err));
    assert_non_null(strstr(err.message, "/nowhere/ca.pem"));
    courier_stop(other);
}

static void without_targets_there_is_no_process(void **state)
{
    (void)state;
    struct courier *none = NULL;
    auto_buf message = BUF_INIT(0);
    struct courier_response response;
    const struct courier_conf conf = {0};
    const struct courier_request request = get("any", "/echo");
    assert_done(courier_new(&conf, &none, &err), &err);
    assert_done(courier_start(none, &err), &err);
    assert_int_equal(courier_pid(none), 0);
    assert_false(courier_ask(none, &request, &message, &response, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    courier_stop(none);
}

/* -- past the front's own checks: as a front that was taken over would ask ------------------------------ */

struct raw {
    struct loop *loop;
    struct frames *frames;
    struct buf last;
    int count;
};

static bool on_raw(void *arg, struct bytes message, struct err *cause)
{
    struct raw *raw = arg;
    raw->count++;
    buf_truncate(&raw->last, 0);
    return buf_append(&raw->last, message, cause);
}

static void on_raw_end(void *arg, const struct err *why)
{
    struct raw *raw = arg;
    (void)why;
    raw->count = -1;
}

static void raw_answer(struct raw *raw, size_t target, const struct courier_request *request)
{
    auto_buf message = BUF_INIT(COURIER_REQUEST_MAX);
    int before = raw->count;
    assert_done(courier_request_encode(7, target, request, &message, &err), &err);
    assert_done(frames_send(raw->frames, buf_bytes(&message), &err), &err);
    while (raw->count == before)
        assert_done(loop_turn(raw->loop, 60000, &err), &err);
}

static void the_courier_itself_holds_the_line(void **state)
{
    (void)state;
    auto_buf public = BUF_INIT(WARDEN_PUBLIC_MAX);
    auto_secret *tokens = NULL;
    const struct courier_conf conf = {.targets = targets, .count = ARRAY_LEN(targets)};
    struct raw raw = {.last = BUF_INIT(COURIER_ANSWER_MAX)};
    const struct frames_conf frames = {.in_max = COURIER_ANSWER_MAX,
        .out_max = COURIER_REQUEST_MAX,
        .on_frame = on_raw,
        .on_end = on_raw_end,
        .arg = &raw};
    int warden, fd, before = hits;
    pid_t warden_pid, pid;
    struct courier_response response;
    assert_done(courier_table_encode(&conf, &public, &tokens, &err), &err);
    const struct warden_setup orders = {buf_bytes(&public), tokens};
    assert_done(warden_start(WARDEN_COURIERS, &orders, &warden, &warden_pid, &err), &err);
    assert_done(warden_start_child(warden, &fd, &pid, &err), &err);
    assert_done(loop_new(&raw.loop, &err), &err);
    assert_done(frames_new(raw.loop, fd, &frames, &raw.frames, &err), &err);
    while (raw.count == 0)
        assert_done(loop_turn(raw.loop, 60000, &err), &err);
    const struct {
        size_t target;
        enum courier_method method;
        const char *path;
    } wrong[] = {{99, COURIER_GET, "/echo"}, {0, COURIER_DELETE, "/echo"}, {0, 3, "/echo"},
        {0, COURIER_GET, "@127.0.0.1:1/"}, {0, COURIER_GET, "/a/../b"}, {1, COURIER_POST, "/x"}};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct courier_request request = get("any", wrong[i].path);
        request.method = wrong[i].method;
        raw_answer(&raw, wrong[i].target, &request);
        err_clear(&err);
        assert_false(courier_answer_decode(buf_bytes(&raw.last), &response, &err));
        assert_int_equal(err.code, ERR_CONFIG);
    }
    assert_int_equal(hits, before);
    struct courier_request good = get("any", "/echo");
    raw_answer(&raw, 0, &good);
    err_clear(&err);
    assert_done(courier_answer_decode(buf_bytes(&raw.last), &response, &err), &err);
    frames_free(raw.frames);
    loop_free(raw.loop);
    buf_done(&raw.last);
    warden_stop(warden, warden_pid);
}

int main(int argc, char **argv)
{
    int status;
    if (courier_run(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_come_back),
        cmocka_unit_test(headers_are_handed_on),
        cmocka_unit_test(only_what_the_table_names),
        cmocka_unit_test(failures_have_a_cause),
        cmocka_unit_test(each_thread_gets_its_own_answer),
        cmocka_unit_test(the_queue_is_bounded),
        cmocka_unit_test(a_dead_one_is_replaced_and_asked_again),
        cmocka_unit_test(but_not_for_ever),
        cmocka_unit_test(a_replaced_file_is_read_anew),
        cmocka_unit_test(what_cannot_start_says_why),
        cmocka_unit_test(without_targets_there_is_no_process),
        cmocka_unit_test(the_courier_itself_holds_the_line),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
