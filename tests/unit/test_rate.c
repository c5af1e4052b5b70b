/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/rate.h"

static int take_all(struct rate *rate, int64_t now_ms)
{
    int count = 0;
    while (count < 1000 && rate_allows(rate, now_ms)) {
        rate_take(rate);
        count++;
    }
    return count;
}

static void test_burst_then_rate(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 5, 1000);
    assert_int_equal(take_all(&rate, 1000), 5);
    assert_int_equal(take_all(&rate, 1099), 0);
    assert_int_equal(take_all(&rate, 1100), 1);
    assert_int_equal(take_all(&rate, 1400), 3);
}

static void test_never_more_than_the_burst(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 1000, 5, 0);
    assert_int_equal(take_all(&rate, 0), 5);
    assert_int_equal(take_all(&rate, INT64_MAX / 2), 5);
    rate_init(&rate, 1, 3, 0);
    assert_int_equal(take_all(&rate, INT64_MAX), 3);
}

static void test_a_clock_that_goes_back_gives_nothing(void **state)
{
    (void)state;
    struct rate rate;
    rate_init(&rate, 10, 2, 5000);
    assert_int_equal(take_all(&rate, 5000), 2);
    assert_int_equal(take_all(&rate, 10), 0);
    assert_int_equal(take_all(&rate, 110), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_never_more_than_the_burst),
        cmocka_unit_test(test_a_clock_that_goes_back_gives_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
