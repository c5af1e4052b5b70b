/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/server/outbound/courier_wire.h"

static struct err err;

static void a_table_comes_through(void **state)
{
    (void)state;
    static const char *const direct[] = {"localhost", ".example.org"};
    auto_secret *one = NULL, *two = NULL, *tokens = NULL;
    auto_buf public = BUF_INIT(65536);
    auto_courier_table table = {0};
    assert_done(secret_copy(bytes_str("first"), &one, &err), &err);
    assert_done(secret_copy(bytes_str("second"), &two, &err), &err);
    const struct courier_target targets[] = {
        {.name = "a", .peer = "p", .url = "https://a.example", .bearer = one, .methods = 1},
        {.name = "b", .peer = "p", .url = "https://b.example/x?y=z", .methods = 2, .exact = true},
        {.name = "c",
            .peer = "p",
            .url = "http://c.example",
            .plain = true,
            .bearer = two,
            .ca_file = "/ca",
            .methods = 15},
    };
    const struct courier_conf conf = {targets, 3, "http://proxy:3128", direct, 2};
    assert_done(courier_table_encode(&conf, &public, &tokens, &err), &err);
    assert_done(courier_table_decode(buf_bytes(&public), tokens, &table, &err), &err);
    assert_int_equal(table.count, 3);
    assert_string_equal(table.proxy, "http://proxy:3128");
    assert_string_equal(table.no_proxy[1], ".example.org");
    assert_string_equal(table.entries[0].bearer, "first");
    assert_null(table.entries[1].bearer);
    assert_true(table.entries[1].exact);
    assert_string_equal(table.entries[2].bearer, "second");
    assert_string_equal(table.entries[2].ca_file, "/ca");
    assert_true(table.entries[2].plain && !table.entries[0].plain);
    /* cut anywhere, it is none */
    for (size_t len = 0; len < public.len; len++) {
        auto_courier_table cut = {0};
        assert_false(
            courier_table_decode(bytes_slice(buf_bytes(&public), 0, len), tokens, &cut, &err));
    }
    /* a token outside of what came */
    secret_truncate(tokens, 8);
    auto_courier_table outside = {0};
    assert_false(courier_table_decode(buf_bytes(&public), tokens, &outside, &err));
}

static void refuse_target(struct courier_target target, const char *text)
{
    const struct courier_conf conf = {.targets = &target, .count = 1};
    err_clear(&err);
    assert_false(courier_conf_check(&conf, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    if (!strstr(err.message, text))
        fail_msg("%s", err.message);
}

static void tables_that_are_refused(void **state)
{
    (void)state;
    auto_secret *token = NULL;
    struct courier_target good = {.name = "n", .peer = "p", .url = "https://h", .methods = 1};
    static const char *const urls[] = {"ftp://h", "h", "https://u:p@h", "http://h", "https://h/",
        "https://h/a?b", "https://h/a b", "https://h/#x"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct courier_target target = good;
        target.url = urls[i];
        refuse_target(target, "n: ");
    }
    assert_done(secret_copy(bytes_str("a b"), &token, &err), &err);
    good.bearer = token;
    refuse_target(good, "n: the bearer token");
}

static void answers_come_through(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(COURIER_ANSWER_MAX);
    struct courier_response response = {.status = 200, .date = 5, .body = bytes_str("body")}, got;
    uint32_t id;
    strcpy(response.content_type, "text/plain");
    response.headers[COURIER_ETAG] = bytes_str("\"x\"");
    response.headers[COURIER_EXPIRES] = bytes_str("");
    assert_done(courier_answer_encode(9, &response, NULL, &message, &err), &err);
    assert_done(courier_answer_id(buf_bytes(&message), &id, &err), &err);
    assert_done(courier_answer_decode(buf_bytes(&message), &got, &err), &err);
    assert_int_equal(id, 9);
    assert_int_equal(got.status, 200);
    assert_int_equal(got.date, 5);
    assert_string_equal(got.content_type, "text/plain");
    assert_true(bytes_equal(got.headers[COURIER_ETAG], bytes_str("\"x\"")));
    assert_non_null(got.headers[COURIER_EXPIRES].data);
    assert_null(got.headers[COURIER_RETRY_AFTER].data);
    assert_true(bytes_equal(got.body, bytes_str("body")));
    for (size_t len = 0; len < message.len; len++) {
        err_clear(&err);
        assert_false(courier_answer_decode(bytes_slice(buf_bytes(&message), 0, len), &got, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    message.data[5] = 0xff; /* a status of no kind */
    assert_false(courier_answer_decode(buf_bytes(&message), &got, &err));
}

static void a_failure_keeps_its_cause(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(COURIER_ANSWER_MAX);
    struct courier_response got;
    struct err cause = ERR_INIT;
    err_set(&cause, ERR_TIMEOUT, "too late\nfor us");
    assert_done(courier_answer_encode(9, NULL, &cause, &message, &err), &err);
    assert_false(courier_answer_decode(buf_bytes(&message), &got, &err));
    assert_int_equal(err.code, ERR_TIMEOUT);
    assert_string_equal(err.message, "too late?for us"); /* no line of its own in a log */
    /* A courier taken over may name the lack of an error as the cause. */
    buf_truncate(&message, 0);
    cause.code = ERR_OK;
    assert_done(courier_answer_encode(9, NULL, &cause, &message, &err), &err);
    assert_false(courier_answer_decode(buf_bytes(&message), &got, &err));
    assert_int_equal(err.code, ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_comes_through),
        cmocka_unit_test(tables_that_are_refused),
        cmocka_unit_test(answers_come_through),
        cmocka_unit_test(a_failure_keeps_its_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
