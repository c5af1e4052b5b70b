/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/eventlog.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "fs/resolve_changes.h"

#define TPM   TEST_SOURCE_DIR "/vectors/eventlog/tpm.bin"
#define OTHER TEST_SOURCE_DIR "/vectors/eventlog/tpm-other.bin"

#define EVIDENCE(a, b) "{\"ak_public\":\"x\",\"tpm_quote\":{\"pcrs\":[\"" a "\",\"" b "\"]}}"

static json_t *changes(const char *accepted, const char *latest)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(resolve_changes(accepted, latest, &json, &err), &err);
    return json;
}

static void names_the_pcr_and_both_values(void **state)
{
    (void)state;
    auto_json *json = changes(EVIDENCE("00", "aa"), EVIDENCE("00", "bb"));
    auto_free char *text = json_text(json);
    assert_string_equal(text, "[{\"pcr\":1,\"was\":\"aa\",\"now\":\"bb\"}]");
}

static void equal_evidence_has_no_change(void **state)
{
    (void)state;
    auto_json *json = changes(EVIDENCE("00", "aa"), EVIDENCE("00", "aa"));
    assert_int_equal(json_array_size(json), 0);
}

static void other_evidence_has_no_pcrs(void **state)
{
    (void)state;
    auto_json *none = changes(NULL, EVIDENCE("00", "aa"));
    assert_int_equal(json_array_size(none), 0);
    auto_json *sample = changes("{\"svn\":\"1\"}", "{\"svn\":\"2\"}");
    assert_int_equal(json_array_size(sample), 0);
}

static void garbage_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_refused(resolve_changes("{", "{}", &json, &err), &err, ERR_FORMAT, "accepted evidence");
    assert_null(json);
}

/* Evidence of a boot with this log: PCRs as the log leads to them, but for `pcr` (24: none), which something extended besides. */
static char *evidence_of(const char *path, size_t pcr)
{
    struct err err = ERR_INIT;
    auto_buf raw = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    struct eventlog_pcr replayed[EVENTLOG_PCRS + 1] = {0};
    auto_json *pcrs = json_array(), *evidence = NULL;
    assert_done(file_read(path, EVENTLOG_MAX, &raw, &err) &&
                    eventlog_parse(buf_bytes(&raw), &log, &err) &&
                    eventlog_replay_pcrs(&log, replayed, &err),
        &err);
    replayed[pcr].value[0] ^= 0x55;
    for (size_t i = 0; i < EVENTLOG_PCRS; i++) {
        char hex[65];
        hex_encode(bytes_of(replayed[i].value, 32), hex);
        json_array_append_new(pcrs, json_string(hex));
    }
    auto_free char *text = b64_encode(B64_STD, buf_bytes(&raw));
    assert_done(
        json_build(&evidence, &err, "{s:s,s:{s:O}}", "event_log", text, "tpm_quote", "pcrs", pcrs),
        &err);
    return json_text(evidence);
}

static void the_event_is_named(void **state)
{
    (void)state;
    auto_free char *before = evidence_of(TPM, 24), *after = evidence_of(OTHER, 24);
    auto_json *json = changes(before, after);
    assert_int_equal(json_array_size(json), 2);
    const json_t *four = json_array_get(json, 0), *nine = json_array_get(json, 1);
    assert_int_equal(json_integer_value(json_object_get(four, "pcr")), 4);
    const json_t *added = json_array_get(json_object_get(four, "events"), 0);
    assert_int_equal(json_array_size(json_object_get(four, "events")), 1);
    assert_string_equal(json_member_text(added, "change"), "new");
    assert_string_equal(json_member_text(added, "text"), "File(\\EFI\\other.efi)");
    assert_true(json_is_false(json_object_get(added, "proven")));
    assert_int_equal(json_integer_value(json_object_get(nine, "pcr")), 9);
    const json_t *changed = json_array_get(json_object_get(nine, "events"), 0);
    assert_string_equal(json_member_text(changed, "change"), "changed");
    assert_string_equal(json_member_text(changed, "text"), "Linux initrd");
}

/* What the log does not lead to is not explained by it, and one that cannot be read is no failure. */
static void a_log_that_is_of_no_help(void **state)
{
    (void)state;
    auto_free char *before = evidence_of(TPM, 24), *extended = evidence_of(TPM, 11);
    auto_free char *spoilt = evidence_of(TPM, 4);
    auto_json *unlogged = changes(before, extended), *differs = changes(before, spoilt);
    assert_non_null(strstr(json_member_text(json_array_get(unlogged, 0), "events_note"),
        "without writing to the firmware's log"));
    assert_null(json_object_get(json_array_get(unlogged, 0), "events"));
    assert_non_null(json_object_get(json_array_get(differs, 0), "events_note"));
    auto_json *garbage = changes("{\"event_log\":\"%\",\"tpm_quote\":{\"pcrs\":[\"00\"]}}",
        "{\"event_log\":7,\"tpm_quote\":{\"pcrs\":[\"01\"]}}");
    assert_int_equal(json_array_size(garbage), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_pcr_and_both_values),
        cmocka_unit_test(equal_evidence_has_no_change),
        cmocka_unit_test(other_evidence_has_no_pcrs),
        cmocka_unit_test(garbage_is_an_error),
        cmocka_unit_test(the_event_is_named),
        cmocka_unit_test(a_log_that_is_of_no_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
