/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cache.h"

#include "tests/unit/lease_fixture.h"

#define PAGE   ((size_t)sysconf(_SC_PAGESIZE))
#define MINUTE 60000

/* Time is what the leases say: one that was given two minutes ago is two minutes old. */
struct world {
    struct leases *leases;
    struct cache *cache;
    struct blob *a, *same, *b;
    struct conf_settings settings;
};

static struct world start(size_t memory)
{
    struct world world = {.leases = leases_make(),
        .a = blob_make("sealed.a"),
        .same = blob_make("sealed.a"),
        .b = blob_make("sealed.b"),
        .settings = {.fresh_ms = MINUTE}};
    struct cache_conf conf = {.error_ttl_ms = MINUTE, .memory = memory};
    struct err err = ERR_INIT;
    assert_done(cache_new(&conf, &world.cache, &err), &err);
    return world;
}

static void end(struct world *world)
{
    size_t alive, bytes;
    cache_free(world->cache);
    leases_free(world->leases);
    blob_unref(world->a);
    blob_unref(world->same);
    blob_unref(world->b);
    secret_stats(&alive, &bytes);
    assert_int_equal(alive, 0);
}

static enum cache_news put(
    struct world *world, const char *path, struct blob *of, const char *text, int64_t age_ms)
{
    enum cache_news news;
    auto_lease *lease = lease_make(world->leases, path, text, age_ms);
    auto_lease *kept = cache_put(world->cache, path, of, lease, &world->settings, &news);
    assert_true(lease_holds(kept, text));
    return news;
}

static enum cache_result find(
    struct world *world, const char *path, const struct blob *of, const char *wanted)
{
    auto_lease *lease = NULL;
    struct err refusal = ERR_INIT;
    enum cache_result result = cache_find(world->cache, path, of, &lease, &refusal);
    assert_true(!lease || lease_holds(lease, wanted));
    if (result == CACHE_REFUSED)
        assert_non_null(strstr(refusal.message, wanted));
    return result;
}

/* What is told instead, 0 (ERR_OK) when a plaintext is served all the same. */
static enum err_code refuse(struct world *world, struct blob *of, enum err_code code)
{
    struct err err = ERR_INIT;
    bool first;
    err_set(&err, code, "why");
    auto_lease *lease = cache_refused(world->cache, "x", of, &err, &first);
    return lease ? ERR_OK : err.code;
}

static void test_by_path_and_string(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_HIT);
    assert_int_equal(find(&world, "x", world.same, "secret"), CACHE_HIT);
    assert_int_equal(find(&world, "x", world.b, ""), CACHE_MISS);
    assert_int_equal(find(&world, "y", world.a, ""), CACHE_MISS);
    assert_true(cache_length(world.cache, "x", world.a) == 6);
    assert_true(cache_length(world.cache, "x", world.b) == -1);
    put(&world, "x", world.b, "other", 0);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_int_equal(find(&world, "x", world.b, "other"), CACHE_HIT);
    end(&world);
}

static void test_fresh_aged_past(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    world.settings.usable_ms = 10 * MINUTE;
    put(&world, "x", world.a, "secret", MINUTE - 5000);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_HIT);
    put(&world, "x", world.a, "secret", 2 * MINUTE);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_AGED);
    assert_false(cache_expired(world.cache, "x", world.a));
    put(&world, "x", world.a, "secret", 10 * MINUTE);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_true(cache_expired(world.cache, "x", world.a));
    assert_false(cache_expired(world.cache, "x", world.b));
    assert_false(cache_expired(world.cache, "y", world.a));
    end(&world);
}

static void test_served_while_nobody_answers(void **state)
{
    static const enum err_code no_answer[] = {ERR_UNREACH, ERR_TIMEOUT, ERR_ATTEST, ERR_IO};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(no_answer); i++) {
        struct world world = start(3 * PAGE);
        struct err err = ERR_INIT;
        bool first = false;
        world.settings.usable_ms = 10 * MINUTE;
        put(&world, "x", world.a, "secret", 2 * MINUTE);
        err_set(&err, no_answer[i], "why");
        auto_lease *lease = cache_refused(world.cache, "x", world.a, &err, &first);
        assert_true(first && lease && lease_holds(lease, "secret"));
        assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_STALE);
        auto_lease *again = cache_refused(world.cache, "x", world.a, &err, &first);
        assert_true(again && !first);
        lease_unref(take_ptr(lease));
        lease_unref(take_ptr(again));
        put(&world, "x", world.a, "secret", 0);
        assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_HIT);
        end(&world);
    }
}

