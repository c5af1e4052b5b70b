/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/tree.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/fs_fixture.h"

static struct fixture fixture;
static struct nodetable_data *table;
static struct tree *tree;
static int table_fd;

static void make_tree(size_t pins)
{
    struct err err = ERR_INIT;
    assert_done(nodetable_map(table_fd, &table, &err), &err);
    assert_done(tree_new(&fixture.source, table, pins, &tree, &err), &err);
}

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    fixture_start(&fixture);
    assert_done(nodetable_create(&table_fd, &err), &err);
    make_tree(100);
    return 0;
}

/* Another worker on the same table. */
static void succeed(size_t pins)
{
    tree_free(tree);
    nodetable_unmap(table);
    make_tree(pins);
}

static int end(void **state)
{
    (void)state;
    tree_free(tree);
    nodetable_unmap(table);
    close(table_fd);
    fixture_stop(&fixture);
    return 0;
}

static uint64_t look(uint64_t parent, const char *name, int wanted_errno)
{
    uint64_t id = 0;
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    bool found = tree_lookup(tree, parent, name, &id, &pin, &st, &err);
    assert_int_equal(found ? 0 : err.sys_errno, wanted_errno);
    return id;
}

static int pin_errno(uint64_t id)
{
    struct stat st;
    auto_pin *pin = NULL;
    struct err err = ERR_INIT;
    return tree_pin(tree, id, &pin, &st, &err) ? 0 : err.sys_errno;
}

static void test_same_file_same_node(void **state)
{
    char path[PATH_SIZE];
    (void)state;
    assert_int_equal(mkdir(fixture_path(&fixture, "dir"), 0755), 0);
    fixture_write(&fixture, "dir/file", "x");
    uint64_t dir = look(NODE_ROOT, "dir", 0), file = look(dir, "file", 0);
    assert_int_equal(look(dir, "file", 0), file);
    fixture_write(&fixture, "dir/file", "written in place");
    assert_int_equal(look(dir, "file", 0), file);
    fixture_rest(&fixture, "dir/file");
    assert_int_equal(look(dir, "file", 0), file);
    assert_int_equal(look(dir, "file", 0), file);
    assert_true(tree_path(tree, file, path));
    assert_string_equal(path, "dir/file");
    tree_forget(tree, file, 5);
    assert_false(tree_path(tree, file, path));
    tree_forget(tree, dir, 1);
    assert_int_equal(tree_count(tree), 0);
}

static void test_another_file_another_node(void **state)
{
    struct stat st;
    struct err err = ERR_INIT;
    auto_pin *held = NULL, *again = NULL;
    (void)state;
    fixture_write(&fixture, "a", "one");
    uint64_t first = look(NODE_ROOT, "a", 0);
    assert_done(tree_pin(tree, first, &held, &st, &err), &err);
    tree_opened(tree, first, held, 3);
    fixture_write(&fixture, "b", "two");
    char from[256];
    snprintf(from, sizeof from, "%s", fixture_path(&fixture, "b"));
    assert_int_equal(rename(from, fixture_path(&fixture, "a")), 0);
    uint64_t second = look(NODE_ROOT, "a", 0);
    assert_true(first != second);
    assert_int_equal(pin_errno(first), ESTALE);
    /* What is open on the first still has attributes, until it is closed. */
    assert_done(tree_stat(tree, first, &again, &st, &err), &err);
    assert_int_equal(st.st_ino, held->st.st_ino);
    tree_forget(tree, first, 1);
    assert_true(tree_closed(tree, first));
    tree_forget(tree, second, 1);
    assert_int_equal(tree_count(tree), 0);
}

static void test_gone_and_renamed(void **state)
{
    (void)state;
    assert_int_equal(mkdir(fixture_path(&fixture, "d"), 0755), 0);
    fixture_write(&fixture, "d/x", "x");
    uint64_t dir = look(NODE_ROOT, "d", 0), file = look(dir, "x", 0);
    fixture_rest(&fixture, "d");
    assert_int_equal(look(dir, "x", 0), file);
    char from[256];
    snprintf(from, sizeof from, "%s", fixture_path(&fixture, "d"));
    assert_int_equal(rename(from, fixture_path(&fixture, "e")), 0);
    assert_int_equal(pin_errno(file), ENOENT);
    look(dir, "x", ENOENT);
    look(NODE_ROOT, "d", ENOENT);
    assert_int_equal(symlink("e", fixture_path(&fixture, "d")), 0);
    assert_int_equal(pin_errno(dir), ESTALE); /* another file has the name */
    look(dir, "x", ESTALE);
    tree_forget(tree, file, 2);
    tree_forget(tree, dir, 1);
    assert_int_equal(tree_count(tree), 0);
}

