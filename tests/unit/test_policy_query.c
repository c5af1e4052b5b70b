/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/server/policy/policy_query.h"

static struct err err;

static void is(const char *query, const char *wanted)
{
    auto_json *json = NULL;
    err_clear(&err);
    assert_done(policy_query_parse(query, &json, &err), &err);
    auto_free char *text = json_text(json);
    assert_string_equal(text, wanted);
}

static void queries_become_objects(void **state)
{
    (void)state;
    is(NULL, "{}");
    is("", "{}");
    is("&&", "{}");
    is("a=b", "{\"a\":\"b\"}");
    is("a=b&c=d%20e+f&g", "{\"a\":\"b\",\"c\":\"d e f\",\"g\":\"\"}");
    is("a=b=c&%61=2", "{\"a\":\"2\"}");
    is("%22%5d=%0a", "{\"\\\"]\":\"\\n\"}");
    is("=x", "{\"\":\"x\"}");
}

static void what_cannot_be_a_text_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "a=%", "a=%1", "a=%zz", "%4=1", "a=%00", "a=%ff", "a=%c3", "%fe=1"};
    auto_json *json = NULL;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err_clear(&err);
        assert_refused(policy_query_parse(bad[i], &json, &err), &err, ERR_FORMAT, "query: ");
    }
    char many[4 * 70 + 1] = "";
    for (int i = 0; i < 70; i++)
        strcat(many, "a=b&");
    assert_refused(policy_query_parse(many, &json, &err), &err, ERR_FORMAT, "more than 64");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_become_objects),
        cmocka_unit_test(what_cannot_be_a_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
