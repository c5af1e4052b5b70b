/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/pagecache.h"

#include "tests/unit/lease_fixture.h"

static struct leases *leases;
static struct pagecache *pagecache;
static uint64_t dropped[8];
static size_t drops;

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    leases = leases_make();
    assert_done(pagecache_new(&pagecache, &err), &err);
    drops = 0;
    return 0;
}

static int end(void **state)
{
    (void)state;
    pagecache_free(pagecache);
    leases_free(leases);
    return 0;
}

static void on_drop(void *arg, uint64_t node)
{
    (void)arg;
    dropped[drops++] = node;
}

static bool open_node(uint64_t node, const char *path, struct lease *lease)
{
    bool keep;
    assert_true(pagecache_open(pagecache, node, path, lease, &keep));
    return keep;
}

/* A read through a descriptor that was opened on `own`. */
static bool shows(uint64_t node, const struct lease *own, const char *text)
{
    auto_lease *lease = pagecache_read(pagecache, node, own);
    return lease && lease_holds(lease, text);
}

static void test_kept_while_it_is_the_same(void **state)
{
    auto_lease *one = lease_make(leases, "x", "one", 10),
               *again = lease_make(leases, "x", "one", 5);
    (void)state;
    assert_null(pagecache_read(pagecache, 5, one));
    assert_false(open_node(5, "x", one));
    assert_true(shows(5, one, "one"));
    assert_true(open_node(5, "x", one));
    assert_true(pagecache_closed(pagecache, 5));
    assert_null(pagecache_read(pagecache, 5, one));
    assert_true(open_node(5, "x", again));
    assert_false(open_node(6, "x", again)); /* another inode, another page cache */
    assert_false(pagecache_closed(pagecache, 7));
}

static void test_newest_for_all(void **state)
{
    auto_lease *one = lease_make(leases, "x", "one", 10), *two = lease_make(leases, "x", "two", 5);
    (void)state;
    (void)open_node(5, "x", one);
    assert_true(shows(5, one, "one"));
    assert_false(open_node(5, "x", two));
    /* The first open of the new content has not come back yet, for all that is known. */
    assert_false(open_node(5, "x", two));
    assert_true(shows(5, one, "two"));
    assert_false(open_node(5, "x", two));
    assert_true(shows(5, two, "two"));
    assert_true(open_node(5, "x", two));
    /* An open that took its time changes nothing back. */
    assert_false(open_node(5, "x", one));
    assert_true(shows(5, one, "two"));
}

static void test_another_secret(void **state)
{
    auto_lease *one = lease_make(leases, "x", "one", 10), *two = lease_make(leases, "x", "two", 5),
               *other = lease_make(leases, "y", "other", 0);
    (void)state;
    (void)open_node(5, "x", one);
    (void)open_node(6, "x", one);
    (void)pagecache_closed(pagecache, 6);
    (void)open_node(7, "y", other);
    pagecache_over(pagecache, "x", two, on_drop, NULL);
    assert_int_equal(drops, 2);
    assert_true(shows(5, one, "two"));
    assert_true(shows(7, other, "other"));
    assert_false(open_node(5, "x", two));
    assert_false(open_node(6, "x", two));
}

static void test_withdrawn(void **state)
{
    auto_lease *one = lease_make(leases, "x", "one", 0),
               *other = lease_make(leases, "y", "other", 5);
    (void)state;
    (void)open_node(5, "x", one);
    (void)open_node(7, "y", other);
    assert_true(shows(7, other, "other"));
    (void)leases_revoke(leases, "x");
    pagecache_over(pagecache, "x", NULL, on_drop, NULL);
    assert_true(drops == 1 && dropped[0] == 5);
    auto_lease *shown = pagecache_read(pagecache, 5, one);
    assert_true(lease_is_revoked(shown));
    assert_false(pagecache_closed(pagecache, 5)); /* nothing that should stay */
    pagecache_over(pagecache, NULL, NULL, on_drop, NULL);
    assert_true(drops == 2 && dropped[1] == 7);
    /* The same plaintext, given again: what the kernel has is not believed. */
    auto_lease *again = lease_make(leases, "y", "other", 0);
    assert_false(open_node(7, "y", again));
}

static void test_sweep(void **state)
{
    struct cache_conf conf = {.error_ttl_ms = 1000, .memory = 100000};
    const struct conf_settings settings = {.fresh_ms = 60000};
    AUTO(cache_free) struct cache *cache = NULL;
    AUTO(blob_unref) struct blob *blob = blob_make("sealed.x");
    auto_lease *one = lease_make(leases, "x", "one", 0);
    enum cache_news news;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(cache_new(&conf, &cache, &err), &err);
    lease_unref(cache_put(cache, "x", blob, one, &settings, &news));
    (void)open_node(5, "x", one);
    (void)open_node(6, "x", one);
    (void)pagecache_closed(pagecache, 6);
    pagecache_sweep(pagecache, cache, on_drop, NULL);
    assert_int_equal(drops, 0);
    (void)cache_flush(cache);
    pagecache_sweep(pagecache, cache, on_drop, NULL);
    assert_true(drops == 1 && dropped[0] == 6); /* who has it open goes on */
    assert_true(shows(5, one, "one"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_while_it_is_the_same, start, end),
        cmocka_unit_test_setup_teardown(test_newest_for_all, start, end),
        cmocka_unit_test_setup_teardown(test_another_secret, start, end),
        cmocka_unit_test_setup_teardown(test_withdrawn, start, end),
        cmocka_unit_test_setup_teardown(test_sweep, start, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
