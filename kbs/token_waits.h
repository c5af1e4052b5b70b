/* SPDX-License-Identifier: Apache-2.0 */
/* Who waits for a token of one KBS (kbs_client_attest), each with its own deadline. Used by client.c alone. Loop thread only. */
#pragma once

#include <sys/queue.h>

#include "kbs/client.h"

struct token_wait;

struct token_waits {
    TAILQ_HEAD(, token_wait) list;
    struct loop *loop;
    /* Sets *ret_err to what a deadline that passes now is told. */
    void (*late)(void *arg, int64_t timeout_ms, struct err *ret_err);
    void *arg;
    bool *freed; /* set by token_waits_done, for the function that is calling back */
};

void token_waits_init(struct token_waits *waits, struct loop *loop,
    void (*late)(void *arg, int64_t timeout_ms, struct err *ret_err), void *arg);
void token_waits_done(struct token_waits *waits); /* without calling back */
bool token_waits_any(const struct token_waits *waits);
bool token_waits_add(struct token_waits *waits, int64_t timeout_ms, kbs_token_fn *fn, void *arg,
    struct err *err) MUST_CHECK;
/* Everybody hears: the token of `session`, or (NULL) `err`. False when the client was freed meanwhile. */
bool token_waits_tell(struct token_waits *waits, struct kbs_session *session, const struct err *err)
    MUST_CHECK;
