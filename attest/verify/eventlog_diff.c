/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog_diff.h"

#include <stdio.h>

#include "crypt/base/b64.h"

#define VALUE_TEXT_MAX 12 /* base64 of a variable's value that is shown: 8 bytes */

/* -- brief ------------------------------------------------------------------------------------- */

struct text {
    char chars[EVENTLOG_TEXT_SIZE];
    size_t len;
};

/* Texts end up on terminals. */
static void add(struct text *text, const char *more)
{
    for (; *more && text->len + 1 < sizeof text->chars; more++)
        text->chars[text->len++] = *more >= ' ' && *more <= '~' ? *more : '?';
    text->chars[text->len] = '\0';
}

static void add_paths(struct text *text, const json_t *paths)
{
    size_t index;
    const json_t *path;
    json_array_foreach(paths, index, path)
    {
        add(text, index > 0 ? "/" : "");
        add(text, json_is_string(path) ? json_string_value(path) : "?");
    }
}

/* SecureBoot, BootOrder: the value says it all. A certificate does not. */
static void add_value(struct text *text, const char *std64)
{
    struct err ignored = ERR_INIT;
    auto_buf raw = BUF_INIT(VALUE_TEXT_MAX);
    char hex[2 * VALUE_TEXT_MAX + 1];
    if (!std64 || !*std64 || strlen(std64) > VALUE_TEXT_MAX ||
        !b64_decode(B64_STD, bytes_str(std64), "value", &raw, &ignored))
        return;
    hex_encode(buf_bytes(&raw), hex);
    add(text, " = ");
    add(text, hex);
}

static void describe(const json_t *details, struct text *text)
{
    const char *name = json_member_text(details, "unicode_name");
    const char *string = json_member_text(details, "string");
    if (string) {
        add(text, name ? name : "");
        add(text, name ? ": " : "");
        add(text, string);
    } else if (name) {
        add(text, name);
        add_value(text, json_member_text(details, "variable_data"));
    } else {
        add_paths(text, json_object_get(details, "device_paths"));
    }
}

static bool append_brief(const json_t *entry, json_t *brief, struct err *err)
{
    struct text text = {.len = 0};
    auto_json *made = NULL;
    const json_t *index = json_object_get(entry, "index");
    const json_t *digests = json_object_get(entry, "digests");
    const char *digest = json_member_text(json_array_get(digests, 0), "digest");
    const char *type = json_member_text(entry, "type_name");
    if (!json_is_integer(index) || !digest || !type || strcmp(type, "EV_NO_ACTION") == 0)
        return true;
    describe(json_object_get(entry, "details"), &text);
    if (!json_build(&made, err, "{s:I,s:s,s:s,s:s,s:b}", "index", json_integer_value(index), "type",
            type, "digest", digest, "text", text.chars, "proven",
            json_is_true(json_object_get(entry, "digest_matches_event"))))
        return false;
    return json_array_append(brief, made) == 0 || err_nomem(err);
}

bool eventlog_brief(const json_t *log, json_t **ret_brief, struct err *err)
{
    auto_json *brief = json_array();
    size_t index;
    const json_t *entry;
    if (!brief)
        return err_nomem(err);
    json_array_foreach(log, index, entry)
    {
        if (json_array_size(brief) == EVENTLOG_BRIEF_MAX)
            break;
        if (!append_brief(entry, brief, err))
            return false;
    }
    *ret_brief = take_ptr(brief);
    return true;
}

/* -- differences ------------------------------------------------------------------------------- */

struct side {
    const json_t *events[EVENTLOG_BRIEF_MAX];
    size_t count;
    /* Of `was`: taken by an event of now. Of `now`: its partner in `was`, or NOBODY. */
    size_t partner[EVENTLOG_BRIEF_MAX];
};

#define NOBODY SIZE_MAX

static void pick(const json_t *brief, int64_t index, struct side *side)
{
    size_t i;
    const json_t *event;
    side->count = 0;
    json_array_foreach(brief, i, event)
    {
        const json_t *of = json_object_get(event, "index");
        if (!json_is_integer(of) || json_integer_value(of) != index ||
            !json_member_text(event, "digest") || !json_member_text(event, "type") ||
            !json_member_text(event, "text"))
            continue;
        if (side->count == EVENTLOG_BRIEF_MAX)
            break;
        side->partner[side->count] = NOBODY;
        side->events[side->count++] = event;
    }
}

static bool same(const json_t *a, const json_t *b, const char *name)
{
    return strcmp(json_member_text(a, name), json_member_text(b, name)) == 0;
}

/* Each event of now that has no partner yet takes the first free one that agrees in all these members. */
static void pair(struct side *was, struct side *now, const char *const *names, size_t name_count)
{
    for (size_t i = 0; i < now->count; i++) {
        for (size_t j = 0; j < was->count && now->partner[i] == NOBODY; j++) {
            size_t agree = 0;
            while (agree < name_count && same(now->events[i], was->events[j], names[agree]))
                agree++;
            if (agree < name_count || was->partner[j] != NOBODY)
                continue;
            now->partner[i] = j;
            was->partner[j] = i;
        }
    }
}

/* First what is equal, then what has the same name, then what is at least of a kind. */
static void pair_all(struct side *was, struct side *now)
{
    pair(was, now, (const char *const[]){"digest", "type"}, 2);
    pair(was, now, (const char *const[]){"type", "text"}, 2);
    pair(was, now, (const char *const[]){"type"}, 1);
}

static bool append_event(
    json_t *events, const json_t *event, const char *change, const json_t *before, struct err *err)
{
    auto_json *made = json_copy((json_t *)(uintptr_t)event);
    if (!made)
        return err_nomem(err);
    json_object_del(made, "index");
    bool done = !change || json_object_set_new(made, "change", json_string(change)) == 0;
    if (before) {
        done = done && json_object_set(made, "was", json_object_get(before, "digest")) == 0;
        if (!same(event, before, "text"))
            done = done && json_object_set(made, "was_text", json_object_get(before, "text")) == 0;
    }
    return (done && json_array_append(events, made) == 0) || err_nomem(err);
}

static bool append_now(json_t *events, const struct side *was, const struct side *now, size_t i,
    size_t *last, struct err *err)
{
    size_t partner = now->partner[i];
    if (partner == NOBODY)
        return append_event(events, now->events[i], "new", NULL, err);
    const json_t *before = was->events[partner];
    if (!same(now->events[i], before, "digest"))
        return append_event(events, now->events[i], "changed", before, err);
    bool moved = *last != NOBODY && partner < *last;
    if (!moved)
        *last = partner;
    return append_event(events, now->events[i], moved ? "moved" : "same", NULL, err);
}

bool eventlog_diff(
    const json_t *was, const json_t *now, int64_t index, json_t **ret_events, struct err *err)
{
    auto_json *events = json_array();
    auto_free struct side *before = calloc(2, sizeof *before);
    size_t last = NOBODY;
    if (!events || !before)
        return err_nomem(err);
    struct side *after = &before[1];
    pick(was, index, &before[0]);
    pick(now, index, after);
    pair_all(&before[0], after);
    for (size_t i = 0; i < after->count; i++)
        if (!(was ? append_now(events, &before[0], after, i, &last, err)
                  : append_event(events, after->events[i], NULL, NULL, err)))
            return false;
    for (size_t j = 0; j < before[0].count; j++)
        if (before[0].partner[j] == NOBODY &&
            !append_event(events, before[0].events[j], "missing", NULL, err))
            return false;
    *ret_events = take_ptr(events);
    return true;
}
