/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/handshake.h"

#include <openssl/crypto.h>
#include <stdio.h>

#include "attest/runtime.h"
#include "kbs/refusal.h"

#define AUTH_PATH   "/kbs/v0/auth"
#define ATTEST_PATH "/kbs/v0/attest"
/* The KBS's session, in whatever other cookies a balancer in front sets. */
#define COOKIE_NAME "kbs-session-id="
#define URL_SIZE    512

struct handshake {
    struct handshake_conf conf;
    handshake_fn *fn;
    void *arg;
    const char *step;
    bool at_kbs;
    struct http_call *http_call;
    struct attest_call *attest_call;
    struct proto_challenge challenge;
    char cookie[512];
    struct jwk *tee_key;
    char *evidence;
    int64_t asked_ms; /* when /attest was sent */
};

void handshake_free(struct handshake *handshake)
{
    if (!handshake)
        return;
    http_cancel(handshake->http_call);
    attest_client_cancel(handshake->attest_call);
    OPENSSL_cleanse(handshake->cookie, sizeof handshake->cookie);
    jwk_unref(handshake->tee_key);
    free(handshake->evidence);
    free(handshake);
}

bool handshake_at_kbs(const struct handshake *handshake)
{
    return handshake->at_kbs;
}

const char *handshake_step(const struct handshake *handshake)
{
    return handshake->step;
}

static void fail(struct handshake *handshake, const struct err *err)
{
    struct err copy = *err;
    handshake->fn(handshake->arg, NULL, handshake->evidence, &copy);
}

static bool post(struct handshake *handshake, const char *path, const char *body,
    const char *cookie, http_fn *fn, struct err *err)
{
    char url[URL_SIZE];
    handshake->at_kbs = true;
    snprintf(url, sizeof url, "%s%s", handshake->conf.url, path);
    struct http_request request = {.method = "POST",
        .url = url,
        .body = bytes_str(body),
        .cookie = cookie,
        .timeout_ms = handshake->conf.request_timeout_ms,
        .response_max = PROTO_BODY_MAX};
    return http_send(handshake->conf.http, &request, fn, handshake, &handshake->http_call, err);
}

/* -- 4: the token ------------------------------------------------------------------------------ */

static bool take_token(struct handshake *handshake, const struct http_response *response,
    struct kbs_session **ret_session, struct err *err)
{
    char *token = NULL;
    int64_t attest_in_s = 0;
    if (response->status != 200) {
        (void)refusal_explain(REFUSAL_ATTEST, handshake->conf.url, response, err);
        return false;
    }
    if (!proto_token_decode(response->body, &token, &attest_in_s, err) ||
        !kbs_session_new(
            token, handshake->tee_key, handshake->evidence, handshake->asked_ms, ret_session, err))
        return err_wrap(err, "KBS %s", handshake->conf.url);
    kbs_session_attest_in(*ret_session, attest_in_s * 1000);
    return true;
}

static void on_token(void *arg, const struct http_response *response, const struct err *err)
{
    struct handshake *handshake = arg;
    struct err cause = *err;
    AUTO(kbs_session_unref) struct kbs_session *session = NULL;
    handshake->http_call = NULL;
    if (!response || !take_token(handshake, response, &session, &cause))
        fail(handshake, &cause);
    else
        handshake->fn(handshake->arg, session, handshake->evidence, err);
}

/* -- 3: the evidence --------------------------------------------------------------------------- */

static bool send_evidence(
    struct handshake *handshake, const struct attest_answer *answer, struct err *err)
{
    auto_json *tee_pubkey = NULL;
    auto_free char *body = NULL;
    if (strcmp(answer->tee, handshake->conf.tee) != 0) {
        err_set(err, ERR_ATTEST,
            "sealed-attestd made %s evidence after %s was announced to the KBS", answer->tee,
            handshake->conf.tee);
        handshake->conf.tee[0] = '\0'; /* it was set up anew: the next handshake asks again */
        return false;
    }
    handshake->evidence = strndup((const char *)answer->body.data, answer->body.len);
    if (!handshake->evidence)
        return err_nomem(err);
    if (!runtime_tee_pubkey(handshake->tee_key, &tee_pubkey, err))
        return false;
    if (!proto_attest_encode(handshake->challenge.nonce, tee_pubkey, answer->body, &body, err)) {
        err->code = ERR_ATTEST;
        return err_wrap(err, "sealed-attestd");
    }
    handshake->asked_ms = loop_now_ms();
    handshake->step = "the KBS's verdict on the evidence (POST " ATTEST_PATH ")";
    return post(handshake, ATTEST_PATH, body, handshake->cookie, on_token, err);
}

