/* SPDX-License-Identifier: Apache-2.0 */
/* /auth and /attest with real verifier processes (this program's own file), without a socket in front. */
#include "tests/unit/tpm_fake.h" /* first: the next has a file-wide `err` */

#include "tests/unit/kbs_fixture.h"

#include <pthread.h>
#include <signal.h>

#include "attest/runtime.h"
#include "crypt/base/b64.h"
#include "kbs/proto.h"
#include "kbs/server/agents/agent.h"
#include "kbs/server/verifier/verifier.h"

#define ASKERS    8
#define QUESTIONS 25

static struct jwk *tee_key;
static EVP_PKEY *ak;

static int setup(void **state)
{
    if (kbs_setup(state) != 0)
        return -1;
    assert_done(verifiers_new(&kbs.conf, &kbs.server.verifiers, &err), &err);
    assert_done(verifiers_start(kbs.server.verifiers, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &tee_key, &err), &err);
    ak = EVP_RSA_gen(2048);
    return ak ? 0 : -1;
}

static int teardown(void **state)
{
    verifiers_stop(kbs.server.verifiers);
    jwk_unref(tee_key);
    EVP_PKEY_free(ak);
    return kbs_teardown(state);
}

static struct session start_session(const char *tee)
{
    struct session session;
    assert_done(session_start(kbs.server.sessions, tee, kbs.now + 300, &session, &err), &err);
    return session;
}

static struct hash report_data(const char *nonce, json_t **ret_pubkey)
{
    struct hash digest;
    auto_free char *canonical = NULL;
    assert_done(runtime_tee_pubkey(tee_key, ret_pubkey, &err), &err);
    assert_done(runtime_data(nonce, *ret_pubkey, "", HASH_SHA384, &canonical, &digest, &err), &err);
    return digest;
}

/* The body of /attest; the caller frees it. */
static char *sample_body(const char *nonce)
{
    char *body = NULL, *evidence = NULL;
    auto_json *pubkey = NULL;
    struct hash digest = report_data(nonce, &pubkey);
    auto_free char *text = b64_encode(B64_STD, hash_view(&digest));
    assert_true(asprintf(&evidence, "{\"svn\":\"1\",\"report_data\":\"%s\"}", text) > 0);
    assert_done(proto_attest_encode(nonce, pubkey, bytes_str(evidence), &body, &err), &err);
    free(evidence);
    return body;
}

static char *tpm_body(const char *nonce)
{
    char *body = NULL;
    auto_json *pubkey = NULL;
    struct hash digest = report_data(nonce, &pubkey);
    struct tpm_fake fake = tpm_fake_new(ak, hash_view(&digest));
    auto_json *evidence = NULL;
    assert_done(tpm_fake_evidence(&fake, &evidence, &err), &err);
    auto_free char *text = json_text(evidence);
    assert_done(proto_attest_encode(nonce, pubkey, bytes_str(text), &body, &err), &err);
    return body;
}

static struct exchange *attest(const struct session *session, const char *body)
{
    static char cookie[256];
    snprintf(cookie, sizeof cookie, SESSION_COOKIE "=%s", session->value);
    struct exchange *exchange = exchange_new("/kbs/v0/attest");
    assert_non_null(exchange);
    exchange->request.method = REQUEST_POST;
    exchange->request.peer = "test";
    exchange->request.cookie = cookie;
    assert_true(exchange_head(&kbs.server, exchange, NULL));
    assert_true(exchange_body(exchange, bytes_str(body)));
    exchange_finish(&kbs.server, exchange);
    return exchange;
}

static void test_auth(void **state)
{
    (void)state;
    struct proto_challenge challenge;
    struct session session;
    static const char good[] = "{\"version\":\"0.4.0\",\"tee\":\"tpm\",\"extra-params\":{}}";
    struct exchange *exchange = kbs_ask(REQUEST_POST, "/kbs/v0/auth", NULL, good);
    assert_int_equal(exchange->response.status, 200);
    assert_string_equal(exchange->response.content_type, "application/json");
    assert_done(
        proto_challenge_decode(buf_bytes(&exchange->response.body), &challenge, &err), &err);
    assert_done(
        session_find(kbs.server.sessions, exchange->response.cookie, kbs.now, &session, &err),
        &err);
    assert_string_equal(challenge.nonce, session.nonce);
    assert_int_equal(session.expires_at, kbs.now + 300);
    exchange_free(exchange);
}

