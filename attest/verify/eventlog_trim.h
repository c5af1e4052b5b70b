/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Event logs grow without asking how large a message may be: certificates in Secure Boot variables, a GRUB that logs every command.
 * A token must fit into the head of an HTTP request, and claims into a message of the verifier's; so the claim `uefi_event_logs` gives way, in
 * steps, as far as it must: first the raw event data and the values of variables (those that are longer than a switch or a boot order), then details but for those that policies look at, then
 * all details, at last whole entries from the end. What stays is as it was: nothing is cut in the middle. How far it went is told by a claim beside it:
 * "uefi_event_logs_trimmed": "event" | "details" | "entries".
 */
#pragma once

#include "crypt/base/json.h"

/* Strings, numbers… in a log, whatever their length: who reads it builds an object of each. */
#define EVENTLOG_VALUES_MAX 32768

/* So that `claims` has at most `max` bytes of event log (compact JSON), and EVENTLOG_VALUES_MAX values. Changes `claims` and what it holds. */
bool eventlog_trim(json_t *claims, size_t max, struct err *err) MUST_CHECK;
/* Is the log in these claims longer? */
bool eventlog_is_over(const json_t *claims, size_t max);
