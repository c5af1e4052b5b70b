/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One RCAR handshake (protocol.md A.1, A.2): POST /auth for a nonce, a fresh tee key, evidence over both from sealed-attestd, POST
 * /attest for a token. Any failure ends it; there are no retries inside. Loop thread only.
 */
#pragma once

#include "attest/client.h"
#include "kbs/http.h"
#include "kbs/session.h"

struct handshake;

struct handshake_conf {
    struct http *http;
    struct attest_client *attest;
    const char *url; /* borrowed for the handshake's life, as is tee */
    char *tee;       /* PROTO_TEE_MAX bytes; "" asks attestd first and is then filled in */
    int64_t request_timeout_ms;
    int64_t attest_timeout_ms;
};

/* `session` NULL on failure, else borrowed. `evidence`: the text that was made, borrowed, NULL when it did not come to that. The
 * handshake is freed by its owner; inside the callback is fine. */
typedef void handshake_fn(
    void *arg, struct kbs_session *session, const char *evidence, const struct err *err);

/* Calls back exactly once, never from inside, unless freed before. */
bool handshake_new(const struct handshake_conf *conf, handshake_fn *fn, void *arg,
    struct handshake **ret_handshake, struct err *err) MUST_CHECK;
void handshake_free(struct handshake *handshake);
DEFINE_AUTO(struct handshake, handshake_free);
/* Is it the KBS that it waits for, or did last, not sealed-attestd? */
bool handshake_at_kbs(const struct handshake *handshake);
/* What it waits for now, for the text of a deadline: "the answer to POST /kbs/v0/auth of https://…". Static or borrowed. */
const char *handshake_step(const struct handshake *handshake);
