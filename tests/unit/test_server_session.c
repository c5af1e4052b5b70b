/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"
#include "tests/unit/kbs_fixture.h"

#include "crypt/base/b64.h"

#define NOW     EAR_TEST_NOW
#define EXPIRES (NOW + 300)
#define HEADER  SESSION_COOKIE "="

static struct session made(const char *tee)
{
    struct session session;
    assert_done(session_start(kbs.server.sessions, tee, EXPIRES, &session, &err), &err);
    return session;
}

static bool opens(const char *value, int64_t now)
{
    struct session session;
    return session_open(kbs.server.sessions, bytes_str(value), now, &session, &err);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct session session = made("tpm"), again;
    uint8_t nonce[SESSION_NONCE];
    assert_done(
        session_open(kbs.server.sessions, bytes_str(session.value), NOW, &again, &err), &err);
    assert_memory_equal(&session, &again, sizeof session);
    assert_string_equal(again.tee, "tpm");
    assert_int_equal(again.expires_at, EXPIRES);
    assert_int_equal(strlen(session.nonce), 44);
    assert_done(
        b64_decode_exact(B64_STD, bytes_str(session.nonce), "nonce", nonce, sizeof nonce, &err),
        &err);
    assert_true(strlen(session.value) < 80);
    assert_int_equal(strspn(session.value, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                           "0123456789-_"),
        strlen(session.value));
}

static void test_no_two_are_alike(void **state)
{
    (void)state;
    struct session a = made("tpm"), b = made("tpm");
    assert_string_not_equal(a.id, b.id);
    assert_string_not_equal(a.nonce, b.nonce);
    assert_string_not_equal(a.value, b.value);
}

static void test_expiry(void **state)
{
    (void)state;
    struct session session = made("tpm");
    assert_true(opens(session.value, EXPIRES - 1));
    assert_refused(opens(session.value, EXPIRES), &err, ERR_STALE, "start again with /auth");
    assert_refused(opens(session.value, INT64_MAX), &err, ERR_STALE, "expired");
}

/* Any change of any character: expiry, random bytes, tee or MAC. */
static void test_every_character_counts(void **state)
{
    (void)state;
    struct session session = made("tpm");
    char value[SESSION_TEXT_MAX];
    for (size_t i = 0; i < strlen(session.value); i++) {
        strcpy(value, session.value);
        value[i] = value[i] == 'A' ? 'B' : 'A';
        assert_refused(opens(value, NOW), &err, err.code, "not one of this server");
        strcpy(value, session.value);
        value[i] = '\0';
        assert_refused(opens(value, NOW), &err, err.code, "not one of this server");
    }
}

static void test_another_tee(void **state)
{
    (void)state;
    struct session session = made("sample");
    auto_buf raw = BUF_INIT(256);
    assert_done(b64_decode(B64_URL, bytes_str(session.value), "value", &raw, &err), &err);
    uint8_t *at = memmem(raw.data, raw.len, "sample", 6);
    assert_non_null(at);
    memcpy(at, "simple", 6);
    auto_free char *value = b64_encode(B64_URL, buf_bytes(&raw));
    assert_refused(opens(value, NOW), &err, ERR_CRYPTO, "not one of this server");
}

static void test_replicas(void **state)
{
    (void)state;
    AUTO(sessions_free) struct sessions *replica = NULL, *stranger = NULL;
    auto_jwk *key = NULL;
    struct session session = made("tpm"), again;
    assert_done(sessions_new(kbs.server.signer.key, &replica, &err), &err);
    assert_done(session_open(replica, bytes_str(session.value), NOW, &again, &err), &err);
    assert_string_equal(again.nonce, session.nonce);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(sessions_new(key, &stranger, &err), &err);
    assert_refused(session_open(stranger, bytes_str(session.value), NOW, &again, &err), &err,
        ERR_CRYPTO, "not one of this server");
}

static bool refuse_value(const struct secret *input, struct err *ret_err)
{
    struct session session;
    return session_open(kbs.server.sessions, secret_bytes(input), NOW, &session, ret_err);
}

static void test_bad_inputs(void **state)
{
    static const char no[] = "not one of this server";
    static const struct bad_input inputs[] = {
        {"empty", ERR_FORMAT, no},
        {"trustee-uuid", ERR_CRYPTO, no},
        {"only-a-mac", ERR_FORMAT, no},
        {"padded", ERR_FORMAT, no},
        {"standard-alphabet", ERR_FORMAT, no},
        {"over-128-characters", ERR_FORMAT, no},
        {"of-another-server", ERR_CRYPTO, no},
        {"mac-of-zeros", ERR_CRYPTO, no},
    };
    (void)state;
    assert_all_bad("bad/session_cookie", inputs, ARRAY_LEN(inputs), refuse_value);
}

static bool finds(const char *header)
{
    struct session session;
    return session_find(kbs.server.sessions, header, NOW, &session, &err);
}

