/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/session.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

#define LIFE_MAX_S   (int64_t)86400
#define MARGIN_MAX_S (int64_t)30

struct kbs_session {
    unsigned refs; /* one thread */
    char *token;
    char *evidence;
    struct jwk *tee_key;
    bool affirming;
    int64_t life_ms, ends_ms;
};

static void token_free(char *token)
{
    if (token)
        OPENSSL_cleanse(token, strlen(token));
    free(token);
}
DEFINE_AUTO(char, token_free);

struct kbs_session *kbs_session_ref(struct kbs_session *session)
{
    session->refs++;
    return session;
}

void kbs_session_unref(struct kbs_session *session)
{
    if (!session || --session->refs > 0)
        return;
    token_free(session->token);
    free(session->evidence);
    jwk_unref(session->tee_key);
    free(session);
}

/* Seconds of life. Without iat only the wall clock can tell. */
static bool life_of(const struct proto_token_claims *claims, int64_t *ret_life, struct err *err)
{
    int64_t from = claims->issued_at > 0 ? claims->issued_at : (int64_t)time(NULL);
    if (claims->expires_at == 0)
        return err_set(err, ERR_FORMAT, "the token has no expiry time (exp)");
    if (claims->expires_at <= from || claims->not_before >= claims->expires_at)
        return err_set(err, ERR_FORMAT,
            "the token ends before it begins (exp %lld, iat %lld, nbf %lld)",
            (long long)claims->expires_at, (long long)claims->issued_at,
            (long long)claims->not_before);
    int64_t life = claims->expires_at - from;
    *ret_life = life < LIFE_MAX_S ? life : LIFE_MAX_S;
    return true;
}

bool kbs_session_new(char *token, struct jwk *tee_key, const char *evidence, int64_t made_ms,
    struct kbs_session **ret_session, struct err *err)
{
    AUTO(token_free) char *owned = token;
    struct proto_token_claims claims;
    int64_t life = 0;
    if (!proto_token_claims(owned, &claims, err) || !life_of(&claims, &life, err))
        return false;
    struct kbs_session *session = calloc(1, sizeof *session);
    char *copy = strdup(evidence);
    if (!session || !copy) {
        free(session);
        free(copy);
        return err_nomem(err);
    }
    *session = (struct kbs_session){.refs = 1,
        .token = take_ptr(owned),
        .evidence = copy,
        .tee_key = jwk_ref(tee_key),
        .affirming = claims.affirming,
        .life_ms = life * 1000,
        .ends_ms = made_ms + life * 1000};
    *ret_session = session;
    return true;
}

const char *kbs_session_token(const struct kbs_session *session)
{
    return session->token;
}

const struct jwk *kbs_session_key(const struct kbs_session *session)
{
    return session->tee_key;
}

const char *kbs_session_evidence(const struct kbs_session *session)
{
    return session->evidence;
}

bool kbs_session_affirming(const struct kbs_session *session)
{
    return session->affirming;
}

bool kbs_session_good(const struct kbs_session *session, int64_t now_ms)
{
    int64_t margin = session->life_ms / 10;
    if (margin > MARGIN_MAX_S * 1000)
        margin = MARGIN_MAX_S * 1000;
    return kbs_session_left(session, now_ms) > margin;
}

int64_t kbs_session_left(const struct kbs_session *session, int64_t now_ms)
{
    return session->ends_ms - now_ms;
}
