/* SPDX-License-Identifier: Apache-2.0 */
/* Which broker a URI means, and what is wrong with a set of them. Nobody is asked anything. */
#include "kbs/brokers.h"

#include "tests/unit/unit.h"

#define PIN "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static const char *const urls[] = {"https://127.0.0.1:1"};
static struct loop *loop;
static struct brokers *brokers;

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    brokers = NULL;
    return loop_new(&loop, &err) ? 0 : -1;
}

static int end(void **state)
{
    (void)state;
    brokers_free(brokers);
    loop_free(loop);
    return 0;
}

static struct broker_conf broker(const char *name, const char *const *hosts, size_t count)
{
    return (struct broker_conf){.name = name,
        .hosts = hosts,
        .host_count = count,
        .client = {.urls = urls,
            .url_count = 1,
            .http = {.pinned_key = PIN},
            .attest_socket = "/nowhere"}};
}

static struct kbs_client *find(const char *text)
{
    struct kbs_uri uri;
    struct kbs_client *client = NULL;
    struct err err = ERR_INIT;
    assert_done(kbs_uri_parse(text, &uri, &err), &err);
    assert_done(brokers_find(brokers, &uri, &client, &err), &err);
    return client;
}

static void assert_unknown(const char *text, const char *why)
{
    struct kbs_uri uri;
    struct kbs_client *client;
    struct err err = ERR_INIT;
    assert_done(kbs_uri_parse(text, &uri, &err), &err);
    assert_refused(brokers_find(brokers, &uri, &client, &err), &err, ERR_CONFIG, why);
}

static void the_host_decides(void **state)
{
    static const char *const one[] = {"one.example", "uno.example:8080"}, *const two[] = {
                                                                              "two.example"};
    const struct broker_conf confs[] = {
        broker(NULL, NULL, 0), broker("one", one, 2), broker("two", two, 1)};
    struct err err = ERR_INIT;
    const char *name;
    (void)state;
    assert_done(brokers_new(loop, confs, 3, &brokers, &err), &err);
    assert_int_equal(brokers_count(brokers), 3);
    assert_ptr_equal(find("kbs:///a/b/c"), brokers_default(brokers));
    assert_ptr_equal(find("kbs://one.example/a/b/c"), brokers_at(brokers, 1, &name));
    assert_string_equal(name, "one");
    assert_ptr_equal(find("kbs://ONE.example/a/b/c"), brokers_at(brokers, 1, &name));
    assert_ptr_equal(find("kbs://uno.example:8080/a/b/c"), brokers_at(brokers, 1, &name));
    assert_ptr_equal(find("kbs://two.example/a/b/c"), brokers_at(brokers, 2, &name));
    assert_null((brokers_at(brokers, 0, &name), name));
    /* A port is part of the host, and nobody's secret goes to a neighbour. */
    assert_unknown("kbs://uno.example/a/b/c", "no broker is configured for host uno.example");
    assert_unknown(
        "kbs://sub.one.example/a/b/c", "no broker is configured for host sub.one.example");
}

/* A broker by name is not taken for the one that is missing. */
static void without_a_default_one(void **state)
{
    static const char *const one[] = {"one.example"};
    struct broker_conf confs[] = {broker(NULL, NULL, 0), broker("one", one, 1)};
    struct err err = ERR_INIT;
    (void)state;
    confs[0].client.url_count = 0;
    assert_done(brokers_new(loop, confs, 2, &brokers, &err), &err);
    assert_int_equal(brokers_count(brokers), 1);
    assert_null(brokers_default(brokers));
    assert_unknown("kbs:///a/b/c", "no key broker is configured");
    assert_non_null(find("kbs://one.example/a/b/c"));
}

static void sets_that_are_refused(void **state)
{
    static const char *const good[] = {"a.example"}, *const again[] = {"A.example"},
                             *const bad[] = {"a/b"}, *const empty[] = {""};
    const struct {
        struct broker_conf confs[2];
        const char *why;
    } rows[] = {
        {{broker("x", good, 1), broker("y", again, 1)}, "host A.example is given twice"},
        {{broker(NULL, NULL, 0), broker("x", bad, 1)}, "is not what stands between"},
        {{broker(NULL, NULL, 0), broker("x", empty, 1)}, "is not what stands between"},
        {{broker(NULL, NULL, 0), broker("x", NULL, 0)}, "[kbs:x]: no host"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        assert_refused(
            brokers_new(loop, rows[i].confs, 2, &brokers, &err), &err, ERR_CONFIG, rows[i].why);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_host_decides),
        TEST(without_a_default_one),
        TEST(sets_that_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
