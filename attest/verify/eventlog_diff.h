/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a person wants to know of event logs: which event made a register differ. For both ends: the key broker, which knows a token's claims and
 * what its agent's last good boot was like, and the guest, which knows its own logs.
 */
#pragma once

#include "crypt/base/json.h"

#define EVENTLOG_BRIEF_MAX 512 /* events that are remembered of a log */
#define EVENTLOG_TEXT_SIZE 161 /* of one event, with the NUL; printable ASCII */

/*
 * `log` is the claim `uefi_event_logs` (NULL: none; members of whatever type, since a log may come from a token). Gives
 *     [{"index":4,"type":"EV_…","digest":hex,"text":"File(kernel)","proven":bool},…]
 * in the log's order, at most EVENTLOG_BRIEF_MAX; what is none of the kind is left out. `proven`: the digest is that of the event data, so the text is
 * as true as the quote; else it is what the log says.
 */
bool eventlog_brief(const json_t *log, json_t **ret_brief, struct err *err) MUST_CHECK;

/*
 * The events of register `index` in `now`, each with a "change" against `was` (another brief list): "same", "moved" (it came elsewhere in the order), "new",
 * "changed" (then "was" is the earlier digest, and "was_text" its text where that differs), and behind them those that are "missing". `was` NULL: nothing to
 * compare with, so no "change".
 */
bool eventlog_diff(const json_t *was, const json_t *now, int64_t index, json_t **ret_events,
    struct err *err) MUST_CHECK;
