/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/agents/admission.h"

#include "tests/unit/unit.h"

#define EK_1   "e26431abe1694d931b62227c5e3019e3f0de8523e7bae1d3cee8108784176560"
#define EK_2   "a26431abe1694d931b62227c5e3019e3f0de8523e7bae1d3cee8108784176560"
#define UUID_1 "6ba7b810-9dad-11d1-80b4-00c04fd430c8"
#define UUID_2 "6ba7b811-9dad-11d1-80b4-00c04fd430c8"

static struct err err;

static struct admission *parse(const char *text)
{
    struct admission *admission = NULL;
    assert_done(admission_parse(bytes_str(text), "list", &admission, &err), &err);
    return admission;
}

static bool is_listed(
    const struct admission *admission, const char *ek, const char *uuid, json_t **ret_tags)
{
    bool found = false;
    assert_done(admission_find(admission, ek, uuid, ret_tags, &found, &err), &err);
    return found;
}

static void machines_are_found_with_their_tags(void **state)
{
    (void)state;
    AUTO(admission_free)
    struct admission *admission =
        parse("# machines of the first room\n\n" EK_1 " rack=7 owner=ann  # the old one\r\n" EK_2
              " uuid=" UUID_1);
    auto_json *tags = NULL, *none = NULL;
    assert_true(is_listed(admission, EK_1, NULL, &tags));
    assert_string_equal(json_member_text(tags, "rack"), "7");
    assert_string_equal(json_member_text(tags, "owner"), "ann");
    assert_int_equal(json_object_size(tags), 2);
    assert_true(is_listed(admission, EK_2, UUID_1, &none));
    assert_int_equal(json_object_size(none), 0);
}

static void whoever_is_not_listed_is_not_found(void **state)
{
    (void)state;
    AUTO(admission_free) struct admission *admission = parse(EK_2 " uuid=" UUID_1 "\n");
    AUTO(admission_free) struct admission *empty = NULL;
    assert_done(admission_parse(BYTES_EMPTY, "list", &empty, &err), &err);
    auto_json *tags = NULL;
    assert_false(is_listed(admission, EK_1, UUID_1, &tags));
    assert_false(is_listed(admission, EK_2, UUID_2, &tags)); /* the machine, under another name */
    assert_false(is_listed(admission, EK_2, NULL, &tags));
    assert_false(is_listed(admission, "", UUID_1, &tags));
    assert_false(is_listed(empty, EK_1, NULL, &tags));
    assert_false(is_listed(NULL, EK_1, NULL, &tags));
    assert_null(tags);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } bad[] = {
        {"x", "list:1"},
        {"\n\n" EK_1 "\nE26431\n", "list:4"},
        {EK_1 " rack", "NAME=VALUE"},
        {EK_1 " =7", "NAME=VALUE"},
        {EK_1 " rack=", "NAME=VALUE"},
        {EK_1 " uuid=6BA7B810-9dad-11d1-80b4-00c04fd430c8", "UUID"},
        {EK_1 " uuid=6ba7b8109dad11d180b400c04fd430c8", "UUID"},
        {EK_1 "0", "64 hex digits"},
        {EK_1 "\n" EK_2 "\n" EK_1 " a=b", "listed twice"},
        {EK_1 " a=1 b=1 c=1 d=1 e=1 f=1 g=1 h=1 i=1 j=1 k=1 l=1 m=1 n=1 o=1 p=1 q=1", "tags"},
        {EK_1 " a=\xff", "UTF-8"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct admission *admission = NULL;
        assert_refused(admission_parse(bytes_str(bad[i].text), "list", &admission, &err), &err,
            ERR_CONFIG, bad[i].why);
        assert_null(admission);
        err_clear(&err);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_are_found_with_their_tags),
        cmocka_unit_test(whoever_is_not_listed_is_not_found),
        cmocka_unit_test(bad_lines_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
