/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the resolver. */
#include "tests/unit/broker_fake.h"

/* ---- fixture ---- */

static int64_t max_age_ms;

struct bench {
    struct loop *loop;
    struct resolver *resolver;
    struct resolve_sealed_conf conf;
    struct jwk *signer, *stranger;
    struct secret *wrap;
    bool answered;
    struct secret *plaintext;
    int64_t taken_ms;
    struct err err;
};

static struct secret *secret_of(const char *text)
{
    struct err err = ERR_INIT;
    struct secret *secret = NULL;
    assert_done(secret_copy(bytes_str(text), &secret, &err), &err);
    return secret;
}

static struct secret *public_text(const struct jwk *key)
{
    struct err err = ERR_INIT;
    auto_json *json = NULL;
    assert_done(jwk_public_json(key, "ES256", &json, &err), &err);
    auto_free char *text = json_text(json);
    return secret_of(text);
}

static void resource_put(size_t slot, const char *uri, struct secret *value)
{
    secret_unref(resources[slot].value);
    resources[slot] = (struct resource){uri, value, 0};
}

static int bench_setup(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    struct err err = ERR_INIT;
    assert_non_null(bench);
    max_age_ms = 60000;
    assert_done(loop_new(&bench->loop, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, SIGNER_URI, &bench->signer, &err), &err);
    assert_done(jwk_generate(JWK_EC_P256, SIGNER_URI, &bench->stranger, &err), &err);
    assert_done(secret_random(32, &bench->wrap, &err), &err);
    resource_put(0, SIGNER_URI, public_text(bench->signer));
    resource_put(1, WRAP_URI, secret_ref(bench->wrap));
    resource_put(2, SECRET_URI, secret_of("the vault's content"));
    static const char *const urls[] = {"https://kbs"}, *const hosts[] = {"other.example"};
    static const struct broker_conf brokers[] = {
        {.client = {.urls = urls, .url_count = 1}}, {.name = "other",
                                                        .hosts = hosts,
                                                        .host_count = 1,
                                                        .client = {.urls = urls, .url_count = 1}}};
    bench->conf =
        (struct resolve_sealed_conf){.brokers = brokers, .broker_count = 2, .keep_ms = 60000};
    *state = bench;
    return 0;
}

static int bench_teardown(void **state)
{
    struct bench *bench = *state;
    if (bench->resolver)
        bench->resolver->free(bench->resolver);
    for (size_t i = 0; i < ARRAY_LEN(resources); i++)
        resource_put(i, NULL, NULL);
    secret_unref(bench->plaintext);
    secret_unref(bench->wrap);
    jwk_unref(bench->signer);
    jwk_unref(bench->stranger);
    loop_free(bench->loop);
    free(bench);
    return 0;
}

static void resolved(void *arg, const struct resolve_result *result, const struct err *err)
{
    struct bench *bench = arg;
    assert_false(bench->answered); /* exactly once */
    bench->answered = true;
    bench->err = *err;
    bench->plaintext = result ? secret_ref(result->plaintext) : NULL;
    bench->taken_ms = result ? result->taken_ms : 0;
}

static void bench_wait(struct bench *bench)
{
    struct err err = ERR_INIT;
    for (int turns = 0; !bench->answered; turns++) {
        assert_true(turns < 1000);
        assert_done(loop_turn(bench->loop, 1000, &err), &err);
    }
}

/* Resolves `text` under `path`; true when it opened. */
static bool open_sealed(struct bench *bench, const char *path, const char *text)
{
    struct err err = ERR_INIT;
    struct resolver_call *call;
    if (!bench->resolver)
        assert_done(resolve_sealed_new(bench->loop, &bench->conf, &bench->resolver, &err), &err);
    secret_unref(bench->plaintext);
    bench->plaintext = NULL;
    bench->answered = false;
    struct resolve_request request = {
        .path = path, .blob = bytes_str(text), .max_age_ms = max_age_ms, .timeout_ms = 10000};
    assert_done(
        bench->resolver->resolve(bench->resolver, &request, resolved, bench, &call, &err), &err);
    assert_false(bench->answered); /* never from inside */
    bench_wait(bench);
    return bench->plaintext != NULL;
}

