/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/handle.h"

#include <errno.h>

#include "tests/unit/lease_fixture.h"

static struct nodetable_data *table;
static struct handles *handles;

static int start(void **state)
{
    struct err err = ERR_INIT;
    int fd;
    (void)state;
    assert_done(nodetable_create(&fd, &err), &err);
    assert_done(nodetable_map(fd, &table, &err), &err);
    close(fd);
    assert_done(handles_new(table, &handles, &err), &err);
    return 0;
}

static int end(void **state)
{
    (void)state;
    handles_free(handles);
    nodetable_unmap(table);
    return 0;
}

static struct pin *pin(ino_t ino, time_t ctime)
{
    struct pin *made = calloc(1, sizeof *made);
    atomic_init(&made->count, 1);
    made->fd = -1;
    made->st.st_ino = ino;
    made->st.st_ctim.tv_sec = ctime;
    return made;
}

static uint64_t open_one(struct pin *of, struct lease *lease)
{
    uint64_t fh = 0;
    struct err err = ERR_INIT;
    assert_done(handle_open(handles, 5, of, lease, &fh, &err), &err);
    return fh;
}

static void test_open_find_close(void **state)
{
    auto_pin *file = pin(1, 1);
    uint64_t node;
    bool held, sealed;
    (void)state;
    uint64_t fh = open_one(file, NULL);
    const struct handle *handle = handle_find(handles, fh);
    assert_non_null(handle);
    assert_ptr_equal(handle->pin, file);
    assert_int_equal(handles_count(handles), 1);
    handle_close(handles, fh, &node, &held, &sealed);
    assert_int_equal(node, 5);
    assert_true(held && !sealed);
    assert_null(handle_find(handles, fh));
    handle_close(handles, fh, &node, &held, &sealed);
    assert_int_equal(node, 0);
    assert_false(held);
    uint64_t next = open_one(file, NULL);
    assert_true(next != fh);
    assert_null(handle_find(handles, fh));
    handle_close(handles, next, &node, &held, &sealed);
    assert_int_equal(handles_count(handles), 0);
}

/* A new worker finds the handles of the old one as orphans. */
static void succeed(void)
{
    struct err err = ERR_INIT;
    handles_free(handles);
    assert_done(handles_new(table, &handles, &err), &err);
}

static void test_orphan(void **state)
{
    auto_pin *file = pin(1, 1), *other = pin(2, 1), *changed = pin(1, 2);
    AUTO(leases_free) struct leases *leases = leases_make();
    auto_lease *lease = lease_make(leases, "x", "0123456789", 0),
               *longer = lease_make(leases, "x", "0123456789a", 0);
    struct handle_record record;
    struct err err = ERR_INIT;
    uint64_t node;
    bool held, sealed;
    (void)state;
    uint64_t fh = open_one(file, lease);
    assert_false(handle_orphan(handles, fh, &record));
    succeed();
    assert_null(handle_find(handles, fh));
    assert_true(handle_orphan(handles, fh, &record));
    assert_int_equal(record.node, 5);
    assert_int_equal(record.length, 10);
    assert_int_equal(handles_count(handles), 1);
    struct pin *const pins[] = {other, changed, file, file};
    struct lease *const given[] = {lease, lease, longer, NULL};
    for (size_t i = 0; i < ARRAY_LEN(pins); i++) {
        assert_false(handle_adopt(handles, fh, pins[i], given[i], &err));
        assert_int_equal(err.sys_errno, ESTALE);
    }
    assert_done(handle_adopt(handles, fh, file, lease, &err), &err);
    assert_done(handle_adopt(handles, fh, file, lease, &err), &err);
    assert_ptr_equal(handle_find(handles, fh)->lease, lease);
    handle_close(handles, fh, &node, &held, &sealed);
    assert_true(held && sealed);
}

static void test_orphan_closed(void **state)
{
    auto_pin *file = pin(1, 1);
    struct handle_record record;
    uint64_t node;
    bool held, sealed;
    (void)state;
    uint64_t fh = open_one(file, NULL);
    succeed();
    uint64_t other = open_one(file, NULL);
    assert_true(nodetable_slot(other) != nodetable_slot(fh));
    handle_close(handles, fh, &node, &held, &sealed);
    assert_int_equal(node, 5);
    assert_false(held);
    assert_false(handle_orphan(handles, fh, &record));
    handle_close(handles, other, &node, &held, &sealed);
}

/* It counts for what is open at that moment, and beyond the worker. */
static void test_revoked(void **state)
{
    AUTO(leases_free) struct leases *leases = leases_make();
    auto_lease *lease = lease_make(leases, "x", "secret", 0);
    auto_pin *file = pin(1, 1);
    struct handle_record record;
    uint64_t node;
    bool held, sealed;
    (void)state;
    uint64_t fh = open_one(file, lease), plain = open_one(file, NULL);
    handles_revoke(handles);
    uint64_t later = open_one(file, lease);
    succeed();
    assert_true(handle_orphan(handles, fh, &record) && record.revoked);
    assert_true(handle_orphan(handles, plain, &record) && !record.revoked);
    assert_true(handle_orphan(handles, later, &record) && !record.revoked);
    const uint64_t all[] = {fh, plain, later};
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        handle_close(handles, all[i], &node, &held, &sealed);
    uint64_t again = open_one(file, lease);
    succeed();
    assert_true(handle_orphan(handles, again, &record) && !record.revoked);
    handle_close(handles, again, &node, &held, &sealed);
}

static void test_limit(void **state)
{
    auto_pin *file = pin(1, 1);
    uint64_t fh, *all = calloc(NODETABLE_HANDLES, sizeof *all);
    struct err err = ERR_INIT;
    uint64_t node;
    bool held, sealed;
    (void)state;
    for (uint32_t i = 0; i < NODETABLE_HANDLES; i++)
        all[i] = open_one(file, NULL);
    assert_refused(
        handle_open(handles, 5, file, NULL, &fh, &err), &err, ERR_NOMEM, "files are open");
    assert_int_equal(err.sys_errno, ENFILE);
    for (uint32_t i = 0; i < NODETABLE_HANDLES; i++)
        handle_close(handles, all[i], &node, &held, &sealed);
    assert_int_equal(handles_count(handles), 0);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_open_find_close),
        cmocka_unit_test(test_orphan), cmocka_unit_test(test_orphan_closed),
        cmocka_unit_test(test_revoked), cmocka_unit_test(test_limit)};
    return cmocka_run_group_tests(tests, start, end);
}
