/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "fs/resolve_changes.h"

#define EVIDENCE(a, b) "{\"ak_public\":\"x\",\"tpm_quote\":{\"pcrs\":[\"" a "\",\"" b "\"]}}"

static json_t *changes(const char *accepted, const char *latest)
{
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_done(resolve_changes(accepted, latest, &json, &err), &err);
    return json;
}

static void names_the_pcr_and_both_values(void **state)
{
    (void)state;
    auto_json *json = changes(EVIDENCE("00", "aa"), EVIDENCE("00", "bb"));
    auto_free char *text = json_text(json);
    assert_string_equal(text, "[{\"pcr\":1,\"was\":\"aa\",\"now\":\"bb\"}]");
}

static void equal_evidence_has_no_change(void **state)
{
    (void)state;
    auto_json *json = changes(EVIDENCE("00", "aa"), EVIDENCE("00", "aa"));
    assert_int_equal(json_array_size(json), 0);
}

static void other_evidence_has_no_pcrs(void **state)
{
    (void)state;
    auto_json *none = changes(NULL, EVIDENCE("00", "aa"));
    assert_int_equal(json_array_size(none), 0);
    auto_json *sample = changes("{\"svn\":\"1\"}", "{\"svn\":\"2\"}");
    assert_int_equal(json_array_size(sample), 0);
}

static void garbage_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *json = NULL;
    assert_refused(resolve_changes("{", "{}", &json, &err), &err, ERR_FORMAT, "accepted evidence");
    assert_null(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_the_pcr_and_both_values),
        cmocka_unit_test(equal_evidence_has_no_change),
        cmocka_unit_test(other_evidence_has_no_pcrs),
        cmocka_unit_test(garbage_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
