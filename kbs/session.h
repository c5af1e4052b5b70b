/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a handshake yields: the token, the private key that resources released under it are encrypted to, and how long it is good
 * for. Counted: a request in flight keeps the one that it was made under. Its life is measured from its making (exp - iat, both by
 * the KBS's clock) on this machine's steady clock, so a guest whose wall clock is a year off does not take every token for expired.
 */
#pragma once

#include "crypt/jwk.h"
#include "kbs/proto.h"

struct kbs_session;

/* Takes `token` (malloc'd; wiped at the end, also when this fails). `tee_key` and `evidence` (text) are referenced and
 * copied. `made_ms`: loop_now_ms() when the token was asked for. ERR_FORMAT when its times make no sense. */
bool kbs_session_new(char *token, struct jwk *tee_key, const char *evidence, int64_t made_ms,
    struct kbs_session **ret_session, struct err *err) MUST_CHECK;
/* A token that was made elsewhere, at a time that this end does not know: its nbf, iat and exp are compared with this machine's clock,
 * `now_s` in unix seconds, with a minute's grace for the beginning. No evidence. ERR_FORMAT tells "expired" from "not yet valid". */
bool kbs_session_passport(char *token, struct jwk *tee_key, int64_t now_ms, int64_t now_s,
    struct kbs_session **ret_session, struct err *err) MUST_CHECK;
struct kbs_session *kbs_session_ref(struct kbs_session *session);
void kbs_session_unref(struct kbs_session *session);
DEFINE_AUTO(struct kbs_session, kbs_session_unref);

const char *kbs_session_token(const struct kbs_session *session);
const struct jwk *kbs_session_key(const struct kbs_session *session);
/* "" for a passport. */
const char *kbs_session_evidence(const struct kbs_session *session);
/* Every appraisal in the token is affirming. */
bool kbs_session_affirming(const struct kbs_session *session);
/* The KBS wants the next attestation so many milliseconds after this one was asked for; 0: it has no wish. Before it is shared. */
void kbs_session_attest_in(struct kbs_session *session, int64_t attest_in_ms);
/* When the next attestation should have been made: what the KBS wished, or when the token is no longer good, whichever is first. */
int64_t kbs_session_renew_ms(const struct kbs_session *session);
/* Whether the KBS wished to see this guest again before the token ends. */
bool kbs_session_watched(const struct kbs_session *session);
/* Good for another request: more is left than a tenth of its life, or 30 s if that is less. */
bool kbs_session_good(const struct kbs_session *session, int64_t now_ms);
/* Milliseconds until it expires; negative after. */
int64_t kbs_session_left(const struct kbs_session *session, int64_t now_ms);
