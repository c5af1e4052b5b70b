/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/lookout.h"

#include <limits.h>
#include <string.h>

#include "crypt/base/loop.h"
#include "tests/unit/unit.h"

static char seen[256];
static int64_t answer;
static size_t looks;
static unsigned last_vain;

static int64_t on_look(void *arg, const char *path, unsigned vain)
{
    struct lookout *other = *(struct lookout **)arg;
    looks++;
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s ", path);
    if (strcmp(path, "adds") == 0)
        lookout_add(other, "added", 60000);
    if (strcmp(path, "stops") == 0)
        lookout_stop(other);
    if (strcmp(path, "mends") == 0)
        (void)lookout_note(other, path, ERR_OK);
    last_vain = vain;
    return answer;
}

static struct lookout *lookout;

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    seen[0] = '\0';
    looks = 0;
    answer = 1000;
    assert_done(lookout_new(on_look, &lookout, &lookout, &err), &err);
    return 0;
}

static int end(void **state)
{
    (void)state;
    lookout_free(lookout);
    return 0;
}

static void test_when_it_is_due(void **state)
{
    (void)state;
    assert_int_equal(lookout_turn(lookout, loop_now_ms()), -1);
    lookout_add(lookout, "a", 0);
    lookout_add(lookout, "b", 3600000);
    lookout_add(lookout, "a", 0);
    int64_t later = loop_now_ms() + 5;
    assert_int_equal(lookout_turn(lookout, later), 1000);
    assert_string_equal(seen, "a ");
    assert_int_equal(lookout_turn(lookout, later + 400), 600);
    assert_string_equal(seen, "a ");
    (void)lookout_turn(lookout, later + 1000);
    assert_string_equal(seen, "a a ");
    answer = -1;
    (void)lookout_turn(lookout, later + 7200000);
    assert_int_equal(lookout_turn(lookout, later + 7200000), -1);
    assert_string_equal(seen, "a a a b ");
}

static void test_from_inside(void **state)
{
    (void)state;
    lookout_add(lookout, "adds", 0);
    assert_int_equal(lookout_turn(lookout, loop_now_ms() + 5), 1000);
    lookout_add(lookout, "stops", 0);
    (void)lookout_turn(lookout, loop_now_ms() + 5);
    lookout_add(lookout, "late", 0);
    assert_int_equal(lookout_turn(lookout, loop_now_ms() + 3600000), -1);
    assert_string_equal(seen, "adds stops ");
}

static void test_limit(void **state)
{
    (void)state;
    for (int i = 0; i <= LOOKOUT_PATHS_MAX; i++) {
        char path[16];
        snprintf(path, sizeof path, "%d", i);
        lookout_add(lookout, path, 60000);
    }
    answer = -1;
    assert_int_equal(lookout_turn(lookout, loop_now_ms() + 7200000), -1);
    assert_int_equal(looks, LOOKOUT_PATHS_MAX);
}

static void test_in_vain(void **state)
{
    (void)state;
    assert_true(lookout_note(lookout, "a", ERR_UNREACH)); /* nobody looks at it */
    assert_true(lookout_note(lookout, "a", ERR_UNREACH));
    lookout_add(lookout, "a", 0);
    int64_t later = loop_now_ms() + 5;
    (void)lookout_turn(lookout, later);
    assert_int_equal(last_vain, 0);
    assert_false(lookout_note(lookout, "a", ERR_OK));
    assert_int_equal(lookout_turn(lookout, later), 1000);
    assert_true(lookout_note(lookout, "a", ERR_REVOKED));
    assert_false(lookout_note(lookout, "a", ERR_REVOKED));
    assert_true(lookout_note(lookout, "a", ERR_UNREACH));
    assert_int_equal(lookout_turn(lookout, later), 1000);
    (void)lookout_turn(lookout, later + 1000);
    assert_int_equal(last_vain, 3);
    assert_int_equal(looks, 2);
    assert_true(lookout_note(lookout, "a", ERR_OK));
    (void)lookout_turn(lookout, later + 1001); /* at once */
    assert_int_equal(looks, 3);
    assert_int_equal(last_vain, 0);
}

/* The answer comes before the look is over. */
static void test_mended_meanwhile(void **state)
{
    (void)state;
    lookout_add(lookout, "mends", 3600000);
    int64_t later = loop_now_ms() + 3600000;
    (void)lookout_note(lookout, "mends", ERR_REVOKED);
    (void)lookout_turn(lookout, later);
    assert_int_equal(looks, 2);
    assert_int_equal(last_vain, 0);
}

static void test_delay(void **state)
{
    (void)state;
    assert_int_equal(lookout_delay(10, 100, 0), 10);
    assert_int_equal(lookout_delay(10, 100, 1), 20);
    assert_int_equal(lookout_delay(10, 100, 3), 80);
    assert_int_equal(lookout_delay(10, 100, 4), 100);
    assert_int_equal(lookout_delay(10, 100, UINT_MAX), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_when_it_is_due, start, end),
        cmocka_unit_test_setup_teardown(test_from_inside, start, end),
        cmocka_unit_test_setup_teardown(test_limit, start, end),
        cmocka_unit_test_setup_teardown(test_in_vain, start, end),
        cmocka_unit_test_setup_teardown(test_mended_meanwhile, start, end),
        cmocka_unit_test(test_delay)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
