/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KBS client of the guest: RCAR handshake, token, resources (protocol.md A). Event-driven on one loop: any number of fetches
 * wait without threads. One handshake serves all waiters; a token is reused until near its end (renewed when less than a tenth, at most
 * 30 s, is left); a token that the KBS refuses (401 TokenNotFound / TokenVerifierError…) is renewed once per fetch; a policy denial is
 * not retried. Failed handshakes back off with jitter (0.5 s doubling to 30 s): meanwhile waiters fail at once with the last error.
 * Several URLs are tried one after the other, each for its share of request_timeout, when one cannot be reached, does not answer or answers
 * 5xx; never after a real answer. A handshake begins anew at the next one. A resource is asked for where the token came from, else elsewhere
 * under the same token, which is replaced when it is not known there.
 * In passport mode (passport.h) a token and its key are read instead of a handshake, with the same rules for renewal and back-off; a file that
 * has changed is read again before its token ends.
 * Several fetches of one URI at the same time are one request. The tee key is fresh per handshake and never leaves this process. Loop thread only.
 *
 * Errors: ERR_DENIED_POLICY (with err.ref), ERR_NOTFOUND, ERR_UNREACH, ERR_TIMEOUT, ERR_ATTEST, ERR_FORMAT, ERR_CRYPTO.
 */
#pragma once

#include "attest/client.h"
#include "crypt/base/crew.h"
#include "kbs/http.h"
#include "kbs/passport.h"
#include "kbs/uri.h"

struct kbs_client;
struct kbs_fetch;

struct kbs_client_conf {
    const char *const *urls; /* "https://host:port", no path: replicas of one KBS, see replicas.h */
    size_t url_count;
    struct http_conf http;
    struct crew *
        crew; /* decrypts answers, borrowed, freed after the client; NULL: the loop's thread does */
    const char *attest_socket;
    const char *tee;               /* announced at /auth; NULL: ask attestd (INFO) once */
    struct passport_conf passport; /* tokens from there, never from a handshake */
    int64_t request_timeout_ms;    /* one HTTP request, all URLs together; 0: 10 s */
    int64_t attest_timeout_ms;     /* one evidence; 0: 20 s */
    size_t resource_max;           /* plaintext bytes; 0: SECRET_SIZE_MAX */
    bool
        continuous; /* attest in the background, so that a token never ends; else only for a KBS that wishes it (vigil.h) */
};

/* `plaintext` is borrowed (take a reference to keep it); NULL on failure. */
typedef void kbs_fetch_fn(void *arg, struct secret *plaintext, const struct err *err);

bool kbs_client_new(struct loop *loop, const struct kbs_client_conf *conf,
    struct kbs_client **ret_client, struct err *err) MUST_CHECK;
void kbs_client_free(struct kbs_client *client); /* cancels without calling back */
DEFINE_AUTO(struct kbs_client, kbs_client_free);

/* The broker refuses this guest after it took it, or does not find it affirming any more: what it gave before should be forgotten. Called
 * once for each such fall, before those who wait hear of it, never from inside a call; must not free the client. */
typedef void kbs_distrust_fn(void *arg, const struct err *err);
void kbs_client_on_distrust(struct kbs_client *client, kbs_distrust_fn *fn, void *arg);

/*
 * Calls back exactly once, never from inside, unless cancelled; at the latest after timeout_ms. False, and
 * no call back: the last failure is still fresh (its error again, with the time of the next try).
 */
bool kbs_client_fetch(struct kbs_client *client, const struct kbs_uri *uri, int64_t timeout_ms,
    kbs_fetch_fn *fn, void *arg, struct kbs_fetch **ret_fetch, struct err *err) MUST_CHECK;
/* NULL is fine. A handshake, and a request that others wait for, goes on. */
void kbs_fetch_cancel(struct kbs_fetch *fetch);

/* Attests now if there is no good token. `token` is the JWT, borrowed, NULL on failure. */
typedef void kbs_token_fn(void *arg, const char *token, const struct err *err);
bool kbs_client_attest(struct kbs_client *client, int64_t timeout_ms, kbs_token_fn *fn, void *arg,
    struct err *err) MUST_CHECK;
/* Forgets token, tee key and session: the next fetch attests anew. */
void kbs_client_forget(struct kbs_client *client);
/* Forgets the token, so that kbs_client_attest asks the broker; what is under way goes on, and who was refused stays refused for a while. */
void kbs_client_doubt(struct kbs_client *client);

/* Says goodbye to a KBS that waits for this guest's next attestation. False: there is nobody to tell, and no call back. Else calls back once,
 * never from inside, told or not, at the latest after timeout_ms. Only before the client is freed; no second time. */
typedef void kbs_left_fn(void *arg);
bool kbs_client_leave(struct kbs_client *client, int64_t timeout_ms, kbs_left_fn *fn, void *arg)
    MUST_CHECK;

/* What `sealed explain` and `sealed status` tell. Texts are valid until the next callback or call. */
struct kbs_client_state {
    const char *url; /* where the token came from, or that is asked next */
    bool has_token;
    bool
        token_affirming; /* every appraisal in it is affirming; else policies that ask for that will refuse */
    int64_t token_expires_at; /* unix seconds by this machine's clock, measured from its arrival */
    uint64_t handshakes;      /* that gave a token */
    uint64_t handshakes_failed, fetches;
    /* The evidence that the KBS last acted on: it released a resource under it, or found it affirming. */
    int64_t accepted_at;           /* unix seconds; 0: never */
    const char *accepted_evidence; /* primary_evidence JSON; NULL when never */
    const char *latest_evidence;   /* the newest evidence made, accepted or not; NULL when never */
    struct err last_refusal;       /* ERR_OK when there was none */
};
void kbs_client_state(const struct kbs_client *client, struct kbs_client_state *ret_state);
