/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <time.h>

#include "crypt/base/clock.h"

static const struct {
    int64_t unix_s;
    const char *text;
} known[] = {
    {0, "1970-01-01T00:00:00Z"},
    {-1, "1969-12-31T23:59:59Z"},
    {951782400, "2000-02-29T00:00:00Z"},
    {1700000000, "2023-11-14T22:13:20Z"},
    {4107542399, "2100-02-28T23:59:59Z"},
    {4107542400, "2100-03-01T00:00:00Z"},
    {-62167219200, "0000-01-01T00:00:00Z"},
    {253402300799, "9999-12-31T23:59:59Z"},
};

static void known_times_both_ways(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        char text[CLOCK_TEXT_SIZE];
        int64_t unix_s;
        clock_rfc3339(known[i].unix_s, text);
        assert_string_equal(text, known[i].text);
        assert_done(clock_parse_rfc3339(bytes_str(text), "time", &unix_s, &err), &err);
        assert_true(unix_s == known[i].unix_s);
    }
}

/* Against the C library, which is no part of our code. */
static void agrees_with_gmtime(void **state)
{
    (void)state;
    for (int64_t unix_s = -62167219200; unix_s < 253402300799; unix_s += 86399 * 997) {
        char ours[CLOCK_TEXT_SIZE], libc[64];
        time_t time = unix_s;
        struct tm tm;
        gmtime_r(&time, &tm);
        snprintf(libc, sizeof libc, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900,
            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        clock_rfc3339(unix_s, ours);
        assert_string_equal(ours, libc);
    }
}

static void out_of_range_is_clamped(void **state)
{
    (void)state;
    char text[CLOCK_TEXT_SIZE];
    clock_rfc3339(INT64_MAX, text);
    assert_string_equal(text, "9999-12-31T23:59:59Z");
    clock_rfc3339(INT64_MIN, text);
    assert_string_equal(text, "0000-01-01T00:00:00Z");
    assert_true(clock_wall_s() > 1700000000);
}

static void other_forms_are_read(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct {
        const char *text;
        int64_t unix_s;
    } forms[] = {
        {"1985-04-12T23:20:50.52Z", 482196050}, /* the examples of RFC 3339 section 5.8 */
        {"1996-12-19T16:39:57-08:00", 851042397},
        {"1990-12-31T23:59:60Z", 662688000},
        {"1937-01-01T12:00:27.87+00:20", -1041337173},
        {"1970-01-01t00:00:00.000000000001z", 0},
        {"1970-01-01 00:00:00-00:00", 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        int64_t unix_s;
        assert_done(clock_parse_rfc3339(bytes_str(forms[i].text), "time", &unix_s, &err), &err);
        assert_true(unix_s == forms[i].unix_s);
    }
}

static void malformed_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-01-32T00:00:00Z",
        "2026-01-00T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00ZZ",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+01:60",
        "+026-01-01T00:00:00Z",
        " 2026-01-01T00:00:00Z",
        "2026-1-1T0:0:0Z",
        "02026-01-01T00:00:00Z",
        "2026-01-01X00:00:00Z",
        "2026-01-01T-1:00:00Z",
        "99999999999999999999",
    };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        int64_t unix_s = 42;
        assert_refused(clock_parse_rfc3339(bytes_str(texts[i]), "the field", &unix_s, &err), &err,
            ERR_FORMAT, "the field: not a time");
        assert_int_equal(unix_s, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_times_both_ways),
        cmocka_unit_test(agrees_with_gmtime),
        cmocka_unit_test(out_of_range_is_clamped),
        cmocka_unit_test(other_forms_are_read),
        cmocka_unit_test(malformed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
