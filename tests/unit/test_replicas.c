/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/replicas.h"

static const char *const three[] = {"https://a", "https://b:8443/", "https://c"};

static struct replicas make(void)
{
    struct replicas replicas;
    struct err err = ERR_INIT;
    assert_done(replicas_init(&replicas, three, 3, false, &err), &err);
    return replicas;
}

static size_t next(const struct replicas *replicas, replica_set tried, size_t first, int64_t now)
{
    size_t index = 99;
    return replicas_next(replicas, tried, first, now, &index) ? index : 99;
}

static void origins_are_kept(void **state)
{
    (void)state;
    struct replicas replicas = make();
    assert_int_equal(replicas.count, 3);
    assert_string_equal(replicas.items[0].url, "https://a:443");
    assert_string_equal(replicas.items[1].url, "https://b:8443");
}

static void refused(const char *const *urls, size_t count, const char *why)
{
    struct replicas replicas;
    struct err err = ERR_INIT;
    assert_refused(replicas_init(&replicas, urls, count, false, &err), &err, ERR_CONFIG, why);
}

static void what_is_no_list_of_replicas(void **state)
{
    (void)state;
    static const char *const path[] = {"https://a", "https://b/kbs"},
                             *const twice[] = {"https://a", "https://b", "https://a:443/"},
                             *const plain[] = {"https://a", "http://b"}, *const blank[] = {""};
    const char *many[REPLICAS_MAX + 1];
    for (size_t i = 0; i < ARRAY_LEN(many); i++)
        many[i] = "https://a";
    refused(NULL, 0, "0 URLs");
    refused(many, ARRAY_LEN(many), "17 URLs");
    refused(path, 2, "\"https://b/kbs\" has a path");
    refused(twice, 3, "https://a:443 is given twice");
    refused(plain, 2, "only for this machine");
    refused(blank, 1, "is no URL");
}

static void each_is_tried_once_a_round(void **state)
{
    (void)state;
    struct replicas replicas = make();
    assert_int_equal(next(&replicas, 0, 0, 1000), 0);
    assert_int_equal(next(&replicas, 1, 0, 1000), 1);
    assert_int_equal(next(&replicas, 3, 0, 1000), 2);
    assert_int_equal(next(&replicas, 7, 0, 1000), 99);
    assert_int_equal(next(&replicas, 0, 2, 1000), 2);
    assert_int_equal(next(&replicas, 4, 2, 1000), 0);
}

static void one_that_failed_rests(void **state)
{
    (void)state;
    struct replicas replicas = make();
    struct err err = ERR_INIT;
    err_set(&err, ERR_UNREACH, "gone");
    replicas_failed(&replicas, 0, 1000, &err);
    assert_int_equal(next(&replicas, 0, 0, 1000), 1);
    assert_int_equal(next(&replicas, 0, 0, 1000 + 625), 0); /* 0.5 s and a quarter at most */
    replicas_answered(&replicas, 1);
    assert_int_equal(replicas.best, 1);
    replicas_failed(&replicas, 0, 2000, &err);
    assert_int_equal(next(&replicas, 0, 0, 2000 + 700), 1); /* a second, less a quarter */
    replicas_refresh(&replicas);
    assert_int_equal(next(&replicas, 0, 0, 2000), 0);
}

static void when_all_rest_the_one_that_ends_first_is_tried(void **state)
{
    (void)state;
    struct replicas replicas = make();
    struct err err = ERR_INIT;
    err_set(&err, ERR_TIMEOUT, "silent");
    replicas_failed(&replicas, 2, 1000, &err);
    replicas_failed(&replicas, 1, 10000, &err);
    replicas_failed(&replicas, 0, 20000, &err);
    replicas.items[2].backoff.until_ms = 30000;
    assert_int_equal(next(&replicas, 0, 0, 10000), 1);
    assert_int_equal(next(&replicas, 2, 0, 10000), 0);
}

static void failures_of_one_moment_count_once(void **state)
{
    (void)state;
    struct replicas replicas = make();
    struct err err = ERR_INIT;
    err_set(&err, ERR_UNREACH, "gone");
    for (int i = 0; i < 500; i++)
        replicas_failed(&replicas, 0, 1000 + i / 100, &err);
    assert_in_range(replicas.items[0].backoff.until_ms, 1375, 1625);
}

static void only_its_own_failures_count(void **state)
{
    (void)state;
    static const bool failures[ERR_CODE_COUNT] = {[ERR_UNREACH] = true, [ERR_TIMEOUT] = true};
    for (int code = 1; code < ERR_CODE_COUNT; code++)
        assert_int_equal(
            replica_failure(&(struct err){.code = (enum err_code)code}), failures[code]);
}

static void time_is_shared(void **state)
{
    (void)state;
    struct replicas replicas = make();
    assert_int_equal(replicas_share(&replicas, 12000), 4000);
    assert_int_equal(replicas_share(&replicas, 2000), 1000);
    assert_int_equal(replicas_share(&replicas, 200), 200);
    replicas.count = 1;
    assert_int_equal(replicas_share(&replicas, 10000), 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins_are_kept),
        cmocka_unit_test(what_is_no_list_of_replicas),
        cmocka_unit_test(each_is_tried_once_a_round),
        cmocka_unit_test(one_that_failed_rests),
        cmocka_unit_test(when_all_rest_the_one_that_ends_first_is_tried),
        cmocka_unit_test(failures_of_one_moment_count_once),
        cmocka_unit_test(only_its_own_failures_count),
        cmocka_unit_test(time_is_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
