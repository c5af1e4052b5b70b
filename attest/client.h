/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client of sealed-attestd. Asynchronous on a loop for the worker (one request at a time is sent, further ones queue);
 * blocking for command-line tools. A connection that breaks is made anew at the next request; a request in flight then
 * fails with ERR_ATTEST, as does one that finds no attestd. Errors of attestd arrive with its code and text.
 */
#pragma once

#include "attest/wire.h"
#include "crypt/base/loop.h"
#include "crypt/jwk.h"

struct attest_client;
struct attest_call;

/* `answer` is NULL on failure, else valid during the call. */
typedef void attest_fn(void *arg, const struct attest_answer *answer, const struct err *err);

bool attest_client_new(struct loop *loop, const char *socket_path,
    struct attest_client **ret_client, struct err *err) MUST_CHECK;
void attest_client_free(struct attest_client *client); /* cancels without calling back */
DEFINE_AUTO(struct attest_client, attest_client_free);

/* Calls back exactly once, never from inside this call, unless cancelled. *ret_call is valid until then. Not for ACTIVATE,
 * whose answer must not pass through a struct buf (ERR_INTERNAL). */
bool attest_client_send(struct attest_client *client, const struct attest_request *request,
    int64_t timeout_ms, attest_fn *fn, void *arg, struct attest_call **ret_call, struct err *err)
    MUST_CHECK;
void attest_client_cancel(struct attest_call *call); /* NULL is fine */

/* Blocking: connects, sends, waits. The answer borrows from `message` (ATTEST_ANSWER_MAX). A refusal is returned as an error. */
bool attest_ask(const char *socket_path, const struct attest_request *request, int timeout_ms,
    struct buf *message, struct attest_answer *ret_answer, struct err *err) MUST_CHECK;
/* The same for an ACTIVATE request, whose answer must not pass through a struct buf. */
bool attest_ask_credential(const char *socket_path, const struct attest_request *request,
    int timeout_ms, struct secret **ret_credential, struct err *err) MUST_CHECK;
/* Fills an EVIDENCE request for this key. */
bool attest_request_evidence(struct attest_request *ret_request, const char *nonce,
    enum hash_alg hash, const struct jwk *tee_key, struct err *err) MUST_CHECK;
