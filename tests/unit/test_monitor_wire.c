/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/monitor_wire.h"

#include "tests/unit/inputs.h"

static void test_request(void **state)
{
    struct monitor_request request = {.operation = MONITOR_LIST,
                               .number = 0x01020304,
                               .mount = 0x0506,
                               .cookie = INT64_MAX,
                               .path = "a/b"},
                           got;
    auto_buf out = BUF_INIT(8192);
    struct err err = ERR_INIT;
    (void)state;
    assert_done(monitor_request_encode(&request, &out, &err), &err);
    assert_done(monitor_request_decode(buf_bytes(&out), &got, &err), &err);
    assert_int_equal(got.operation, MONITOR_LIST);
    assert_int_equal(got.number, 0x01020304);
    assert_int_equal(got.mount, 0x0506);
    assert_true(got.cookie == INT64_MAX);
    assert_string_equal(got.path, "a/b");
    for (size_t len = 0; len < out.len; len++)
        assert_refused(
            monitor_request_decode(bytes_of(out.data, len), &got, &err), &err, ERR_FORMAT, "");
}

static void test_answer(void **state)
{
    struct monitor_entry entries[] = {{1, 10, 8, "one"}, {2, 20, 4, "name with\nnewline"}}, entry;
    auto_buf list = BUF_INIT(MONITOR_ENTRIES_MAX), out = BUF_INIT(65536);
    struct monitor_answer answer = {.operation = MONITOR_LIST,
                              .number = 5,
                              .cookie = 20,
                              .more = true,
                              .origin = {ORIGIN_FILE, 0x0708},
                              .elsewhere = true,
                              .content_errno = 13,
                              .count = 2},
                          got;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < 2; i++)
        assert_done(monitor_entry_encode(&entries[i], &list, &err), &err);
    answer.entries = buf_bytes(&list);
    assert_done(monitor_answer_encode(&answer, &out, &err), &err);
    assert_done(monitor_answer_decode(buf_bytes(&out), &got, &err), &err);
    assert_int_equal(got.number, 5);
    assert_true(got.more && got.elsewhere);
    assert_int_equal(got.origin.kind, ORIGIN_FILE);
    assert_int_equal(got.origin.index, 0x0708);
    assert_int_equal(got.content_errno, 13);
    for (size_t i = 0; i < 2; i++) {
        assert_true(monitor_entry_next(&got.entries, &entry));
        assert_string_equal(entry.name, entries[i].name);
        assert_true(entry.inode == entries[i].inode && entry.cookie == entries[i].cookie &&
                    entry.type == entries[i].type);
    }
    assert_false(monitor_entry_next(&got.entries, &entry));
    for (size_t len = 0; len < out.len; len++)
        assert_refused(
            monitor_answer_decode(bytes_of(out.data, len), &got, &err), &err, ERR_FORMAT, "");
}

static void test_event(void **state)
{
    struct monitor_event event = {.kind = MONITOR_FAILED,
                             .mount = 7,
                             .code = ERR_CONFIG,
                             .message = "why"},
                         got;
    auto_buf out = BUF_INIT(1024);
    struct err err = ERR_INIT;
    (void)state;
    assert_done(monitor_event_encode(&event, &out, &err), &err);
    assert_done(monitor_event_decode(buf_bytes(&out), &got, &err), &err);
    assert_int_equal(got.kind, MONITOR_FAILED);
    assert_int_equal(got.mount, 7);
    assert_int_equal(got.code, ERR_CONFIG);
    assert_string_equal(got.message, "why");
    event = (struct monitor_event){.kind = MONITOR_READY};
    buf_done(&out);
    assert_done(monitor_event_encode(&event, &out, &err), &err);
    assert_done(monitor_event_decode(buf_bytes(&out), &got, &err), &err);
    assert_int_equal(got.code, ERR_OK);
}

/* Each file is a request; what is wrong with it is its name. */
static const struct bad_input requests[] = {
    {"version-2.bin", ERR_FORMAT, "version 2"},
    {"operation-0.bin", ERR_FORMAT, "operation 0"},
    {"operation-5.bin", ERR_FORMAT, "operation 5"},
    {"path-absolute.bin", ERR_FORMAT, "leaves the source"},
    {"path-dotdot.bin", ERR_FORMAT, "leaves the source"},
    {"path-dotdot-inside.bin", ERR_FORMAT, "leaves the source"},
    {"path-double-slash.bin", ERR_FORMAT, "leaves the source"},
    {"path-nul.bin", ERR_FORMAT, ""},
    {"path-4096.bin", ERR_FORMAT, ""},
    {"name-256.bin", ERR_FORMAT, "leaves the source"},
    {"cookie-negative.bin", ERR_FORMAT, "cookie"},
    {"trailing-byte.bin", ERR_FORMAT, ""},
    {"cut.bin", ERR_FORMAT, ""},
    {"empty.bin", ERR_FORMAT, ""},
};

static bool refuse_request(const struct secret *input, struct err *err)
{
    struct monitor_request request;
    return monitor_request_decode(secret_bytes(input), &request, err);
}

static void test_bad_requests(void **state)
{
    (void)state;
    assert_all_bad("bad/monitor_message", requests, ARRAY_LEN(requests), refuse_request);
}

static void test_bad_answers(void **state)
{
    struct monitor_answer answer = {.operation = MONITOR_LIST, .sys_errno = 4096}, got;
    auto_buf out = BUF_INIT(1024);
    struct err err = ERR_INIT;
    (void)state;
    assert_done(monitor_answer_encode(&answer, &out, &err), &err);
    assert_refused(
        monitor_answer_decode(buf_bytes(&out), &got, &err), &err, ERR_FORMAT, "out of range");
    answer =
        (struct monitor_answer){.operation = MONITOR_OPEN, .origin = {.kind = ORIGIN_KIND_MAX + 1}};
    buf_done(&out);
    assert_done(monitor_answer_encode(&answer, &out, &err), &err);
    assert_refused(
        monitor_answer_decode(buf_bytes(&out), &got, &err), &err, ERR_FORMAT, "out of range");
    answer = (struct monitor_answer){.operation = MONITOR_LIST, .count = 1};
    buf_done(&out);
    assert_done(monitor_answer_encode(&answer, &out, &err), &err);
    assert_refused(
        monitor_answer_decode(buf_bytes(&out), &got, &err), &err, ERR_FORMAT, "monitor answer");
    static const char *const names[] = {"", "a/b"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct monitor_entry entry = {.inode = 1};
        auto_buf list = BUF_INIT(1024);
        snprintf(entry.name, sizeof entry.name, "%s", names[i]);
        assert_done(monitor_entry_encode(&entry, &list, &err), &err);
        answer.entries = buf_bytes(&list);
        buf_done(&out);
        assert_done(monitor_answer_encode(&answer, &out, &err), &err);
        assert_refused(
            monitor_answer_decode(buf_bytes(&out), &got, &err), &err, ERR_FORMAT, "monitor answer");
    }
}

static void test_bad_events(void **state)
{
    static const uint8_t kinds[][12] = {{1, 0}, {1, MONITOR_EVENT_MAX + 1}, {2, 1}};
    struct monitor_event got;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        assert_refused(
            monitor_event_decode(bytes_of(kinds[i], 12), &got, &err), &err, ERR_FORMAT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_request),
        cmocka_unit_test(test_answer), cmocka_unit_test(test_event),
        cmocka_unit_test(test_bad_requests), cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_bad_events)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
