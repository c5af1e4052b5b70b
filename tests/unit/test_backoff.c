/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/backoff.h"

static void delays_double_with_jitter(void **state)
{
    (void)state;
    static const int64_t nominal[] = {500, 1000, 2000, 4000, 8000, 16000, 30000, 30000, 30000};
    struct backoff backoff = {0};
    struct err err = ERR_INIT;
    err_set(&err, ERR_UNREACH, "the cause");
    for (size_t i = 0; i < ARRAY_LEN(nominal); i++) {
        backoff_fail(&backoff, 1000000, &err);
        int64_t delay = backoff.until_ms - 1000000;
        assert_in_range(delay, nominal[i] * 3 / 4, nominal[i] * 5 / 4);
    }
    backoff_clear(&backoff);
    backoff_fail(&backoff, 0, &err);
    assert_in_range(backoff.until_ms, 375, 625);
}

static void jitter_differs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int64_t low = INT64_MAX, high = 0;
    err_set(&err, ERR_TIMEOUT, "the cause");
    for (int i = 0; i < 64; i++) {
        struct backoff backoff = {0};
        backoff_fail(&backoff, 0, &err);
        low = backoff.until_ms < low ? backoff.until_ms : low;
        high = backoff.until_ms > high ? backoff.until_ms : high;
    }
    assert_true(high - low > 50);
}

static void what_was_refused_on_purpose_is_kept_for_a_second(void **state)
{
    (void)state;
    static const enum err_code codes[] = {ERR_DENIED_POLICY, ERR_NOTFOUND};
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        struct backoff backoff = {0};
        struct err err = ERR_INIT;
        err_set(&err, codes[i], "the cause");
        for (int k = 0; k < 5; k++)
            backoff_fail(&backoff, 7000, &err);
        assert_int_equal(backoff.until_ms, 8000);
    }
}

static void meanwhile_the_error_is_told_again(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    struct err cause = ERR_INIT, err = ERR_INIT;
    assert_true(backoff_over(&backoff, 0, &err));
    err_set(&cause, ERR_DENIED_POLICY, "the cause");
    snprintf(cause.ref, sizeof cause.ref, "01HZ");
    backoff_fail(&backoff, 0, &cause);
    assert_refused(
        backoff_over(&backoff, 1, &err), &err, ERR_DENIED_POLICY, "the cause (next try in 1 s)");
    assert_string_equal(err.ref, "01HZ");
    assert_false(backoff_over(&backoff, 999, &err));
    assert_true(backoff_over(&backoff, 1000, &err));
}

static void a_full_message_keeps_the_note(void **state)
{
    (void)state;
    struct backoff backoff = {0};
    struct err cause = ERR_INIT, err = ERR_INIT;
    char filler[ERR_MESSAGE_SIZE];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    err_set(&cause, ERR_NOTFOUND, "%s", filler);
    backoff_fail(&backoff, 0, &cause);
    assert_false(backoff_over(&backoff, 0, &err));
    assert_int_equal(strlen(err.message), ERR_MESSAGE_SIZE - 1);
    assert_non_null(strstr(err.message, "x (next try in 1 s)"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(delays_double_with_jitter),
        cmocka_unit_test(jitter_differs),
        cmocka_unit_test(what_was_refused_on_purpose_is_kept_for_a_second),
        cmocka_unit_test(meanwhile_the_error_is_told_again),
        cmocka_unit_test(a_full_message_keeps_the_note),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
