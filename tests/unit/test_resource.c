/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's GET of a resource, from token to JWE, without a socket. */
#include "tests/unit/kbs_fixture.h"

#include "attest/runtime.h"
#include "crypt/base/b64.h"
#include "crypt/jwe.h"
#include "kbs/server/agents/agent.h"
#include "kbs/server/agents/attendance.h"
#include "kbs/server/refvalue.h"
#include "kbs/server/policy/policy.h"

#include <sys/stat.h>

#define PATH   "/kbs/v0/resource/default/key/1"
#define SECRET "the plaintext of the test"

static struct jwk *tee_key, *other_key;

static int make_keys(void **state)
{
    (void)state;
    return jwk_generate(JWK_EC_P256, NULL, &tee_key, &err) &&
                   jwk_generate(JWK_EC_P256, NULL, &other_key, &err)
               ? 0
               : -1;
}

static int drop_keys(void **state)
{
    (void)state;
    jwk_unref(tee_key);
    jwk_unref(other_key);
    return 0;
}

/* The SPKI of some P-256 key stands for an attestation key: nothing here looks into it. */
static void ak_spki(struct buf *out)
{
    assert_done(jwk_spki(other_key, out, &err), &err);
}

/* NULL, or the TEE of a device whose evidence the next token holds beside the guest's own: it has the attestation key. */
static const char *device;

/* "Bearer " and a token for this status; the caller frees it. */
static char *token(const struct jwk *signer, const char *tee, enum appraisal_status status)
{
    auto_buf spki = BUF_INIT(1024);
    auto_json *claims = NULL;
    auto_json *pubkey = NULL;
    auto_json *runtime = NULL;
    auto_free char *text = NULL;
    struct appraisal appraisal = {.status = status};
    ak_spki(&spki);
    auto_free char *ak = b64_encode(B64_STD, buf_bytes(&spki));
    assert_done(json_build(&claims, &err, "{s:s,s:s,s:s,s:s}", "ak_public", ak, "pcr07", "aa",
                    "report_data", "00", "init_data", "00"),
        &err);
    auto_json *device_claims = json_copy(claims);
    if (strcmp(tee, "tpm") != 0) /* sample evidence has no attestation key */
        json_object_del(claims, "ak_public");
    assert_done(runtime_tee_pubkey(tee_key, &pubkey, &err), &err);
    assert_done(json_build(&runtime, &err, "{s:s,s:s,s:O}", "additional-evidence", "", "nonce",
                    "AAAA", "tee-pubkey", pubkey),
        &err);
    assert_done(json_build(&appraisal.vector, &err, "{s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i}",
                    "instance-identity", 0, "configuration", 0, "executables", 3, "file-system", 0,
                    "hardware", 2, "runtime-opaque", 0, "storage-opaque", 0, "sourced-data", 0),
        &err);
    appraisal.findings = json_array();
    const struct ear_signer ear = {
        .key = (struct jwk *)(uintptr_t)signer, .issuer = "test", .lifetime_s = 300};
    const struct ear_piece pieces[] = {{.tee = tee,
                                           .class_name = "cpu",
                                           .claims = claims,
                                           .runtime_data = runtime,
                                           .appraisal = &appraisal},
        {.tee = device,
            .class_name = "cpu",
            .claims = device_claims,
            .runtime_data = runtime,
            .appraisal = &appraisal}};
    const struct ear_input input = {
        .pieces = pieces, .count = device ? 2 : 1, .issued_at = EAR_TEST_NOW};
    assert_done(ear_issue(&ear, &input, &text, &err), &err);
    appraisal_done(&appraisal);
    char *header = malloc(strlen(text) + 8);
    assert_non_null(header);
    sprintf(header, "Bearer %s", text);
    return header;
}

static json_t *enrol(enum agent_state state)
{
    auto_buf spki = BUF_INIT(1024);
    json_t *agent = NULL;
    ak_spki(&spki);
    assert_done(agent_create(&kbs.server, buf_bytes(&spki), NULL, state, &agent, &err), &err);
    return agent;
}

static void put(void)
{
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str(SECRET), &value, &err), &err);
    assert_done(
        store_put_secret(kbs.server.store, STORE_RESOURCE, "default/key/1", value, &err), &err);
}

