/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/refusals.h"

#include "tests/unit/unit.h"

static struct refusals refusals;

static const struct refusal *add(const char *path, const char *message)
{
    struct err err = ERR_INIT;
    err_set(&err, ERR_UNREACH, "%s", message);
    return refusals_add(&refusals, path, &err);
}

static void test_find(void **state)
{
    char id[WORKER_ID_SIZE];
    (void)state;
    refusals_init(&refusals);
    memcpy(id, add("a", "first")->id, sizeof id);
    add("b", "second");
    add("a", "third");
    assert_string_equal(refusals_find(&refusals, NULL, "a")->err.message, "third");
    assert_string_equal(refusals_find(&refusals, id, NULL)->err.message, "first");
    assert_null(refusals_find(&refusals, "r-none", NULL));
    assert_null(refusals_find(&refusals, NULL, "c"));
}

static void test_the_oldest_go(void **state)
{
    static struct refusal copies[WORKER_REFUSALS_MAX];
    char path[16];
    (void)state;
    refusals_init(&refusals);
    assert_int_equal(refusals_copy(&refusals, copies, WORKER_REFUSALS_MAX), 0);
    for (int i = 0; i < WORKER_REFUSALS_MAX + 10; i++) {
        snprintf(path, sizeof path, "p%d", i);
        add(path, "x");
    }
    assert_int_equal(refusals_copy(&refusals, copies, WORKER_REFUSALS_MAX), WORKER_REFUSALS_MAX);
    assert_string_equal(copies[0].path, "p10");
    assert_string_equal(copies[WORKER_REFUSALS_MAX - 1].path, "p73");
    assert_null(refusals_find(&refusals, NULL, "p9"));
    assert_int_equal(refusals_copy(&refusals, copies, 2), 2);
    assert_string_equal(copies[1].path, "p73");
}

static void test_long_path(void **state)
{
    char path[3000];
    (void)state;
    refusals_init(&refusals);
    memset(path, 'x', sizeof path);
    memcpy(path + sizeof path - 5, "/end", 5);
    const struct refusal *refusal = add(path, "x");
    assert_int_equal(strlen(refusal->path), sizeof refusal->path - 1);
    assert_string_equal(refusal->path + sizeof refusal->path - 5, "/end");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_find),
        cmocka_unit_test(test_the_oldest_go), cmocka_unit_test(test_long_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
