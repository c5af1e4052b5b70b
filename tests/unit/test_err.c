/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>

#include "crypt/base/utf8.h"

static void set_keeps_cause_and_place(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    int line = __LINE__ + 1;
    assert_false(err_set(&err, ERR_FORMAT, "field %s", "kid"));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_int_equal(err.line, line);
    assert_non_null(strstr(err.file, "test_err.c"));
    assert_string_equal(err.message, "field kid");
}

static void errno_is_told(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    errno = ENOENT;
    assert_false(err_set_errno(&err, ERR_IO, "open x"));
    assert_int_equal(err.sys_errno, ENOENT);
    assert_string_equal(err.message, "open x: No such file or directory");
}

static void wrap_adds_outside_in(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_CRYPTO, "cause");
    assert_false(err_wrap(&err, "inner %d", 1));
    assert_false(err_wrap(&err, "outer"));
    assert_string_equal(err.message, "outer: inner 1: cause");
    assert_int_equal(err.code, ERR_CRYPTO);
}

static void wrap_never_loses_the_cause(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char filler[200];
    memset(filler, 'x', sizeof filler - 1);
    filler[sizeof filler - 1] = '\0';
    err_set(&err, ERR_IO, "the cause");
    for (int i = 0; i < 10; i++)
        err_wrap(&err, "%s", filler);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_SIZE - 1);
    assert_string_equal(err.message + strlen(err.message) - 9, "the cause");
}

static void table_is_whole_and_reversible(void **state)
{
    (void)state;
    for (int code = 0; code < ERR_CODE_COUNT; code++) {
        const struct err_info *info = err_info((enum err_code)code);
        assert_non_null(info->name);
        assert_non_null(info->meaning);
        assert_int_equal(err_code_from_name(info->name), code);
        assert_true((info->exit_status == 0) == (code == ERR_OK));
    }
    assert_string_equal(err_info((enum err_code)999)->name, "internal");
    /* What DESIGN promises at open(2). */
    assert_int_equal(err_info(ERR_NOTFOUND)->sys_errno, ENOKEY);
    assert_int_equal(err_info(ERR_CRYPTO)->sys_errno, EKEYREJECTED);
    assert_int_equal(err_info(ERR_STALE)->sys_errno, EKEYEXPIRED);
    assert_int_equal(err_info(ERR_REVOKED)->sys_errno, EKEYREVOKED);
}

/* A file name of a stranger, and cuts in the middle of a character at either end. */
static void message_is_always_utf8(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    err_set(&err, ERR_IO, "open \xff\xc3\xa9\xc3");
    assert_string_equal(err.message, "open ?\xc3\xa9?");
    char text[ERR_MESSAGE_SIZE + 2];
    for (size_t i = 0; i + 2 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa9", 3);
    for (size_t shift = 0; shift < 2; shift++) {
        err_set(&err, ERR_IO, "%s", text + 2 - shift * 2);
        assert_true(utf8_valid(bytes_str(err.message)));
        err_set(&err, ERR_IO, "cause%s", shift ? "!" : "");
        err_wrap(&err, "%s", text);
        assert_true(utf8_valid(bytes_str(err.message)));
        assert_non_null(strstr(err.message, "cause"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_keeps_cause_and_place),
        cmocka_unit_test(errno_is_told),
        cmocka_unit_test(wrap_adds_outside_in),
        cmocka_unit_test(wrap_never_loses_the_cause),
        cmocka_unit_test(message_is_always_utf8),
        cmocka_unit_test(table_is_whole_and_reversible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
