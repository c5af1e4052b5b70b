/* SPDX-License-Identifier: Apache-2.0 */
/* sealed kbs explain: why the broker refused, with claim, got, expected and rule (kbs/server/explain.h). */
#include "fs/cli/broker.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/clock.h"
#include "fs/cli/events.h"

#define ROUTE "/explanation"

struct explain_args {
    struct broker_args broker;
    bool json, list;
};

static const struct cli_option options_table[] = {
    {"list", 'l', CLI_FLAG, offsetof(struct explain_args, list), NULL,
        "list the refusals that are kept, newest first as the broker orders them"},
    {"json", 0, CLI_FLAG, offsetof(struct explain_args, json), NULL, "print JSON"},
    BROKER_OPTIONS,
};

/* A member as text, whatever it is; times in seconds become readable. */
static const char *shown(const json_t *object, const char *name, char *room, size_t size)
{
    const json_t *value = json_object_get(object, name);
    if (json_is_string(value))
        return json_string_value(value);
    if (json_is_integer(value) && strcmp(name, "time") == 0 && size >= CLOCK_TEXT_SIZE)
        clock_rfc3339(json_integer_value(value), room);
    else if (json_is_integer(value))
        snprintf(room, size, "%lld", (long long)json_integer_value(value));
    else
        room[0] = '\0';
    return room;
}

static bool print_line(const char *label, const json_t *object, const char *name, struct err *err)
{
    char room[64];
    const char *text = shown(object, name, room, sizeof room);
    return !text[0] || tool_printf(err, "%-10s %s\n", label, text);
}

#define EXPECTED_SHOWN 4 /* of a long list; the rest is counted */

/* One value, or any of several, one a line. */
static bool print_expected(const json_t *expected, struct err *err)
{
    size_t i;
    const json_t *value;
    if (!json_is_array(expected)) {
        auto_free char *text =
            json_is_string(expected) ? strdup(json_string_value(expected)) : json_text(expected);
        return tool_printf(err, "    expected  %s\n", text ? text : "-");
    }
    json_array_foreach(expected, i, value)
    {
        if (i == EXPECTED_SHOWN && json_array_size(expected) > EXPECTED_SHOWN + 1)
            return tool_printf(err, "        or  one of %zu more (--json shows all)\n",
                json_array_size(expected) - i);
        auto_free char *text =
            json_is_string(value) ? strdup(json_string_value(value)) : json_text(value);
        if (!tool_printf(err, "    %s  %s\n", i == 0 ? "expected" : "      or", text ? text : "-"))
            return false;
    }
    return i > 0 || tool_printf(err, "    expected  (the list is empty)\n");
}

static bool print_note(const json_t *finding, struct err *err)
{
    const char *note = json_member_text(finding, "note");
    return !note || tool_printf(err, "    note      %s\n", note);
}

/* What matched is told in a line, what did not in full. */
static bool print_finding(const json_t *finding, struct err *err)
{
    char room[64], line_room[64];
    const char *line = shown(finding, "line", line_room, sizeof line_room);
    bool match = json_is_true(json_object_get(finding, "match"));
    if (!tool_printf(err, "\n  %s %s\n",
            match ? "holds:  " : "differs:", shown(finding, "claim", room, sizeof room)))
        return false;
    return tool_printf(err, "    got       %s\n", shown(finding, "got", room, sizeof room)) &&
           print_expected(json_object_get(finding, "expected"), err) &&
           tool_printf(err, "    rule      %s%s%s%s\n", line[0] ? "line " : "", line,
               line[0] ? ": " : "", shown(finding, "rule", room, sizeof room)) &&
           print_note(finding, err) && events_print(finding, "    ", err);
}

