/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/session.h"

#include <openssl/crypto.h>
#include <string.h>
#include <time.h>

#include "crypt/base/clock.h"

#define LIFE_MAX_S   (int64_t)86400
#define MARGIN_MAX_S (int64_t)30
#define GRACE_S      (int64_t)60

struct kbs_session {
    unsigned refs; /* one thread */
    char *token;
    char *evidence;
    struct jwk *tee_key;
    bool affirming;
    int64_t life_ms, ends_ms;
    int64_t attest_in_ms; /* 0: the KBS has no wish */
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

/* Takes the token. */
static bool make(char **token, struct jwk *tee_key, const char *evidence, bool affirming,
    int64_t life_ms, int64_t ends_ms, struct kbs_session **ret_session, struct err *err)
{
    struct kbs_session *session = calloc(1, sizeof *session);
    char *copy = strdup(evidence);
    if (!session || !copy) {
        free(session);
        free(copy);
        return err_nomem(err);
    }
    *session = (struct kbs_session){.refs = 1,
        .token = take_ptr(*token),
        .evidence = copy,
        .tee_key = jwk_ref(tee_key),
        .affirming = affirming,
        .life_ms = life_ms,
        .ends_ms = ends_ms};
    *ret_session = session;
    return true;
}

bool kbs_session_new(char *token, struct jwk *tee_key, const char *evidence, int64_t made_ms,
    struct kbs_session **ret_session, struct err *err)
{
    AUTO(token_free) char *owned = token;
    struct proto_token_claims claims;
    int64_t life = 0;
    return proto_token_claims(owned, &claims, err) && life_of(&claims, &life, err) &&
           make(&owned, tee_key, evidence, claims.affirming, life * 1000, made_ms + life * 1000,
               ret_session, err);
}

static bool refuse_time(
    const char *what, int64_t then, int64_t now, const char *remedy, struct err *err)
{
    char then_text[CLOCK_TEXT_SIZE], now_text[CLOCK_TEXT_SIZE];
    clock_rfc3339(then, then_text);
    clock_rfc3339(now, now_text);
    return err_set(err, ERR_FORMAT, "the token %s %s, and this machine's clock says %s; %s", what,
        then_text, now_text, remedy);
}

bool kbs_session_passport(char *token, struct jwk *tee_key, int64_t now_ms, int64_t now_s,
    struct kbs_session **ret_session, struct err *err)
{
    AUTO(token_free) char *owned = token;
    struct proto_token_claims claims;
    int64_t life = 0;
    if (!proto_token_claims(owned, &claims, err))
        return false;
    int64_t from = claims.not_before > claims.issued_at ? claims.not_before : claims.issued_at;
    if (claims.expires_at > 0 && claims.expires_at <= now_s)
        return refuse_time("has expired: it ended", claims.expires_at, now_s,
            "have a new one made, or set the clock", err);
    if (from > now_s + GRACE_S)
        return refuse_time("is not yet valid: it begins", from, now_s, "is the clock behind?", err);
    if (!life_of(&claims, &life, err))
        return false;
    int64_t left = claims.expires_at - now_s;
    left = left < LIFE_MAX_S ? left : LIFE_MAX_S;
    return make(
        &owned, tee_key, "", claims.affirming, life * 1000, now_ms + left * 1000, ret_session, err);
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

static int64_t margin_ms(const struct kbs_session *session)
{
    int64_t margin = session->life_ms / 10;
    return margin < MARGIN_MAX_S * 1000 ? margin : MARGIN_MAX_S * 1000;
}

void kbs_session_attest_in(struct kbs_session *session, int64_t attest_in_ms)
{
    session->attest_in_ms = attest_in_ms;
}

bool kbs_session_watched(const struct kbs_session *session)
{
    return session->attest_in_ms > 0;
}

int64_t kbs_session_renew_ms(const struct kbs_session *session)
{
    int64_t end = session->ends_ms - margin_ms(session);
    int64_t wished = session->ends_ms - session->life_ms + session->attest_in_ms;
    return session->attest_in_ms > 0 && wished < end ? wished : end;
}

bool kbs_session_good(const struct kbs_session *session, int64_t now_ms)
{
    return kbs_session_left(session, now_ms) > margin_ms(session);
}

int64_t kbs_session_left(const struct kbs_session *session, int64_t now_ms)
{
    return session->ends_ms - now_ms;
}
