/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/eventlog_diff.h"

static json_t *parse(const char *text)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(json_load_strict(bytes_str(text), 1 << 20, "test", &json, &err), &err);
    return json;
}

static void assert_json(const json_t *got, const char *wanted_text)
{
    auto_json *wanted = parse(wanted_text);
    auto_free char *text = json_text(got);
    if (!json_equal((json_t *)(uintptr_t)got, wanted))
        fail_msg("%s\ninstead of %s", text, wanted_text);
}

#define ENTRY(index, type, digest, details)                     \
    "{\"index\":" index ",\"type_name\":\"" type                \
    "\",\"digests\":[{\"alg\":\"SHA-256\",\"digest\":\"" digest \
    "\"}],\"digest_matches_event\":true,\"details\":" details "}"

static void assert_text(const char *details, const char *wanted)
{
    struct err err = ERR_INIT;
    char log_text[2048];
    auto_json *brief = NULL;
    snprintf(log_text, sizeof log_text,
        "[{\"index\":1,\"type_name\":\"EV_IPL\",\"digests\":[{\"digest\":\"aa\"}],\"details\":%s}]",
        details);
    auto_json *log = parse(log_text);
    assert_done(eventlog_brief(log, &brief, &err), &err);
    assert_string_equal(json_member_text(json_array_get(brief, 0), "text"), wanted);
}

static void texts_of_events(void **state)
{
    (void)state;
    assert_text("{\"string\":\"grub_cmd linux\"}", "grub_cmd linux");
    assert_text("{\"string\":\"a b c\",\"unicode_name\":\"AAEL\"}", "AAEL: a b c");
    assert_text("{\"unicode_name\":\"SecureBoot\",\"variable_data\":\"AQ==\"}", "SecureBoot = 01");
    assert_text("{\"unicode_name\":\"db\",\"variable_data\":\"oVnApeSUp0qHtasVXCvw\"}", "db");
    assert_text("{\"unicode_name\":\"PK\",\"variable_data\":\"\"}", "PK");
    assert_text("{\"device_paths\":[\"Pci(0,3)\",\"File(kernel)\"]}", "Pci(0,3)/File(kernel)");
    assert_text("{\"string\":\"\\u001b[31m\\u00e9\"}", "?[31m??");
    assert_text("{}", "");
    assert_text("7", "");
}

/* A token's claims may hold anything. */
static void what_is_no_event_is_left_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *brief = NULL, *none = NULL;
    auto_json *log =
        parse("[1,{},{\"index\":1},{\"index\":\"1\",\"type_name\":\"EV_IPL\",\"digests\":"
              "[{\"digest\":\"aa\"}]}," ENTRY("4", "EV_NO_ACTION", "aa", "{}") "," ENTRY(
                  "4", "EV_IPL", "bb", "{}") "]");
    assert_done(eventlog_brief(log, &brief, &err), &err);
    assert_json(brief,
        "[{\"index\":4,\"type\":\"EV_IPL\",\"digest\":\"bb\",\"text\":\"\",\"proven\":true}]");
    assert_done(eventlog_brief(NULL, &none, &err), &err);
    assert_int_equal(json_array_size(none), 0);
}

static void a_long_log_is_cut(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *entry = parse(ENTRY("4", "EV_IPL", "bb", "{}")), *log = json_array(), *brief = NULL;
    for (int i = 0; i < 2 * EVENTLOG_BRIEF_MAX; i++)
        json_array_append(log, entry);
    assert_done(eventlog_brief(log, &brief, &err), &err);
    assert_int_equal(json_array_size(brief), EVENTLOG_BRIEF_MAX);
}

#define EVENT(type, digest, text)                                                   \
    "{\"index\":4,\"type\":\"" type "\",\"digest\":\"" digest "\",\"text\":\"" text \
    "\",\"proven\":false}"
#define SHOWN(type, digest, text, more)                                                            \
    "{\"type\":\"" type "\",\"digest\":\"" digest "\",\"text\":\"" text "\",\"proven\":false" more \
    "}"

static void assert_diff(const char *was_text, const char *now_text, const char *wanted)
{
    struct err err = ERR_INIT;
    auto_json *was = was_text ? parse(was_text) : NULL, *now = parse(now_text), *events = NULL;
    assert_done(eventlog_diff(was, now, 4, &events, &err), &err);
    assert_json(events, wanted);
}

static void differences(void **state)
{
    (void)state;
    assert_diff(NULL, "[" EVENT("A", "1", "x") "]", "[" SHOWN("A", "1", "x", "") "]");
    assert_diff("[]", "[]", "[]");
    assert_diff("[" EVENT("A", "1", "x") "]", "[" EVENT("A", "1", "x") "]",
        "[" SHOWN("A", "1", "x", ",\"change\":\"same\"") "]");
    assert_diff("[" EVENT("A", "1", "x") "]", "[" EVENT("A", "2", "x") "]",
        "[" SHOWN("A", "2", "x", ",\"change\":\"changed\",\"was\":\"1\"") "]");
    assert_diff("[" EVENT("A", "1", "x") "]", "[" EVENT("A", "2", "y") "]",
        "[" SHOWN("A", "2", "y", ",\"change\":\"changed\",\"was\":\"1\",\"was_text\":\"x\"") "]");
    assert_diff("[" EVENT("A", "1", "x") "]", "[" EVENT("B", "2", "x") "]",
        "[" SHOWN("B", "2", "x", ",\"change\":\"new\"") "," SHOWN(
            "A", "1", "x", ",\"change\":\"missing\"") "]");
    /* What kept its name is paired before what is only of a kind. */
    assert_diff("[" EVENT("A", "1", "x") "," EVENT("A", "2", "y") "]",
        "[" EVENT("A", "3", "y") "," EVENT("A", "4", "z") "]",
        "[" SHOWN("A", "3", "y", ",\"change\":\"changed\",\"was\":\"2\"") "," SHOWN(
            "A", "4", "z", ",\"change\":\"changed\",\"was\":\"1\",\"was_text\":\"x\"") "]");
    /* The same events in another order. */
    assert_diff("[" EVENT("A", "1", "x") "," EVENT("A", "2", "y") "]",
        "[" EVENT("A", "2", "y") "," EVENT("A", "1", "x") "]",
        "[" SHOWN("A", "2", "y", ",\"change\":\"same\"") "," SHOWN(
            "A", "1", "x", ",\"change\":\"moved\"") "]");
    /* Equal ones are counted. */
    assert_diff("[" EVENT("A", "1", "x") "]", "[" EVENT("A", "1", "x") "," EVENT("A", "1", "x") "]",
        "[" SHOWN("A", "1", "x", ",\"change\":\"same\"") "," SHOWN(
            "A", "1", "x", ",\"change\":\"new\"") "]");
}

static void other_registers_are_left_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json *now = parse("[" EVENT("A", "1", "x") "]"), *events = NULL;
    assert_done(eventlog_diff(now, now, 5, &events, &err), &err);
    assert_int_equal(json_array_size(events), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_of_events),
        cmocka_unit_test(what_is_no_event_is_left_out),
        cmocka_unit_test(a_long_log_is_cut),
        cmocka_unit_test(differences),
        cmocka_unit_test(other_registers_are_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