static char *make_vault(
    const struct jwk *signer, const char *kid, const char *uri, const char *context)
{
    struct err err = ERR_INIT;
    char *text = NULL;
    assert_done(sealed_make_vault(signer, kid, uri, context, &text, &err), &err);
    return text;
}

static char *make_envelope(
    const struct bench *bench, const struct secret *wrap, const char *plaintext)
{
    struct err err = ERR_INIT;
    char *text = NULL;
    auto_secret *secret = secret_of(plaintext);
    assert_done(
        sealed_make_envelope(bench->signer, SIGNER_URI, WRAP_URI, wrap, secret, NULL, &text, &err),
        &err);
    return text;
}

#define assert_plaintext(bench, wanted) \
    assert_true(secret_equal(secret_bytes((bench)->plaintext), bytes_str(wanted)))
#define assert_bench_refused(bench, wanted_code, wanted_text) \
    assert_refused(false, &(bench)->err, wanted_code, wanted_text)

/* ---- tests ---- */

static void vault_opens(void **state)
{
    struct bench *bench = *state;
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_true(open_sealed(bench, "db/password", text));
    assert_plaintext(bench, "the vault's content");
}

static void envelope_opens_and_keys_are_kept(void **state)
{
    struct bench *bench = *state;
    auto_free char *one = make_envelope(bench, bench->wrap, "one"),
                   *two = make_envelope(bench, bench->wrap, "two");
    assert_true(open_sealed(bench, "a", one));
    assert_plaintext(bench, "one");
    assert_true(open_sealed(bench, "b", two));
    assert_plaintext(bench, "two");
    assert_int_equal(resource_find(SIGNER_URI)->asked, 1);
    assert_int_equal(resource_find(WRAP_URI)->asked, 1);
    bench->resolver->forget(bench->resolver, false);
    assert_true(open_sealed(bench, "b", two));
    assert_int_equal(resource_find(WRAP_URI)->asked, 2);
}

/* Or a withdrawn key would go on opening for as long as it is kept. */
static void kept_key_may_be_too_old(void **state)
{
    struct bench *bench = *state;
    auto_free char *text = make_envelope(bench, bench->wrap, "text");
    assert_true(open_sealed(bench, "a", text));
    int64_t taken_ms = bench->taken_ms;
    assert_true(taken_ms > 0 && taken_ms <= loop_now_ms());
    assert_true(open_sealed(bench, "a", text));
    assert_int_equal(bench->taken_ms, taken_ms); /* as old as its key */
    assert_int_equal(resource_find(WRAP_URI)->asked, 1);
    max_age_ms = 0;
    assert_true(open_sealed(bench, "a", text));
    assert_int_equal(resource_find(WRAP_URI)->asked, 2);
    assert_int_equal(resource_find(SIGNER_URI)->asked, 1);
    /* Nor with one that was given to a guest which was still a good one. */
    max_age_ms = 60000;
    distrust(distrust_arg, &bench->err);
    assert_true(open_sealed(bench, "a", text));
    assert_int_equal(resource_find(WRAP_URI)->asked, 3);
}

static void replaced_wrapping_key_is_asked_for_again(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    auto_secret *next = NULL;
    auto_free char *before = make_envelope(bench, bench->wrap, "before");
    assert_true(open_sealed(bench, "a", before));
    assert_done(secret_random(32, &next, &err), &err);
    auto_free char *after = make_envelope(bench, next, "after");
    resource_put(1, WRAP_URI, secret_ref(next));
    assert_true(open_sealed(bench, "a", after));
    assert_plaintext(bench, "after");
    /* The old envelope no longer opens: refused once, not in a loop. */
    assert_false(open_sealed(bench, "a", before));
    assert_int_equal(bench->err.code, ERR_CRYPTO);
}

