/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/eventlog_details.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"

#define CCEL    TEST_SOURCE_DIR "/vectors/eventlog/ccel.bin"
#define TPM     TEST_SOURCE_DIR "/vectors/eventlog/tpm.bin"
#define DETAILS TEST_SOURCE_DIR "/vectors/eventlog/details.json"

static json_t *load_json(const char *path)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1 << 20);
    json_t *json = NULL;
    assert_done(file_read(path, 1 << 20, &text, &err) &&
                    json_load_strict(buf_bytes(&text), 1 << 20, path, &json, &err),
        &err);
    return json;
}

static void load_log(const char *path, struct buf *raw, struct eventlog *ret_log)
{
    struct err err = ERR_INIT;
    assert_done(
        file_read(path, EVENTLOG_MAX, raw, &err) && eventlog_parse(buf_bytes(raw), ret_log, &err),
        &err);
}

static void assert_json(const json_t *got, const json_t *wanted)
{
    auto_free char *got_text = json_text(got), *wanted_text = json_text(wanted);
    if (!json_equal((json_t *)(uintptr_t)got, (json_t *)(uintptr_t)wanted))
        fail_msg("%s\ninstead of %s", got_text, wanted_text);
}

/* Each of [{"type":number,"data":hex,"details":{…}},…]: forms that guests in the field have, and some that cannot be read. */
static void details_of_known_events(void **state)
{
    (void)state;
    auto_json *cases = load_json(DETAILS);
    size_t index;
    json_t *one;
    assert_true(json_array_size(cases) > 40);
    json_array_foreach(cases, index, one)
    {
        struct err err = ERR_INIT;
        uint8_t data[1024];
        auto_json *details = NULL;
        const char *hex = json_member_text(one, "data");
        size_t len = strlen(hex) / 2;
        assert_true(len <= sizeof data);
        assert_done(hex_decode(bytes_str(hex), "data", data, len, &err), &err);
        struct eventlog_event event = {
            .type = (uint32_t)json_integer_value(json_object_get(one, "type")),
            .data = bytes_of(data, len)};
        assert_done(eventlog_details(&event, &details, &err), &err);
        assert_json(details, json_object_get(one, "details"));
    }
}

static void claims_of_a_ccel(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    auto_json *claims = NULL, *wanted = NULL;
    load_log(CCEL, &raw, &log);
    assert_done(eventlog_rtmr_claims(&log, &claims, &err), &err);
    assert_int_equal(json_array_size(claims), 19);
    assert_done(
        json_build(&wanted, &err, "{s:{s:s,s:s,s:{s:s,s:s,s:s}},s:b,s:[{s:s,s:s}],s:s,s:i,s:s}",
            "details", "string", "domain operation content", "unicode_name", "AAEL", "data",
            "domain", "domain", "operation", "operation", "content", "content",
            "digest_matches_event", 1, "digests", "alg", "SHA-384", "digest",
            "dad5f0e226318ffa9839b75a472c6aa7fdb5834949d0a0a22990cf04d5692440"
            "fb00f3aa0609db7e49cd8d793f670d02",
            "event", "TEVBQRgAAABkb21haW4gb3BlcmF0aW9uIGNvbnRlbnQ=", "index", 4, "type_name",
            "EV_EVENT_TAG"),
        &err);
    assert_json(json_array_get(claims, 17), wanted);
    const json_t *kernel = json_array_get(claims, 10);
    assert_string_equal(
        json_string_value(
            json_array_get(json_object_get(json_object_get(kernel, "details"), "device_paths"), 1)),
        "File(kernel)");
    assert_true(json_is_false(json_object_get(kernel, "digest_matches_event")));
    assert_string_equal(json_member_text(json_array_get(claims, 0), "type_name"), "EV_NO_ACTION");
}

/* What the replay does not cover is no claim: a kernel's digest that was only written down, in a register that is none or in another bank. */
static void what_is_not_replayed_is_no_claim(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const uint8_t value[64] = {1};
    struct eventlog_event events[] = {
        {.index = 0,
            .type = EV_EFI_BOOT_SERVICES_APPLICATION,
            .digests = {{EVENTLOG_SHA384, bytes_of(value, 48)}},
            .digest_count = 1},
        {.index = 5,
            .type = EV_EFI_BOOT_SERVICES_APPLICATION,
            .digests = {{EVENTLOG_SHA384, bytes_of(value, 48)}},
            .digest_count = 1},
        {.index = 1,
            .type = EV_EFI_BOOT_SERVICES_APPLICATION,
            .digests = {{EVENTLOG_SHA256, bytes_of(value, 32)}},
            .digest_count = 1},
        {.index = 1,
            .type = EV_EFI_ACTION,
            .digests = {{EVENTLOG_SHA256, bytes_of(value, 32)},
                {EVENTLOG_SHA384, bytes_of(value, 48)}},
            .digest_count = 2},
    };
    struct eventlog log = {.events = events, .count = ARRAY_LEN(events)};
    auto_json *claims = NULL, *tpm = NULL;
    assert_done(eventlog_rtmr_claims(&log, &claims, &err), &err);
    assert_int_equal(json_array_size(claims), 1);
    const json_t *digests = json_object_get(json_array_get(claims, 0), "digests");
    assert_int_equal(json_array_size(digests), 1);
    assert_string_equal(json_member_text(json_array_get(digests, 0), "alg"), "SHA-384");
    assert_done(eventlog_pcr_claims(&log, 1u << 1, &tpm, &err), &err);
    assert_int_equal(json_array_size(tpm), 2);
}

static void claims_of_a_tpm(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    auto_json *claims = NULL, *some = NULL;
    load_log(TPM, &raw, &log);
    assert_done(eventlog_pcr_claims(&log, 0xffffff, &claims, &err), &err);
    assert_int_equal(json_array_size(claims), log.count - 1); /* the locality proves nothing */
    assert_done(eventlog_pcr_claims(&log, 1u << 4, &some, &err), &err);
    assert_int_equal(json_array_size(some), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(some, 1), "index")), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(details_of_known_events),
        cmocka_unit_test(claims_of_a_ccel),
        cmocka_unit_test(what_is_not_replayed_is_no_claim),
        cmocka_unit_test(claims_of_a_tpm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
