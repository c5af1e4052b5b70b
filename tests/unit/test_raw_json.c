/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/raw_json.h"
#include "tests/unit/unit.h"

static void assert_member(const char *object, const char *name, const char *expected)
{
    struct bytes value = BYTES_EMPTY;
    bool found = raw_json_member(bytes_str(object), name, &value);
    if (found != (expected != NULL))
        fail_msg("%s of %s: %s", name, object, found ? "found" : "not found");
    if (found && !bytes_equal(value, bytes_str(expected)))
        fail_msg("%s of %s: %.*s", name, object, (int)value.len, (const char *)value.data);
}

static void test_members(void **state)
{
    (void)state;
    static const char object[] =
        " { \"a\" : 1 , \"b\":{\"a\":[2, "
        "{\"a\":3}]},\"c\\\"\":\"}\\\\\",\"d\":\"a\\\"b,\",\n\"e\":[],\"f\":null\t}";
    assert_member(object, "a", "1");
    assert_member(object, "b", "{\"a\":[2, {\"a\":3}]}");
    assert_member(object, "c\\\"", "\"}\\\\\"");
    assert_member(object, "d", "\"a\\\"b,\"");
    assert_member(object, "e", "[]");
    assert_member(object, "f", "null");
    assert_member(object, "g", NULL);
    assert_member(object, "", NULL);
    assert_member("{}", "a", NULL);
    assert_member("[{\"a\":1}]", "a", NULL);
    assert_member("", "a", NULL);
    /* Escaped, it is another name. */
    assert_member("{\"\\u0061\":1}", "a", NULL);
    assert_member("{\"\\u0061\":1,\"a\":2}", "a", "2");
}

/* What is no JSON is never left, whatever comes out. */
static void test_not_json(void **state)
{
    (void)state;
    static const char *const texts[] = {"{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":{",
        "{\"a\":\"", "{\"a\":\"\\", "{\"a\":]", "{\"a\"}", "{\"a\":1,,", "{a:1}"};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct err err = ERR_INIT;
        auto_buf out = BUF_INIT(64);
        assert_member(texts[i], "b", NULL);
        assert_done(raw_json_compact(bytes_str(texts[i]), &out, &err), &err);
    }
}

static void test_elements(void **state)
{
    (void)state;
    static const char *const expected[] = {"[1,2]", "\"],\"", "{\"a\":[3]}", "4", "[]"};
    struct bytes rest = raw_json_elements(bytes_str(" [ [1,2] ,\"],\",{\"a\":[3]},4\n,[] ] ")),
                 element;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(raw_json_next(&rest, &element));
        assert_true(bytes_equal(element, bytes_str(expected[i])));
    }
    assert_false(raw_json_next(&rest, &element));
    rest = raw_json_elements(bytes_str("{\"a\":[1]}"));
    assert_false(raw_json_next(&rest, &element));
    rest = raw_json_elements(bytes_str("[]"));
    assert_false(raw_json_next(&rest, &element));
}

static void test_compact(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(128), small = BUF_INIT(4);
    static const char text[] = "\t{ \"a b\" : [ 1 , \"x \\\" y\" , 1.0e5 ] ,\r\n \"c\" : \" \" }\n";
    assert_done(raw_json_compact(bytes_str(text), &out, &err), &err);
    assert_string_equal(buf_text(&out), "{\"a b\":[1,\"x \\\" y\",1.0e5],\"c\":\" \"}");
    assert_refused(raw_json_compact(bytes_str(text), &small, &err), &err, ERR_FORMAT, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_not_json),
        cmocka_unit_test(test_elements),
        cmocka_unit_test(test_compact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
