/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static struct nodetable_data table; /* much, and never touched */

static void note(uint64_t unique)
{
    uint64_t head[5] = {40 | (14ull << 32), unique};
    orphans_note(&table, bytes_of(head, sizeof head));
}

static void test_highest_is_kept(void **state)
{
    uint8_t little[15] = {0xff};
    (void)state;
    table.request_high = 0;
    note(10);
    note(42);
    note(14);
    assert_int_equal(table.request_high, 42);
    note(45); /* an interrupt of 44 */
    assert_int_equal(table.request_high, 44);
    orphans_note(&table, bytes_of(little, sizeof little));
    assert_int_equal(table.request_high, 44);
}

/* A pipe takes every answer: what is written are the numbers from the last worker's first to beyond its last, each once. */
static void test_each_gets_eio(void **state)
{
    int fds[2];
    struct {
        uint32_t len;
        int32_t error;
        uint64_t unique;
    } answer;
    uint64_t next = 100;
    (void)state;
    table.request_low = 100;
    table.request_high = 200;
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    size_t failed = orphans_fail(&table, fds[1]);
    assert_in_range(failed, 51, 1000);
    for (size_t i = 0; i < failed; i++, next += 2) {
        assert_int_equal(read(fds[0], &answer, sizeof answer), sizeof answer);
        assert_int_equal(answer.len, sizeof answer);
        assert_int_equal(answer.error, -EIO);
        assert_int_equal(answer.unique, next);
    }
    assert_int_equal(read(fds[0], &answer, sizeof answer), -1);
    assert_int_equal(table.request_low, 200);
    close(fds[0]);
    close(fds[1]);
}

/* The table is what a dead process left: whatever is in it, the work has an end. */
static void test_work_is_bounded(void **state)
{
    const uint64_t ends[][2] = {{0, UINT64_MAX - 1}, {UINT64_MAX - 1, 0}, {0, 1ull << 60},
        {4, UINT64_MAX - 1000}, {UINT64_MAX, UINT64_MAX}, {UINT64_MAX - 2000, UINT64_MAX - 512}};
    int null = open("/dev/null", O_WRONLY);
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        table.request_low = ends[i][0];
        table.request_high = ends[i][1];
        assert_in_range(orphans_fail(&table, null), 0, ORPHANS_MAX + 1);
    }
    close(null);
}

static void test_stop_without_connection(void **state)
{
    (void)state;
    table.request_low = 2;
    table.request_high = 1000;
    assert_int_equal(orphans_fail(&table, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_highest_is_kept),
        cmocka_unit_test(test_each_gets_eio),
        cmocka_unit_test(test_work_is_bounded),
        cmocka_unit_test(test_stop_without_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