static void get(const char *authorization, int status, const char *text)
{
    struct exchange *exchange = kbs_ask(REQUEST_GET, PATH, authorization, NULL);
    if (strstr(buf_text(&exchange->response.body), SECRET))
        fail_msg("the plaintext is in the answer");
    kbs_assert_answer(exchange, status, text);
}

static void a_good_guest_gets_it_for_its_key_only(void **state)
{
    (void)state;
    auto_secret *plain = NULL;
    auto_json *agent = enrol(AGENT_ADMITTED);
    put();
    auto_free char *bearer = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    AUTO(exchange_free) struct exchange *exchange = kbs_ask(REQUEST_GET, PATH, bearer, NULL);
    assert_int_equal(exchange->response.status, 200);
    assert_string_equal(exchange->response.content_type, "application/json");
    assert_non_null(strstr(exchange->response.audit, "released default/key/1 to tpm"));
    struct bytes body = buf_bytes(&exchange->response.body);
    assert_false(jwe_decrypt(body, other_key, &plain, &err));
    assert_done(jwe_decrypt(body, tee_key, &plain, &err), &err);
    assert_true(secret_equal(secret_bytes(plain), bytes_str(SECRET)));
}

static void ask(const char *query, int status, const char *text)
{
    char uri[128];
    auto_free char *sample = token(kbs.server.signer.key, "sample", APPRAISAL_AFFIRMING);
    snprintf(uri, sizeof uri, PATH "%s", query);
    kbs_assert_answer(kbs_ask(REQUEST_GET, uri, sample, NULL), status, text);
}

static void versions_and_their_end(void **state)
{
    (void)state;
    auto_secret *value = NULL;
    auto_json *keys = NULL;
    auto_buf explanation = BUF_INIT(10000);
    put();
    assert_done(secret_copy(bytes_str("until then"), &value, &err), &err);
    assert_done(
        store_write(kbs.server.store, "default/key/1", value, EAR_TEST_NOW + 60, NULL, &err), &err);
    ask("", 200, "ciphertext");
    ask("?version=1", 200, "ciphertext");
    ask("?version=2", 200, "ciphertext");
    ask("?other=x&version=2", 200, "ciphertext");
    ask("?version=3", 401, "PluginInternalError");
    ask("?version=0", 401, "PluginInternalError");
    ask("?version=1&version=1", 401, "PluginInternalError");
    kbs.now = EAR_TEST_NOW + 59;
    ask("?version=2", 200, "ciphertext");
    kbs.now = EAR_TEST_NOW + 60;
    ask("?version=1", 200, "ciphertext");
    ask("?version=2", 401, "PluginInternalError\",\"detail\":\"Plugin internal error [id ");
    ask("", 401, "Plugin internal error [id ");
    assert_done(store_list(kbs.server.store, STORE_EXPLANATION, &keys, &err), &err);
    const char *last = json_string_value(json_array_get(keys, json_array_size(keys) - 1));
    assert_done(store_get(kbs.server.store, STORE_EXPLANATION, last, &explanation, &err), &err);
    assert_non_null(strstr(buf_text(&explanation), "version 2 was good until"));
}

static void tokens_are_checked(void **state)
{
    (void)state;
    auto_json *agent = enrol(AGENT_ADMITTED);
    put();
    auto_free char *good = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    auto_free char *forged = token(other_key, "tpm", APPRAISAL_AFFIRMING);
    get(NULL, 401, "\"detail\":\"Attestation Token not found\"");
    get("Basic x", 401, "TokenNotFound");
    get("Bearer x", 401, "\"detail\":\"Token Verifier error\"");
    get(forged, 401, "TokenVerifierError"); /* signed by the key in its own header */
    kbs.now = EAR_TEST_NOW + 299;
    get(good, 200, "ciphertext");
    kbs.now = EAR_TEST_NOW + 300;
    get(good, 401, "Token Verifier error [id ");
    auto_json *keys = NULL;
    auto_buf explanation = BUF_INIT(10000);
    assert_done(store_list(kbs.server.store, STORE_EXPLANATION, &keys, &err), &err);
    const char *last = json_string_value(json_array_get(keys, json_array_size(keys) - 1));
    assert_done(store_get(kbs.server.store, STORE_EXPLANATION, last, &explanation, &err), &err);
    assert_non_null(strstr(buf_text(&explanation), "bad token"));
    assert_non_null(strstr(buf_text(&explanation), "expired"));
}

