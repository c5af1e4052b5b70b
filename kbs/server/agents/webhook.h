/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The webhook ([agents] webhook): agents that were gated are told to whoever acts on it, one POST of a JSON object an event, through the
 * courier (courier.h), from a thread of its own, so that nothing waits for it:
 *
 *     {"event":"failed"|"late"|"duplicate"|"revoked","agent":ID,"uuid":…,"time":RFC 3339,"reason":…,"explanation":id}
 *
 * An answer other than 2xx, or none, is tried again WEBHOOK_TRIES times in all, longer apart each time; then, and when more than
 * WEBHOOK_QUEUE wait, the event is lost and the log says which. Events may come twice. Thread-safe.
 */
#pragma once

#include "crypt/base/json.h"
#include "kbs/server/outbound/courier.h"

#define WEBHOOK_TARGET "webhook"
#define WEBHOOK_QUEUE  256
#define WEBHOOK_TRIES  6

struct webhook;

/* Starts the thread. After courier_start(). A courier without such a target: *ret_webhook is NULL, which the others take. */
bool webhook_start(struct courier *courier, struct webhook **ret_webhook, struct err *err)
    MUST_CHECK;
/* What waits is lost, and the log says how much. */
void webhook_stop(struct webhook *webhook);
/* Queues. */
void webhook_send(struct webhook *webhook, const json_t *event);

struct webhook_stats {
    uint64_t sent, lost;
    size_t waiting;
};
struct webhook_stats webhook_stats(struct webhook *webhook); /* NULL is fine: zeroes */
