/* SPDX-License-Identifier: Apache-2.0 */
/* Asking a verifier process about evidence with all that the configuration says beside the evidence: dates, trust anchors, collateral,
 * the TEEs that are taken. */
#pragma once

#include "kbs/server/server.h"
#include "kbs/server/verifier/verifier.h"

/* `request` has its kind, tee, nonce and body; the rest is filled in here. An answer is accepted, refused or failed: what a verifier needs and
 * nobody has is a refusal. As verifier_ask() otherwise. */
bool verification_ask(struct server *server, struct verifier_request *request, struct buf *message,
    struct verifier_answer *ret_answer, struct err *err) MUST_CHECK;
/* The reasons of a refusal as findings of an explanation: [{"claim","got","expected","rule","match"},…]. */
bool verification_findings(
    const struct verifier_answer *answer, json_t **ret_findings, struct err *err) MUST_CHECK;