static void on_evidence(void *arg, const struct attest_answer *answer, const struct err *err)
{
    struct handshake *handshake = arg;
    struct err cause = *err;
    handshake->attest_call = NULL;
    if (!answer || !send_evidence(handshake, answer, &cause))
        fail(handshake, &cause);
}

/* -- 2: the challenge -------------------------------------------------------------------------- */

static bool take_challenge(
    struct handshake *handshake, const struct http_response *response, struct err *err)
{
    if (response->status != 200) {
        (void)refusal_explain(REFUSAL_AUTH, handshake->conf.url, response, err);
        return false;
    }
    if (!proto_challenge_decode(response->body, &handshake->challenge, err))
        return err_wrap(err, "KBS %s", handshake->conf.url);
    if (!strstr(response->set_cookie, COOKIE_NAME))
        return err_set(err, ERR_FORMAT,
            "KBS %s: /auth answer without the session cookie kbs-session-id", handshake->conf.url);
    memcpy(handshake->cookie, response->set_cookie, sizeof handshake->cookie);
    return true;
}

static bool ask_evidence(struct handshake *handshake, struct err *err)
{
    struct attest_request request = {0};
    handshake->step = "evidence from sealed-attestd";
    handshake->at_kbs = false;
    return jwk_generate(JWK_EC_P256, NULL, &handshake->tee_key, err) &&
           attest_request_evidence(&request, handshake->challenge.nonce, handshake->challenge.hash,
               handshake->tee_key, err) &&
           attest_client_send(handshake->conf.attest, &request, handshake->conf.attest_timeout_ms,
               on_evidence, handshake, &handshake->attest_call, err);
}

static void on_challenge(void *arg, const struct http_response *response, const struct err *err)
{
    struct handshake *handshake = arg;
    struct err cause = *err;
    handshake->http_call = NULL;
    if (!response || !take_challenge(handshake, response, &cause) ||
        !ask_evidence(handshake, &cause))
        fail(handshake, &cause);
}

static bool ask_challenge(struct handshake *handshake, struct err *err)
{
    struct proto_auth auth = {.version = PROTO_VERSION};
    auto_free char *body = NULL;
    snprintf(auth.tee, sizeof auth.tee, "%s", handshake->conf.tee);
    if (!proto_auth_encode(&auth, &body, err))
        return false;
    handshake->step = "the KBS's challenge (POST " AUTH_PATH ")";
    return post(handshake, AUTH_PATH, body, NULL, on_challenge, err);
}

/* -- 1: which TEE is this? --------------------------------------------------------------------- */

static void on_info(void *arg, const struct attest_answer *answer, const struct err *err)
{
    struct handshake *handshake = arg;
    struct err cause = *err;
    handshake->attest_call = NULL;
    if (answer)
        snprintf(handshake->conf.tee, PROTO_TEE_MAX, "%s", answer->tee);
    if (!answer || !ask_challenge(handshake, &cause))
        fail(handshake, &cause);
}

static bool ask_info(struct handshake *handshake, struct err *err)
{
    struct attest_request request = {.kind = ATTEST_INFO};
    handshake->step = "sealed-attestd to tell its TEE";
    return attest_client_send(handshake->conf.attest, &request, handshake->conf.attest_timeout_ms,
        on_info, handshake, &handshake->attest_call, err);
}

bool handshake_new(const struct handshake_conf *conf, handshake_fn *fn, void *arg,
    struct handshake **ret_handshake, struct err *err)
{
    AUTO(handshake_free) struct handshake *handshake = calloc(1, sizeof *handshake);
    if (!handshake)
        return err_nomem(err);
    handshake->conf = *conf;
    handshake->fn = fn;
    handshake->arg = arg;
    if (conf->tee[0] == '\0' ? !ask_info(handshake, err) : !ask_challenge(handshake, err))
        return false;
    *ret_handshake = take_ptr(handshake);
    return true;
}
