/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a verifier's answer to a token: each piece of evidence (the primary one, then the devices) is appraised against the reference values,
 * and all of them become submods of one token.
 */
#pragma once

#include "kbs/server/server.h"
#include "kbs/server/verifier/verifier_wire.h"

#define TOKEN_PIECES_MAX (1 + VERIFIER_DEVICES_MAX)

/* Pieces borrow from the answer. */
struct token_making {
    json_t *values, *runtime, *device_runtime;
    struct appraisal appraisals[TOKEN_PIECES_MAX];
    struct ear_piece pieces[TOKEN_PIECES_MAX];
    size_t count;
    bool unasked; /* REST */
};

void token_making_done(struct token_making *making);
#define auto_token_making AUTO_DONE(token_making_done) struct token_making

/* `answer` is an accepted one of evidence for this TEE; `nonce` becomes part of the runtime data. */
bool token_making_appraise(struct server *server, const char *tee, const char *nonce,
    const struct verifier_answer *answer, struct token_making *ret_making, struct err *err)
    MUST_CHECK;
/* The same of an answer to REST: pieces that the relying party bound to what it chose; the token says so. */
bool token_making_rest(struct server *server, const struct verifier_answer *answer,
    struct token_making *ret_making, struct err *err) MUST_CHECK;
bool token_making_issue(struct server *server, const struct token_making *making, char **ret_token,
    struct err *err) MUST_CHECK;
