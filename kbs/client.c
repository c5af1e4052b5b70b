/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/client.h"

#include <sys/stat.h>
#include <time.h>

#include "kbs/flight.h"
#include "kbs/opening.h"
#include "kbs/refusal.h"
#include "kbs/replicas.h"
#include "kbs/token_waits.h"
#include "kbs/vigil.h"

#define REQUEST_DEFAULT_MS 10000
#define ATTEST_DEFAULT_MS  20000
#define REQUESTS_MAX       8  /* resources under way at once; the rest queues */
#define OPENINGS_MAX       32 /* answers that wait for decryption; then no more is asked for */
#define RESOURCE_PATH      "/kbs/v0/resource/"
/* A JWE around nothing: header, wrapped key, iv, tag. */
#define JWE_FRAME 4096

/* What the broker thinks of this guest. */
enum standing { STANDING_NONE, STANDING_TAKEN, STANDING_AFFIRMED };

struct kbs_client {
    struct loop *loop;
    struct http *http;
    struct crew *crew;
    struct attest_client *attest;
    struct loop_timer *pump;
    struct replicas replicas;
    char tee[PROTO_TEE_MAX];
    int64_t request_timeout_ms, attest_timeout_ms;
    size_t resource_max;

    struct kbs_session *session;
    size_t home; /* the replica that gave the session */
    struct handshake *handshake;
    struct passport_conf passport_conf;
    struct passport *passport;        /* being read, in place of a handshake */
    struct timespec passport_changed; /* ctime of the file when it was read last */
    size_t asked;                     /* the replica that the handshake is with */
    replica_set tried;                /* those where it failed */
    struct err troubles;              /* what the others of this round said */
    struct backoff backoff;           /* of handshakes */
    bool
        unproven; /* the last token was refused, and nothing has been answered under the next one */
    struct flights flights;
    struct vigil vigil;
    struct http_call *leaving;
    kbs_left_fn *left;
    void *left_arg;
    struct token_waits token_waits;

    uint64_t handshakes, handshakes_failed, fetches;
    int64_t accepted_at;
    char *accepted_evidence, *latest_evidence;
    struct err last_refusal;
    enum standing standing;
    kbs_distrust_fn *distrust;
    void *distrust_arg;
};

static const char *url_of(const struct kbs_client *client, size_t replica)
{
    return client->replicas.items[replica].url;
}

static bool has_good_token(const struct kbs_client *client)
{
    return client->session && kbs_session_good(client->session, loop_now_ms());
}

/* -- what is remembered for people --------------------------------------------------------------- */

static void note_refusal(struct kbs_client *client, const struct err *err)
{
    if (err->code == ERR_DENIED_POLICY)
        client->last_refusal = *err;
}

static void keep_text(char **slot, const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        return;
    free(*slot);
    *slot = copy;
}

/* The KBS acted on this session's evidence: later evidence is compared with it. */
static void note_accepted(struct kbs_client *client, const struct kbs_session *session)
{
    const char *evidence = kbs_session_evidence(session);
    if (evidence[0] == '\0')
        return; /* somebody else made it */
    if (client->accepted_evidence && strcmp(client->accepted_evidence, evidence) == 0)
        return;
    keep_text(&client->accepted_evidence, evidence);
    client->accepted_at = (int64_t)time(NULL);
}

/* -- resources --------------------------------------------------------------------------------- */

static bool resource_fail(struct kbs_client *client, struct flight *flight, const struct err *err)
{
    struct err told = *err;
    err_wrap(&told, "%s", flight->uri);
    note_refusal(client, &told);
    return flight_end(flight, NULL, true, &told);
}

static void on_opened(void *arg, struct secret *plaintext, const struct err *err)
{
    struct flight *flight = arg;
    struct kbs_client *client = CONTAINER_OF(flight->flights, struct kbs_client, flights);
    struct err cause = *err;
    flight->opening = NULL;
    if (!plaintext)
        err_wrap(&cause, "answer of KBS %s", url_of(client, flight->replica));
    else if (secret_len(plaintext) > client->resource_max)
        err_set(&cause, ERR_FORMAT, "KBS %s sends %zu bytes; at most %zu are taken",
            url_of(client, flight->replica), secret_len(plaintext), client->resource_max);
    if (cause.code != ERR_OK) {
        resource_fail(client, flight, &cause);
        return;
    }
    note_accepted(client, flight->session);
    client->unproven = false;
    flight_end(flight, plaintext, false, &cause);
}