/* In no style does an answer hold what was measured or what was expected. */
static void a_guest_learns_the_id_only(void **state)
{
    (void)state;
    static const char payload[] = "{\"tpm_pcr11\":[\"d15ea5e0\"]}";
    auto_json *agent = enrol(AGENT_ADMITTED), *values = NULL;
    put();
    struct refvalue_change change = {.operation = REFVALUE_SET};
    const struct refvalue_setter setter = {.by = "ann", .now = EAR_TEST_NOW};
    assert_done(json_load_strict(bytes_str(payload), 1000, "values", &values, &err), &err);
    change.values = values;
    assert_done(refvalue_apply(kbs.server.store, &change, &setter, &err), &err);
    for (int style = KBS_ERRORS_COMPATIBLE; style <= KBS_ERRORS_STRICT; style++) {
        kbs.conf.server.error_style = style;
        auto_free char *bearer = token(kbs.server.signer.key, "tpm", APPRAISAL_CONTRAINDICATED);
        AUTO(exchange_free) struct exchange *exchange = kbs_ask(REQUEST_GET, PATH, bearer, NULL);
        const char *body = buf_text(&exchange->response.body);
        static const char *const hidden[] = {
            "d15ea5e0", "tpm", "pcr", "ak_public", "line", "reference", "affirming", "expected"};
        for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
            if (strstr(body, hidden[i]))
                fail_msg("style %d: the guest reads \"%s\" in %s", style, hidden[i], body);
        assert_non_null(strstr(body, "Access denied by policy [id "));
    }
}

static void the_policy_decides_on_status(void **state)
{
    (void)state;
    auto_json *agent = enrol(AGENT_ADMITTED);
    put();
    auto_free char *warned = token(kbs.server.signer.key, "tpm", APPRAISAL_WARNING);
    get(warned, 401, "PolicyDeny\",\"detail\":\"Access denied by policy [id ");
    assert_done(store_put(kbs.server.store, STORE_POLICY, "resource-policy",
                    bytes_str("allow default/** if status warning\n"), &err),
        &err);
    get(warned, 200, "ciphertext");
    assert_done(store_put(kbs.server.store, STORE_POLICY, "resource-policy",
                    bytes_str("allow ** if tpm.pcr07 in reference-value good\n"), &err),
        &err);
    get(warned, 401, "PolicyDeny");
    assert_done(store_put(kbs.server.store, STORE_REFERENCE, "good",
                    bytes_str("{\"version\":\"0.1.0\",\"name\":\"good\",\"expiration\":"
                              "\"2099-01-01T00:00:00Z\",\"value\":[\"aa\"]}"),
                    &err),
        &err);
    get(warned, 200, "ciphertext");
}

static void a_broken_policy_denies(void **state)
{
    (void)state;
    auto_json *agent = enrol(AGENT_ADMITTED);
    put();
    auto_free char *good = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    get(good, 200, "ciphertext");
    assert_done(
        store_put(kbs.server.store, STORE_POLICY, "resource-policy", bytes_str("nonsense\n"), &err),
        &err);
    get(good, 401, "\"detail\":\"Plugin internal error\"");
}

static void an_agent_must_be_admitted_now(void **state)
{
    (void)state;
    put();
    auto_free char *good = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    get(good, 401, "PolicyDeny"); /* not even enrolled */
    auto_json *agent = enrol(AGENT_REGISTERED);
    get(good, 401, "PolicyDeny");
    assert_done(agent_set_state(&kbs.server, agent, AGENT_ADMITTED, "ann", NULL, &err), &err);
    get(good, 200, "ciphertext");
    assert_done(agent_set_state(&kbs.server, agent, AGENT_REVOKED, "ann", NULL, &err), &err);
    get(good, 401, "PolicyDeny"); /* the same token, at once */
}

/* A token of a guest with a TPM as its device ends with that TPM's key, too. */
static void the_key_of_a_device_must_be_admitted_now(void **state)
{
    (void)state;
    auto_json *agent = enrol(AGENT_ADMITTED);
    put();
    device = "tpm";
    auto_free char *bearer = token(kbs.server.signer.key, "sample", APPRAISAL_AFFIRMING);
    device = NULL;
    get(bearer, 200, "ciphertext");
    assert_done(agent_set_state(&kbs.server, agent, AGENT_REVOKED, "ann", NULL, &err), &err);
    get(bearer, 401, "PolicyDeny");
}