static void replaced_signer_is_asked_for_again(void **state)
{
    struct bench *bench = *state;
    auto_free char *before = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    auto_free char *after = make_vault(bench->stranger, SIGNER_URI, SECRET_URI, NULL);
    assert_true(open_sealed(bench, "a", before));
    resource_put(0, SIGNER_URI, public_text(bench->stranger));
    assert_true(open_sealed(bench, "a", after));
}

static void wrong_signature_never_reaches_the_secret(void **state)
{
    struct bench *bench = *state;
    auto_free char *text = make_vault(bench->stranger, SIGNER_URI, SECRET_URI, NULL);
    assert_false(open_sealed(bench, "db/password", text));
    assert_bench_refused(bench, ERR_CRYPTO, "db/password: ");
    assert_int_equal(resource_find(SECRET_URI)->asked, 0);
}

static void signer_must_be_of_the_right_type(void **state)
{
    struct bench *bench = *state;
    resource_put(3, "kbs:///team/uploads/mine", public_text(bench->stranger));
    auto_free char *text =
        make_vault(bench->stranger, "kbs:///team/uploads/mine", SECRET_URI, NULL);
    assert_false(open_sealed(bench, "a", text));
    assert_bench_refused(bench, ERR_CRYPTO, "signing-key");
    assert_int_equal(resource_find("kbs:///team/uploads/mine")->asked, 0);
}

static void signer_list_is_the_whole_truth(void **state)
{
    struct bench *bench = *state;
    static const char *const signers[] = {"kbs:///team/uploads/mine"};
    bench->conf.signers = signers;
    bench->conf.signer_count = 1;
    resource_put(3, "kbs:///team/uploads/mine", public_text(bench->stranger));
    auto_free char *listed =
        make_vault(bench->stranger, "kbs:///team/uploads/mine", SECRET_URI, NULL);
    auto_free char *unlisted = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_true(open_sealed(bench, "a", listed));
    assert_false(open_sealed(bench, "a", unlisted));
    assert_bench_refused(bench, ERR_CRYPTO, "not among the configured signers");
}

static void vault_names_can_be_restricted(void **state)
{
    struct bench *bench = *state;
    static const char *const prefixes[] = {"kbs:///team/public/"};
    bench->conf.vault_prefixes = prefixes;
    bench->conf.vault_prefix_count = 1;
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_false(open_sealed(bench, "a", text));
    assert_bench_refused(bench, ERR_DENIED_LOCAL, "vault_prefixes");
    assert_int_equal(resource_find(SECRET_URI)->asked, 0);
}

static void context_binds_to_the_path(void **state)
{
    struct bench *bench = *state;
    bench->conf.context_prefix = "prod/";
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, "prod/db/password");
    assert_true(open_sealed(bench, "db/password", text));
    assert_false(open_sealed(bench, "web/password", text));
    assert_bench_refused(bench, ERR_CRYPTO, "context");
}

static void context_can_be_required(void **state)
{
    struct bench *bench = *state;
    bench->conf.context_required = true;
    auto_free char *without = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_false(open_sealed(bench, "a", without));
    assert_bench_refused(bench, ERR_CRYPTO, "context");
}

static const char unsigned_text[] =
    "sealed.fakejwsheader."
    "eyJ2ZXJzaW9uIjoiMC4xLjAiLCJ0eXBlIjoidmF1bHQiLCJuYW1lIjoia2JzOi8vL3RlYW0vc2VjcmV0L2RiIiwicHJvdm"
    "lkZXIiOiJrYnMiLCJw"
    "cm92aWRlcl9zZXR0aW5ncyI6e30sImFubm90YXRpb25zIjp7fX0.fakesignature";

static void unsigned_is_refused(void **state)
{
    struct bench *bench = *state;
    assert_false(open_sealed(bench, "a", unsigned_text));
    assert_bench_refused(bench, ERR_CRYPTO, "not signed");
}

