/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event log that may lie beside a TPM quote: the member "event_log" of `tpm` evidence, standard base64 of what the kernel shows as
 * binary_bios_measurements. CoCo's evidence has no such member and its verifier ignores it. The log explains and decides nothing: userspace
 * extends PCRs without writing here (systemd 11 to 13 and 15, IMA 10, init data 8), so a log that does not lead to the quoted value is
 * everyday, and no reason to refuse a guest whose quote is good. But what it says then counts for nothing:
 *
 *     "event_log": {"status":"replayed","pcrs":[0,…],"differs":[],"unlogged":[11]}    every PCR that it has events of is as quoted
 *                  {"status":"differs","pcrs":[…],"differs":[4],"unlogged":[…]}       those that differ are not explained
 *                  {"status":"malformed","problem":"…"}                               nothing is
 *     "uefi_event_logs": [...]   the events of "pcrs", as in eventlog_details.h
 * "unlogged" are the PCRs that were extended and that the log has no event of. A policy that wants a log asks for the status "replayed".
 */
#pragma once

#include "attest/verify/eventlog.h"
#include "crypt/base/json.h"

/* Adds both claims. False only for trouble of our own. */
bool tpm_log_claims(struct bytes log, const uint8_t pcrs[EVENTLOG_PCRS][32], json_t *claims,
    struct err *err) MUST_CHECK;
