/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an agent's last good boot was like, and how this one differs: so that an explanation names the event and not only the register.
 * A guest is remembered when its evidence is affirming and came with an event log that the registers bear out: in STORE_BOOT, under the agent's id, as
 *     {"time":RFC 3339,"events":[{"index","type","digest","text","proven"},…]}          (attest/verify/eventlog_diff.h, at most 512 events)
 * Guests without an enrolled key (TDX) are not told apart; they share the record "tee-<tee>", which is replaced once an hour at most: the last good boot of
 * any of them, which is what a fleet of one image wants to compare with.
 */
#pragma once

#include "kbs/server/server.h"

/* Of one refusal, all findings together; those that differ go first. */
#define BOOT_EVENTS_SHOWN 128

/* After an affirming appraisal. `agent` may be "". Writes only when the boot is another than the one that is kept. */
bool boot_record_keep(struct server *server, const char *agent, const char *tee,
    const json_t *claims, struct err *err) MUST_CHECK;

/*
 * Adds to each finding of a register that does not match ("tpm.pcr04", "tdx.quote.body.rtmr_1"):
 *     "events": as eventlog_diff() gives them, "events_since": RFC 3339 of the record compared with,
 *     "events_left_out": how many are not shown, or "events_note": why there are none.
 * `agent` may be NULL.
 */
bool boot_record_explain(struct server *server, const char *agent, const char *tee,
    const json_t *claims, json_t *findings, struct err *err) MUST_CHECK;

/* The agent is gone. */
bool boot_record_forget(struct server *server, const char *agent, struct err *err) MUST_CHECK;
