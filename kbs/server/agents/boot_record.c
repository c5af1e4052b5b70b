/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/boot_record.h"

#include <stdio.h>

#include "attest/verify/eventlog_diff.h"
#include "crypt/base/clock.h"

#define RECORD_MAX   (512u * 1024)
#define KEY_SIZE     96
#define SHARED_AGE_S 3600
#define PCR_COUNT    24
#define RTMR_COUNT   4

/* -- the record -------------------------------------------------------------------------------- */

static bool is_shared(const char *agent)
{
    return !agent || !*agent;
}

static void record_key(const char *agent, const char *tee, char key[KEY_SIZE])
{
    if (is_shared(agent))
        snprintf(key, KEY_SIZE, "tee-%.32s", tee);
    else
        snprintf(key, KEY_SIZE, "%.64s", agent);
}

/* *ret_record NULL: there is none. */
static bool load(struct server *server, const char *key, json_t **ret_record, struct err *err)
{
    auto_buf text = BUF_INIT(RECORD_MAX);
    struct err cause = ERR_INIT;
    *ret_record = NULL;
    if (!store_get(server->store, STORE_BOOT, key, &text, &cause)) {
        if (cause.code == ERR_NOTFOUND)
            return true;
        *err = cause;
        return err_wrap(err, "record of a boot");
    }
    return json_load_strict(buf_bytes(&text), RECORD_MAX, "record of a boot", ret_record, err);
}

/* A TPM's log is as good as its status; one of TDX was refused if it did not lead to the quote. A cut one would make events "missing". */
static bool is_whole(const json_t *claims)
{
    const json_t *log = json_object_get(claims, "uefi_event_logs");
    const char *trimmed = json_member_text(claims, "uefi_event_logs_trimmed");
    return json_array_size(log) > 0 && json_array_size(log) <= EVENTLOG_BRIEF_MAX &&
           !(trimmed && strcmp(trimmed, "entries") == 0);
}

static bool is_young(const json_t *record, int64_t now)
{
    int64_t kept = 0;
    struct err ignored = ERR_INIT;
    const char *time = json_member_text(record, "time");
    return time && clock_parse_rfc3339(bytes_str(time), "time", &kept, &ignored) &&
           now - kept < SHARED_AGE_S;
}

bool boot_record_keep(struct server *server, const char *agent, const char *tee,
    const json_t *claims, struct err *err)
{
    auto_json *old = NULL, *events = NULL, *record = NULL;
    char key[KEY_SIZE], when[CLOCK_TEXT_SIZE];
    int64_t now = server_now(server);
    if (!is_whole(claims))
        return true;
    record_key(agent, tee, key);
    if (!load(server, key, &old, err) ||
        !eventlog_brief(json_object_get(claims, "uefi_event_logs"), &events, err))
        return false;
    if (old && (json_equal(json_object_get(old, "events"), events) ||
                   (is_shared(agent) && is_young(old, now))))
        return true;
    clock_rfc3339(now, when);
    if (!json_build(&record, err, "{s:s,s:O}", "time", when, "events", events))
        return false;
    auto_free char *text = json_text(record);
    if (!text)
        return err_nomem(err);
    return store_put(server->store, STORE_BOOT, key, bytes_str(text), err) ||
           err_wrap(err, "record of a boot");
}

bool boot_record_forget(struct server *server, const char *agent, struct err *err)
{
    struct err cause = ERR_INIT;
    char key[KEY_SIZE];
    record_key(agent, "", key);
    if (store_delete(server->store, STORE_BOOT, key, &cause) || cause.code == ERR_NOTFOUND)
        return true;
    *err = cause;
    return err_wrap(err, "record of a boot");
}

/* -- which registers a finding is about -------------------------------------------------------- */

/* `prefix` and a number below `count`; -1: it is something else. */
static int numbered(const char *claim, const char *prefix, int count)
{
    size_t len = strlen(prefix);
    char *end = NULL;
    if (strncmp(claim, prefix, len) != 0 || claim[len] < '0' || claim[len] > '9')
        return -1;
    unsigned long number = strtoul(claim + len, &end, 10);
    return *end == '\0' && number < (unsigned long)count ? (int)number : -1;
}

/* Its index in the event log; -1: no register. */
static int register_of(const char *claim)
{
    int rtmr = numbered(claim, "tdx.quote.body.rtmr_", RTMR_COUNT);
    return rtmr >= 0 ? rtmr + 1 : numbered(claim, "tpm.pcr", PCR_COUNT);
}