/* What the broker says on purpose, and what is broken, is never covered up. */
static void test_not_served_after_a_refusal(void **state)
{
    static const struct {
        enum err_code cause, told;
    } cases[] = {{ERR_DENIED_POLICY, ERR_REVOKED}, {ERR_NOTFOUND, ERR_REVOKED},
        {ERR_CRYPTO, ERR_CRYPTO}, {ERR_FORMAT, ERR_FORMAT}, {ERR_DENIED_LOCAL, ERR_DENIED_LOCAL}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct world world = start(3 * PAGE);
        world.settings.usable_ms = 10 * MINUTE;
        put(&world, "x", world.a, "secret", 2 * MINUTE);
        assert_int_equal(refuse(&world, world.a, cases[i].cause), cases[i].told);
        assert_int_equal(find(&world, "x", world.a, "why"), CACHE_REFUSED);
        assert_true(cache_length(world.cache, "x", world.a) == -1);
        assert_int_equal(refuse(&world, world.a, ERR_UNREACH), ERR_UNREACH); /* nothing is kept */
        end(&world);
    }
}

static void test_refusals_of_what_was_never_served(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    assert_int_equal(refuse(&world, world.a, ERR_DENIED_POLICY), ERR_DENIED_POLICY);
    assert_int_equal(refuse(&world, world.a, ERR_UNREACH), ERR_UNREACH);
    assert_int_equal(find(&world, "x", world.a, "why"), CACHE_REFUSED);
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_HIT);
    /* Another string under the path is another secret. */
    assert_int_equal(refuse(&world, world.b, ERR_NOTFOUND), ERR_NOTFOUND);
    end(&world);
    world = start(3 * PAGE); /* a resolver may say so of what this cache has never seen */
    assert_int_equal(refuse(&world, world.b, ERR_REVOKED), ERR_REVOKED);
    end(&world);
}

static void test_past_its_limit(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    put(&world, "x", world.a, "secret", 2 * MINUTE);
    assert_int_equal(refuse(&world, world.a, ERR_UNREACH), ERR_STALE);
    assert_int_equal(find(&world, "x", world.a, "too old"), CACHE_REFUSED);
    assert_int_equal(refuse(&world, world.a, ERR_DENIED_POLICY), ERR_REVOKED);
    /* Nothing was ever to be kept: there is no limit that could have passed. */
    world.settings.fresh_ms = 0;
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_int_equal(refuse(&world, world.a, ERR_UNREACH), ERR_UNREACH);
    assert_int_equal(refuse(&world, world.a, ERR_NOTFOUND), ERR_REVOKED);
    end(&world);
}

/* Always ask, and go on with what there is while nobody answers. */
static void test_usable_without_fresh(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    world.settings = (struct conf_settings){.fresh_ms = 0, .usable_ms = MINUTE};
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_AGED);
    assert_int_equal(refuse(&world, world.a, ERR_TIMEOUT), ERR_OK);
    end(&world);
}

static void test_excuse(void **state)
{
    struct world world = start(3 * PAGE);
    (void)state;
    world.settings.usable_ms = 10 * MINUTE;
    assert_null(cache_excuse(world.cache, "x", world.a, MINUTE));
    put(&world, "x", world.a, "secret", 2 * MINUTE);
    assert_null(cache_excuse(world.cache, "x", world.b, MINUTE));
    auto_lease *lease = cache_excuse(world.cache, "x", world.a, MINUTE);
    assert_true(lease && lease_holds(lease, "secret"));
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_STALE);
    lease_unref(take_ptr(lease));
    put(&world, "x", world.a, "secret", 11 * MINUTE);
    assert_null(cache_excuse(world.cache, "x", world.a, MINUTE));
    end(&world);
}

static void test_news(void **state)
{
    struct world world = start(3 * PAGE);
    enum cache_news news;
    (void)state;
    assert_int_equal(put(&world, "x", world.a, "one", 0), CACHE_FIRST);
    auto_lease *lease = lease_make(world.leases, "x", "one", 0);
    auto_lease *kept = cache_put(world.cache, "x", world.a, lease, &world.settings, &news);
    assert_int_equal(news, CACHE_SAME);
    assert_ptr_not_equal(kept, lease); /* the one that is there stays, with its open descriptors */
    assert_int_equal(put(&world, "x", world.b, "one", 0), CACHE_SAME); /* sealed anew */
    assert_int_equal(put(&world, "x", world.b, "two", 0), CACHE_CHANGED);
    (void)cache_flush(world.cache);
    assert_int_equal(put(&world, "x", world.b, "two", 0), CACHE_SAME);
    assert_int_equal(refuse(&world, world.b, ERR_NOTFOUND), ERR_REVOKED);
    assert_int_equal(put(&world, "x", world.b, "three", 0), CACHE_CHANGED);
    lease_unref(take_ptr(lease));
    lease_unref(take_ptr(kept));
    end(&world);
}

