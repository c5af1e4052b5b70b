/* SPDX-License-Identifier: Apache-2.0 */
/* Event logs: whatever they say of themselves, what is read lies inside of them, and they replay and become claims of any size. */
#include "attest/verify/eventlog_details.h"
#include "attest/verify/eventlog_trim.h"

/* The claims can be read back, and cut to any size. */
static void check_claims(json_t *list, size_t max)
{
    struct err err = ERR_INIT;
    auto_json *claims = NULL, *again = NULL;
    if (!json_build(&claims, &err, "{s:O}", "uefi_event_logs", list))
        __builtin_trap();
    auto_free char *text = json_text(claims);
    if (!text || !json_load_strict(bytes_str(text), strlen(text), "claims", &again, &err) ||
        !eventlog_trim(again, max, &err) || eventlog_is_over(again, max))
        __builtin_trap();
}

static bool inside(struct bytes part, const uint8_t *data, size_t size)
{
    return part.len == 0 ||
           (part.data >= data && part.len <= size && (size_t)(part.data - data) <= size - part.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    auto_eventlog log = {0};
    struct hash rtmrs[EVENTLOG_RTMRS];
    struct eventlog_pcr pcrs[EVENTLOG_PCRS];
    if (!eventlog_parse(bytes_of(data, size), &log, &err))
        return err.code == ERR_FORMAT ? 0 : (__builtin_trap(), 0);
    for (size_t i = 0; i < log.count; i++) {
        const struct eventlog_event *event = &log.events[i];
        if (!inside(event->data, data, size) || !eventlog_type_name(event->type))
            __builtin_trap();
        for (size_t k = 0; k < event->digest_count; k++)
            if (!inside(event->digests[k].value, data, size))
                __builtin_trap();
    }
    if (!eventlog_replay_rtmrs(&log, rtmrs, &err))
        __builtin_trap();
    if (!eventlog_replay_pcrs(&log, pcrs, &err) && err.code != ERR_FORMAT)
        __builtin_trap();
    auto_json *cc = NULL, *tpm = NULL;
    if (!eventlog_rtmr_claims(&log, &cc, &err) || !eventlog_pcr_claims(&log, 0xffffff, &tpm, &err))
        __builtin_trap();
    check_claims(cc, 2 + size % 4096);
    check_claims(tpm, 2 + size % 4096);
    return 0;
}
