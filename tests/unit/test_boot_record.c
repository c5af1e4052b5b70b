/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of good boots, and what explanations make of it. */
#include "tests/unit/kbs_fixture.h"

#include "kbs/server/agents/boot_record.h"

#define AGENT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define AGENT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static json_t *claims_of(const char *digest, const char *status)
{
    json_t *claims = NULL;
    assert_done(json_build(&claims, &err,
                    "{s:{s:s,s:[i,i],s:[i]},s:[{s:i,s:s,s:[{s:s,s:s}],s:b,s:{s:s}},"
                    "{s:i,s:s,s:[{s:s,s:s}],s:b,s:{}}]}",
                    "event_log", "status", status, "pcrs", 4, 7, "differs", 9, "uefi_event_logs",
                    "index", 4, "type_name", "EV_IPL", "digests", "alg", "SHA-256", "digest",
                    digest, "digest_matches_event", 1, "details", "string", "loader", "index", 7,
                    "type_name", "EV_SEPARATOR", "digests", "alg", "SHA-256", "digest", "cc",
                    "digest_matches_event", 1, "details"),
        &err);
    return claims;
}

static json_t *findings_of(const char *claim, bool match)
{
    json_t *findings = NULL;
    assert_done(json_build(&findings, &err, "[{s:s,s:b}]", "claim", claim, "match", match), &err);
    return findings;
}

static json_t *explained(
    const char *agent, const char *tee, const json_t *claims, const char *claim)
{
    json_t *findings = findings_of(claim, false);
    assert_done(boot_record_explain(&kbs.server, agent, tee, claims, findings, &err), &err);
    return findings;
}

static const json_t *event_of(const json_t *findings, size_t index)
{
    return json_array_get(json_object_get(json_array_get(findings, 0), "events"), index);
}

static void keep(const char *agent, const char *tee, const json_t *claims)
{
    assert_done(boot_record_keep(&kbs.server, agent, tee, claims, &err), &err);
}

static void the_event_that_changed_is_named(void **state)
{
    (void)state;
    auto_json *good = claims_of("aa", "replayed"), *other = claims_of("bb", "replayed");
    keep(AGENT_A, "tpm", good);
    auto_json *findings = explained(AGENT_A, "tpm", other, "tpm.pcr04");
    const json_t *event = event_of(findings, 0);
    assert_string_equal(json_member_text(event, "change"), "changed");
    assert_string_equal(json_member_text(event, "was"), "aa");
    assert_string_equal(json_member_text(event, "digest"), "bb");
    assert_string_equal(json_member_text(event, "text"), "loader");
    assert_null(event_of(findings, 1));
    assert_string_equal(
        json_member_text(json_array_get(findings, 0), "events_since"), "2027-01-15T08:01:40Z");
    auto_json *same = explained(AGENT_A, "tpm", other, "tpm.pcr07");
    assert_string_equal(json_member_text(event_of(same, 0), "change"), "same");
}

/* Without a record the events of the register are shown, and nothing is called new. */
static void nothing_to_compare_with(void **state)
{
    (void)state;
    auto_json *claims = claims_of("aa", "replayed");
    auto_json *findings = explained(AGENT_B, "tpm", claims, "tpm.pcr04");
    assert_string_equal(json_member_text(event_of(findings, 0), "digest"), "aa");
    assert_null(json_object_get(event_of(findings, 0), "change"));
    assert_null(json_object_get(json_array_get(findings, 0), "events_since"));
}

static void assert_note(const json_t *claims, const char *tee, const char *claim, const char *text)
{
    auto_json *findings = explained(AGENT_A, tee, claims, claim);
    const char *note = json_member_text(json_array_get(findings, 0), "events_note");
    assert_null(json_object_get(json_array_get(findings, 0), "events"));
    if (!note || !strstr(note, text))
        fail_msg("%s: %s", claim, note ? note : "no note");
}

static void why_there_are_none(void **state)
{
    (void)state;
    auto_json *claims = claims_of("aa", "differs"), *none = json_object();
    auto_json *malformed = claims_of("aa", "malformed");
    assert_note(claims, "tpm", "tpm.pcr09", "do not lead to its value");
    assert_note(claims, "tpm", "tpm.pcr11", "has no event of this PCR");
    assert_note(malformed, "tpm", "tpm.pcr04", "cannot be read");
    assert_note(none, "tpm", "tpm.pcr04", "no event log came");
    assert_note(none, "tdx", "tdx.quote.body.rtmr_1", "no event log came");
}

static void only_registers_that_differ(void **state)
{
    (void)state;
    static const char *const others[] = {
        "tpm.pcr24", "tpm.pcr", "tpm.pcr04x", "tpm.ak_public", "tdx.quote.body.rtmr_4", "svn"};
    auto_json *claims = claims_of("aa", "replayed");
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        auto_json *findings = explained(AGENT_A, "tpm", claims, others[i]);
        assert_int_equal(json_object_size(json_array_get(findings, 0)), 2);
    }
    auto_json *good = findings_of("tpm.pcr04", true);
    assert_done(boot_record_explain(&kbs.server, NULL, "tpm", claims, good, &err), &err);
    assert_int_equal(json_object_size(json_array_get(good, 0)), 2);
}

