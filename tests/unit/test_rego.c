/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/server/policy/policy.h"
#include "kbs/server/policy/rego.h"

static struct err err;

static void taken(const char *text, const char *wanted)
{
    auto_buf out = BUF_INIT(2 * POLICY_TEXT_MAX);
    size_t added;
    err_clear(&err);
    assert_done(rego_module(bytes_str(text), "p_1", &out, &added, &err), &err);
    assert_int_equal(added, strlen(wanted));
    assert_memory_equal(out.data, wanted, added);
    assert_non_null(strstr(buf_text(&out) + added, "\n" REGO_MARK " := true\n"));
    assert_non_null(strstr(buf_text(&out) + added, "query_reference_value("));
}

static void only_the_package_changes(void **state)
{
    (void)state;
    taken("package policy", "package sealed_kbs.p_1");
    taken("package policy\n", "package sealed_kbs.p_1\n");
    taken("# package a\n\n\t# \"\n  package\t policy # b\nallow := \"package policy\"\n",
        "# package a\n\n\t# \"\n  package\t sealed_kbs.p_1 # b\nallow := \"package policy\"\n");
    taken("package policy\r\nallow := true\r\n", "package sealed_kbs.p_1\r\nallow := true\r\n");
    taken("package policy#x", "package sealed_kbs.p_1#x");
}

static void refused(const char *text, const char *why)
{
    auto_buf out = BUF_INIT(2 * POLICY_TEXT_MAX);
    size_t added;
    assert_refused(rego_module(bytes_str(text), "p_1", &out, &added, &err), &err, ERR_FORMAT, why);
}

static void other_packages_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "#", "# package policy", "package", "package ",
        "packagepolicy", "package policyx", "package policy.x", "package policy[\"x\"]",
        "package other", "package\npolicy", "import rego.v1\npackage policy",
        "\xef\xbb\xbfpackage policy", "package policy; allow := true", "package Policy",
        "package \"policy\"", "allow := \"\npackage policy\n\""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused(bad[i], "a Rego policy must begin with \"package policy\"");
    refused("\n\n#\npackage x", "line 4: ");
    auto_buf out = BUF_INIT(1024);
    size_t added;
    assert_refused(rego_module(bytes_of("package policy\n\0", 16), "p_1", &out, &added, &err), &err,
        ERR_FORMAT, "NUL");
}

static void a_text_has_one_id(void **state)
{
    (void)state;
    char one[REGO_ID_SIZE], same[REGO_ID_SIZE], other[REGO_ID_SIZE];
    assert_done(rego_id(bytes_str("a"), one, &err), &err);
    assert_done(rego_id(bytes_str("a"), same, &err), &err);
    assert_done(rego_id(bytes_str("a "), other, &err), &err);
    assert_string_equal(one, "p_ca978112ca1bbdcafac231b39a23dc4d");
    assert_string_equal(one, same);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_package_changes),
        cmocka_unit_test(other_packages_are_refused),
        cmocka_unit_test(a_text_has_one_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
