/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/slots.h"

#include "tests/unit/unit.h"

static void test_limit_and_reuse(void **state)
{
    uint32_t high = 2, slot;
    struct slots slots;
    (void)state;
    slots_init(&slots, &high, 5);
    for (uint32_t wanted = 2; wanted < 5; wanted++) {
        assert_true(slots_take(&slots, &slot));
        assert_int_equal(slot, wanted);
    }
    assert_false(slots_take(&slots, &slot));
    slots_give(&slots, 0);
    slots_give(&slots, 3);
    assert_true(slots_take(&slots, &slot));
    assert_int_equal(slot, 3);
    assert_true(slots_take(&slots, &slot));
    assert_int_equal(slot, 0);
    assert_false(slots_take(&slots, &slot));
    assert_int_equal(high, 5);
    slots_done(&slots);
}

static void test_many(void **state)
{
    uint32_t high = 0, slot;
    struct slots slots;
    (void)state;
    slots_init(&slots, &high, 1000);
    for (int i = 0; i < 1000; i++)
        assert_true(slots_take(&slots, &slot));
    for (uint32_t i = 0; i < 1000; i++)
        slots_give(&slots, i);
    for (int i = 0; i < 1000; i++)
        assert_true(slots_take(&slots, &slot));
    assert_false(slots_take(&slots, &slot));
    slots_done(&slots);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_and_reuse), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
