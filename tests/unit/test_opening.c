/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/jwe.h"
#include "kbs/opening.h"

#define TURN_MS 60000

struct opened {
    int count;
    char text[32];
    struct err err;
};

struct bench {
    struct loop *loop;
    struct crew *crew;
    struct jwk *key, *other;
    struct buf jwe;
};

static void on_opened(void *arg, struct secret *plaintext, const struct err *err)
{
    struct opened *opened = arg;
    opened->count++;
    opened->err = *err;
    if (plaintext)
        snprintf(opened->text, sizeof opened->text, "%.*s", (int)secret_len(plaintext),
            (const char *)secret_bytes(plaintext).data);
}

static int setup(void **state)
{
    static struct bench bench;
    struct err err = ERR_INIT;
    bench = (struct bench){.jwe = BUF_INIT(4096)};
    assert_done(loop_new(&bench.loop, &err), &err);
    assert_done(crew_new(bench.loop, 2, &bench.crew, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &bench.key, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, NULL, &bench.other, &err), &err);
    assert_done(jwe_encrypt(bench.key, bytes_str("correct horse"), &bench.jwe, &err), &err);
    *state = &bench;
    return 0;
}

static int teardown(void **state)
{
    struct bench *bench = *state;
    crew_free(bench->crew);
    loop_free(bench->loop);
    jwk_unref(bench->key);
    jwk_unref(bench->other);
    buf_done(&bench->jwe);
    return 0;
}

static struct opening *make(struct bench *bench, const struct jwk *key, struct opened *opened)
{
    struct err err = ERR_INIT;
    struct opening *opening = NULL;
    assert_done(opening_new(buf_bytes(&bench->jwe), key, on_opened, opened, &opening, &err), &err);
    return opening;
}

static void await(struct bench *bench, const struct opened *opened)
{
    struct err err = ERR_INIT;
    while (opened->count == 0)
        assert_done(loop_turn(bench->loop, TURN_MS, &err), &err);
}

static void test_opens_on_the_crew(void **state)
{
    struct bench *bench = *state;
    struct opened opened = {0};
    struct opening *opening = make(bench, bench->key, &opened);
    buf_done(&bench->jwe); /* it has a copy */
    jwk_unref(take_ptr(bench->key));
    opening_start(opening, bench->crew);
    assert_int_equal(opened.count, 0); /* not from inside */
    await(bench, &opened);
    assert_string_equal(opened.text, "correct horse");
    assert_int_equal(opened.err.code, ERR_OK);
}

static void test_opens_without_a_crew(void **state)
{
    struct bench *bench = *state;
    struct opened opened = {0};
    opening_start(make(bench, bench->key, &opened), NULL);
    assert_int_equal(opened.count, 1);
    assert_string_equal(opened.text, "correct horse");
}

static void test_tells_why_not(void **state)
{
    struct bench *bench = *state;
    struct opened opened = {0};
    opening_start(make(bench, bench->other, &opened), bench->crew);
    await(bench, &opened);
    assert_string_equal(opened.text, "");
    assert_refused(opened.err.code == ERR_OK, &opened.err, ERR_CRYPTO, "encrypted_key");
}

/* Nobody hears of it, and a plaintext that was made is gone (the sanitizer and the count of secrets would tell). */
static void test_dropped(void **state)
{
    struct bench *bench = *state;
    struct opened dropped = {0}, opened = {0};
    size_t before, after, size;
    secret_stats(&before, &size);
    struct opening *opening = make(bench, bench->key, &dropped);
    opening_start(opening, bench->crew);
    opening_drop(opening);
    opening_start(make(bench, bench->key, &opened), bench->crew);
    crew_free(take_ptr(bench->crew));
    secret_stats(&after, &size);
    assert_int_equal(dropped.count, 0);
    assert_int_equal(opened.count, 1);
    assert_int_equal(before, after);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_opens_on_the_crew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_opens_without_a_crew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tells_why_not, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