static bool lists(const json_t *status, const char *name, int number)
{
    size_t index;
    const json_t *value;
    json_array_foreach(json_object_get(status, name), index, value)
    {
        if (json_is_integer(value) && json_integer_value(value) == number)
            return true;
    }
    return false;
}

/* NULL: there is a log, and it has events of this register. */
static const char *why_no_events(const json_t *claims, const char *tee, int index)
{
    const json_t *status = json_object_get(claims, "event_log");
    const char *said = json_member_text(status, "status");
    if (strcmp(tee, "tpm") != 0)
        return json_object_get(claims, "uefi_event_logs") ? NULL
                                                          : "no event log came with the evidence";
    if (!said)
        return "no event log came with the evidence: the guest's sealed-attestd has none ([tpm] "
               "event_log)";
    if (strcmp(said, "malformed") == 0)
        return "the event log that came with the evidence cannot be read, see tpm.event_log";
    if (lists(status, "differs", index))
        return "the events of this PCR do not lead to its value: something extended it without "
               "writing to the firmware's log, or the log is not of this boot";
    return lists(status, "pcrs", index) ? NULL : "the event log has no event of this PCR";
}

/* -- explaining -------------------------------------------------------------------------------- */

struct compared {
    const json_t *was; /* NULL: nothing is known */
    const char *since;
    json_t *now;
    bool cut;    /* events may be absent because they were cut off: none is "missing" */
    size_t left; /* events that may still be shown */
};

static bool is_change(const json_t *event, const char *name)
{
    const char *change = json_member_text(event, "change");
    return change && strcmp(change, name) == 0;
}

/* Takes out the ones that are in vain, then the equal ones, then the last. */
static size_t shorten(json_t *events, const struct compared *compared)
{
    size_t before = json_array_size(events);
    for (size_t i = json_array_size(events); i-- > 0;)
        if (compared->cut && is_change(json_array_get(events, i), "missing"))
            json_array_remove(events, i);
    for (size_t i = json_array_size(events); i-- > 0 && json_array_size(events) > compared->left;)
        if (is_change(json_array_get(events, i), "same"))
            json_array_remove(events, i);
    while (json_array_size(events) > compared->left)
        json_array_remove(events, json_array_size(events) - 1);
    return before - json_array_size(events);
}

static bool add_events(struct compared *compared, json_t *finding, int index, struct err *err)
{
    auto_json *events = NULL;
    if (!eventlog_diff(compared->was, compared->now, index, &events, err))
        return false;
    size_t left_out = shorten(events, compared);
    compared->left -= json_array_size(events);
    bool done = json_object_set(finding, "events", events) == 0;
    if (compared->since)
        done =
            done && json_object_set_new(finding, "events_since", json_string(compared->since)) == 0;
    if (left_out > 0)
        done = done && json_object_set_new(
                           finding, "events_left_out", json_integer((json_int_t)left_out)) == 0;
    return done || err_nomem(err);
}

static bool explain_finding(struct compared *compared, const char *tee, const json_t *claims,
    json_t *finding, struct err *err)
{
    const char *claim = json_member_text(finding, "claim");
    int index = claim ? register_of(claim) : -1;
    if (json_is_true(json_object_get(finding, "match")) || index < 0)
        return true;
    const char *why = why_no_events(claims, tee, index);
    if (why)
        return json_object_set_new(finding, "events_note", json_string(why)) == 0 || err_nomem(err);
    return add_events(compared, finding, index, err);
}

bool boot_record_explain(struct server *server, const char *agent, const char *tee,
    const json_t *claims, json_t *findings, struct err *err)
{
    auto_json *record = NULL, *now = NULL;
    char key[KEY_SIZE];
    size_t index;
    json_t *finding;
    const char *trimmed = json_member_text(claims, "uefi_event_logs_trimmed");
    if (!tee || !json_is_object(claims))
        return true;
    record_key(agent, tee, key);
    if (!load(server, key, &record, err) ||
        !eventlog_brief(json_object_get(claims, "uefi_event_logs"), &now, err))
        return false;
    struct compared compared = {
        .was = json_object_get(record, "events"),
        .since = json_member_text(record, "time"),
        .now = now,
        .cut = json_array_size(json_object_get(claims, "uefi_event_logs")) > EVENTLOG_BRIEF_MAX ||
               (trimmed && strcmp(trimmed, "entries") == 0),
        .left = BOOT_EVENTS_SHOWN,
    };
    json_array_foreach(findings, index, finding)
    {
        if (!explain_finding(&compared, tee, claims, finding, err))
            return false;
    }
    return true;
}