static bool open_resource(
    struct kbs_client *client, struct flight *flight, struct bytes body, struct err *err)
{
    struct opening *opening = NULL;
    const struct jwk *key = kbs_session_key(flight->session);
    if (!opening_new(body, key, on_opened, flight, &opening, err))
        return false;
    flight_answered(flight, opening);
    opening_start(opening, client->crew);
    return true;
}

/* The KBS does not take the token. If another flight had it replaced meanwhile, that one is used. When it does not take
 * the replacement either, a third would not help: hundreds of waiting flights must not cost a quote of the TPM each. */
static void renew(struct kbs_client *client, struct flight *flight, const struct err *err)
{
    flight->renewed = true;
    if (client->session == flight->session) {
        if (client->unproven)
            backoff_fail(&client->backoff, loop_now_ms(), err);
        client->unproven = true;
        kbs_session_unref(take_ptr(client->session));
    }
    flight_queue(flight);
}

/* This URL of the KBS does not do: the next one is asked, if there is one that was not yet. */
static bool elsewhere(struct kbs_client *client, struct flight *flight, const struct err *err)
{
    size_t next;
    replicas_failed(&client->replicas, flight->replica, loop_now_ms(), err);
    flight->tried |= 1u << flight->replica;
    if (!replicas_next(&client->replicas, flight->tried, client->home, loop_now_ms(), &next))
        return false;
    flight_queue(flight);
    return true;
}

static void on_resource(void *arg, const struct http_response *response, const struct err *err)
{
    struct flight *flight = arg;
    struct kbs_client *client = CONTAINER_OF(flight->flights, struct kbs_client, flights);
    struct err cause = *err;
    flight->call = NULL;
    bool again =
        response && response->status != 200 &&
        refusal_explain(REFUSAL_RESOURCE, url_of(client, flight->replica), response, &cause);
    if (cause.code != ERR_OK && replica_failure(&cause)) {
        if (!elsewhere(client, flight, &cause))
            resource_fail(client, flight, &cause);
        return;
    }
    if (response)
        replicas_answered(&client->replicas, flight->replica);
    if (response && response->status != 200 && !again)
        client->unproven = false;
    if (again && !flight->renewed)
        renew(client, flight, &cause);
    else if (cause.code != ERR_OK || !open_resource(client, flight, response->body, &cause))
        resource_fail(client, flight, &cause);
}

static bool ask_resource(struct kbs_client *client, struct flight *flight, struct err *err)
{
    struct http_call *call = NULL;
    auto_buf url = BUF_INIT(2 * KBS_URI_MAX);
    size_t replica = client->home;
    (void)replicas_next(&client->replicas, flight->tried, replica, loop_now_ms(), &replica);
    if (!buf_printf(&url, err, "%s" RESOURCE_PATH "%s", url_of(client, replica), flight->path))
        return false;
    /* The bearer token alone: given a cookie, Trustee would use its session, which ends after five minutes (A.3). */
    struct http_request request = {.method = "GET",
        .url = buf_text(&url),
        .bearer = kbs_session_token(client->session),
        .timeout_ms = replicas_share(&client->replicas, client->request_timeout_ms),
        .response_max = client->resource_max / 3 * 4 + JWE_FRAME};
    if (!http_send(client->http, &request, on_resource, flight, &call, err))
        return false;
    flight_asked(flight, client->session, replica, call);
    return true;
}

/* -- token ------------------------------------------------------------------------------------- */

/* Everybody who needs a token hears why there is none. Nobody joins meanwhile: the back-off has begun. */
static void fail_waiting(struct kbs_client *client, const struct err *err)
{
    struct flight *flight;
    if (!token_waits_tell(&client->token_waits, NULL, err))
        return;
    while ((flight = TAILQ_FIRST(&client->flights.queue)))
        if (!flight_end(flight, NULL, false, err))
            return;
}

static void stand(struct kbs_client *client, enum standing standing, const struct err *err)
{
    bool fallen = standing < client->standing;
    client->standing = standing;
    if (fallen && client->distrust)
        client->distrust(client->distrust_arg, err);
}

static void handshake_failed(struct kbs_client *client, const struct err *err)
{
    struct err told = *err;
    if (client->troubles.code != ERR_OK)
        err_wrap(&told, "%s; and", client->troubles.message);
    if (told.code == ERR_DENIED_POLICY) {
        kbs_session_unref(take_ptr(client->session)); /* of one in the background: it is over */
        stand(client, STANDING_NONE, &told);
    }
    client->handshakes_failed++;
    note_refusal(client, &told);
    backoff_fail(&client->backoff, loop_now_ms(), &told);
    vigil_failed(&client->vigil, &told);
    if (!has_good_token(client))
        fail_waiting(client, &told);
}

