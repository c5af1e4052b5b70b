/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/eventlog_trim.h"

#include <string.h>

#define LOG     "uefi_event_logs"
#define TRIMMED "uefi_event_logs_trimmed"
#define SHORT   64 /* characters of a variable's value: SecureBoot, BootOrder */

static size_t text_size(const json_t *json)
{
    return json_dumpb(json, NULL, 0, JSON_COMPACT);
}

static size_t value_count(const json_t *json)
{
    size_t count = 1, index;
    const char *name;
    const json_t *value;
    json_array_foreach(json, index, value)
    {
        count += value_count(value);
    }
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        count += value_count(value);
    }
    return count;
}

bool eventlog_is_over(const json_t *claims, size_t max)
{
    const json_t *log = json_object_get(claims, LOG);
    return log && (text_size(log) > max || value_count(log) > EVENTLOG_VALUES_MAX);
}

static bool drop_data(json_t *entry)
{
    json_t *details = json_object_get(entry, "details");
    const char *value = json_member_text(details, "variable_data");
    json_object_del(entry, "event"); /* -1: it is not there */
    if (value && strlen(value) > SHORT)
        json_object_del(details, "variable_data");
    return true;
}

static bool drop_details(json_t *entry)
{
    return !json_object_get(entry, "details") ||
           json_object_set_new(entry, "details", json_object()) == 0;
}

/* Boot loaders, load options, Secure Boot: what reference values and policies are about. */
static bool drop_lesser_details(json_t *entry)
{
    static const char *const kept[] = {
        "EV_EFI_BOOT_SERVICES_APPLICATION", "EV_EVENT_TAG", "EV_EFI_VARIABLE_"};
    const char *type = json_member_text(entry, "type_name");
    for (size_t i = 0; type && i < ARRAY_LEN(kept); i++)
        if (strncmp(type, kept[i], strlen(kept[i])) == 0)
            return true;
    return drop_details(entry);
}

static const struct {
    const char *name;
    bool (*drop)(json_t *entry); /* false: out of memory */
} steps[] = {
    {"event", drop_data},
    {"details", drop_lesser_details},
    {"details", drop_details},
};

static void drop_entries(json_t *log, size_t max)
{
    size_t size = strlen("[]"), values = 1, count = 0;
    while (count < json_array_size(log)) {
        size += text_size(json_array_get(log, count)) + strlen(",");
        values += value_count(json_array_get(log, count));
        if (size > max || values > EVENTLOG_VALUES_MAX)
            break;
        count++;
    }
    while (json_array_size(log) > count)
        json_array_remove(log, json_array_size(log) - 1);
}

bool eventlog_trim(json_t *claims, size_t max, struct err *err)
{
    json_t *log = json_object_get(claims, LOG), *entry;
    const char *done = NULL;
    size_t index;
    for (size_t step = 0; step < ARRAY_LEN(steps) && eventlog_is_over(claims, max); step++) {
        json_array_foreach(log, index, entry)
        {
            if (!steps[step].drop(entry))
                return err_nomem(err);
        }
        done = steps[step].name;
    }
    if (eventlog_is_over(claims, max)) {
        drop_entries(log, max);
        done = "entries";
    }
    return !done || json_object_set_new(claims, TRIMMED, json_string(done)) == 0 || err_nomem(err);
}
