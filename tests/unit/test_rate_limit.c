/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/http/rate_limit.h"

#include "tests/unit/unit.h"

static struct err err;
static struct rate_limit *limit;
static int retry_s;

static void make(int64_t rate, int64_t burst, int64_t total)
{
    struct kbs_conf conf = {.server = {.rate = rate, .rate_burst = burst, .rate_total = total}};
    rate_limit_free(limit);
    assert_done(rate_limit_new(&conf, &limit, &err), &err);
}

static int teardown(void **state)
{
    (void)state;
    rate_limit_free(limit);
    limit = NULL;
    return 0;
}

static bool take(const char *peer, int64_t now_ms)
{
    retry_s = 0;
    return rate_limit_take(limit, peer, now_ms, &retry_s);
}

static size_t taken(const char *peer, int64_t now_ms, size_t tries)
{
    size_t count = 0;
    for (size_t i = 0; i < tries; i++)
        count += take(peer, now_ms);
    return count;
}

static void a_burst_and_then_so_many_a_second(void **state)
{
    (void)state;
    make(10, 30, 0);
    assert_int_equal(taken("192.0.2.1:1000", 0, 100), 30);
    assert_false(take("192.0.2.1:1000", 0));
    assert_true(retry_s >= 1);
    assert_int_equal(taken("192.0.2.1:1001", 1000, 100), 10); /* another port is no other peer */
    assert_int_equal(taken("192.0.2.1:1002", 100000, 100), 30);
}

static void one_peer_does_not_cost_another(void **state)
{
    (void)state;
    make(10, 30, 0);
    assert_int_equal(taken("192.0.2.1:1", 0, 100), 30);
    assert_int_equal(taken("192.0.2.2:1", 0, 100), 30);
    assert_int_equal(taken("::ffff:192.0.2.2:1", 0, 100), 0); /* the same, by IPv6 */
}

static void a_prefix_of_ipv6_is_one_peer(void **state)
{
    (void)state;
    make(10, 30, 0);
    assert_int_equal(taken("2001:db8::1:443", 0, 20), 20);
    assert_int_equal(taken("2001:db8::ffff:1:443", 0, 20), 10);
    assert_int_equal(taken("2001:db8:0:1::1:443", 0, 20), 20);
}

static void all_together_have_a_limit(void **state)
{
    (void)state;
    char peer[32];
    size_t count = 0;
    make(10, 30, 100);
    for (int i = 0; i < 1000; i++) {
        snprintf(peer, sizeof peer, "192.0.%d.%d:1", i / 250, i % 250);
        count += take(peer, 0);
    }
    assert_int_equal(count, 200);
}

static void many_peers_cost_no_memory_and_nobody_is_shut_out(void **state)
{
    (void)state;
    char peer[32];
    make(10, 30, 0);
    for (int i = 0; i < 100000; i++) {
        snprintf(peer, sizeof peer, "10.%d.%d.%d:1", i >> 16, (i >> 8) & 255, i & 255);
        assert_true(take(peer, i));
    }
    assert_true(take("192.0.2.1:1", 100000));
}

static void nothing_is_limited_when_nothing_is_set(void **state)
{
    (void)state;
    make(0, 30, 0);
    assert_int_equal(taken("192.0.2.1:1", 0, 10000), 10000);
    assert_true(rate_limit_take(NULL, "192.0.2.1:1", 0, &retry_s));
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_burst_and_then_so_many_a_second),
        TEST(one_peer_does_not_cost_another),
        TEST(a_prefix_of_ipv6_is_one_peer),
        TEST(all_together_have_a_limit),
        TEST(many_peers_cost_no_memory_and_nobody_is_shut_out),
        TEST(nothing_is_limited_when_nothing_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
