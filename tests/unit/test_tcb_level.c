/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tcb_level.h"
#include "tests/unit/unit.h"

/* Intel's library: a part that is out of date makes these of the platform's status, a revoked one makes all revoked. */
static void test_converge(void **state)
{
    (void)state;
    static const struct {
        enum tcb_status platform, out_of_date;
    } rows[] = {
        {TCB_UP_TO_DATE, TCB_OUT_OF_DATE},
        {TCB_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE},
        {TCB_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
        {TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
        {TCB_OUT_OF_DATE, TCB_OUT_OF_DATE},
        {TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_OUT_OF_DATE_CONFIGURATION_NEEDED},
        {TCB_REVOKED, TCB_REVOKED},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        enum tcb_status platform = rows[i].platform;
        assert_int_equal(tcb_status_converge(platform, TCB_UP_TO_DATE), platform);
        assert_int_equal(tcb_status_converge(platform, TCB_OUT_OF_DATE), rows[i].out_of_date);
        assert_int_equal(tcb_status_converge(platform, TCB_REVOKED), TCB_REVOKED);
    }
}

static void test_relaunch(void **state)
{
    (void)state;
    assert_int_equal(tcb_status_relaunch(TCB_OUT_OF_DATE, TCB_UP_TO_DATE), TCB_TD_RELAUNCH_ADVISED);
    assert_int_equal(
        tcb_status_relaunch(TCB_OUT_OF_DATE, TCB_SW_HARDENING_NEEDED), TCB_TD_RELAUNCH_ADVISED);
    assert_int_equal(tcb_status_relaunch(TCB_OUT_OF_DATE, TCB_CONFIGURATION_NEEDED),
        TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED);
    assert_int_equal(tcb_status_relaunch(TCB_OUT_OF_DATE_CONFIGURATION_NEEDED, TCB_UP_TO_DATE),
        TCB_TD_RELAUNCH_ADVISED_CONFIGURATION_NEEDED);
    assert_int_equal(tcb_status_relaunch(TCB_OUT_OF_DATE, TCB_OUT_OF_DATE), TCB_OUT_OF_DATE);
    assert_int_equal(tcb_status_relaunch(TCB_OUT_OF_DATE, TCB_REVOKED), TCB_OUT_OF_DATE);
    for (int i = 0; i <= TCB_CONFIGURATION_AND_SW_HARDENING_NEEDED; i++)
        assert_int_equal(tcb_status_relaunch((enum tcb_status)i, TCB_UP_TO_DATE), i);
}

static json_t *levels_json(void)
{
    static const char text[] =
        "[{\"tcb\":{\"isvsvn\":5},\"tcbDate\":\"2025-05-14T00:00:00Z\",\"tcbStatus\":\"UpToDate\"},"
        "{\"tcb\":{\"isvsvn\":3},\"tcbDate\":\"2024-01-02T03:04:05Z\",\"tcbStatus\":\"OutOfDate\","
        "\"advisoryIDs\":[\"INTEL-SA-2\",\"INTEL-SA-1\",\"INTEL-SA-2\"]},"
        "{\"tcb\":{\"isvsvn\":2},\"tcbDate\":\"2023-01-01T00:00:00Z\",\"tcbStatus\":\"Revoked\"}]";
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 4096, "levels", &json, &err), &err);
    return json;
}

static void test_level_of_svn(void **state)
{
    (void)state;
    static const struct {
        uint16_t svn;
        int status; /* -1: none */
    } rows[] = {{UINT16_MAX, TCB_UP_TO_DATE}, {5, TCB_UP_TO_DATE}, {4, TCB_OUT_OF_DATE},
        {3, TCB_OUT_OF_DATE}, {2, TCB_REVOKED}, {1, -1}, {0, -1}};
    auto_json *levels = levels_json();
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        struct tcb_level level;
        bool found = false;
        assert_done(tcb_level_of_svn(levels, rows[i].svn, "levels", &level, &found, &err), &err);
        assert_int_equal(found, rows[i].status >= 0);
        if (found)
            assert_int_equal(level.status, rows[i].status);
    }
}

/* The earliest date, each advisory once and in order, the status of all together. */
static void test_rating(void **state)
{
    (void)state;
    auto_json *levels = levels_json();
    auto_tcb_rating rating = {0};
    struct err err = ERR_INIT;
    struct tcb_level first, second;
    bool found = false;
    assert_done(tcb_level_of_svn(levels, 5, "levels", &first, &found, &err), &err);
    assert_done(tcb_level_of_svn(levels, 3, "levels", &second, &found, &err), &err);
    assert_done(tcb_rating_start(&rating, &first, &err), &err);
    assert_int_equal(rating.date, 1747180800);
    assert_done(tcb_rating_add(&rating, &second, &err), &err);
    assert_done(tcb_rating_add(&rating, &first, &err), &err);
    assert_string_equal(tcb_status_name(rating.status), "OutOfDate");
    assert_int_equal(rating.date, 1704164645);
    assert_int_equal(json_array_size(rating.advisories), 2);
    assert_string_equal(json_string_value(json_array_get(rating.advisories, 0)), "INTEL-SA-1");
    assert_string_equal(json_string_value(json_array_get(rating.advisories, 1)), "INTEL-SA-2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_converge),
        cmocka_unit_test(test_relaunch),
        cmocka_unit_test(test_level_of_svn),
        cmocka_unit_test(test_rating),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
