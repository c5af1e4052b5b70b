/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/toml.h"

#define MAX 200000

static struct err err;

static json_t *load(const char *toml)
{
    json_t *json = NULL;
    if (!toml_load(bytes_str(toml), MAX, "test", &json, &err))
        fail_msg("%s\n%s", err.message, toml);
    return json;
}

static void assert_reads(const char *toml, const char *wanted)
{
    auto_json *json = load(toml);
    auto_free char *text = json_text(json);
    assert_string_equal(text, wanted);
}

static const struct {
    const char *toml, *json;
} good[] = {
    {"", "{}"},
    {"# nothing\n\n", "{}"},
    {"a=1", "{\"a\":1}"},
    {"\"quoted key\" = 1\n'lit.eral' = 2\n\"\" = 3", "{\"quoted key\":1,\"lit.eral\":2,\"\":3}"},
    {"a . b = 1\na.\"c\" = 2\n3.14 = 4", "{\"a\":{\"b\":1,\"c\":2},\"3\":{\"14\":4}}"},
    {"[a]\r\nx=1 # c\r\n[a.b]\ny=2", "{\"a\":{\"x\":1,\"b\":{\"y\":2}}}"},
    {"[a.b]\ny=2\n[a]\nx=1", "{\"a\":{\"b\":{\"y\":2},\"x\":1}}"},
    {"[fruit]\napple.color=1\n[fruit.apple.taste]\ns=true",
        "{\"fruit\":{\"apple\":{\"color\":1,\"taste\":{\"s\":true}}}}"},
    {"[[p]]\nn=1\n[p.q]\nr=1\n[[p]]\nn=2\n[p.q]\nr=2",
        "{\"p\":[{\"n\":1,\"q\":{\"r\":1}},{\"n\":2,\"q\":{\"r\":2}}]}"},
    {"[[p]]\n[[p.v]]\nn=1\n[[p.v]]\nn=2", "{\"p\":[{\"v\":[{\"n\":1},{\"n\":2}]}]}"},
    {"a = { b = 1, c.d = \"x\", e = { } }", "{\"a\":{\"b\":1,\"c\":{\"d\":\"x\"},\"e\":{}}}"},
    {"a = [ 1, # one\n 2\n , ]\nb=[]\nc=[[1],[\"x\",{y=2}]]",
        "{\"a\":[1,2],\"b\":[],\"c\":[[1],[\"x\",{\"y\":2}]]}"},
    {"a=+17\nb=-1_000\nc=0\nd=0xDEAD_beef\ne=0o755\nf=0b1010\ng=9223372036854775807\n"
     "h=-9223372036854775808",
        "{\"a\":17,\"b\":-1000,\"c\":0,\"d\":3735928559,\"e\":493,\"f\":10,"
        "\"g\":9223372036854775807,\"h\":-9223372036854775808}"},
    {"a=1.5\nb=-2e2\nc=6.25E-1\nd=1.5e-10", "{\"a\":1.5,\"b\":-200.0,\"c\":0.625,\"d\":1.5e-10}"},
    {"a=true\nb=false", "{\"a\":true,\"b\":false}"},
    {"a=1979-05-27T07:32:00Z\nb=1979-05-27 00:32:00.99-07:00\nc=1979-05-27\nd=07:32:00\n"
     "e=2000-02-29t01:02:03",
        "{\"a\":\"1979-05-27T07:32:00Z\",\"b\":\"1979-05-27 "
        "00:32:00.99-07:00\",\"c\":\"1979-05-27\","
        "\"d\":\"07:32:00\",\"e\":\"2000-02-29t01:02:03\"}"},
    {"a=\"\\b\\t\\n\\f\\r\\\"\\\\\\u00e9\\U0001F600\"",
        "{\"a\":\"\\b\\t\\n\\f\\r\\\"\\\\\xc3\xa9\xf0\x9f\x98\x80\"}"},
    {"a='C:\\x \"q\"'", "{\"a\":\"C:\\\\x \\\"q\\\"\"}"},
    {"a=\"\"\"\nline\r\nnext\\\n   \n  joined \"\"two\"\"\"\"\"", /* two quotes of its own at the end */
        "{\"a\":\"line\\nnextjoined \\\"\\\"two\\\"\\\"\"}"},
    {"a='''\n[x]\ny = \"\"\"z\"\"\"\\n\n''''",
        "{\"a\":\"[x]\\ny = \\\"\\\"\\\"z\\\"\\\"\\\"\\\\n\\n'\"}"},
    {"a=\"\"\nb=''\nc=\"\"\"\"\"\"\nd=''''''", "{\"a\":\"\",\"b\":\"\",\"c\":\"\",\"d\":\"\"}"},
};

static void what_toml_has_is_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_reads(good[i].toml, good[i].json);
}

