/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/credential_name.h"

#include "tests/unit/unit.h"

#define ADDRESS(text) bytes_of("\0" text, sizeof(text))

static void what_systemd_binds(void **state)
{
    (void)state;
    struct credential_name name;
    struct err err = ERR_INIT;
    assert_done(
        credential_name_parse(ADDRESS("adf9d86b6eda275e/unit/foobar.service/credx"), &name, &err),
        &err);
    assert_string_equal(name.unit, "foobar.service");
    assert_string_equal(name.id, "credx");
    assert_done(
        credential_name_parse(ADDRESS("0/unit/web@a\\x2db:_.service/tls.key-1_~"), &name, &err),
        &err);
    assert_string_equal(name.unit, "web@a\\x2db:_.service");
    assert_string_equal(name.id, "tls.key-1_~");
}

static void anything_else_is_refused(void **state)
{
    (void)state;
    static const char long_word[] =
        "\0a/unit/b/0123456789012345678901234567890123456789012345678901234567890123456789"
        "0123456789012345678901234567890123456789";
    const struct bytes wrong[] = {BYTES_EMPTY, bytes_of("\0", 1),
        bytes_str("/run/systemd/private"), /* a path */
        bytes_str("adf/unit/a.service/b"), /* not abstract */
        ADDRESS(""), ADDRESS("/unit/a.service/b"), ADDRESS("0123456789abcdef0/unit/a.service/b"),
        ADDRESS("ADF/unit/a.service/b"), ADDRESS("adf/user/a.service/b"), ADDRESS("adf/unit/"),
        ADDRESS("adf/unit//b"), ADDRESS("adf/unit/a.service"), ADDRESS("adf/unit/a.service/"),
        ADDRESS("adf/unit/a.service/b/c"), ADDRESS("adf/unit/a.service/.."),
        ADDRESS("adf/unit/a.service/b:c"), ADDRESS("adf/unit/a.service/b c"),
        ADDRESS("adf/unit/a b.service/c"), ADDRESS("adf/unit/a*/b"),
        ADDRESS("adf/unit/a.service/b\0"), ADDRESS("adf/unit/a.service/\xc3\xa4"),
        ADDRESS("adf\0/unit/a.service/b"), bytes_of(long_word, sizeof long_word - 1)};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct credential_name name = {.unit = "as it was"};
        struct err err = ERR_INIT;
        if (credential_name_parse(wrong[i], &name, &err))
            fail_msg("address %zu is taken as %s, %s", i, name.unit, name.id);
        assert_int_equal(err.code, ERR_FORMAT);
        assert_string_equal(name.unit, "as it was");
    }
}

static void ids(void **state)
{
    (void)state;
    assert_true(credential_id_valid("tls.key"));
    assert_false(credential_id_valid(""));
    assert_false(credential_id_valid("."));
    assert_false(credential_id_valid(".."));
    assert_false(credential_id_valid("a/b"));
    assert_false(credential_id_valid("a\nb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_systemd_binds),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