static void unsigned_opens_only_when_optional(void **state)
{
    struct bench *bench = *state;
    bench->conf.signature_optional = true;
    assert_true(open_sealed(bench, "a", unsigned_text));
    assert_plaintext(bench, "the vault's content");
    /* But a signature that is there has to be right even then. */
    auto_free char *wrong = make_vault(bench->stranger, SIGNER_URI, SECRET_URI, NULL);
    assert_false(open_sealed(bench, "a", wrong));
    assert_int_equal(bench->err.code, ERR_CRYPTO);
}

static void refusals_of_the_broker_keep_their_class(void **state)
{
    struct bench *bench = *state;
    auto_free char *denied =
        make_vault(bench->signer, SIGNER_URI, "kbs:///team/secret/denied", NULL);
    auto_free char *missing =
        make_vault(bench->signer, SIGNER_URI, "kbs:///team/secret/missing", NULL);
    resource_put(4, "kbs:///team/secret/denied", NULL);
    assert_false(open_sealed(bench, "a", denied));
    assert_bench_refused(bench, ERR_DENIED_POLICY, "kbs:///team/secret/denied");
    assert_false(open_sealed(bench, "a", missing));
    assert_bench_refused(bench, ERR_NOTFOUND, "kbs:///team/secret/missing");
}

static void garbage_is_malformed(void **state)
{
    struct bench *bench = *state;
    assert_false(open_sealed(bench, "a", "sealed.only"));
    assert_int_equal(bench->err.code, ERR_FORMAT);
}

static void without_a_broker_nothing_opens(void **state)
{
    struct bench *bench = *state;
    bench->conf.broker_count = 0;
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_false(open_sealed(bench, "a", text));
    assert_bench_refused(bench, ERR_CONFIG, "[kbs]");
}

static void a_host_chooses_the_broker(void **state)
{
    struct bench *bench = *state;
    static const char *const signers[] = {"kbs://other.example/a/signing-key/b"};
    auto_free char *there =
        make_vault(bench->signer, SIGNER_URI, "kbs://Other.Example/a/b/c", NULL);
    auto_free char *signed_there = make_vault(bench->signer, signers[0], SECRET_URI, NULL);
    auto_free char *nowhere =
        make_vault(bench->signer, SIGNER_URI, "kbs://evil.example/a/b/c", NULL);
    resource_put(4, "other:a/b/c", secret_of("from the other broker"));
    resource_put(5, "other:a/signing-key/b", public_text(bench->signer));
    assert_true(open_sealed(bench, "a", there));
    assert_plaintext(bench, "from the other broker");
    assert_false(open_sealed(bench, "a", nowhere));
    assert_bench_refused(bench, ERR_CONFIG, "no broker is configured for host evil.example");
    assert_false(open_sealed(bench, "a", signed_there));
    assert_bench_refused(bench, ERR_CRYPTO, "in another broker than the default one");
    bench->resolver->free(take_ptr(bench->resolver));
    bench->conf.signers = signers;
    bench->conf.signer_count = 1;
    assert_true(open_sealed(bench, "a", signed_there));
}

static void cancelled_calls_say_nothing(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    struct resolver_call *call;
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    assert_done(resolve_sealed_new(bench->loop, &bench->conf, &bench->resolver, &err), &err);
    struct resolve_request request = {
        .path = "a", .blob = bytes_str(text), .max_age_ms = max_age_ms, .timeout_ms = 10000};
    for (int turns = 0; turns < 4; turns++) {
        assert_done(
            bench->resolver->resolve(bench->resolver, &request, resolved, bench, &call, &err),
            &err);
        for (int i = 0; i < turns; i++)
            if (!bench->answered)
                assert_done(loop_turn(bench->loop, 0, &err), &err);
        if (bench->answered)
            break; /* it was faster: nothing left to cancel */
        bench->resolver->cancel(bench->resolver, call);
        for (int i = 0; i < 8; i++)
            assert_done(loop_turn(bench->loop, 0, &err), &err);
        assert_false(bench->answered);
    }
}

