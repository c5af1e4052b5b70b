/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cache.h"

#include "crypt/base/loop.h"
#include "tests/unit/unit.h"

#define PAGE ((size_t)sysconf(_SC_PAGESIZE))

static struct blob *blob(const char *text)
{
    struct err err = ERR_INIT;
    struct blob *made = calloc(1, sizeof *made);
    atomic_init(&made->count, 1);
    made->text = (struct buf)BUF_INIT(1024);
    assert_done(buf_append_str(&made->text, text, &err), &err);
    return made;
}

static struct cache *cache(int64_t ttl_ms, int64_t error_ttl_ms, size_t memory)
{
    struct cache_conf conf = {.ttl_ms = ttl_ms, .error_ttl_ms = error_ttl_ms, .memory = memory};
    struct cache *made;
    struct err err = ERR_INIT;
    assert_done(cache_new(&conf, &made, &err), &err);
    return made;
}

static void put(struct cache *to, const char *path, struct blob *of, const char *text)
{
    auto_secret *secret = NULL;
    struct err err = ERR_INIT;
    assert_done(secret_copy(bytes_str(text), &secret, &err), &err);
    cache_put(to, path, of, secret);
}

static enum cache_result find(
    struct cache *in, const char *path, const struct blob *of, const char *wanted)
{
    auto_secret *secret = NULL;
    struct err refusal = ERR_INIT;
    enum cache_result result = cache_find(in, path, of, &secret, &refusal);
    if (result == CACHE_HIT)
        assert_true(bytes_equal(secret_bytes(secret), bytes_str(wanted)));
    if (result == CACHE_REFUSED)
        assert_string_equal(refusal.message, wanted);
    return result;
}

static void test_by_path_and_string(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(60000, 1000, 3 * PAGE);
    AUTO(blob_unref)
    struct blob *a = blob("sealed.a"), *same = blob("sealed.a"), *b = blob("sealed.b");
    (void)state;
    put(kept, "x", a, "secret");
    assert_int_equal(find(kept, "x", a, "secret"), CACHE_HIT);
    assert_int_equal(find(kept, "x", same, "secret"), CACHE_HIT);
    assert_int_equal(find(kept, "x", b, ""), CACHE_MISS);
    assert_int_equal(find(kept, "y", a, ""), CACHE_MISS);
    assert_true(cache_length(kept, "x", a) == 6 && cache_length(kept, "x", b) == -1);
    put(kept, "x", b, "other");
    assert_int_equal(find(kept, "x", a, ""), CACHE_MISS);
    assert_int_equal(find(kept, "x", b, "other"), CACHE_HIT);
}

static void test_refusals(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(60000, 60000, 3 * PAGE);
    AUTO(blob_unref) struct blob *a = blob("sealed.a");
    struct err refusal = ERR_INIT;
    (void)state;
    err_set(&refusal, ERR_UNREACH, "why");
    put(kept, "x", a, "secret");
    cache_put_refusal(kept, "x", a, &refusal);
    assert_int_equal(find(kept, "x", a, "why"), CACHE_REFUSED);
    assert_true(cache_length(kept, "x", a) == -1);
    put(kept, "x", a, "secret");
    assert_int_equal(find(kept, "x", a, "secret"), CACHE_HIT);
}

static void test_time_passes(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(20, 20, 3 * PAGE);
    AUTO(cache_free) struct cache *longer = cache(600000, 600000, 3 * PAGE);
    AUTO(blob_unref) struct blob *a = blob("sealed.a");
    size_t secrets, bytes, alive_before, alive;
    (void)state;
    put(longer, "x", a, "secret");
    assert_in_range(cache_sweep(longer), 1, 600000);
    secret_stats(&alive_before, &bytes);
    put(kept, "x", a, "secret");
    int64_t until = loop_now_ms() + 20;
    while (loop_now_ms() <= until)
        ;
    assert_int_equal(find(kept, "x", a, ""), CACHE_MISS);
    assert_true(cache_sweep(kept) == -1);
    cache_stats(kept, &secrets, &bytes);
    assert_int_equal(secrets, 0);
    assert_int_equal(bytes, 0);
    secret_stats(&alive, &bytes);
    assert_int_equal(alive, alive_before);
}

static void test_nothing_is_kept(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(0, 0, 3 * PAGE);
    AUTO(cache_free) struct cache *small = cache(60000, 0, PAGE - 1);
    AUTO(blob_unref) struct blob *a = blob("sealed.a");
    struct err refusal = ERR_INIT;
    (void)state;
    err_set(&refusal, ERR_UNREACH, "why");
    put(kept, "x", a, "secret");
    assert_int_equal(find(kept, "x", a, ""), CACHE_MISS);
    cache_put_refusal(kept, "x", a, &refusal);
    assert_int_equal(find(kept, "x", a, ""), CACHE_MISS);
    put(small, "x", a, "secret");
    assert_int_equal(find(small, "x", a, ""), CACHE_MISS);
}

static void test_memory(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(60000, 1000, 2 * PAGE + PAGE / 2);
    AUTO(blob_unref) struct blob *a = blob("sealed.a");
    size_t secrets, bytes;
    (void)state;
    put(kept, "one", a, "11111");
    put(kept, "two", a, "22222");
    assert_int_equal(find(kept, "one", a, "11111"), CACHE_HIT); /* used last */
    put(kept, "three", a, "33333");
    assert_int_equal(find(kept, "two", a, ""), CACHE_MISS);
    assert_int_equal(find(kept, "one", a, "11111"), CACHE_HIT);
    assert_int_equal(find(kept, "three", a, "33333"), CACHE_HIT);
    cache_stats(kept, &secrets, &bytes);
    assert_int_equal(secrets, 2);
    assert_int_equal(bytes, 10);
    assert_int_equal(cache_flush(kept), 2);
    assert_int_equal(find(kept, "one", a, ""), CACHE_MISS);
    cache_stats(kept, &secrets, &bytes);
    assert_int_equal(bytes, 0);
}

/* Every short secret takes a page: it is that which runs out. */
static void test_shrink(void **state)
{
    AUTO(cache_free) struct cache *kept = cache(60000, 1000, 8 * PAGE);
    AUTO(blob_unref) struct blob *a = blob("sealed.a");
    size_t secrets, bytes;
    (void)state;
    assert_false(cache_shrink(kept));
    put(kept, "one", a, "11111");
    put(kept, "two", a, "22222");
    put(kept, "three", a, "33333");
    put(kept, "four", a, "44444");
    assert_true(cache_shrink(kept));
    cache_stats(kept, &secrets, &bytes);
    assert_int_equal(secrets, 2);
    assert_int_equal(find(kept, "two", a, ""), CACHE_MISS);
    assert_int_equal(find(kept, "four", a, "44444"), CACHE_HIT);
    assert_true(cache_shrink(kept) && cache_shrink(kept));
    assert_false(cache_shrink(kept));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_by_path_and_string),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_time_passes),
        cmocka_unit_test(test_nothing_is_kept), cmocka_unit_test(test_memory),
        cmocka_unit_test(test_shrink)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
