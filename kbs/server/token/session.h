/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions (protocol.md A.1, A.2), stateless until used. The cookie's value is base64url of
 *
 *     u8 version (1)  u64 expiry (unix seconds)  16 random bytes  tee as text  16 bytes MAC
 *
 * and the nonce is HMAC(key, "nonce" || all of that without the MAC), so the cookie alone tells which nonce its session has and nobody
 * without the key makes either. The key is derived from the token signing key: replicas that share the one share the other.
 * A flood of /auth costs no memory.
 *
 * A nonce is spent when a token is made for it: one record (STORE_NONCE) holds the hash of the body
 * and the token. A byte-identical retry gets that token, any other body is refused; of two at the
 * same time (on whatever replica) one wins. Refused evidence leaves no record, so it costs no memory either.
 */
#pragma once

#include "crypt/hash.h"
#include "kbs/proto.h"
#include "kbs/server/server.h"

#define SESSION_COOKIE   "kbs-session-id"
#define SESSION_NONCE    32 /* bytes */
#define SESSION_ID_SIZE  33
#define SESSION_TEXT_MAX 128

struct session {
    char id[SESSION_ID_SIZE]; /* hex of the random bytes: key of the record */
    char tee[PROTO_TEE_MAX];
    int64_t expires_at;
    char nonce[48];               /* standard base64 */
    char value[SESSION_TEXT_MAX]; /* of the cookie */
};

/* `signer`: the private token signing key. */
bool sessions_new(const struct jwk *signer, struct sessions **ret_sessions, struct err *err)
    MUST_CHECK;
void sessions_free(struct sessions *sessions);
DEFINE_AUTO(struct sessions, sessions_free);
/* A key for another purpose of this server, from the same root: HMAC(root, label). */
bool sessions_subkey(const struct sessions *sessions, const char *label, struct secret **ret_key,
    struct err *err) MUST_CHECK;

bool session_start(const struct sessions *sessions, const char *tee, int64_t expires_at,
    struct session *ret_session, struct err *err) MUST_CHECK;
/* Pure (fuzzed): checks the value of a cookie. ERR_FORMAT, ERR_CRYPTO (not ours), ERR_STALE. */
bool session_open(const struct sessions *sessions, struct bytes value, int64_t now,
    struct session *ret_session, struct err *err) MUST_CHECK;
/* The session of a Cookie header (NULL: none). ERR_NOTFOUND when it has no such cookie, else as session_open(). */
bool session_find(const struct sessions *sessions, const char *cookie_header, int64_t now,
    struct session *ret_session, struct err *err) MUST_CHECK;
/* "kbs-session-id=…; Expires=…" */
void session_cookie(const struct session *session, char ret_text[RESPONSE_COOKIE_MAX]);

/* The token already made for this session and body (malloc'd), NULL when the nonce is unspent. ERR_DENIED_POLICY: spent on another body. */
bool session_answer(struct server *server, const struct session *session, const struct hash *body,
    char **ret_token, struct err *err) MUST_CHECK;
/* Spends the nonce. *ret_token is `token`, or the one that an identical body won with meanwhile. ERR_DENIED_POLICY: another body won. */
bool session_spend(struct server *server, const struct session *session, const struct hash *body,
    const char *token, char **ret_token, struct err *err) MUST_CHECK;

/* The token of the attested, unexpired session that this Cookie header names (malloc'd); NULL when
 * it names none. */
bool session_token(
    struct server *server, const char *cookie_header, char **ret_token, struct err *err) MUST_CHECK;
