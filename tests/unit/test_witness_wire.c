/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/witness_wire.h"

#include "tests/unit/inputs.h"

static struct witness_request record(void)
{
    return (struct witness_request){.operation = WITNESS_RECORD,
        .number = 7,
        .want_answer = true,
        .record = {.time_us = 5,
            .verdict = AUDIT_STALE,
            .pid = 1,
            .start_time = 2,
            .uid = 3,
            .gid = 4,
            .sys_errno = 13,
            .exe_deleted = true,
            .took_us = 6,
            .id = "i",
            .cause = "c",
            .rule = "r",
            .cgroup = "/g",
            .exe = "/e",
            .path = "/p\xff",
            .resource = "u",
            .version = "v",
            .ref = "f"}};
}

static void test_record(void **state)
{
    (void)state;
    static struct witness_texts texts;
    struct witness_request sent = record(), got;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    assert_done(witness_request_encode(&sent, &out, &err), &err);
    assert_done(witness_request_decode(buf_bytes(&out), &texts, &got, &err), &err);
    assert_int_equal(got.number, 7);
    assert_true(got.want_answer && got.record.exe_deleted);
    assert_int_equal(got.record.verdict, AUDIT_STALE);
    assert_int_equal(got.record.gid, 4);
    assert_string_equal(got.record.path, "/p\xff");
    assert_string_equal(got.record.ref, "f");
    for (size_t len = 0; len < out.len; len++)
        assert_refused(witness_request_decode(bytes_of(out.data, len), &texts, &got, &err), &err,
            ERR_FORMAT, "");
}

/* The end of a path that is too long says more than its beginning. */
static void test_long(void **state)
{
    (void)state;
    static struct witness_texts texts;
    static char path[9000];
    struct witness_request sent = record(), got;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    memset(path, 'a', sizeof path - 1);
    memcpy(path + sizeof path - 4, "end", 4);
    sent.record.path = sent.record.exe = sent.record.cgroup = sent.record.resource = path;
    assert_done(witness_request_encode(&sent, &out, &err), &err);
    assert_done(witness_request_decode(buf_bytes(&out), &texts, &got, &err), &err);
    assert_int_equal(strlen(got.record.path), WITNESS_TEXT_MAX);
    assert_string_equal(got.record.path + WITNESS_TEXT_MAX - 3, "end");
}

static void test_may(void **state)
{
    (void)state;
    static struct witness_texts texts;
    struct witness_request sent = {.operation = WITNESS_MAY,
        .number = 4,
        .tid = 5,
        .permission = {1, 2, 3, 4, 0640, PERMISSION_READ | PERMISSION_SEARCH}};
    struct witness_request got;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    assert_done(witness_request_encode(&sent, &out, &err), &err);
    assert_done(witness_request_decode(buf_bytes(&out), &texts, &got, &err), &err);
    assert_int_equal(got.tid, 5);
    assert_memory_equal(&got.permission, &sent.permission, sizeof got.permission);
    for (size_t len = 0; len < out.len; len++)
        assert_refused(witness_request_decode(bytes_of(out.data, len), &texts, &got, &err), &err,
            ERR_FORMAT, "");
}

static void test_look(void **state)
{
    (void)state;
    struct witness_answer sent = {.operation = WITNESS_LOOK,
        .number = 9,
        .look = {.pid = 5, .start_time = 6, .exe = "/bin/x", .has_digest = true}};
    struct witness_answer got;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(65536);
    sent.look.digest[31] = 8;
    assert_done(witness_answer_encode(&sent, &out, &err), &err);
    assert_done(witness_answer_decode(buf_bytes(&out), &got, &err), &err);
    assert_int_equal(got.look.pid, 5);
    assert_int_equal(got.look.digest[31], 8);
    assert_string_equal(got.look.exe, "/bin/x");
    assert_int_equal(got.look.cgroup_fd, -1);
    for (size_t len = 0; len < out.len; len++)
        assert_refused(
            witness_answer_decode(bytes_of(out.data, len), &got, &err), &err, ERR_FORMAT, "");
}

/* What is wrong with each is its name. */
static const struct bad_input messages[] = {
    {"version-2.bin", ERR_FORMAT, "version 2"},
    {"operation-0.bin", ERR_FORMAT, "operation 0"},
    {"operation-5.bin", ERR_FORMAT, "operation 5"},
    {"may-want-0.bin", ERR_FORMAT, ""},
    {"may-mode-1000.bin", ERR_FORMAT, ""},
    {"thread-0.bin", ERR_FORMAT, ""},
    {"thread-negative.bin", ERR_FORMAT, ""},
    {"needs-unknown.bin", ERR_FORMAT, ""},
    {"verdict-4.bin", ERR_FORMAT, ""},
    {"errno-4096.bin", ERR_FORMAT, ""},
    {"flag-2.bin", ERR_FORMAT, ""},
    {"year-10000.bin", ERR_FORMAT, ""},
    {"path-nul.bin", ERR_FORMAT, ""},
    {"path-4096.bin", ERR_FORMAT, ""},
    {"trailing-byte.bin", ERR_FORMAT, ""},
    {"cut.bin", ERR_FORMAT, ""},
    {"empty.bin", ERR_FORMAT, ""},
    {"start-negative.bin", ERR_FORMAT, ""},
    {"took-negative.bin", ERR_FORMAT, ""},
    {"word-256.bin", ERR_FORMAT, ""},
    {"digest-31.bin", ERR_FORMAT, ""},
    {"answer-errno-4096.bin", ERR_FORMAT, ""},
};

/* Neither as the one nor as the other. */
static bool refuse(const struct secret *input, struct err *err)
{
    static struct witness_texts texts;
    struct witness_request request;
    struct witness_answer answer;
    struct err ignored = ERR_INIT;
    return witness_request_decode(secret_bytes(input), &texts, &request, err) ||
           witness_answer_decode(secret_bytes(input), &answer, &ignored);
}

static void test_bad_messages(void **state)
{
    (void)state;
    assert_all_bad("bad/witness_message", messages, ARRAY_LEN(messages), refuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_may),
        cmocka_unit_test(test_bad_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