/* What to do about each class of cause. */
static bool print_remedy(const json_t *explanation, struct err *err)
{
    static const struct {
        const char *kind, *remedy;
    } remedies[] = {
        {"policy", "where the guest is good, set the reference values that differ (sealed kbs "
                   "reference-value add), else look at the guest; sealed kbs policy get shows the "
                   "rules"},
        {"resource", "put the resource, or a new version of it (sealed kbs put)"},
        {"token", "look at the guest's agent (sealed kbs agent list) and at [attestation] tees"},
        {"bad token", "the guest attests again by itself; if it does not help, compare the clocks, "
                      "and the keys that the broker trusts ([token])"},
        {"session",
            "the guest begins again by itself; if it does not help, compare the clocks, and "
            "see whether the guest is slower than [attestation] session"},
        {"enrolment", "see whether the TPM's certificate is of a maker in [attestation] ek_roots"},
    };
    const char *kind = json_member_text(explanation, "kind");
    for (size_t i = 0; kind && i < ARRAY_LEN(remedies); i++)
        if (strcmp(remedies[i].kind, kind) == 0)
            return tool_printf(err, "\n%-10s %s\n", "remedy:", remedies[i].remedy);
    return true;
}

static bool print_explanation(const json_t *explanation, struct err *err)
{
    static const struct {
        const char *label, *name;
    } lines[] = {{"refused:", "time"}, {"id:", "id"}, {"what:", "kind"}, {"resource:", "resource"},
        {"evidence:", "tee"}, {"agent:", "agent"}, {"cause:", "summary"}};
    size_t i;
    const json_t *finding;
    for (size_t k = 0; k < ARRAY_LEN(lines); k++)
        if (!print_line(lines[k].label, explanation, lines[k].name, err))
            return false;
    json_array_foreach(json_object_get(explanation, "findings"), i, finding)
    {
        if (!print_finding(finding, err))
            return false;
    }
    return print_remedy(explanation, err);
}

static bool print_list(const json_t *list, struct err *err)
{
    size_t i;
    const json_t *entry;
    if (!json_is_array(list))
        return err_set(err, ERR_FORMAT, "the key broker's answer is no list of explanations");
    json_array_foreach(list, i, entry)
    {
        char time_room[64], room[64];
        const char *id = json_is_string(entry) ? json_string_value(entry)
                                               : shown(entry, "id", room, sizeof room);
        if (!tool_printf(err, "%s  %s  %s\n", id, shown(entry, "time", time_room, sizeof time_room),
                shown(entry, "summary", room, sizeof room)))
            return false;
    }
    return true;
}

static bool run_explain(const void *options, char **operands, int operand_count, struct err *err)
{
    const struct explain_args *args = options;
    auto_broker *broker = NULL;
    auto_json *answer = NULL;
    char path[128] = ROUTE;
    if (args->list == (operand_count > 0))
        return err_set(err, ERR_CONFIG, "give the ID of a refusal, or --list");
    if (!args->list) {
        size_t len = strlen(operands[0]);
        if (len > 64 || strspn(operands[0], "0123456789abcdefABCDEF-") != len)
            return err_set(err, ERR_CONFIG,
                "\"%.80s\" is no id of a refusal; the guest's `sealed explain PATH` and the "
                "broker's log give it",
                operands[0]);
        snprintf(path, sizeof path, ROUTE "/%s", operands[0]);
    }
    if (!broker_open(&args->broker, &broker, err) || !broker_get_json(broker, path, &answer, err))
        return false;
    if (args->json)
        return tool_print_json(answer, err);
    return args->list ? print_list(answer, err) : print_explanation(answer, err);
}

const struct cli_command tool_kbs_explain = {
    .name = "kbs explain",
    .operands = "[ID]",
    .operands_max = 1,
    .summary = "say why the key broker refused: claim, got, expected and rule",
    .detail = "ID is what the guest's `sealed explain PATH`, its log and the broker's log show. "
              "Exit status: 11 none of that id is kept any more.",
    .options = options_table,
    .option_count = ARRAY_LEN(options_table),
    .args_size = sizeof(struct explain_args),
    .run = run_explain,
};
