/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/lease_fixture.h"

static void test_versions(void **state)
{
    AUTO(leases_free) struct leases *leases = leases_make();
    auto_lease *one = lease_make(leases, "x", "secret", 0),
               *same = lease_make(leases, "x", "secret", 5),
               *other = lease_make(leases, "x", "Secret", 0),
               *empty = lease_make(leases, "x", "", 0),
               *elsewhere = lease_make(leases, "y", "secret", 0);
    (void)state;
    assert_int_equal(strlen(one->version), LEASE_VERSION_SIZE - 1);
    assert_string_equal(one->version, same->version);
    assert_string_not_equal(one->version, other->version);
    assert_string_not_equal(one->version, empty->version);
    assert_string_not_equal(
        one->version, elsewhere->version); /* that two files hold the same is not to be seen */
    AUTO(leases_free) struct leases *process = leases_make();
    auto_lease *there = lease_make(process, "x", "secret", 0);
    assert_string_not_equal(one->version, there->version); /* and the key is not a constant */
}

static void test_revoked_where_it_is_held(void **state)
{
    AUTO(leases_free) struct leases *leases = leases_make();
    auto_lease *x = lease_make(leases, "x", "secret", 0),
               *older = lease_make(leases, "x", "before", 0),
               *y = lease_make(leases, "y", "another", 0);
    size_t alive_before, alive, bytes;
    (void)state;
    secret_stats(&alive_before, &bytes);
    assert_int_equal(leases_revoke(leases, "x"), 2);
    secret_stats(&alive, &bytes);
    assert_int_equal(alive, alive_before - 2);
    assert_true(lease_is_revoked(x) && lease_is_revoked(older));
    assert_null(lease_secret(x));
    assert_true(lease_holds(y, "another"));
    assert_int_equal(x->len, 6); /* what is known of it stays */
    assert_int_equal(leases_revoke(leases, "x"), 0);
    assert_int_equal(leases_revoke(leases, NULL), 1);
    assert_null(lease_secret(y));
    auto_lease *again = lease_make(leases, "x", "secret", 0);
    assert_true(lease_holds(again, "secret"));
    assert_string_equal(again->version, x->version);
}

/* Who is in the middle of an answer keeps the plaintext for that long. */
static void test_answer_under_way(void **state)
{
    AUTO(leases_free) struct leases *leases = leases_make();
    auto_lease *lease = lease_make(leases, "x", "secret", 0);
    auto_secret *held = lease_secret(lease);
    (void)state;
    assert_int_equal(leases_revoke(leases, NULL), 1);
    assert_true(bytes_equal(secret_bytes(held), bytes_str("secret")));
    assert_null(lease_secret(lease));
}

static void test_last_reference(void **state)
{
    AUTO(leases_free) struct leases *leases = leases_make();
    struct lease *lease = lease_make(leases, "x", "secret", 0);
    size_t alive_before, alive, bytes;
    (void)state;
    secret_stats(&alive_before, &bytes);
    lease_unref(lease_ref(lease));
    assert_true(lease_holds(lease, "secret"));
    lease_unref(lease);
    secret_stats(&alive, &bytes);
    assert_int_equal(alive, alive_before - 1);
    assert_int_equal(leases_revoke(leases, NULL), 0);
    lease_unref(NULL);
}

static void test_key(void **state)
{
    struct err err = ERR_INIT;
    AUTO(leases_free) struct leases *one = leases_make();
    AUTO(leases_free) struct leases *two = leases_make();
    auto_lease *a = lease_make(one, "x", "secret", 0);
    auto_lease *stranger = lease_make(two, "x", "secret", 0);
    auto_secret *key = leases_key(one);
    auto_secret *short_key = NULL;
    (void)state;
    assert_string_not_equal(a->version, stranger->version);
    assert_refused(leases_take_key(two, key, &err), &err, ERR_FORMAT, "after plaintexts");
    lease_unref(take_ptr(stranger));
    assert_done(secret_copy(bytes_str("short"), &short_key, &err), &err);
    assert_refused(leases_take_key(two, short_key, &err), &err, ERR_FORMAT, "32 bytes");
    assert_done(leases_take_key(two, key, &err), &err);
    auto_lease *b = lease_make(two, "x", "secret", 0);
    assert_string_equal(a->version, b->version);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_versions),
        cmocka_unit_test(test_revoked_where_it_is_held), cmocka_unit_test(test_answer_under_way),
        cmocka_unit_test(test_last_reference), cmocka_unit_test(test_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
