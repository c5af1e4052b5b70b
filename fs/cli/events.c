/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/events.h"

#include <string.h>

static const char *text_of(const json_t *event, const char *name)
{
    const char *text = json_member_text(event, name);
    return text ? text : "";
}

/* What the text is worth: of a program the digest is measured, not the name that the log gives it. */
static bool print_event(const json_t *event, const char *indent, struct err *err)
{
    const char *was = json_member_text(event, "was");
    const char *was_text = json_member_text(event, "was_text");
    const char *change = text_of(event, "change");
    bool proven = json_is_true(json_object_get(event, "proven"));
    bool named = *text_of(event, "text") != '\0';
    if (!tool_printf(err, "%s%-8s %s%s%s%s%s\n", indent, *change ? change : "event",
            text_of(event, "type"), named ? " \"" : "", text_of(event, "text"), named ? "\"" : "",
            named && !proven ? " (as the log calls it)" : ""))
        return false;
    if (!was)
        return tool_printf(err, "%s         %s\n", indent, text_of(event, "digest"));
    return tool_printf(err, "%s         was %s%s%s%s\n%s         now %s\n", indent, was,
        was_text ? " \"" : "", was_text ? was_text : "", was_text ? "\"" : "", indent,
        text_of(event, "digest"));
}

bool events_print(const json_t *of, const char *indent, struct err *err)
{
    const json_t *events = json_object_get(of, "events");
    const char *note = json_member_text(of, "events_note");
    const char *since = json_member_text(of, "events_since");
    long long left_out = json_integer_value(json_object_get(of, "events_left_out"));
    size_t i;
    const json_t *event;
    if (note && !tool_printf(err, "%sevents: %s\n", indent, note))
        return false;
    if (json_array_size(events) > 0 &&
        !tool_printf(err, "%sevents%s%s:\n", indent, since ? ", against the good boot of " : "",
            since ? since : ""))
        return false;
    json_array_foreach(events, i, event)
    {
        if (!print_event(event, indent, err))
            return false;
    }
    return left_out <= 0 || tool_printf(err, "%sand %lld more\n", indent, left_out);
}