static void take_session(struct kbs_client *client, struct kbs_session *session)
{
    struct err err = ERR_INIT;
    client->handshakes++;
    backoff_clear(&client->backoff);
    kbs_session_unref(client->session);
    client->session = kbs_session_ref(session);
    client->home = client->asked;
    if (!client->passport_conf.file && !client->passport_conf.open)
        replicas_answered(&client->replicas, client->asked);
    bool affirming = kbs_session_affirming(session);
    if (affirming)
        note_accepted(client, session);
    else
        err_set(&err, ERR_DENIED_POLICY, "KBS %s does not find this guest affirming any more",
            url_of(client, client->home));
    stand(client, affirming ? STANDING_AFFIRMED : STANDING_TAKEN, &err);
    vigil_took(&client->vigil, session, loop_now_ms());
    loop_timer_set(client->pump, 0);
}

static bool next_handshake(struct kbs_client *client, struct err *err);

/* True when the handshake goes on at another URL of the KBS. */
static bool handshake_moves(
    struct kbs_client *client, const struct handshake *ended, struct err *err)
{
    struct err cause = *err;
    if (!handshake_at_kbs(ended))
        return false;
    if (!replica_failure(err)) {
        replicas_answered(&client->replicas, client->asked);
        return false;
    }
    replicas_failed(&client->replicas, client->asked, loop_now_ms(), err);
    client->tried |= 1u << client->asked;
    if (client->troubles.code != ERR_OK)
        err_wrap(&cause, "%s; and", client->troubles.message);
    size_t next;
    if (!replicas_next(&client->replicas, client->tried, client->home, loop_now_ms(), &next))
        return false;
    client->troubles = cause;
    return next_handshake(client, err);
}

static void on_handshake(
    void *arg, struct kbs_session *session, const char *evidence, const struct err *err)
{
    struct kbs_client *client = arg;
    struct handshake *ended = take_ptr(client->handshake);
    struct err over = *err;
    if (evidence)
        keep_text(&client->latest_evidence, evidence);
    if (!session) {
        if (!handshake_moves(client, ended, &over))
            handshake_failed(client, &over);
    } else if (!kbs_session_good(session, loop_now_ms())) {
        err_set(&over, ERR_FORMAT, "KBS %s: its token was over before it arrived (%lld ms left)",
            url_of(client, client->asked), (long long)kbs_session_left(session, loop_now_ms()));
        handshake_failed(client, &over);
    } else {
        take_session(client, session);
    }
    handshake_free(ended); /* only now: session, evidence and err may be its */
}

/* -- passports --------------------------------------------------------------------------------- */

static bool is_passport(const struct kbs_client *client)
{
    return client->passport_conf.file || client->passport_conf.open;
}

/* Has somebody put another token into the file? */
static bool passport_stale(struct kbs_client *client)
{
    struct stat info;
    if (!client->passport_conf.file || !client->session ||
        stat(client->passport_conf.file, &info) < 0)
        return false;
    return info.st_ctim.tv_sec != client->passport_changed.tv_sec ||
           info.st_ctim.tv_nsec != client->passport_changed.tv_nsec;
}

static void on_passport(void *arg, struct kbs_session *session, const struct err *err)
{
    struct kbs_client *client = arg;
    struct passport *ended = take_ptr(client->passport);
    struct err over = ERR_INIT;
    if (!session)
        handshake_failed(client, err);
    else if (!kbs_session_good(session, loop_now_ms())) {
        err_set(&over, ERR_ATTEST,
            "the token that was handed over ends in %lld s; have a new one made",
            (long long)kbs_session_left(session, loop_now_ms()) / 1000);
        handshake_failed(client, &over);
    } else
        take_session(client, session);
    passport_free(ended);
}

static bool read_passport(struct kbs_client *client, struct err *err)
{
    struct stat info = {0};
    client->asked = client->replicas.best;
    if (client->passport_conf.file && stat(client->passport_conf.file, &info) == 0)
        client->passport_changed = info.st_ctim; /* before reading: a later change shows */
    return passport_new(
        client->loop, &client->passport_conf, on_passport, client, &client->passport, err);
}

