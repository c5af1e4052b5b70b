/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/nodetable.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fs/nodenames.h"
#include "tests/unit/unit.h"

static struct nodetable_data *fresh(void)
{
    struct nodetable_data *table;
    struct err err = ERR_INIT;
    int fd;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_done(nodetable_map(fd, &table, &err), &err);
    close(fd);
    return table;
}

static struct node_record *put(
    struct nodetable_data *table, uint32_t slot, uint64_t parent, const char *name)
{
    struct node_record *record = &table->nodes[slot];
    record->uses++;
    record->id = nodetable_next_id(table, slot);
    record->parent = parent;
    struct nodenames names;
    nodenames_init(&names, table);
    assert_true(nodenames_put(&names, slot, name));
    nodenames_done(&names);
    if (table->node_high <= slot)
        table->node_high = slot + 1;
    return record;
}

static void test_generation_survives(void **state)
{
    struct nodetable_data *first, *second;
    struct err err = ERR_INIT;
    int fd;
    (void)state;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_done(nodetable_map(fd, &first, &err), &err);
    assert_int_equal(first->generation, 1);
    uint64_t id = put(first, 7, NODE_ROOT, "kept")->id;
    nodetable_unmap(first);
    assert_done(nodetable_map(fd, &second, &err), &err);
    assert_int_equal(second->generation, 2);
    assert_non_null(nodetable_find(second, id));
    nodetable_unmap(second);
    close(fd);
}

static void test_size_is_sealed(void **state)
{
    struct nodetable_data *table;
    struct err err = ERR_INIT;
    int fd;
    (void)state;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_int_equal(ftruncate(fd, 4096), -1);
    close(fd);
    fd = memfd_create("short", MFD_CLOEXEC);
    assert_refused(nodetable_map(fd, &table, &err), &err, ERR_INTERNAL, "wrong size");
    close(fd);
}

/* What an older or newer sealedfs left behind is not for this one. */
static void test_other_layouts_do_not_fit(void **state)
{
    struct nodetable_data *table;
    struct err err = ERR_INIT;
    uint64_t magic = 0;
    int fd;
    (void)state;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_done(nodetable_fits(fd, &err), &err); /* nobody has used it yet */
    assert_done(nodetable_map(fd, &table, &err), &err);
    assert_done(nodetable_fits(fd, &err), &err);
    magic = table->magic++;
    assert_refused(nodetable_fits(fd, &err), &err, ERR_CONFIG, "stop it and start this one");
    nodetable_unmap(table);
    close(fd);
    fd = memfd_create("other", MFD_CLOEXEC);
    assert_refused(nodetable_fits(fd, &err), &err, ERR_INTERNAL, "table of nodes");
    assert_int_equal(write(fd, &magic, sizeof magic), sizeof magic);
    assert_int_equal(ftruncate(fd, sizeof *table - 4096), 0);
    assert_refused(nodetable_fits(fd, &err), &err, ERR_CONFIG, "stop it and start this one");
    close(fd);
}

static void test_ids_are_never_given_twice(void **state)
{
    struct nodetable_data *table = fresh();
    (void)state;
    uint64_t one = put(table, 3, NODE_ROOT, "a")->id;
    table->nodes[3].id = 0;
    uint64_t other = put(table, 3, NODE_ROOT, "a")->id;
    assert_int_not_equal(one, other);
    assert_null(nodetable_find(table, one));
    assert_non_null(nodetable_find(table, other));
    assert_null(nodetable_find(table, 0));
    assert_null(nodetable_find(table, UINT64_MAX));
    assert_null(nodetable_find_handle(table, 0));
    assert_null(nodetable_find_handle(table, UINT64_MAX));
    nodetable_unmap(table);
}

static void test_check_keeps_what_is_sound(void **state)
{
    struct nodetable_data *table = fresh();
    (void)state;
    uint64_t dir = put(table, 0, NODE_ROOT, "dir")->id;
    uint64_t file = put(table, 1, dir, "file")->id;
    table->handles[0] = (struct handle_record){.fh = 1u << 24 | 1, .node = file};
    table->handle_high = 1;
    assert_int_equal(nodetable_check(table), 0);
    assert_non_null(nodetable_find(table, file));
    assert_non_null(nodetable_find_handle(table, 1u << 24 | 1));
    nodetable_unmap(table);
}

static void test_check_frees_what_is_not(void **state)
{
    struct nodetable_data *table = fresh();
    (void)state;
    put(table, 0, 0x999000001, "orphan");
    uint64_t below = put(table, 1, table->nodes[0].id, "below an orphan")->id;
    struct node_record *a = put(table, 2, NODE_ROOT, "a"), *b = put(table, 3, a->id, "b");
    a->parent = b->id; /* a cycle */
    put(table, 4, NODE_ROOT, "x/y");
    put(table, 5, NODE_ROOT, "..");
    put(table, 6, NODE_ROOT, "");
    put(table, 7, NODE_ROOT, "x")->name = UINT32_MAX;
    put(table, 8, NODE_ROOT, "misplaced")->id += 1;
    put(table, 9, NODE_ROOT, "root")->id = NODE_ROOT;
    uint64_t good = put(table, 10, NODE_ROOT, "good")->id;
    table->handles[0] = (struct handle_record){.fh = 1u << 24 | 1, .node = below};
    table->handles[1] = (struct handle_record){.fh = 1u << 24 | 1, .node = good};
    table->handle_high = 2;
    assert_int_equal(nodetable_check(table), 12);
    for (uint32_t slot = 0; slot < 10; slot++)
        assert_int_equal(table->nodes[slot].id, 0);
    assert_non_null(nodetable_find(table, good));
    nodetable_unmap(table);
}

static void test_check_bounds(void **state)
{
    struct nodetable_data *table = fresh();
    (void)state;
    table->handle_high = UINT32_MAX;
    table->init_len = UINT32_MAX;
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++)
        table->name_high[size] = UINT32_MAX;
    assert_int_equal(nodetable_check(table), 0);
    assert_int_equal(table->handle_high, NODETABLE_HANDLES);
    assert_int_equal(table->init_len, 0);
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++)
        assert_int_equal(table->name_high[size], NODETABLE_NODES);
    nodetable_unmap(table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_generation_survives),
        cmocka_unit_test(test_size_is_sealed), cmocka_unit_test(test_other_layouts_do_not_fit),
        cmocka_unit_test(test_ids_are_never_given_twice),
        cmocka_unit_test(test_check_keeps_what_is_sound),
        cmocka_unit_test(test_check_frees_what_is_not), cmocka_unit_test(test_check_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
