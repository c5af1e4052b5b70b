/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event logs as claims, with the members and encodings of Trustee's `uefi_event_logs`:
 *     [{"details":{…},"digest_matches_event":true,"digests":[{"alg":"SHA-384","digest":hex}],"event":std64,"index":1,"type_name":"EV_…"},…]
 * details, each only where the event has it:
 *     string, unicode_name, unicode_name_length, variable_name, variable_data (std64), variable_data_length, device_paths[], data
 *
 * Where doing as Trustee does would be a mistake: only what the replay made true becomes a claim. So a record of no measured
 * register (but for EV_NO_ACTION of a CCEL, which measures nothing and says so in its name) is left out, and of a record's digests
 * only that of the replayed bank is listed: a policy that looks for a digest in this list must not find one that a guest merely wrote down.
 * Event data that cannot be read as its type says gives no details, and refuses nothing.
 */
#pragma once

#include "attest/verify/eventlog.h"
#include "crypt/base/json.h"

/* JSON of an AAEL event's content: deeper or longer stays text. */
#define EVENTLOG_CONTENT_DEPTH 6
#define EVENTLOG_CONTENT_MAX   16384

bool eventlog_details(const struct eventlog_event *event, json_t **ret_details, struct err *err)
    MUST_CHECK;
/* Of a log whose replay gave the quote's RTMRs. */
bool eventlog_rtmr_claims(const struct eventlog *log, json_t **ret_claims, struct err *err)
    MUST_CHECK;
/* Of those PCRs (bit 0: PCR 0) whose replay gave the quoted value. EV_NO_ACTION proves nothing there. */
bool eventlog_pcr_claims(
    const struct eventlog *log, uint32_t pcrs, json_t **ret_claims, struct err *err) MUST_CHECK;