static bool next_handshake(struct kbs_client *client, struct err *err)
{
    (void)replicas_next(
        &client->replicas, client->tried, client->replicas.best, loop_now_ms(), &client->asked);
    struct handshake_conf conf = {.http = client->http,
        .attest = client->attest,
        .url = url_of(client, client->asked),
        .tee = client->tee,
        .request_timeout_ms = replicas_share(&client->replicas, client->request_timeout_ms),
        .attest_timeout_ms = client->attest_timeout_ms};
    return handshake_new(&conf, on_handshake, client, &client->handshake, err);
}

static void start_handshake(struct kbs_client *client)
{
    struct err err = ERR_INIT;
    client->tried = 0;
    err_clear(&client->troubles);
    if (!backoff_over(&client->backoff, loop_now_ms(), &err)) {
        vigil_failed(&client->vigil, &err);
        if (!has_good_token(client))
            fail_waiting(client, &err);
    } else if (is_passport(client) ? !read_passport(client, &err) : !next_handshake(client, &err))
        handshake_failed(client, &err);
}

/* Moves everything that can move. Runs from the loop alone, never from inside a call of ours. */
static void pump(void *arg)
{
    struct kbs_client *client = arg;
    struct err err = ERR_INIT;
    struct flight *flight;
    bool wanted = !TAILQ_EMPTY(&client->flights.queue) || token_waits_any(&client->token_waits);
    if (wanted && passport_stale(client))
        kbs_session_unref(take_ptr(client->session));
    if (has_good_token(client) && !token_waits_tell(&client->token_waits, client->session, &err))
        return;
    while (client->flights.asked < REQUESTS_MAX && client->flights.opening < OPENINGS_MAX &&
           has_good_token(client) && (flight = TAILQ_FIRST(&client->flights.queue)))
        if (!ask_resource(client, flight, &err) && !resource_fail(client, flight, &err))
            return;
    wanted = !TAILQ_EMPTY(&client->flights.queue) || token_waits_any(&client->token_waits);
    if (wanted && !has_good_token(client) && !client->handshake && !client->passport)
        start_handshake(client);
}

/* It is time for the next one, whoever wants a token or not. */
static void on_vigil(void *arg)
{
    struct kbs_client *client = arg;
    if (!client->handshake && !client->passport)
        start_handshake(client);
}

/* A request that needs a handshake is refused at once while the last one's failure is fresh. */
static bool may_wait(const struct kbs_client *client, struct err *err)
{
    return has_good_token(client) || client->handshake || client->passport ||
           backoff_over(&client->backoff, loop_now_ms(), err);
}

/* -- the public side ----------------------------------------------------------------------------- */

static bool take_urls(
    struct kbs_client *client, const struct kbs_client_conf *conf, struct err *err)
{
    if (conf->url_count == 0 || !conf->attest_socket)
        return err_set(
            err, ERR_CONFIG, "the URL of the KBS and the socket of sealed-attestd are both needed");
    return replicas_init(
        &client->replicas, conf->urls, conf->url_count, conf->http.allow_plain, err);
}

static void on_token_late(void *arg, int64_t timeout_ms, struct err *ret_err)
{
    const struct kbs_client *client = arg;
    err_set(ret_err, ERR_TIMEOUT, "KBS %s: no token within %lld ms, waiting for %s",
        url_of(client, client->asked), (long long)timeout_ms,
        client->handshake ? handshake_step(client->handshake) : "its turn");
}

bool kbs_client_new(struct loop *loop, const struct kbs_client_conf *conf,
    struct kbs_client **ret_client, struct err *err)
{
    AUTO(kbs_client_free) struct kbs_client *client = calloc(1, sizeof *client);
    if (!client)
        return err_nomem(err);
    client->loop = loop;
    client->crew = conf->crew;
    token_waits_init(&client->token_waits, loop, on_token_late, client);
    if (conf->tee && strlen(conf->tee) >= sizeof client->tee)
        return err_set(err, ERR_CONFIG, "tee \"%.40s\" is no name of a TEE", conf->tee);
    memcpy(client->tee, conf->tee ? conf->tee : "", conf->tee ? strlen(conf->tee) : 0);
    client->request_timeout_ms =
        conf->request_timeout_ms > 0 ? conf->request_timeout_ms : REQUEST_DEFAULT_MS;
    client->attest_timeout_ms =
        conf->attest_timeout_ms > 0 ? conf->attest_timeout_ms : ATTEST_DEFAULT_MS;
    client->passport_conf = conf->passport;
    client->resource_max = conf->resource_max > 0 && conf->resource_max < SECRET_SIZE_MAX
                               ? conf->resource_max
                               : SECRET_SIZE_MAX;
    if (!loop_timer_new(loop, pump, client, &client->pump, err) ||
        !vigil_init(&client->vigil, loop, conf->continuous, on_vigil, client, err))
        return false;
    flights_init(&client->flights, loop, client->pump, &client->handshake);
    if (!take_urls(client, conf, err) || !http_new(loop, &conf->http, &client->http, err) ||
        !attest_client_new(loop, conf->attest_socket, &client->attest, err))
        return false;
    *ret_client = take_ptr(client);
    return true;
}