static void auth_refused(const char *body, const char *text)
{
    kbs_assert_answer(kbs_ask(REQUEST_POST, "/kbs/v0/auth", NULL, body), 401, text);
}

static void test_auth_refused(void **state)
{
    (void)state;
    auth_refused("", "RCAR handshake Auth failed");
    auth_refused("[]", "RCAR handshake Auth failed");
    auth_refused("{\"version\":\"0.4.0\",\"tee\":\"tpm\"}", "extra-params");
    auth_refused("{\"version\":\"0.1.1\",\"tee\":\"tpm\",\"extra-params\":{}}",
        "Protocol Version Mismatch: expect =0.4.0 while the request is 0.1.1");
    auth_refused("{\"version\":\"0.4.01\",\"tee\":\"tpm\",\"extra-params\":{}}", "Mismatch");
    auth_refused("{\"version\":\"0.4.0\",\"tee\":\"TPM\",\"extra-params\":{}}", "tee \\\"TPM\\\"");
    auth_refused("{\"version\":\"0.4.0\",\"tee\":\"\",\"extra-params\":{}}", "tee");
}

static void test_sample(void **state)
{
    (void)state;
    struct session session = start_session("sample");
    auto_free char *body = sample_body(session.nonce), *first = NULL;
    int64_t next_s = -1;
    auto_ear ear = {0};
    struct exchange *exchange = attest(&session, body);
    if (exchange->response.status != 200)
        fail_msg("%s", buf_text(&exchange->response.body));
    assert_done(
        proto_token_decode(buf_bytes(&exchange->response.body), &first, &next_s, &err), &err);
    assert_int_equal(next_s, 0); /* [agents] interval is off */
    assert_done(ear_verify(bytes_str(first), kbs.server.signer.key, kbs.now, &ear, &err), &err);
    exchange_free(exchange);
    kbs_assert_answer(attest(&session, body), 200, first); /* the identical body again */
    body[strlen(body) - 1] = ' ';
    kbs_assert_answer(attest(&session, body), 401, "used for other evidence");
}

static void test_refusals_spend_nothing(void **state)
{
    (void)state;
    struct session session = start_session("sample"), other = start_session("sample");
    auto_free char *body = sample_body(session.nonce), *wrong = sample_body(other.nonce);
    kbs_assert_answer(attest(&session, wrong), 401, "RCAR handshake Attest failed [id ");
    kbs_assert_answer(attest(&session, "{"), 401, "RCAR handshake Attest failed [id ");
    kbs_assert_answer(attest(&session, ""), 401, "RCAR handshake Attest failed [id ");
    kbs_assert_answer(attest(&session, body), 200, "token");
}

static void test_session_ends(void **state)
{
    (void)state;
    struct session session = start_session("sample");
    auto_free char *body = sample_body(session.nonce);
    kbs.now += 300;
    kbs_assert_answer(attest(&session, body), 401, "expired");
}

static void test_tpm_key_must_be_admitted(void **state)
{
    (void)state;
    struct session session = start_session("tpm");
    auto_free char *body = tpm_body(session.nonce);
    auto_json *agent = NULL;
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(ak, &der);
    assert_true(len > 0);
    kbs_assert_answer(attest(&session, body), 401, "Attest failed [id ");
    assert_done(
        agent_create(&kbs.server, bytes_of(der, (size_t)len), NULL, AGENT_REGISTERED, &agent, &err),
        &err);
    OPENSSL_free(der);
    kbs_assert_answer(attest(&session, body), 401, "Attest failed [id ");
    assert_done(agent_set_state(&kbs.server, agent, AGENT_REVOKED, "ann", NULL, &err), &err);
    kbs_assert_answer(attest(&session, body), 401, "Attest failed [id ");
    assert_done(agent_set_state(&kbs.server, agent, AGENT_ADMITTED, "ann", NULL, &err), &err);
    kbs_assert_answer(attest(&session, body), 200, "token");
}

/* Evidence of one TEE in a session of another. */
static void test_another_tee(void **state)
{
    (void)state;
    struct session session = start_session("tpm");
    auto_free char *body = sample_body(session.nonce);
    kbs_assert_answer(attest(&session, body), 401, "Attest failed [id ");
    struct session unknown = start_session("snp");
    auto_free char *other = sample_body(unknown.nonce);
    kbs_assert_answer(attest(&unknown, other), 401, "Attest failed");
}

