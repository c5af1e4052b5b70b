/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verifier process does with one request, as pure functions: no descriptor, no file. Here, and
 * only here, what a guest sent to /attest, /attestation and /agent/enroll is parsed.
 */
#pragma once

#include "crypt/base/secret.h"
#include "kbs/server/verifier/verifier_wire.h"

/* Always gives an answer that fits: judgement, refusal or failure. `credential`: of ENROL, else NULL. False only when not even a
 * failure can be written. */
bool verifier_judge(const struct verifier_request *request, const struct secret *credential,
    struct buf *ret_answer, struct err *err) MUST_CHECK;

/* -- for the two kinds of judgement (verifier_judge.c, judge_evidence.c, judge_rest.c) -- */

bool judge_evidence(const struct verifier_request *request, struct verifier_answer *answer,
    struct err *err) MUST_CHECK;
bool judge_rest(const struct verifier_request *request, struct verifier_answer *answer,
    struct err *err) MUST_CHECK;
/* An error about the input becomes a reason: true. Trouble of our own: false. */
bool judge_note(struct verdict *verdict, const char *check, const char *expected,
    const struct err *err) MUST_CHECK;
/* The answer becomes a refusal with these reasons. */
void judge_refuse(struct verifier_answer *answer, const struct verdict *verdict);