static void test_cookie_header(void **state)
{
    (void)state;
    struct session session = made("tpm");
    char header[512];
    static const char *const forms[] = {HEADER "%s", "a=b; " HEADER "%s", HEADER "%s; c=d",
        "a=b;" HEADER "%s ;c=d", " \t" HEADER "%s", "kbs-session-idx=1; " HEADER "%s",
        "x" HEADER "1; " HEADER "%s"};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        snprintf(header, sizeof header, "%.*s%s%s", (int)(strstr(forms[i], "%s") - forms[i]),
            forms[i], session.value, strstr(forms[i], "%s") + 2);
        assert_done(finds(header), &err);
    }
    assert_refused(finds(NULL), &err, ERR_NOTFOUND, "start with /auth");
    assert_refused(finds(""), &err, ERR_NOTFOUND, "no cookie");
    assert_refused(finds("a=b; c"), &err, ERR_NOTFOUND, "no cookie");
    assert_refused(finds(HEADER), &err, ERR_NOTFOUND, "no cookie");
    assert_refused(finds(SESSION_COOKIE), &err, ERR_NOTFOUND, "no cookie");
    assert_refused(finds(HEADER "x"), &err, ERR_FORMAT, "not one of this server");
}

static void test_set_cookie(void **state)
{
    (void)state;
    char text[RESPONSE_COOKIE_MAX], wanted[RESPONSE_COOKIE_MAX];
    struct session session = made("tpm");
    session.expires_at = 1795392692; /* of the recorded exchange in protocol.md's transcripts */
    session_cookie(&session, text);
    snprintf(
        wanted, sizeof wanted, HEADER "%s; Expires=Mon, 23 Nov 2026 00:11:32 GMT", session.value);
    assert_string_equal(text, wanted);
}

static struct hash digest_of(const char *body)
{
    struct hash hash;
    assert_done(hash_bytes(HASH_SHA256, bytes_str(body), &hash, &err), &err);
    return hash;
}

static void test_spending(void **state)
{
    (void)state;
    struct session session = made("tpm");
    struct hash one = digest_of("one"), two = digest_of("two");
    auto_free char *none = NULL, *first = NULL, *second = NULL, *again = NULL, *by_cookie = NULL;
    char header[256];
    snprintf(header, sizeof header, HEADER "%s", session.value);
    assert_done(session_answer(&kbs.server, &session, &one, &none, &err), &err);
    assert_null(none);
    assert_done(session_token(&kbs.server, header, &none, &err), &err);
    assert_null(none);
    assert_done(session_spend(&kbs.server, &session, &one, "token-1", &first, &err), &err);
    assert_string_equal(first, "token-1");
    assert_done(session_spend(&kbs.server, &session, &one, "token-2", &second, &err), &err);
    assert_string_equal(second, "token-1"); /* the one that won */
    assert_done(session_answer(&kbs.server, &session, &one, &again, &err), &err);
    assert_string_equal(again, "token-1");
    assert_refused(session_answer(&kbs.server, &session, &two, &none, &err), &err,
        ERR_DENIED_POLICY, "used for other evidence");
    assert_refused(session_spend(&kbs.server, &session, &two, "token-3", &none, &err), &err,
        ERR_DENIED_POLICY, "used for other evidence");
    assert_done(session_token(&kbs.server, header, &by_cookie, &err), &err);
    assert_string_equal(by_cookie, "token-1");
    kbs.now = EXPIRES;
    assert_done(session_token(&kbs.server, header, &none, &err), &err);
    assert_null(none);
    assert_done(session_token(&kbs.server, HEADER "junk", &none, &err), &err);
    assert_null(none);
    assert_done(session_token(&kbs.server, NULL, &none, &err), &err);
    assert_null(none);
}

static void test_broken_record(void **state)
{
    (void)state;
    struct session session = made("tpm");
    struct hash one = digest_of("one");
    char *token = NULL;
    static const char *const records[] = {"", "{}", "[]",
        "{\"body\":\"x\",\"token\":\"t\","
        "\"expires\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        assert_done(
            store_put(kbs.server.store, STORE_NONCE, session.id, bytes_str(records[i]), &err),
            &err);
        assert_refused(session_answer(&kbs.server, &session, &one, &token, &err), &err, ERR_FORMAT,
            "spent nonce");
    }
}

static void test_subkeys(void **state)
{
    (void)state;
    auto_secret *a = NULL, *b = NULL, *again = NULL;
    assert_done(sessions_subkey(kbs.server.sessions, "a", &a, &err), &err);
    assert_done(sessions_subkey(kbs.server.sessions, "b", &b, &err), &err);
    assert_done(sessions_subkey(kbs.server.sessions, "a", &again, &err), &err);
    assert_true(secret_equal(secret_bytes(a), secret_bytes(again)));
    assert_false(secret_equal(secret_bytes(a), secret_bytes(b)));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_round_trip),
        TEST(test_no_two_are_alike),
        TEST(test_expiry),
        TEST(test_every_character_counts),
        TEST(test_another_tee),
        TEST(test_replicas),
        TEST(test_bad_inputs),
        TEST(test_cookie_header),
        TEST(test_set_cookie),
        TEST(test_spending),
        TEST(test_broken_record),
        TEST(test_subkeys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