/* The memory of calls that are gone is used again: a token must not become the content of a file. */
static void late_tokens_go_to_nobody(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    struct resolver_call *calls[LATE_MAX];
    auto_free char *text = make_vault(bench->signer, SIGNER_URI, SECRET_URI, NULL);
    struct resolve_request request = {
        .path = "a", .blob = bytes_str(text), .max_age_ms = max_age_ms, .timeout_ms = 10000};
    assert_done(resolve_sealed_new(bench->loop, &bench->conf, &bench->resolver, &err), &err);
    attest_late = true;
    for (size_t i = 0; i < LATE_MAX; i++)
        assert_done(
            bench->resolver->attest(bench->resolver, 1000, resolved, bench, &calls[i], &err), &err);
    while (late_count < LATE_MAX)
        assert_done(loop_turn(bench->loop, 1000, &err), &err);
    for (size_t i = 0; i < LATE_MAX; i++)
        bench->resolver->cancel(bench->resolver, calls[i]);
    assert_done(
        bench->resolver->resolve(bench->resolver, &request, resolved, bench, &calls[0], &err),
        &err);
    attest_late = false;
    answer_late();
    assert_false(bench->answered);
    bench_wait(bench);
    assert_plaintext(bench, "the vault's content");
}

static void fetch_attest_and_describe(void **state)
{
    struct bench *bench = *state;
    struct err err = ERR_INIT;
    struct resolver_call *call;
    auto_json *json = NULL;
    assert_done(resolve_sealed_new(bench->loop, &bench->conf, &bench->resolver, &err), &err);
    assert_done(
        bench->resolver->fetch(bench->resolver, SECRET_URI, 1000, resolved, bench, &call, &err),
        &err);
    bench_wait(bench);
    assert_plaintext(bench, "the vault's content");
    assert_refused(
        bench->resolver->fetch(bench->resolver, "kbs:///x", 1000, resolved, bench, &call, &err),
        &err, ERR_FORMAT, "");
    bench->answered = false;
    secret_unref(bench->plaintext);
    assert_done(bench->resolver->attest(bench->resolver, 1000, resolved, bench, &call, &err), &err);
    bench_wait(bench);
    assert_plaintext(bench, "a.b.c");
    assert_done(bench->resolver->describe(bench->resolver, &json, &err), &err);
    assert_int_equal(json_array_size(json_object_get(json, "changed")), 1);
    assert_int_equal(json_integer_value(json_object_get(json, "since")), 7);
    bench->resolver->forget(bench->resolver, true);
    assert_int_equal(forgotten, 2);
}

#define bench_test(fn) cmocka_unit_test_setup_teardown(fn, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        bench_test(vault_opens),
        bench_test(envelope_opens_and_keys_are_kept),
        bench_test(kept_key_may_be_too_old),
        bench_test(replaced_wrapping_key_is_asked_for_again),
        bench_test(replaced_signer_is_asked_for_again),
        bench_test(wrong_signature_never_reaches_the_secret),
        bench_test(signer_must_be_of_the_right_type),
        bench_test(signer_list_is_the_whole_truth),
        bench_test(vault_names_can_be_restricted),
        bench_test(context_binds_to_the_path),
        bench_test(context_can_be_required),
        bench_test(unsigned_is_refused),
        bench_test(unsigned_opens_only_when_optional),
        bench_test(refusals_of_the_broker_keep_their_class),
        bench_test(garbage_is_malformed),
        bench_test(without_a_broker_nothing_opens),
        bench_test(a_host_chooses_the_broker),
        bench_test(cancelled_calls_say_nothing),
        bench_test(late_tokens_go_to_nobody),
        bench_test(fetch_attest_and_describe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
