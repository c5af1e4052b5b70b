/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a verifier process does with one request, as pure functions: no descriptor, no file. Here, and
 * only here, what a guest sent to /attest and /agent/enroll is parsed.
 */
#pragma once

#include "crypt/base/secret.h"
#include "kbs/server/verifier_wire.h"

/* Always gives an answer that fits: judgement, refusal or failure. `credential`: of ENROL, else NULL. False only when not even a
 * failure can be written. */
bool verifier_judge(const struct verifier_request *request, const struct secret *credential,
    struct buf *ret_answer, struct err *err) MUST_CHECK;
