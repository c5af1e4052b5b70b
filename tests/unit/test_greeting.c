/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/greeting.h"

#include "tests/unit/unit.h"

static struct nodetable_data table; /* much, and never touched */

/* FUSE_INIT as Linux 6.18 sends it: 104 bytes, flags with INIT_EXT, flags2 with HAS_RESEND. */
static void make(uint8_t *out, uint32_t opcode, uint32_t flags, uint32_t flags2)
{
    uint32_t words[26] = {[0] = 104,
        [1] = opcode,
        [2] = 2,
        [10] = 7,
        [11] = 45,
        [12] = 131072,
        [13] = flags,
        [14] = flags2};
    memcpy(out, words, sizeof words);
}

static void test_keep_and_recall(void **state)
{
    uint8_t greeting[104], out[NODETABLE_INIT];
    size_t len;
    struct err err = ERR_INIT;
    (void)state;
    table.init_len = 0;
    assert_false(greeting_is_kept(&table));
    make(greeting, 26, 1u << 30, 1u << 7);
    assert_done(greeting_keep(&table, bytes_of(greeting, sizeof greeting), &err), &err);
    assert_true(greeting_is_kept(&table));
    assert_done(greeting_recall(&table, out, &len, &err), &err);
    assert_int_equal(len, sizeof greeting);
    assert_memory_equal(out, greeting, len);
    assert_true(greeting_can_resend(out, len));
}

static void test_refuse_other_requests(void **state)
{
    uint8_t request[300] = {0};
    struct err err = ERR_INIT;
    (void)state;
    table.init_len = 0;
    make(request, 1, 0, 0);
    assert_refused(
        greeting_keep(&table, bytes_of(request, 104), &err), &err, ERR_INTERNAL, "not FUSE_INIT");
    make(request, 26, 0, 0);
    assert_refused(
        greeting_keep(&table, bytes_of(request, 55), &err), &err, ERR_INTERNAL, "not FUSE_INIT");
    assert_refused(
        greeting_keep(&table, bytes_of(request, 103), &err), &err, ERR_INTERNAL, "not FUSE_INIT");
    assert_refused(
        greeting_keep(&table, bytes_of(request, 300), &err), &err, ERR_INTERNAL, "not FUSE_INIT");
    assert_false(greeting_is_kept(&table));
}

static void test_refuse_a_spoilt_one(void **state)
{
    uint8_t greeting[104], out[NODETABLE_INIT];
    size_t len;
    struct err err = ERR_INIT;
    (void)state;
    make(greeting, 26, 0, 0);
    assert_done(greeting_keep(&table, bytes_of(greeting, sizeof greeting), &err), &err);
    table.init_len = NODETABLE_INIT + 1;
    assert_refused(
        greeting_recall(&table, out, &len, &err), &err, ERR_INTERNAL, "kept of the kernel's");
    table.init_len = sizeof greeting;
    table.init[4] = 3;
    assert_refused(
        greeting_recall(&table, out, &len, &err), &err, ERR_INTERNAL, "kept of the kernel's");
}

static void test_old_kernels(void **state)
{
    uint8_t greeting[104];
    (void)state;
    make(greeting, 26, 0, 1u << 7);
    assert_false(greeting_can_resend(greeting, sizeof greeting));
    make(greeting, 26, 1u << 30, 0);
    assert_false(greeting_can_resend(greeting, sizeof greeting));
    make(greeting, 26, 1u << 30, 1u << 7);
    assert_false(greeting_can_resend(greeting, 56));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_keep_and_recall),
        cmocka_unit_test(test_refuse_other_requests), cmocka_unit_test(test_refuse_a_spoilt_one),
        cmocka_unit_test(test_old_kernels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
