/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/number.h"

#include "tests/unit/unit.h"

typedef bool parse_fn(const char *text, int64_t *ret_value);

struct row {
    parse_fn *parse;
    const char *text;
    int64_t value;
};

static void accepts(void **state)
{
    static const struct row rows[] = {
        {number_int, "0", 0},
        {number_int, "-12", -12},
        {number_int, "0x1F", 31},
        {number_int, "0o17", 15},
        {number_int, "9223372036854775807", INT64_MAX},
        {number_duration, "0", 0},
        {number_duration, "250ms", 250},
        {number_duration, "5s", 5000},
        {number_duration, "10m", 600000},
        {number_duration, "1h", 3600000},
        {number_duration, "2d", 172800000},
        {number_size, "512", 512},
        {number_size, "64K", 65536},
        {number_size, "1M", 1048576},
        {number_size, "2G", INT64_C(2147483648)},
        {number_mode, "0640", 0640},
        {number_mode, "7777", 07777},
        {number_mode, "0", 0},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = -99;
        if (!rows[i].parse(rows[i].text, &value) || value != rows[i].value)
            fail_msg("%s: got %lld", rows[i].text, (long long)value);
    }
}

static void refuses(void **state)
{
    static const struct row rows[] = {
        {number_int, ""},
        {number_int, "-"},
        {number_int, "+1"},
        {number_int, " 1"},
        {number_int, "1 "},
        {number_int, "010"},
        {number_int, "0x"},
        {number_int, "0xg"},
        {number_int, "0o8"},
        {number_int, "1e3"},
        {number_int, "9223372036854775808"},
        {number_int, "--1"},
        {number_int, "0x-1"},
        {number_duration, ""},
        {number_duration, "5"},
        {number_duration, "s"},
        {number_duration, "-5s"},
        {number_duration, "5 s"},
        {number_duration, "5S"},
        {number_duration, "1.5s"},
        {number_duration, "05s"},
        {number_duration, "9223372036854775807d"},
        {number_duration, "5sm"},
        {number_size, ""},
        {number_size, "1k"},
        {number_size, "1KB"},
        {number_size, "9223372036854775807K"},
        {number_size, "-1"},
        {number_size, "0x10"},
        {number_mode, ""},
        {number_mode, "8"},
        {number_mode, "10000"},
        {number_mode, "rw-r--r--"},
        {number_mode, "-1"},
        {number_mode, "0640 "},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        int64_t value = -99;
        if (rows[i].parse(rows[i].text, &value) || value != -99)
            fail_msg("\"%s\" was taken as %lld", rows[i].text, (long long)value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts),
        cmocka_unit_test(refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
