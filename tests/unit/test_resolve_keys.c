/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/loop.h"
#include "fs/resolve_keys.h"

static struct secret *make_secret(const char *text)
{
    struct err err = ERR_INIT;
    struct secret *secret = NULL;
    assert_done(secret_copy(bytes_str(text), &secret, &err), &err);
    return secret;
}

static void keeps_and_finds(void **state)
{
    (void)state;
    struct resolve_keys keys = {.keep_ms = 60000};
    auto_secret *one = make_secret("one"), *two = make_secret("two");
    resolve_keys_keep(&keys, "kbs:///a/key/1", one);
    resolve_keys_keep(&keys, "kbs:///a/key/2", two);
    assert_ptr_equal(resolve_keys_find(&keys, "kbs:///a/key/1")->value, one);
    assert_ptr_equal(resolve_keys_find(&keys, "kbs:///a/key/2")->value, two);
    assert_null(resolve_keys_find(&keys, "kbs:///a/key/3"));
    resolve_keys_drop(&keys, "kbs:///a/key/1");
    assert_null(resolve_keys_find(&keys, "kbs:///a/key/1"));
    assert_ptr_equal(resolve_keys_find(&keys, "kbs:///a/key/2")->value, two);
    resolve_keys_drop(&keys, NULL);
    assert_null(resolve_keys_find(&keys, "kbs:///a/key/2"));
}

static void the_newer_value_wins(void **state)
{
    (void)state;
    struct resolve_keys keys = {.keep_ms = 60000};
    auto_secret *old = make_secret("old"), *new = make_secret("new");
    resolve_keys_keep(&keys, "u", old);
    resolve_keys_keep(&keys, "u", new);
    assert_ptr_equal(resolve_keys_find(&keys, "u")->value, new);
    resolve_keys_drop(&keys, NULL);
}

static void time_ends_a_key(void **state)
{
    (void)state;
    struct resolve_keys keys = {.keep_ms = 60000};
    auto_secret *secret = make_secret("x");
    resolve_keys_keep(&keys, "u", secret);
    keys.slots[0].until_ms = loop_now_ms(); /* its last moment */
    assert_null(resolve_keys_find(&keys, "u"));
    assert_null(keys.slots[0].value); /* and it was let go, not only hidden */
}

static void nothing_is_kept_when_told_so(void **state)
{
    (void)state;
    struct resolve_keys keys = {.keep_ms = 0};
    auto_secret *secret = make_secret("x");
    resolve_keys_keep(&keys, "u", secret);
    assert_null(resolve_keys_find(&keys, "u"));
}

static void a_full_table_gives_up_the_oldest(void **state)
{
    (void)state;
    struct resolve_keys keys = {.keep_ms = 60000};
    auto_secret *secret = make_secret("x");
    char uri[32];
    for (int i = 0; i < RESOLVE_KEYS_MAX; i++) {
        snprintf(uri, sizeof uri, "u%d", i);
        resolve_keys_keep(&keys, uri, secret);
        keys.slots[i].until_ms += i; /* the clock may not have moved between two of them */
    }
    resolve_keys_keep(&keys, "one too many", secret);
    assert_null(resolve_keys_find(&keys, "u0"));
    assert_non_null(resolve_keys_find(&keys, "u1"));
    assert_non_null(resolve_keys_find(&keys, "one too many"));
    resolve_keys_drop(&keys, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_and_finds),
        cmocka_unit_test(the_newer_value_wins),
        cmocka_unit_test(time_ends_a_key),
        cmocka_unit_test(nothing_is_kept_when_told_so),
        cmocka_unit_test(a_full_table_gives_up_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
