/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/nodenames.h"

#include <unistd.h>

#include "tests/unit/unit.h"

static struct nodetable_data *table;
static struct nodenames names;

static int start(void **state)
{
    struct err err = ERR_INIT;
    int fd;
    (void)state;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_done(nodetable_map(fd, &table, &err), &err);
    close(fd);
    nodenames_init(&names, table);
    return 0;
}

static int end(void **state)
{
    (void)state;
    nodenames_done(&names);
    nodetable_unmap(table);
    return 0;
}

static const char *text_of(size_t len)
{
    static char text[512];
    memset(text, 'a' + (int)(len % 26), len);
    text[len] = '\0';
    return text;
}

static void put(uint32_t slot, size_t len)
{
    assert_true(nodenames_put(&names, slot, text_of(len)));
    table->nodes[slot].id = slot + 1;
}

static void drop(uint32_t slot)
{
    table->nodes[slot].id = 0;
    nodenames_drop(&names, slot);
}

static void test_every_length(void **state)
{
    (void)state;
    for (uint32_t len = 1; len <= 255; len++)
        put(len, len);
    for (uint32_t len = 1; len <= 255; len++) {
        assert_string_equal(nodenames_get(table, len), text_of(len));
        assert_ptr_equal(nodenames_check(table, len), nodenames_get(table, len));
    }
    assert_false(nodenames_put(&names, 256, text_of(256)));
}

/* 11 bytes are the most that the smallest place has room for. */
static void test_sizes(void **state)
{
    static const uint32_t longest[NODETABLE_NAME_SIZES] = {11, 27, 59, 123, 255};
    (void)state;
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++) {
        put(2 * size, longest[size]);
        put(2 * size + 1, longest[size] - 4);
        assert_int_equal(table->name_high[size], 2);
    }
}

static void test_places_are_used_again(void **state)
{
    (void)state;
    for (int turn = 0; turn < 100; turn++) {
        put(7, 20);
        put(9, 20);
        drop(7);
        drop(9);
    }
    assert_int_equal(table->name_high[1], 2);
    assert_null(nodenames_check(table, 7));
}

/* It sees in the table what is free: names of nodes that are gone, and those of a node that its predecessor had not published. */
static void test_successor(void **state)
{
    (void)state;
    for (uint32_t slot = 0; slot < 6; slot++)
        put(slot, 20);
    drop(1);
    table->nodes[3].id = 0;
    nodenames_done(&names);
    nodenames_init(&names, table);
    put(1, 21);
    put(8, 22);
    assert_int_equal(table->name_high[1], 6);
    put(3, 23);
    assert_int_equal(table->name_high[1], 7);
    for (uint32_t slot = 0; slot < 6; slot++)
        assert_string_equal(nodenames_get(table, slot), text_of(slot == 1   ? 21
                                                                : slot == 3 ? 23
                                                                            : 20));
    assert_string_equal(nodenames_get(table, 8), text_of(22));
}

static void refused_reference(uint32_t reference)
{
    uint32_t kept = table->nodes[1].name;
    table->nodes[1].name = reference;
    assert_null(nodenames_check(table, 1));
    table->nodes[1].name = kept;
    assert_non_null(nodenames_check(table, 1));
}

static void test_hostile_references(void **state)
{
    (void)state;
    put(1, 5);
    put(2, 5);
    put(3, 255);
    refused_reference(table->nodes[2].name);       /* another's: nothing is shared */
    refused_reference(table->nodes[3].name);       /* and not in another size */
    refused_reference(table->name_high[0]);        /* never given */
    refused_reference(0xffffff);                   /* outside of the table */
    refused_reference(NODETABLE_NAME_SIZES << 24); /* a size that there is not */
    refused_reference(UINT32_MAX);
    refused_reference(1u << 24);
}

static void test_hostile_text(void **state)
{
    (void)state;
    for (uint32_t size = 0; size < NODETABLE_NAME_SIZES; size++) {
        static const uint32_t longest[] = {11, 27, 59, 123, 255};
        put(size, longest[size]);
        char *text = (char *)(uintptr_t)nodenames_get(table, size);
        text[longest[size]] = 'x';
        assert_null(nodenames_check(table, size));
    }
}

static void test_hostile_owner(void **state)
{
    (void)state;
    put(1, 5);
    uint32_t *owner = (uint32_t *)(void *)(uintptr_t)(nodenames_get(table, 1) - sizeof *owner);
    static const uint32_t wrong[] = {0, 1, 3, NODETABLE_NODES, NODETABLE_NODES + 1, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        *owner = wrong[i];
        assert_null(nodenames_check(table, 1));
        nodenames_done(&names);
        nodenames_init(&names, table);
        assert_int_equal(names.free[0].free_count, 1);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)
    const struct CMUnitTest tests[] = {TEST(test_every_length), TEST(test_sizes),
        TEST(test_places_are_used_again), TEST(test_successor), TEST(test_hostile_references),
        TEST(test_hostile_text), TEST(test_hostile_owner)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