static void test_revoked_is_not_found(void **state)
{
    struct world world = start(3 * PAGE);
    size_t secrets, bytes;
    (void)state;
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(leases_revoke(world.leases, "x"), 1);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_true(cache_length(world.cache, "x", world.a) == -1);
    assert_int_equal(put(&world, "x", world.a, "secret", 0), CACHE_SAME);
    assert_int_equal(find(&world, "x", world.a, "secret"), CACHE_HIT);
    cache_stats(world.cache, &secrets, &bytes);
    assert_true(secrets == 1 && bytes == 6);
    end(&world);
}

static void note_fresh(
    void *arg, struct lease *lease, const struct blob *blob, int64_t fresh_ms, int64_t limit_ms)
{
    (void)lease;
    (void)blob;
    assert_int_equal(fresh_ms, limit_ms);
    *(int64_t *)arg = fresh_ms;
}

/* What is handed over counts from when the key broker said so last, or a successor takes what was asked for again and again for too old. */
static void test_age_of_what_was_refreshed(void **state)
{
    struct world world = start(3 * PAGE);
    int64_t fresh_ms = 0;
    (void)state;
    put(&world, "x", world.a, "secret", 50000);
    assert_int_equal(put(&world, "x", world.a, "secret", 0), CACHE_SAME);
    cache_each(world.cache, note_fresh, &fresh_ms);
    assert_int_equal(fresh_ms, MINUTE);
    end(&world);
}

static void test_sweep(void **state)
{
    struct world world = start(3 * PAGE);
    size_t secrets, bytes, alive;
    (void)state;
    assert_true(cache_sweep(world.cache) == -1);
    put(&world, "x", world.a, "secret", MINUTE - 5000);
    int64_t next = cache_sweep(world.cache);
    assert_true(next > 0 && next <= 5000);
    put(&world, "x", world.a, "secret", MINUTE);
    assert_true(cache_sweep(world.cache) == -1);
    cache_stats(world.cache, &secrets, &bytes);
    assert_true(secrets == 0 && bytes == 0);
    secret_stats(&alive, &bytes);
    assert_int_equal(alive, 1); /* the key of versions */
    end(&world);
}

static void test_nothing_is_kept(void **state)
{
    struct world world = start(PAGE - 1);
    (void)state;
    put(&world, "x", world.a, "secret", 0);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_int_equal(
        refuse(&world, world.a, ERR_UNREACH), ERR_UNREACH); /* young enough, but gone */
    end(&world);
}

static void test_state(void **state)
{
    struct world world = start(3 * PAGE);
    struct cache_state seen;
    (void)state;
    cache_state(world.cache, "x", world.a, &seen);
    assert_true(seen.result == CACHE_MISS && seen.version[0] == '\0');
    world.settings.usable_ms = 10 * MINUTE;
    put(&world, "x", world.a, "secret", 2 * MINUTE);
    cache_state(world.cache, "x", world.a, &seen);
    assert_int_equal(seen.result, CACHE_AGED);
    assert_true(seen.left_ms > 7 * MINUTE && seen.left_ms <= 8 * MINUTE);
    assert_int_equal(strlen(seen.version), LEASE_VERSION_SIZE - 1);
    (void)refuse(&world, world.a, ERR_NOTFOUND);
    cache_state(world.cache, "x", world.a, &seen);
    assert_true(seen.result == CACHE_REFUSED && seen.code == ERR_REVOKED);
    end(&world);
}

static void test_memory(void **state)
{
    struct world world = start(2 * PAGE + PAGE / 2);
    size_t secrets, bytes;
    (void)state;
    put(&world, "one", world.a, "11111", 0);
    put(&world, "two", world.a, "22222", 0);
    assert_int_equal(find(&world, "one", world.a, "11111"), CACHE_HIT); /* used last */
    put(&world, "three", world.a, "33333", 0);
    assert_int_equal(find(&world, "two", world.a, ""), CACHE_MISS);
    assert_int_equal(find(&world, "one", world.a, "11111"), CACHE_HIT);
    assert_int_equal(find(&world, "three", world.a, "33333"), CACHE_HIT);
    cache_stats(world.cache, &secrets, &bytes);
    assert_int_equal(secrets, 2);
    assert_int_equal(bytes, 10);
    assert_int_equal(cache_flush(world.cache), 2);
    assert_int_equal(find(&world, "one", world.a, ""), CACHE_MISS);
    cache_stats(world.cache, &secrets, &bytes);
    assert_int_equal(bytes, 0);
    end(&world);
}