static void test_killed_verifiers_are_replaced(void **state)
{
    (void)state;
    pid_t before[VERIFIER_COUNT_MAX], after[VERIFIER_COUNT_MAX];
    size_t count = verifier_pids(kbs.server.verifiers, before, VERIFIER_COUNT_MAX);
    assert_int_equal(count, 2);
    for (size_t i = 0; i < count; i++)
        kill(before[i], SIGKILL);
    struct session session = start_session("sample");
    auto_free char *body = sample_body(session.nonce);
    /* Killed a moment ago: a request may have been on its way to one of them, once for each. */
    for (size_t lost = 0; lost < count; lost++) {
        struct exchange *exchange = attest(&session, body);
        if (exchange->response.status != 503) {
            kbs_assert_answer(exchange, 200, "token");
            break;
        }
        exchange_free(exchange);
    }
    kbs_assert_answer(attest(&session, body), 200, "token");
    count = verifier_pids(kbs.server.verifiers, after, VERIFIER_COUNT_MAX);
    for (size_t i = 0; i < count; i++)
        if (after[i] == before[0])
            fail_msg("process %d is still listed", (int)after[i]);
}

static void *ask_often(void *arg)
{
    const char *body = arg;
    struct verifier_request request = {
        .kind = VERIFIER_EVIDENCE, .tee = "sample", .nonce = "AAAA", .body = bytes_str(body)};
    size_t good = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct err cause = ERR_INIT;
        auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
        auto_verifier_answer answer = {0};
        if (verifier_ask(kbs.server.verifiers, &request, NULL, &message, &answer, &cause))
            good += answer.status == VERIFIER_ACCEPTED;
    }
    return good == QUESTIONS ? arg : NULL;
}

static void test_many_at_once(void **state)
{
    (void)state;
    pthread_t threads[ASKERS];
    auto_free char *body = sample_body("AAAA");
    for (size_t i = 0; i < ASKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_often, body), 0);
    for (size_t i = 0; i < ASKERS; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        assert_non_null(good);
    }
}

static void test_reasons(void **state)
{
    (void)state;
    auto_buf message = BUF_INIT(VERIFIER_ANSWER_MAX);
    auto_verifier_answer answer = {0};
    auto_json *attest_json = NULL;
    auto_free char *body = sample_body("AAAA");
    assert_done(
        json_load_strict(bytes_str(body), PROTO_BODY_MAX, "body", &attest_json, &err), &err);
    json_object_set_new(json_object_get(attest_json, "tee-evidence"), "additional_evidence",
        json_string("{\"tpm\":{}}"));
    json_object_set_new(attest_json, "init-data",
        json_pack("{s:s, s:s}", "format", "toml", "body", "algorithm = \"md5\""));
    auto_free char *text = json_text(attest_json);
    const struct verifier_request request = {
        .kind = VERIFIER_EVIDENCE, .tee = "sample", .nonce = "BBBB", .body = bytes_str(text)};
    assert_done(verifier_ask(kbs.server.verifiers, &request, NULL, &message, &answer, &err), &err);
    assert_int_equal(answer.status, VERIFIER_REFUSED);
    static const char *const checks[] = {
        "nonce", "init-data", "sample.report-data", "additional-evidence"};
    assert_int_equal(answer.reason_count, ARRAY_LEN(checks));
    for (size_t i = 0; i < ARRAY_LEN(checks); i++)
        assert_string_equal(answer.reasons[i].check, checks[i]);
    assert_string_equal(answer.reasons[0].got, "AAAA");
    assert_string_equal(answer.reasons[0].expected, "BBBB");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(int argc, char **argv)
{
    int status;
    if (verifier_run(argc, argv, &status))
        return status;
    const struct CMUnitTest tests[] = {
        TEST(test_auth),
        TEST(test_auth_refused),
        TEST(test_sample),
        TEST(test_refusals_spend_nothing),
        TEST(test_session_ends),
        TEST(test_tpm_key_must_be_admitted),
        TEST(test_another_tee),
        TEST(test_killed_verifiers_are_replaced),
        TEST(test_many_at_once),
        TEST(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
