/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "attest/boot_log.h"
#include "crypt/base/file.h"

static char directory[] = "/tmp/sealed-boot-log-XXXXXX";

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/log", directory);
    unlink(path);
    return rmdir(directory);
}

static void write_log(size_t len, char *ret_path, size_t size)
{
    struct err err = ERR_INIT;
    auto_free uint8_t *data = calloc(1, len + 1);
    assert_non_null(data);
    snprintf(ret_path, size, "%s/log", directory);
    assert_done(file_write(ret_path, bytes_of(data, len), 0600, &err), &err);
}

static void a_log_of_any_length_that_is_taken(void **state)
{
    (void)state;
    static const size_t lengths[] = {0, 1, BOOT_LOG_MAX};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        struct err err = ERR_INIT;
        auto_buf log = BUF_INIT(BOOT_LOG_MAX);
        char path[64];
        write_log(lengths[i], path, sizeof path);
        assert_done(boot_log_read(path, &log, &err), &err);
        assert_int_equal(log.len, lengths[i]);
    }
}

static void a_longer_one_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf log = BUF_INIT(BOOT_LOG_MAX);
    char path[64];
    write_log(BOOT_LOG_MAX + 1, path, sizeof path);
    assert_refused(boot_log_read(path, &log, &err), &err, ERR_FORMAT, "larger than the 131072");
    assert_int_equal(log.len, 0);
}

static void none_and_nothing_are_told_apart(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf log = BUF_INIT(BOOT_LOG_MAX);
    assert_done(boot_log_read("none", &log, &err), &err);
    assert_int_equal(log.len, 0);
    assert_refused(boot_log_read("/nonexistent/log", &log, &err), &err, ERR_NOTFOUND, "event log");
    assert_refused(boot_log_read("/dev/null", &log, &err), &err, ERR_IO, "not a regular file");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_of_any_length_that_is_taken),
        cmocka_unit_test(a_longer_one_is_refused),
        cmocka_unit_test(none_and_nothing_are_told_apart),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
