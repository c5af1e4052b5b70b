/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A JSON document as Intel's Provisioning Certification Service signs it: {"<member>":{…},
 * "signature":"<128 hex digits>"}, ECDSA P-256 with SHA-256, r||s, over the very text of the member
 * as it was sent, which is compact. Tools that store documents re-indent them: so the text is taken
 * without the blanks between its tokens, and what was verified is what is parsed then. Everything
 * else about the text counts: order, escapes, how a number is written.
 */
#pragma once

#include <openssl/types.h>

#include "attest/verify/verify.h"

struct signed_json_kind {
    const char *what;      /* "TCB info" */
    const char *member;    /* "tcbInfo" */
    const char *check;     /* failed check for its form, "tdx.tcb-info" */
    const char *signature; /* failed check for its signature, "tdx.tcb-info-signature" */
};

struct signed_json {
    json_t *json; /* the member's value; NULL: not usable, the verdict says why */
    int64_t issued_at, next_update;
    int64_t evaluation; /* tcbEvaluationDataNumber */
};

void signed_json_done(struct signed_json *document);
#define auto_signed_json AUTO_DONE(signed_json_done) struct signed_json

/* False with err: trouble of our own. */
bool signed_json_open(const struct signed_json_kind *kind, struct bytes body, EVP_PKEY *signer,
    struct verdict *verdict, struct signed_json *ret_document, struct err *err) MUST_CHECK;