static const struct {
    const char *toml, *words;
} bad[] = {
    {"a", "no '='"},
    {"a=", "no value"},
    {"a=1\na=2", "line 2: a key that is given twice"},
    {"a=1 b=2", "more on a line"},
    {"= 1", "no key"},
    {"a.=1", "no key"},
    {"a=1\n[a]", "given twice"},
    {"[a]\n[a]", "given twice"},
    {"[a]\nb.c=1\n[a.b]", "given twice"},
    {"a={b=1}\na.c=2", "closed"},
    {"a={b=1}\n[a.c]", "closed"},
    {"a={b={}}\n[a.b.c]", "closed"},
    {"[a.b.c]\nz=1\n[a]\nb.c.t=2", "closed"},
    {"a=[1]\n[[a]]", "no array of tables"},
    {"[a]\n[[a]]", "no array of tables"},
    {"[[a]]\n[a]", "given twice"},
    {"a=1\na.b=2", "no table"},
    {"[a", "header without its end"},
    {"[[a]", "header without its end"},
    {"[a]]", "more on a line"},
    {"[]", "no key"},
    {"a={b=1,}", "no key"},
    {"a={b=1", "without its '}'"},
    {"a={b=1\n}", "without its '}'"},
    {"a=[1 2]", "no ','"},
    {"a=[,1]", "no value"},
    {"a=[1,,2]", "no value"},
    {"a=[1", "no ','"},
    {"a=\"x", "does not end"},
    {"a=\"x\ny\"", "does not end"},
    {"a='x", "does not end"},
    {"a=\"\"\"x\"\"", "without its end"},
    {"a='''x", "without its end"},
    {"a=\"\\x\"", "escape"},
    {"a=\"\\u12\"", "escape"},
    {"a=\"\\u0000\"", "escape of no character"},
    {"a=\"\\ud800\"", "escape of no character"},
    {"a=\"\\U00110000\"", "escape of no character"},
    {"a=\"\x01\"", "control character"},
    {"a=\"\x7f\"", "control character"},
    {"a='''\r'''", "control character"},
    {"# \x01", "control character"},
    {"a=1\r", "more on a line"},
    {"a=01", "neither"},
    {"a=1__0", "neither"},
    {"a=_1", "neither"},
    {"a=1_", "neither"},
    {"a=0x", "neither"},
    {"a=-0x1", "neither"},
    {"a=0b12", "neither"},
    {"a=9223372036854775808", "neither"},
    {"a=0xffffffffffffffff", "neither"},
    {"a=.5", "neither"},
    {"a=5.", "neither"},
    {"a=1e", "neither"},
    {"a=1e999", "neither"},
    {"a=inf", "neither"},
    {"a=nan", "neither"},
    {"a=True", "neither"},
    {"a=2023-02-29", "neither"},
    {"a=1900-02-29", "neither"},
    {"a=2023-13-01", "neither"},
    {"a=2023-01-01T25:00:00Z", "neither"},
    {"a=2023-01-01T00:00:00+25:00", "neither"},
    {"a=2023-1-1", "neither"},
    {"a=07:32", "neither"},
    {"a=07:32:00Z", "neither"},
    {"a=x", "neither"},
    {"a=\xff", "UTF-8"},
};

static void what_toml_has_not_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        json_t *json = NULL;
        if (toml_load(bytes_str(bad[i].toml), MAX, "test", &json, &err))
            fail_msg("taken: %s", bad[i].toml);
        if (err.code != ERR_FORMAT || !strstr(err.message, bad[i].words))
            fail_msg("%s: wrong refusal: %s", bad[i].toml, err.message);
        assert_null(json);
    }
}

static void assert_too_much(const char *head, const char *piece, size_t count, const char *words)
{
    auto_buf text = BUF_INIT(4 * MAX);
    json_t *json = NULL;
    assert_done(buf_append_str(&text, head, &err), &err);
    for (size_t i = 0; i < count; i++)
        assert_done(buf_append_str(&text, piece, &err), &err);
    assert_refused(toml_load(buf_bytes(&text), MAX, "test", &json, &err), &err, ERR_FORMAT, words);
}

static void limits_hold(void **state)
{
    (void)state;
    assert_too_much("a=", "[", 100000, "nested deeper");
    assert_too_much("a=", "{a=", 50000, "nested deeper");
    assert_too_much("[a", ".a", 50000, "more parts");
    assert_too_much("a.a.a.a.a.a.a.a.a.a.a.a=", "[[[[[[[[1]]]]]]]]", 1, "nested deeper than 16");
    assert_too_much("", "[[a]]\n", 3000, "more tables");
    assert_too_much("#", "xxxxxxxxxx", 30000, "at most 200000");
    json_t *json = NULL;
    assert_refused(toml_load(bytes_of("a=1\0b", 5), MAX, "test", &json, &err), &err, ERR_FORMAT,
        "without NUL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_toml_has_is_read),
        cmocka_unit_test(what_toml_has_not_is_refused),
        cmocka_unit_test(limits_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
