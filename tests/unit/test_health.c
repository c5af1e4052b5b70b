/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/health.h"

#include "tests/unit/unit.h"

/* A resolver that counts and answers when told to. */
static struct {
    struct resolver resolver;
    unsigned attests, doubts, cancels;
    resolve_fn *fn;
    void *arg;
    bool refuses; /* at once */
} fake;

static bool probe(struct resolver *self, bool anew, int64_t timeout_ms, resolve_fn *fn, void *arg,
    struct resolver_call **ret_call, struct err *err)
{
    (void)self, (void)timeout_ms;
    fake.attests++;
    fake.doubts += anew;
    if (fake.refuses)
        return err_set(err, ERR_CONFIG, "no key broker is configured");
    fake.fn = fn;
    fake.arg = arg;
    *ret_call = (struct resolver_call *)&fake;
    return true;
}

static void cancel(struct resolver *self, struct resolver_call *call)
{
    (void)self;
    assert_ptr_equal(call, &fake);
    fake.cancels++;
}

static void answer(enum err_code code)
{
    static const struct resolve_result token;
    struct err err = ERR_INIT;
    if (code != ERR_OK)
        err_set(&err, code, "as the broker says");
    fake.fn(fake.arg, code == ERR_OK ? &token : NULL, &err);
}

static struct health *health;
static struct err why;

static int begin(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    memset(&fake, 0, sizeof fake);
    fake.resolver = (struct resolver){.probe = probe, .cancel = cancel};
    err_clear(&why);
    return health_new(NULL, &fake.resolver, &health, &err) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    health_free(health);
    return 0;
}

static void nobody_is_well_before_the_first_answer(void **state)
{
    (void)state;
    assert_false(health_known(health, 0, &why));
    assert_int_equal(fake.attests, 0); /* who only looks changes nothing */
    assert_false(health_good(health, 0, &why));
    assert_non_null(strstr(why.message, "has not attested"));
    assert_int_equal(fake.attests, 1);
    assert_int_equal(fake.doubts, 0); /* there was no token to doubt */
    assert_false(health_good(health, 0, &why));
    assert_int_equal(fake.attests, 1); /* one try at a time */
    answer(ERR_OK);
    assert_true(health_good(health, 0, &why));
    assert_int_equal(fake.attests, 1);
}

static void a_failed_try_says_why(void **state)
{
    (void)state;
    assert_false(health_good(health, 0, &why));
    answer(ERR_DENIED_POLICY);
    assert_false(health_good(health, 0, &why));
    assert_int_equal(why.code, ERR_DENIED_POLICY);
    assert_int_equal(fake.attests, 1); /* the next one waits its time */
}

static void a_try_that_cannot_start_says_why(void **state)
{
    (void)state;
    fake.refuses = true;
    assert_false(health_good(health, 0, &why));
    assert_false(health_good(health, 0, &why));
    assert_int_equal(why.code, ERR_CONFIG);
}

static void one_secret_makes_it_well(void **state)
{
    (void)state;
    assert_true(health_good(health, 1, &why));
    assert_int_equal(fake.attests, 0);
}

static void what_others_would_meet_is_an_illness(void **state)
{
    (void)state;
    static const struct {
        enum err_code code;
        bool ill;
    } rows[] = {{ERR_UNREACH, true}, {ERR_TIMEOUT, true}, {ERR_ATTEST, true}, {ERR_STALE, true},
        {ERR_DENIED_POLICY, false}, {ERR_NOTFOUND, false}, {ERR_CRYPTO, false}, {ERR_FORMAT, false},
        {ERR_REVOKED, false}, {ERR_CONFIG, false}, {ERR_DENIED_LOCAL, false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        err_set(&err, rows[i].code, "as it is");
        assert_true(health_good(health, 2 * i + 1, &why));
        health_note(health, &err, 2 * i + 1);
        assert_int_equal(health_good(health, 2 * i + 1, &why), !rows[i].ill);
        if (rows[i].ill)
            assert_string_equal(why.message, "as it is");
        assert_true(health_good(health, 2 * i + 2, &why)); /* the next secret came */
    }
}

/* A policy that gives to guests that are not affirming: the first secret tells. */
static void a_secret_outweighs_a_token(void **state)
{
    (void)state;
    assert_true(health_good(health, 4, &why));
    struct err err = ERR_INIT;
    err_set(&err, ERR_DENIED_POLICY, "does not find this guest affirming any more");
    health_distrust(health, &err, 5);
    assert_false(health_good(health, 5, &why));
    assert_non_null(strstr(why.message, "affirming any more"));
    answer(ERR_DENIED_POLICY);
    assert_false(health_good(health, 5, &why));
    assert_true(health_good(health, 6, &why));
}

/* What was well before a reload stays so until the try that the first question makes has ended. */
static void a_successor_is_what_was_before(void **state)
{
    (void)state;
    health_inherit(health);
    assert_true(health_known(health, 0, &why));
    assert_int_equal(fake.attests, 0);
    assert_true(health_good(health, 0, &why));
    assert_int_equal(fake.attests, 1);
    assert_true(health_good(health, 0, &why));
    assert_int_equal(fake.attests, 1);
    answer(ERR_UNREACH);
    assert_false(health_good(health, 0, &why));
    assert_int_equal(why.code, ERR_UNREACH);
}

static void a_successor_without_a_broker_is_not_well(void **state)
{
    (void)state;
    health_inherit(health);
    fake.refuses = true;
    (void)health_good(health, 0, &why);
    assert_false(health_good(health, 0, &why));
    assert_int_equal(why.code, ERR_CONFIG);
}

static void an_end_during_a_try_cancels_it(void **state)
{
    (void)state;
    assert_false(health_good(health, 0, &why));
    health_free(health);
    health = NULL;
    assert_int_equal(fake.cancels, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nobody_is_well_before_the_first_answer),
        TEST(a_failed_try_says_why),
        TEST(a_try_that_cannot_start_says_why),
        TEST(one_secret_makes_it_well),
        TEST(what_others_would_meet_is_an_illness),
        TEST(a_secret_outweighs_a_token),
        TEST(a_successor_is_what_was_before),
        TEST(a_successor_without_a_broker_is_not_well),
        TEST(an_end_during_a_try_cancels_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
