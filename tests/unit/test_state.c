/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/state.h"

#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct state_listener listeners[] = {{(char *)(uintptr_t) "/run/control.sock", 20}};
static struct state_mount mounts[] = {
    {(char *)(uintptr_t) "/sealed", 10, 11, -1, 77, 0x12345},
    {(char *)(uintptr_t) "/odd \xff path", 12, 13, 14, -1, 0},
};

static struct state_source sources[] = {{(char *)(uintptr_t) "/etc/secrets", 21}};

static struct state example(void)
{
    struct state state;
    state_init(&state);
    state.purpose = STATE_FORWARD;
    state.program = (char *)(uintptr_t) "/usr/sbin/sealedfs";
    state.conf_fd = 5;
    state.back_program_fd = 6;
    state.worker = 4711;
    state.requests_fd = 7;
    state.events_fd = 8;
    state.listeners = listeners;
    state.listener_count = ARRAY_LEN(listeners);
    state.mounts = mounts;
    state.mount_count = ARRAY_LEN(mounts);
    state.sources = sources;
    state.source_count = ARRAY_LEN(sources);
    return state;
}

static void test_round_trip(void **state)
{
    struct state in = example();
    AUTO_DONE(state_done) struct state out;
    auto_buf text = BUF_INIT(STATE_SIZE_MAX);
    struct err err = ERR_INIT;
    (void)state;
    state_init(&out);
    in.refusal.code = ERR_CONFIG;
    snprintf(in.refusal.message, sizeof in.refusal.message, "no such key");
    assert_done(state_encode(&in, &text, &err), &err);
    assert_done(state_decode(buf_bytes(&text), &out, &err), &err);
    assert_int_equal(out.purpose, STATE_FORWARD);
    assert_string_equal(out.program, in.program);
    assert_int_equal(out.conf_fd, 5);
    assert_int_equal(out.back_conf_fd, -1);
    assert_int_equal(out.worker, 4711);
    assert_int_equal(out.asker_fd, -1);
    assert_int_equal(out.refusal.code, ERR_CONFIG);
    assert_string_equal(out.refusal.message, "no such key");
    assert_int_equal(out.listener_count, 1);
    assert_string_equal(out.listeners[0].name, "/run/control.sock");
    assert_int_equal(out.source_count, 1);
    assert_int_equal(out.sources[0].fd, 21);
    assert_int_equal(out.mount_count, 2);
    assert_string_equal(out.mounts[1].path, mounts[1].path);
    assert_int_equal(out.mounts[0].mount_id, 77);
    assert_int_equal(out.mounts[0].device, 0x12345);
    assert_int_equal(out.mounts[1].frame_fd, 14);
    assert_int_equal(out.mounts[1].mount_id, -1);
}

/* Encoded as asked, refused when read. */
static void refuse(const struct state *in, const char *text)
{
    struct state out;
    auto_buf message = BUF_INIT(STATE_SIZE_MAX);
    struct err err = ERR_INIT;
    assert_done(state_encode(in, &message, &err), &err);
    assert_refused(state_decode(buf_bytes(&message), &out, &err), &err, ERR_FORMAT, text);
}

static void test_refusals(void **state)
{
    struct state bad = example();
    (void)state;
    bad.asker_fd = 5;
    refuse(&bad, "out of range"); /* one number twice */
    bad = example();
    bad.conf_fd = 2;
    refuse(&bad, "state of the monitor");
    bad = example();
    bad.conf_fd = INT_MAX;
    refuse(&bad, "state of the monitor");
    bad = example();
    bad.worker = 0;
    refuse(&bad, "state of the monitor");
    bad = example();
    bad.requests_fd = -1;
    refuse(&bad, "state of the monitor");
    bad = example();
    bad.program = (char *)(uintptr_t) "sealedfs";
    refuse(&bad, "out of range");
    bad = example();
    bad.purpose = 0;
    refuse(&bad, "out of range");
    bad.purpose = STATE_PURPOSE_MAX + 1;
    refuse(&bad, "out of range");
}

static void test_other_version_and_cut(void **state)
{
    struct state in = example(), out;
    auto_buf text = BUF_INIT(STATE_SIZE_MAX);
    struct err err = ERR_INIT;
    (void)state;
    assert_done(state_encode(&in, &text, &err), &err);
    for (size_t len = 0; len < text.len; len++)
        assert_refused(
            state_decode(bytes_of(text.data, len), &out, &err), &err, ERR_FORMAT, "state");
    text.data[0] = 2;
    assert_refused(state_decode(buf_bytes(&text), &out, &err), &err, ERR_FORMAT, "of version 2");
}

static void test_memfd(void **state)
{
    struct state in, out;
    struct err err = ERR_INIT;
    int fd, ends[2];
    (void)state;
    state_init(&in);
    in.purpose = STATE_BACK;
    in.program = (char *)(uintptr_t) "/x";
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    in.conf_fd = ends[0];
    in.asker_fd = ends[1];
    assert_done(state_save(&in, &fd, &err), &err);
    assert_int_equal(write(fd, "x", 1), -1);
    assert_done(state_load(fd, &out, &err), &err);
    assert_int_equal(out.asker_fd, ends[1]);
    assert_done(state_keep_open(&out, true, &err), &err);
    assert_int_equal(fcntl(ends[0], F_GETFD), 0);
    assert_done(state_keep_open(&out, false, &err), &err);
    assert_int_equal(fcntl(ends[0], F_GETFD), FD_CLOEXEC);
    state_done(&out);
    close(ends[0]);
    assert_refused(state_load(fd, &out, &err), &err, ERR_FORMAT, "which is not there");
    assert_refused(state_load(ends[1], &out, &err), &err, ERR_FORMAT, "is no sealed memfd");
    close(ends[1]);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_other_version_and_cut),
        cmocka_unit_test(test_memfd),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
