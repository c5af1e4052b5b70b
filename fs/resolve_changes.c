/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/resolve_changes.h"

#include <string.h>

#include "attest/verify/eventlog_diff.h"
#include "attest/verify/tpm_log.h"
#include "attest/wire.h"
#include "crypt/base/b64.h"

/* One piece of evidence, and what its event log says. */
struct boot {
    json_t *evidence;
    json_t *claims; /* of tpm_log_claims(); NULL: no log came with it */
    json_t *brief;  /* its events, those of PCRs that the log leads to */
};

static void boot_done(struct boot *boot)
{
    json_unref(boot->evidence);
    json_unref(boot->claims);
    json_unref(boot->brief);
}

/* tpm evidence: {"tpm_quote":{"pcrs":[hex × 24]}} (protocol.md C.1). NULL when it has none. */
static const json_t *boot_pcrs(const struct boot *boot)
{
    return json_object_get(json_object_get(boot->evidence, "tpm_quote"), "pcrs");
}

static const char *boot_pcr(const struct boot *boot, size_t pcr)
{
    return json_string_value(json_array_get(boot_pcrs(boot), pcr));
}

static bool boot_read(const char *evidence, const char *what, struct boot *boot, struct err *err)
{
    return json_load_strict(bytes_str(evidence), ATTEST_EVIDENCE_MAX, what, &boot->evidence, err);
}

static bool read_pcrs(const struct boot *boot, uint8_t ret_pcrs[EVENTLOG_PCRS][32], struct err *err)
{
    for (size_t i = 0; i < EVENTLOG_PCRS; i++) {
        const char *hex = boot_pcr(boot, i);
        if (!hex || !hex_decode(bytes_str(hex), "PCR", ret_pcrs[i], 32, err))
            return false;
    }
    return true;
}

/* Only once something differs: it is a few hundred hashes. */
static bool boot_read_log(struct boot *boot, struct err *err)
{
    uint8_t pcrs[EVENTLOG_PCRS][32];
    struct err cause = ERR_INIT;
    auto_buf log = BUF_INIT(EVENTLOG_MAX);
    auto_json *claims = json_object();
    const char *text = json_member_text(boot->evidence, "event_log");
    if (!claims)
        return err_nomem(err);
    if (!text)
        return true;
    if (!read_pcrs(boot, pcrs, &cause) ||
        !b64_decode(B64_STD, bytes_str(text), "event_log", &log, &cause))
        return cause.code != ERR_NOMEM || err_nomem(err);
    if (!tpm_log_claims(buf_bytes(&log), (const uint8_t(*)[32])pcrs, claims, err) ||
        !eventlog_brief(json_object_get(claims, "uefi_event_logs"), &boot->brief, err))
        return false;
    boot->claims = take_ptr(claims);
    return true;
}

static bool leads_to(const struct boot *boot, size_t pcr)
{
    size_t index;
    const json_t *value;
    json_array_foreach(
        json_object_get(json_object_get(boot->claims, "event_log"), "pcrs"), index, value)
    {
        if (json_integer_value(value) == (json_int_t)pcr)
            return true;
    }
    return false;
}

/* NULL: both logs lead to their values. */
static const char *no_help(const struct boot *before, const struct boot *after, size_t pcr)
{
    if (!before->claims || !after->claims)
        return "one of the two has no event log to compare ([tpm] event_log of sealed-attestd)";
    return leads_to(before, pcr) && leads_to(after, pcr)
               ? NULL
               : "the event log does not lead to this PCR's value: something extended it without "
                 "writing to the firmware's log";
}

static bool only_changes(json_t *events, size_t *left)
{
    for (size_t i = json_array_size(events); i-- > 0;) {
        const char *change = json_member_text(json_array_get(events, i), "change");
        if (change && strcmp(change, "same") == 0)
            json_array_remove(events, i);
    }
    while (json_array_size(events) > *left)
        json_array_remove(events, json_array_size(events) - 1);
    *left -= json_array_size(events);
    return true;
}

static bool add_events(json_t *change, const struct boot *before, const struct boot *after,
    size_t pcr, size_t *left, struct err *err)
{
    auto_json *events = NULL;
    if (!before->claims && !after->claims)
        return true;
    const char *note = no_help(before, after, pcr);
    if (note)
        return json_object_set_new(change, "events_note", json_string(note)) == 0 || err_nomem(err);
    return eventlog_diff(before->brief, after->brief, (int64_t)pcr, &events, err) &&
           only_changes(events, left) &&
           (json_object_set(change, "events", events) == 0 || err_nomem(err));
}

static bool append_change(json_t *changes, struct boot *before, struct boot *after, size_t pcr,
    size_t *left, struct err *err)
{
    auto_json *change = NULL;
    bool first = json_array_size(changes) == 0;
    if (first && (!boot_read_log(before, err) || !boot_read_log(after, err)))
        return false;
    return json_build(&change, err, "{s:i,s:s,s:s}", "pcr", (int)pcr, "was", boot_pcr(before, pcr),
               "now", boot_pcr(after, pcr)) &&
           add_events(change, before, after, pcr, left, err) &&
           (json_array_append(changes, change) == 0 || err_nomem(err));
}

bool resolve_changes(const char *accepted_evidence, const char *latest_evidence,
    json_t **ret_changes, struct err *err)
{
    AUTO_DONE(boot_done) struct boot before = {0}, after = {0};
    auto_json *changes = json_array();
    size_t left = RESOLVE_EVENTS_MAX;
    if (!changes)
        return err_nomem(err);
    if (accepted_evidence && latest_evidence &&
        (!boot_read(accepted_evidence, "accepted evidence", &before, err) ||
            !boot_read(latest_evidence, "latest evidence", &after, err)))
        return false;
    size_t count = json_array_size(boot_pcrs(&before));
    for (size_t pcr = 0; pcr < count && pcr < json_array_size(boot_pcrs(&after)); pcr++) {
        const char *was = boot_pcr(&before, pcr), *now = boot_pcr(&after, pcr);
        if (was && now && strcmp(was, now) != 0 &&
            !append_change(changes, &before, &after, pcr, &left, err))
            return false;
    }
    *ret_changes = take_ptr(changes);
    return true;
}