/* Every short secret takes a page: it is that which runs out. */
static void test_shrink(void **state)
{
    struct world world = start(8 * PAGE);
    size_t secrets, bytes;
    (void)state;
    assert_false(cache_shrink(world.cache));
    put(&world, "one", world.a, "11111", 0);
    put(&world, "two", world.a, "22222", 0);
    put(&world, "three", world.a, "33333", 0);
    put(&world, "four", world.a, "44444", 0);
    assert_true(cache_shrink(world.cache));
    cache_stats(world.cache, &secrets, &bytes);
    assert_int_equal(secrets, 2);
    assert_int_equal(find(&world, "two", world.a, ""), CACHE_MISS);
    assert_int_equal(find(&world, "four", world.a, "44444"), CACHE_HIT);
    assert_true(cache_shrink(world.cache) && cache_shrink(world.cache));
    assert_false(cache_shrink(world.cache));
    end(&world);
}

static void give_past(void *arg, const struct cache_past *past)
{
    cache_put_past(arg, past);
}

/* A successor, with the key of versions. */
static struct world successor(const struct world *old)
{
    struct world world = *old;
    struct cache_conf conf = {.error_ttl_ms = MINUTE, .memory = 3 * PAGE};
    struct err err = ERR_INIT;
    assert_done(cache_new(&conf, &world.cache, &err), &err);
    return world;
}

/* What a worker remembers is as good in its successor. */
static void test_past_goes_over(void **state)
{
    struct world old = start(3 * PAGE), world = successor(&old);
    (void)state;
    put(&old, "x", old.a, "secret", 2 * MINUTE);
    put(&old, "fresh", old.a, "secret", 0);
    put(&old, "known", old.a, "secret", 0);
    put(&world, "known", world.b, "other", 0);
    cache_each_past(old.cache, give_past, world.cache);
    assert_int_equal(find(&world, "x", world.a, ""), CACHE_MISS);
    assert_int_equal(find(&world, "known", world.b, "other"), CACHE_HIT);
    assert_true(cache_expired(world.cache, "x", world.a));
    assert_false(cache_expired(world.cache, "x", world.b));
    assert_false(cache_expired(world.cache, "fresh", world.a));
    assert_int_equal(refuse(&world, world.a, ERR_UNREACH), ERR_STALE);
    assert_int_equal(refuse(&world, world.a, ERR_NOTFOUND), ERR_REVOKED);
    assert_int_equal(put(&world, "fresh", world.a, "secret", 0), CACHE_SAME);
    assert_int_equal(put(&world, "fresh", world.a, "another", 0), CACHE_CHANGED);
    cache_free(world.cache);
    end(&old);
}

static void test_withdrawn_goes_over(void **state)
{
    struct world old = start(3 * PAGE), world = successor(&old);
    struct err err = ERR_INIT;
    bool first = true;
    (void)state;
    put(&old, "x", old.a, "secret", 0);
    assert_int_equal(refuse(&old, old.a, ERR_NOTFOUND), ERR_REVOKED);
    cache_each_past(old.cache, give_past, world.cache);
    err_set(&err, ERR_NOTFOUND, "why");
    assert_null(cache_refused(world.cache, "x", world.a, &err, &first));
    assert_int_equal(err.code, ERR_REVOKED);
    assert_false(first); /* it is news once */
    cache_free(world.cache);
    end(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_path_and_string),
        cmocka_unit_test(test_fresh_aged_past), cmocka_unit_test(test_served_while_nobody_answers),
        cmocka_unit_test(test_not_served_after_a_refusal),
        cmocka_unit_test(test_refusals_of_what_was_never_served),
        cmocka_unit_test(test_past_its_limit), cmocka_unit_test(test_usable_without_fresh),
        cmocka_unit_test(test_excuse), cmocka_unit_test(test_news),
        cmocka_unit_test(test_revoked_is_not_found),
        cmocka_unit_test(test_age_of_what_was_refreshed), cmocka_unit_test(test_sweep),
        cmocka_unit_test(test_nothing_is_kept), cmocka_unit_test(test_state),
        cmocka_unit_test(test_memory), cmocka_unit_test(test_shrink),
        cmocka_unit_test(test_past_goes_over), cmocka_unit_test(test_withdrawn_goes_over)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