void kbs_client_free(struct kbs_client *client)
{
    if (!client)
        return;
    handshake_free(client->handshake);
    passport_free(client->passport);
    if (client->pump)
        flights_done(&client->flights);
    token_waits_done(&client->token_waits);
    kbs_session_unref(client->session);
    vigil_done(&client->vigil);
    http_cancel(client->leaving);
    attest_client_free(client->attest);
    http_free(client->http);
    loop_timer_free(client->pump);
    free(client->accepted_evidence);
    free(client->latest_evidence);
    free(client);
}

void kbs_client_on_distrust(struct kbs_client *client, kbs_distrust_fn *fn, void *arg)
{
    client->distrust = fn;
    client->distrust_arg = arg;
}

bool kbs_client_fetch(struct kbs_client *client, const struct kbs_uri *uri, int64_t timeout_ms,
    kbs_fetch_fn *fn, void *arg, struct kbs_fetch **ret_fetch, struct err *err)
{
    struct flight *flight = NULL;
    if (!may_wait(client, err) || !flight_board(&client->flights, uri, &flight, err))
        return false;
    if (!flight_wait(flight, timeout_ms, fn, arg, ret_fetch, err)) {
        if (TAILQ_EMPTY(&flight->waiters))
            flight_rest(flight);
        return false;
    }
    client->fetches++;
    return true;
}

bool kbs_client_attest(
    struct kbs_client *client, int64_t timeout_ms, kbs_token_fn *fn, void *arg, struct err *err)
{
    if (!may_wait(client, err) || !token_waits_add(&client->token_waits, timeout_ms, fn, arg, err))
        return false;
    loop_timer_set(client->pump, 0);
    return true;
}

void kbs_client_forget(struct kbs_client *client)
{
    /* Evidence made before this call counts no more, so a handshake that has begun starts over. */
    handshake_free(take_ptr(client->handshake));
    passport_free(take_ptr(client->passport));
    kbs_session_unref(take_ptr(client->session));
    backoff_clear(&client->backoff);
    client->unproven = false;
    replicas_refresh(&client->replicas);
    flights_drop_failures(&client->flights);
    loop_timer_set(client->pump, 0);
}

void kbs_client_doubt(struct kbs_client *client)
{
    if (client->handshake || client->passport)
        return; /* it is being asked */
    kbs_session_unref(take_ptr(client->session));
    backoff_clear(&client->backoff);
    client->unproven = false;
    replicas_refresh(&client->replicas);
}

static void on_left(void *arg, const struct http_response *response, const struct err *err)
{
    struct kbs_client *client = arg;
    (void)response, (void)err;
    client->leaving = NULL;
    client->left(client->left_arg);
}

bool kbs_client_leave(struct kbs_client *client, int64_t timeout_ms, kbs_left_fn *fn, void *arg)
{
    struct err ignored = ERR_INIT;
    client->left = fn;
    client->left_arg = arg;
    loop_timer_clear(client->vigil.timer);
    return client->session && kbs_session_watched(client->session) && !client->leaving &&
           vigil_leave(client->http, url_of(client, client->home), client->session, timeout_ms,
               on_left, client, &client->leaving, &ignored);
}

void kbs_client_state(const struct kbs_client *client, struct kbs_client_state *ret_state)
{
    int64_t left = client->session ? kbs_session_left(client->session, loop_now_ms()) : 0;
    *ret_state = (struct kbs_client_state){
        .url = url_of(client, client->session ? client->home : client->replicas.best),
        .has_token = left > 0,
        .token_affirming = left > 0 && kbs_session_affirming(client->session),
        .token_expires_at = left > 0 ? (int64_t)time(NULL) + left / 1000 : 0,
        .handshakes = client->handshakes,
        .handshakes_failed = client->handshakes_failed,
        .fetches = client->fetches,
        .accepted_at = client->accepted_at,
        .accepted_evidence = client->accepted_evidence,
        .latest_evidence = client->latest_evidence,
        .last_refusal = client->last_refusal};
}
