/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/check.h"

static struct verdict verdict;

static int clear(void **state)
{
    (void)state;
    memset(&verdict, 0, sizeof verdict);
    return 0;
}

static void errors_about_evidence_are_reasons_and_ours_are_not(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_FORMAT, "not base64");
    assert_true(check_error(&verdict, "x.y", "base64", &err));
    assert_int_equal(verdict.reason_count, 1);
    assert_string_equal(verdict.reasons[0].check, "x.y");
    assert_string_equal(verdict.reasons[0].got, "not base64");
    assert_string_equal(verdict.reasons[0].expected, "base64");
    err_nomem(&err);
    assert_false(check_error(&verdict, "x.y", "base64", &err));
    err_set(&err, ERR_INTERNAL, "a bug");
    assert_false(check_error(&verdict, "x.y", "base64", &err));
    assert_int_equal(verdict.reason_count, 1);
}

static void texts_are_cut(void **state)
{
    (void)state;
    char text[2000];
    memset(text, 'x', sizeof text);
    text[1999] = '\0';
    assert_false(check_fail(&verdict, "x", "y", "%s", text));
    assert_int_equal(strlen(verdict.reasons[0].got), sizeof verdict.reasons[0].got - 1);
    assert_false(check_fail_hex(&verdict, "x", bytes_of(text, 1000), BYTES_EMPTY));
    assert_int_equal(strlen(verdict.reasons[1].got), 128);
    assert_string_equal(verdict.reasons[1].expected, "");
}

static void fields_are_padded_or_cut(void **state)
{
    (void)state;
    static const uint8_t long_one[65] = {1, 2, 3, 4};
    assert_true(check_padded(&verdict, "x", bytes_of("\1\2\0\0", 4), bytes_of("\1\2", 2)));
    assert_true(check_padded(&verdict, "x", bytes_of("\1\2", 2), bytes_of("\1\2\3", 3)));
    assert_true(check_padded(&verdict, "x", bytes_of("\0\0", 2), BYTES_EMPTY));
    assert_int_equal(verdict.reason_count, 0);
    assert_false(check_padded(&verdict, "x", bytes_of("\1\2\0\1", 4), bytes_of("\1\2", 2)));
    assert_string_equal(verdict.reasons[0].got, "01020001");
    assert_string_equal(verdict.reasons[0].expected, "01020000");
    assert_false(check_padded(&verdict, "x", bytes_of(long_one, 65), bytes_of(long_one, 65)));
    assert_int_equal(verdict.reason_count, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(errors_about_evidence_are_reasons_and_ours_are_not, clear),
        cmocka_unit_test_setup(texts_are_cut, clear),
        cmocka_unit_test_setup(fields_are_padded_or_cut, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
