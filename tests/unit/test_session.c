/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <time.h>

#include "crypt/base/b64.h"
#include "kbs/session.h"

static char *jwt_of(const char *claims)
{
    char *text = NULL;
    auto_free char *payload = b64_encode(B64_URL, bytes_str(claims));
    assert_non_null(payload);
    assert_true(asprintf(&text, "e30.%s.AA", payload) > 0);
    return text;
}

static struct kbs_session *session_of(const char *claims, int64_t made_ms)
{
    struct err err = ERR_INIT;
    struct kbs_session *session = NULL;
    auto_jwk *key = NULL;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    assert_done(
        kbs_session_new(jwt_of(claims), key, "{\"svn\":\"1\"}", made_ms, &session, &err), &err);
    return session;
}

/* exp and iat are decades off this machine's clock, and that does not matter. */
static void life_counts_from_its_making(void **state)
{
    (void)state;
    AUTO(kbs_session_unref)
    struct kbs_session *session = session_of("{\"iat\":1000,\"exp\":1300}", 5000);
    assert_int_equal(kbs_session_left(session, 5000), 300000);
    assert_true(kbs_session_good(session, 5000));
    assert_true(kbs_session_good(session, 5000 + 269999));
    assert_false(kbs_session_good(session, 5000 + 270000));
    assert_string_equal(kbs_session_evidence(session), "{\"svn\":\"1\"}");
    assert_non_null(kbs_session_key(session));
    assert_false(kbs_session_affirming(session));
}

static void a_tenth_is_kept_in_reserve_at_most_30_s(void **state)
{
    (void)state;
    AUTO(kbs_session_unref)
    struct kbs_session *brief = session_of("{\"iat\":1000,\"exp\":1010}", 0);
    AUTO(kbs_session_unref) struct kbs_session *hour = session_of("{\"iat\":1000,\"exp\":4600}", 0);
    assert_true(kbs_session_good(brief, 8999));
    assert_false(kbs_session_good(brief, 9000));
    assert_true(kbs_session_good(hour, 3569999));
    assert_false(kbs_session_good(hour, 3570000));
}

static void a_day_is_the_longest(void **state)
{
    (void)state;
    AUTO(kbs_session_unref)
    struct kbs_session *session = session_of("{\"iat\":1000,\"exp\":900000000000}", 0);
    assert_int_equal(kbs_session_left(session, 0), 86400000);
}

static void without_iat_the_wall_clock_tells(void **state)
{
    (void)state;
    char claims[64];
    time_t before = time(NULL);
    snprintf(claims, sizeof claims, "{\"exp\":%lld}", (long long)before + 1000);
    AUTO(kbs_session_unref) struct kbs_session *session = session_of(claims, 0);
    assert_in_range(
        kbs_session_left(session, 0), 1000 * (999 - (time(NULL) - before)), 1000 * 1000);
}

static void times_that_make_no_sense(void **state)
{
    (void)state;
    static const char *const bad[] = {"{}", "{\"iat\":1000}", "{\"iat\":1000,\"exp\":1000}",
        "{\"iat\":1000,\"exp\":999}", "{\"exp\":5}", "{\"iat\":1000,\"exp\":1300,\"nbf\":1300}",
        "{\"iat\":\"x\",\"exp\":1300}"};
    auto_jwk *key = NULL;
    struct err err = ERR_INIT;
    assert_done(jwk_generate(JWK_EC_P256, NULL, &key, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct kbs_session *session = NULL;
        assert_refused(
            kbs_session_new(jwt_of(bad[i]), key, "", 0, &session, &err), &err, ERR_FORMAT, "token");
        assert_null(session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(life_counts_from_its_making),
        cmocka_unit_test(a_tenth_is_kept_in_reserve_at_most_30_s),
        cmocka_unit_test(a_day_is_the_longest),
        cmocka_unit_test(without_iat_the_wall_clock_tells),
        cmocka_unit_test(times_that_make_no_sense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
