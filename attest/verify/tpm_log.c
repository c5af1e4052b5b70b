/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tpm_log.h"

#include "attest/verify/eventlog_details.h"

#define PCR_SIZE 32

/* Bit 0 is PCR 0. */
struct outcome {
    uint32_t replayed, differs, unlogged;
};

static bool is_all(const uint8_t *value, uint8_t byte)
{
    for (size_t i = 0; i < PCR_SIZE; i++)
        if (value[i] != byte)
            return false;
    return true;
}

static struct outcome compare(
    const struct eventlog_pcr *replayed, const uint8_t quoted[EVENTLOG_PCRS][PCR_SIZE])
{
    struct outcome outcome = {0};
    for (uint32_t i = 0; i < EVENTLOG_PCRS; i++) {
        bool reset = is_all(quoted[i], 0) || is_all(quoted[i], 0xff);
        bool same = memcmp(replayed[i].value, quoted[i], PCR_SIZE) == 0;
        if (replayed[i].events == 0)
            outcome.unlogged |= (uint32_t)!reset << i;
        else if (same)
            outcome.replayed |= UINT32_C(1) << i;
        else
            outcome.differs |= UINT32_C(1) << i;
    }
    return outcome;
}

static bool put_list(json_t *status, const char *name, uint32_t bits, struct err *err)
{
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    for (int i = 0; i < EVENTLOG_PCRS; i++)
        if ((bits >> i & 1) != 0 && json_array_append_new(list, json_integer(i)) != 0)
            return err_nomem(err);
    return json_object_set(status, name, list) == 0 || err_nomem(err);
}

static bool put_status(
    json_t *claims, const struct outcome *outcome, const char *problem, struct err *err)
{
    auto_json *status = NULL;
    const char *name = problem ? "malformed" : outcome->differs ? "differs" : "replayed";
    if (!json_build(&status, err, "{s:s,s:s*}", "status", name, "problem", problem))
        return false;
    if (!problem && !(put_list(status, "pcrs", outcome->replayed, err) &&
                        put_list(status, "differs", outcome->differs, err) &&
                        put_list(status, "unlogged", outcome->unlogged, err)))
        return false;
    return json_object_set(claims, "event_log", status) == 0 || err_nomem(err);
}

bool tpm_log_claims(
    struct bytes log, const uint8_t pcrs[EVENTLOG_PCRS][32], json_t *claims, struct err *err)
{
    auto_eventlog events = {0};
    auto_json *list = NULL;
    struct eventlog_pcr replayed[EVENTLOG_PCRS];
    struct err cause = ERR_INIT;
    if (!eventlog_parse(log, &events, &cause) || !eventlog_replay_pcrs(&events, replayed, &cause)) {
        if (cause.code == ERR_FORMAT)
            return put_status(claims, NULL, cause.message, err);
        *err = cause;
        return false;
    }
    struct outcome outcome = compare(replayed, pcrs);
    if (!put_status(claims, &outcome, NULL, err) ||
        !eventlog_pcr_claims(&events, outcome.replayed, &list, err))
        return false;
    return json_object_set(claims, "uefi_event_logs", list) == 0 || err_nomem(err);
}
