/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "attest/verify/eventlog_trim.h"

#define ENTRIES 30

static json_t *claims_of(const char *type, size_t event_len, size_t text_len)
{
    struct err err = ERR_INIT;
    json_t *claims = NULL;
    auto_json *log = json_array();
    auto_free char *event = calloc(1, event_len + 1), *text = calloc(1, text_len + 1);
    memset(event, 'A', event_len);
    memset(text, 't', text_len);
    for (size_t i = 0; i < ENTRIES; i++) {
        auto_json *entry = NULL;
        assert_done(json_build(&entry, &err, "{s:{s:s,s:s},s:s,s:[{s:s}],s:i,s:s}", "details",
                        "string", text, "variable_data", event, "event", event, "digests", "digest",
                        "00", "index", (int)i, "type_name", i % 2 ? type : "EV_EVENT_TAG"),
            &err);
        assert_int_equal(json_array_append(log, entry), 0);
    }
    assert_done(
        json_build(&claims, &err, "{s:O,s:s}", "uefi_event_logs", log, "pcr00", "aa"), &err);
    return claims;
}

static size_t size_of(const json_t *claims)
{
    auto_free char *text = json_text(json_object_get(claims, "uefi_event_logs"));
    return strlen(text);
}

static const json_t *entry_of(const json_t *claims, size_t index)
{
    return json_array_get(json_object_get(claims, "uefi_event_logs"), index);
}

static void trim(json_t *claims, size_t max, const char *wanted)
{
    struct err err = ERR_INIT;
    assert_done(eventlog_trim(claims, max, &err), &err);
    assert_true(size_of(claims) <= max);
    assert_false(eventlog_is_over(claims, max));
    const char *said = json_member_text(claims, "uefi_event_logs_trimmed");
    assert_true(wanted ? said && strcmp(said, wanted) == 0 : !said);
    assert_string_equal(json_member_text(claims, "pcr00"), "aa");
}

static void what_fits_is_left_alone(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 100, 10);
    auto_json *before = json_deep_copy(claims);
    trim(claims, size_of(claims), NULL);
    assert_true(json_equal(claims, before));
    auto_json *none = json_object();
    struct err err = ERR_INIT;
    assert_done(eventlog_trim(none, 1, &err), &err);
    assert_int_equal(json_object_size(none), 0);
}

static void raw_data_goes_first(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 1000, 10);
    trim(claims, 8000, "event");
    assert_null(json_object_get(entry_of(claims, 1), "event"));
    const json_t *details = json_object_get(entry_of(claims, 1), "details");
    assert_null(json_object_get(details, "variable_data"));
    assert_string_equal(json_member_text(details, "string"), "tttttttttt");
    assert_int_equal(json_array_size(json_object_get(claims, "uefi_event_logs")), ENTRIES);
}

static void switches_stay(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 1000, 10);
    json_t *details = json_object_get((json_t *)(uintptr_t)entry_of(claims, 0), "details");
    json_object_set_new(details, "variable_data", json_string("AQ=="));
    trim(claims, 8000, "event");
    assert_string_equal(
        json_member_text(json_object_get(entry_of(claims, 0), "details"), "variable_data"), "AQ==");
}

/* Many small values are as much work as a long text. */
static void values_count_as_well(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 1, 1);
    json_t *many = json_array();
    for (size_t i = 0; i < EVENTLOG_VALUES_MAX; i++)
        json_array_append_new(many, json_integer(1));
    json_object_set_new(
        json_object_get((json_t *)(uintptr_t)entry_of(claims, 1), "details"), "data", many);
    trim(claims, 1 << 20, "details");
}

static void then_details_that_matter_less(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 10, 500);
    trim(claims, 12000, "details");
    assert_int_equal(json_object_size(json_object_get(entry_of(claims, 1), "details")), 0);
    assert_int_equal(json_object_size(json_object_get(entry_of(claims, 0), "details")), 2);
}

static void then_all_details(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_EFI_VARIABLE_BOOT", 10, 500);
    trim(claims, 4000, "details");
    assert_int_equal(json_object_size(json_object_get(entry_of(claims, 0), "details")), 0);
    assert_int_equal(json_array_size(json_object_get(claims, "uefi_event_logs")), ENTRIES);
}

static void at_last_entries_from_the_end(void **state)
{
    (void)state;
    auto_json *claims = claims_of("EV_IPL", 10, 10);
    trim(claims, 500, "entries");
    size_t left = json_array_size(json_object_get(claims, "uefi_event_logs"));
    assert_true(left > 2 && left < ENTRIES);
    assert_int_equal(
        json_integer_value(json_object_get(entry_of(claims, left - 1), "index")), left - 1);
    assert_string_equal(json_member_text(entry_of(claims, 0), "type_name"), "EV_EVENT_TAG");
    trim(claims, 2, "entries");
    assert_int_equal(json_array_size(json_object_get(claims, "uefi_event_logs")), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_left_alone),
        cmocka_unit_test(raw_data_goes_first),
        cmocka_unit_test(switches_stay),
        cmocka_unit_test(values_count_as_well),
        cmocka_unit_test(then_details_that_matter_less),
        cmocka_unit_test(then_all_details),
        cmocka_unit_test(at_last_entries_from_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