/* RTMR 1 is index 2 of a CCEL; guests without a key of their own share a record, for an hour at least. */
static void guests_without_a_key(void **state)
{
    (void)state;
    auto_json *good = claims_of("aa", "replayed"), *other = claims_of("bb", "replayed");
    json_object_del(good, "event_log");
    json_object_del(other, "event_log");
    keep("", "tdx", good);
    keep("", "tdx", other);
    auto_json *first = explained(NULL, "tdx", other, "tdx.quote.body.rtmr_3");
    assert_string_equal(json_member_text(event_of(first, 0), "was"), "aa");
    kbs.now += 3600;
    keep("", "tdx", other);
    auto_json *later = explained("", "tdx", good, "tdx.quote.body.rtmr_3");
    assert_string_equal(json_member_text(event_of(later, 0), "was"), "bb");
}

static void a_boot_is_written_once(void **state)
{
    (void)state;
    auto_json *good = claims_of("aa", "replayed"), *findings = NULL;
    auto_buf before = BUF_INIT(1 << 20), after = BUF_INIT(1 << 20);
    keep(AGENT_A, "tpm", good);
    assert_done(store_get(kbs.server.store, STORE_BOOT, AGENT_A, &before, &err), &err);
    kbs.now += 100;
    keep(AGENT_A, "tpm", good);
    assert_done(store_get(kbs.server.store, STORE_BOOT, AGENT_A, &after, &err), &err);
    assert_string_equal(buf_text(&before), buf_text(&after));
    assert_done(boot_record_forget(&kbs.server, AGENT_A, &err), &err);
    assert_done(boot_record_forget(&kbs.server, AGENT_A, &err), &err);
    findings = explained(AGENT_A, "tpm", good, "tpm.pcr04");
    assert_null(json_object_get(json_array_get(findings, 0), "events_since"));
}

/* A log that was cut is no record, and proves nothing missing. */
static void a_cut_log(void **state)
{
    (void)state;
    auto_json *good = claims_of("aa", "replayed"), *cut = claims_of("aa", "replayed");
    keep(AGENT_A, "tpm", good);
    json_array_remove(json_object_get(cut, "uefi_event_logs"), 0);
    json_object_set_new(cut, "uefi_event_logs_trimmed", json_string("entries"));
    keep(AGENT_A, "tpm", cut);
    auto_json *findings = explained(AGENT_A, "tpm", cut, "tpm.pcr04");
    assert_null(event_of(findings, 0));
    assert_string_equal(
        json_member_text(json_array_get(findings, 0), "events_since"), "2027-01-15T08:01:40Z");
    json_object_del(cut, "uefi_event_logs_trimmed");
    auto_json *whole = explained(AGENT_A, "tpm", cut, "tpm.pcr04");
    assert_string_equal(json_member_text(event_of(whole, 0), "change"), "missing");
}

/* What is shown of one refusal is bounded; the differences go first. */
static void a_flood_of_events(void **state)
{
    (void)state;
    auto_json *good = claims_of("aa", "replayed"), *other = claims_of("aa", "replayed");
    for (int i = 0; i < 400; i++) {
        auto_json *copy =
            json_deep_copy(json_array_get(json_object_get(good, "uefi_event_logs"), 0));
        char digest[16];
        snprintf(digest, sizeof digest, "%08d", i);
        json_object_set_new(
            json_array_get(json_object_get(copy, "digests"), 0), "digest", json_string(digest));
        json_array_append(json_object_get(good, "uefi_event_logs"), copy);
        if (i != 399)
            json_array_append(json_object_get(other, "uefi_event_logs"), copy);
    }
    keep(AGENT_A, "tpm", good);
    auto_json *findings = explained(AGENT_A, "tpm", other, "tpm.pcr04");
    const json_t *events = json_object_get(json_array_get(findings, 0), "events");
    assert_int_equal(json_array_size(events), BOOT_EVENTS_SHOWN);
    assert_string_equal(
        json_member_text(json_array_get(events, BOOT_EVENTS_SHOWN - 1), "change"), "missing");
    assert_int_equal(
        json_integer_value(json_object_get(json_array_get(findings, 0), "events_left_out")),
        401 - BOOT_EVENTS_SHOWN);
}

#define WITH_KBS(test) cmocka_unit_test_setup_teardown(test, kbs_setup, kbs_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_KBS(the_event_that_changed_is_named),
        WITH_KBS(nothing_to_compare_with),
        WITH_KBS(why_there_are_none),
        WITH_KBS(only_registers_that_differ),
        WITH_KBS(guests_without_a_key),
        WITH_KBS(a_boot_is_written_once),
        WITH_KBS(a_cut_log),
        WITH_KBS(a_flood_of_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