static void test_names(void **state)
{
    char name[258];
    (void)state;
    memset(name, 'x', sizeof name);
    name[256] = '\0';
    look(NODE_ROOT, name, ENAMETOOLONG);
    look(NODE_ROOT, "..", ENOENT);
    look(NODE_ROOT, "nothing", ENOENT);
    look(12345, "x", ESTALE);
    tree_forget(tree, 12345, 1);
    tree_forget(tree, NODE_ROOT, 1);
    assert_int_equal(pin_errno(NODE_ROOT), 0);
}

static void test_sizes(void **state)
{
    auto_pin *pin = NULL;
    struct stat st;
    struct err err = ERR_INIT;
    (void)state;
    fixture_write(&fixture, "s", "sealed.");
    uint64_t id = look(NODE_ROOT, "s", 0);
    assert_done(tree_pin(tree, id, &pin, &st, &err), &err);
    assert_int_equal(tree_told_size(tree, id), 0);
    st.st_size = 100;
    tree_told(tree, id, &st, true);
    assert_int_equal(tree_told_size(tree, id), 100);
    assert_true(tree_open_length(tree, id) == -1);
    tree_opened(tree, id, pin, 10);
    tree_opened(tree, id, pin, 20);
    assert_int_equal(tree_open_length(tree, id), 20);
    assert_false(tree_closed(tree, id));
    assert_true(tree_closed(tree, id));
    assert_false(tree_closed(tree, id));
    assert_true(tree_open_length(tree, id) == -1);
    tree_forget(tree, id, 1);
}

/* What was told of owner and mode: once more is no matter, anything else is, also when it is taken back, and for whoever comes after. */
static void test_told(void **state)
{
    auto_pin *pin = NULL;
    struct stat st;
    struct err err = ERR_INIT;
    (void)state;
    for (int i = 0; i < 3; i++) {
        fixture_write(&fixture, "told", "x");
        uint64_t id = look(NODE_ROOT, "told", 0);
        assert_done(tree_pin(tree, id, &pin, &st, &err), &err);
        assert_false(tree_told_only(tree, id, &st));
        assert_false(tree_told_many(tree, id));
        tree_told(tree, id, &st, false);
        assert_true(tree_told_only(tree, id, &st));
        struct stat other = st;
        st.st_size++;
        tree_told(tree, id, &st, false);
        assert_int_equal(tree_told_size(tree, id), 0);
        assert_true(tree_told_only(tree, id, &st));
        other.st_mode ^= i == 0 ? 0100 : 0;
        other.st_uid += i == 1;
        other.st_gid += i == 2;
        assert_false(tree_told_only(tree, id, &other));
        succeed(100);
        assert_true(tree_told_only(tree, id, &st));
        assert_false(tree_told_many(tree, id));
        tree_told(tree, id, &other, false);
        tree_told(tree, id, &st, false);
        assert_true(tree_told_many(tree, id));
        succeed(100);
        assert_true(tree_told_many(tree, id));
        assert_false(tree_told_only(tree, id, &st) || tree_told_only(tree, id, &other));
        tree_forget(tree, id, 1);
        pin_unref(take_ptr(pin));
    }
    /* Nobody knows what a predecessor told of the root. */
    assert_false(tree_told_many(tree, NODE_ROOT));
    table->init_len = 8;
    succeed(100);
    assert_true(tree_told_many(tree, NODE_ROOT));
}

/* The successor of a dead worker knows the same ids. */
static void test_successor(void **state)
{
    char path[PATH_SIZE];
    (void)state;
    assert_int_equal(mkdir(fixture_path(&fixture, "kept"), 0755), 0);
    fixture_write(&fixture, "kept/file", "x");
    uint64_t dir = look(NODE_ROOT, "kept", 0), file = look(dir, "file", 0);
    succeed(100);
    assert_true(tree_path(tree, file, path));
    assert_string_equal(path, "kept/file");
    assert_int_equal(pin_errno(file), 0);
    assert_int_equal(look(dir, "file", 0), file);
    tree_forget(tree, file, 2);
    tree_forget(tree, dir, 1);
    assert_int_equal(tree_count(tree), 0);
}

static void test_few_pins(void **state)
{
    char name[32];
    uint64_t ids[50];
    (void)state;
    succeed(5);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "few%d", i);
        fixture_write(&fixture, name, "x");
    }
    fixture_rest(&fixture, "few49");
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 50; i++) {
            snprintf(name, sizeof name, "few%d", i);
            uint64_t id = look(NODE_ROOT, name, 0);
            if (round > 0)
                assert_int_equal(id, ids[i]);
            ids[i] = id;
        }
    for (int i = 0; i < 50; i++)
        tree_forget(tree, ids[i], 3);
    assert_int_equal(tree_count(tree), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same_file_same_node),
        cmocka_unit_test(test_another_file_another_node), cmocka_unit_test(test_gone_and_renamed),
        cmocka_unit_test(test_names), cmocka_unit_test(test_sizes), cmocka_unit_test(test_told),
        cmocka_unit_test(test_successor), cmocka_unit_test(test_few_pins)};
    return cmocka_run_group_tests(tests, start, end);
}