/* Nobody has looked yet whether it is late; that it says goodbye must not change the answer. */
static void who_is_late_cannot_leave(void **state)
{
    (void)state;
    int64_t next_s = 0;
    auto_json *agent = enrol(AGENT_ADMITTED);
    const char *id = json_member_text(agent, "id");
    kbs.conf.agents.interval_ms = 60000;
    kbs.conf.agents.grace_ms = 10000;
    put();
    auto_free char *bearer = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    assert_done(attendance_attested(&kbs.server, id, APPRAISAL_AFFIRMING, &next_s, &err), &err);
    get(bearer, 200, "ciphertext");
    kbs.now += 100;
    kbs_assert_answer(
        kbs_ask(REQUEST_POST, "/kbs/v0/agent/leave", bearer, NULL), 401, "TokenVerifierError");
    get(bearer, 401, "PolicyDeny");
}

static void a_tee_must_be_taken_now(void **state)
{
    (void)state;
    put();
    auto_free char *sample = token(kbs.server.signer.key, "sample", APPRAISAL_AFFIRMING);
    get(sample, 200, "ciphertext");
    kbs.conf.attestation.tees.count = 1; /* tpm only */
    get(sample, 401, "PolicyDeny");
    kbs.conf.attestation.tees.count = 2;
}

static void what_is_missing_is_an_internal_error_with_an_id(void **state)
{
    (void)state;
    auto_json *keys = NULL;
    auto_free char *sample = token(kbs.server.signer.key, "sample", APPRAISAL_AFFIRMING);
    get(sample, 401, "PluginInternalError\",\"detail\":\"Plugin internal error [id ");
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/kbs/v0/resource/default/key", sample, NULL), 401,
        "\"detail\":\"Plugin internal error\"");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/resource/a/../c", sample, NULL), 401, "PluginInternalError");
    assert_done(store_list(kbs.server.store, STORE_EXPLANATION, &keys, &err), &err);
    assert_int_equal(json_array_size(keys), 1);
}

/* What the disk does is no answer to "may this guest have it?". */
static void a_broken_store_is_no_denial(void **state)
{
    (void)state;
    char dir[128], path[256];
    auto_free char *sample = token(kbs.server.signer.key, "sample", APPRAISAL_AFFIRMING);
    put();
    snprintf(dir, sizeof dir, "%s/repository/default/key", kbs.root);
    snprintf(path, sizeof path, "%s/1", dir);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    get(sample, 503, "PluginInternalError\",\"detail\":\"Plugin internal error [id ");
}

static void strict_errors_have_their_own_status(void **state)
{
    (void)state;
    auto_json *agent = enrol(AGENT_ADMITTED);
    auto_free char *good = token(kbs.server.signer.key, "tpm", APPRAISAL_AFFIRMING);
    auto_free char *warned = token(kbs.server.signer.key, "tpm", APPRAISAL_WARNING);
    kbs.conf.server.error_style = KBS_ERRORS_STRICT;
    get(NULL, 401, "TokenNotFound");
    get("Bearer x", 401, "TokenVerifierError");
    get(warned, 403, "PolicyDeny");
    get(good, 404, "PluginInternalError");
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/kbs/v0/resource/default/key", good, NULL), 400,
        "PluginInternalError");
    kbs_assert_answer(kbs_ask(REQUEST_POST, PATH, NULL, "x"), 401, "AdminAuthAccess");
    kbs_assert_answer(kbs_ask(REQUEST_POST, "/kbs/v0/auth", NULL, "{}"), 400, "AttestationError");
    kbs_assert_answer(kbs_ask(REQUEST_POST, "/kbs/v0/attest", NULL, "{}"), 401, "AttestationError");
    put();
    get(good, 200, "ciphertext");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_good_guest_gets_it_for_its_key_only),
        TEST(versions_and_their_end),
        TEST(tokens_are_checked),
        TEST(a_guest_learns_the_id_only),
        TEST(the_policy_decides_on_status),
        TEST(a_broken_policy_denies),
        TEST(an_agent_must_be_admitted_now),
        TEST(the_key_of_a_device_must_be_admitted_now),
        TEST(who_is_late_cannot_leave),
        TEST(a_tee_must_be_taken_now),
        TEST(what_is_missing_is_an_internal_error_with_an_id),
        TEST(a_broken_store_is_no_denial),
        TEST(strict_errors_have_their_own_status),
    };
    return cmocka_run_group_tests(tests, make_keys, drop_keys);
}
