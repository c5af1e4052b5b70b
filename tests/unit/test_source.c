/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/source.h"

#include <errno.h>
#include <unistd.h>

#include "tests/unit/fs_fixture.h"

static struct fixture fixture;

static int start(void **state)
{
    (void)state;
    fixture_start(&fixture);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fixture_stop(&fixture);
    return 0;
}

static struct pin *pin(const char *name)
{
    struct pin *pin = NULL;
    struct err err = ERR_INIT;
    assert_done(source_pin(&fixture.source, name, &pin, &err), &err);
    return pin;
}

static struct pin *rested_pin(const char *name, const char *content)
{
    fixture_write(&fixture, name, content);
    fixture_rest(&fixture, name);
    return pin(name);
}

static void test_kinds(void **state)
{
    (void)state;
    auto_pin *plain = rested_pin("plain", "text"), *sealed = rested_pin("sealed", "sealed.a.b.c"),
             *empty = rested_pin("empty", "");
    assert_false(plain->is_sealed);
    assert_false(empty->is_sealed);
    assert_true(sealed->is_sealed);
    assert_true(bytes_equal(buf_bytes(&sealed->blob->text), bytes_str("sealed.a.b.c")));
    assert_int_equal(symlink("some/where", fixture_path(&fixture, "link")), 0);
    auto_pin *link = pin("link");
    assert_string_equal(link->target, "some/where");
}

static void test_new_files_are_not_settled(void **state)
{
    struct stat st;
    (void)state;
    /* Between the two the machine may stand still for long enough: then once more. */
    for (int tries = 0;; tries++) {
        fixture_write(&fixture, "young", "x");
        auto_pin *young = pin("young");
        if (young->settled && tries < 100)
            continue;
        assert_false(young->settled);
        assert_false(pin_holds(young, &st));
        break;
    }
    auto_pin *old = rested_pin("old", "x");
    assert_true(old->settled);
    assert_true(pin_holds(old, &st));
}

static void test_every_change_shows(void **state)
{
    static const char *const commands[] = {"printf y > %s", "chmod 600 %s", "touch %s", "rm %s",
        "mv %s %s.away", "printf z > %s.new; mv %s.new %s", "ln %s %s.other", "truncate -s 5 %s"};
    struct stat st;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        char command[512];
        auto_pin *held = rested_pin("change", "sealed.x");
        const char *path = fixture_path(&fixture, "change");
        assert_true(pin_holds(held, &st));
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(command, sizeof command, commands[i], path, path, path);
#pragma GCC diagnostic pop
        assert_int_equal(system(command), 0);
        if (pin_holds(held, &st))
            fail_msg("not seen: %s", command);
        unlink(path);
    }
}

static void test_reading_is_no_change(void **state)
{
    char byte;
    struct stat st;
    (void)state;
    auto_pin *held = rested_pin("read", "x");
    int fd = open(fixture_path(&fixture, "read"), O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, &byte, 1), 1);
    close(fd);
    assert_true(pin_holds(held, &st));
}

static void test_long_string(void **state)
{
    (void)state;
    int fd = open(fixture_path(&fixture, "long"), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "sealed.", 7), 7);
    assert_int_equal(ftruncate(fd, 3 * BLOB_SIZE_MAX), 0);
    close(fd);
    auto_pin *held = pin("long");
    assert_true(held->is_sealed);
    assert_int_equal(held->blob->text.len, BLOB_SIZE_MAX + 1);
}

static void test_missing(void **state)
{
    struct pin *none = NULL;
    struct err err = ERR_INIT;
    (void)state;
    assert_false(source_pin(&fixture.source, "missing", &none, &err));
    assert_int_equal(err.sys_errno, ENOENT);
    assert_null(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_new_files_are_not_settled), cmocka_unit_test(test_every_change_shows),
        cmocka_unit_test(test_reading_is_no_change), cmocka_unit_test(test_long_string),
        cmocka_unit_test(test_missing)};
    return cmocka_run_group_tests(tests, start, end);
}
