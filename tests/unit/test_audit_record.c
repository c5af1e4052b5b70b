/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/audit_record.h"

#include "crypt/base/json.h"
#include "tests/unit/unit.h"

static struct audit_record record(const char *path)
{
    return (struct audit_record){.time_us = INT64_C(1769860800123456),
        .verdict = AUDIT_REFUSED,
        .pid = 812,
        .start_time = 4711,
        .uid = 33,
        .gid = 34,
        .sys_errno = EACCES,
        .took_us = 1042,
        .id = "r-1-2",
        .cause = "rule",
        .rule = "web",
        .cgroup = "",
        .exe = "",
        .path = path,
        .resource = "",
        .version = "",
        .ref = ""};
}

static void test_line(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf line = BUF_INIT(AUDIT_LINE_MAX);
    struct audit_record plain = record("/sealed/x");
    assert_done(audit_record_line(&plain, &line, &err), &err);
    assert_string_equal(buf_text(&line),
        "{\"time\":\"2026-01-31T12:00:00.123456Z\",\"id\":\"r-1-2\",\"verdict\":\"refused\","
        "\"cause\":\"rule\",\"rule\":\"web\",\"errno\":\"EACCES\",\"pid\":812,\"start\":4711,"
        "\"uid\":33,\"gid\":34,\"path\":\"/sealed/x\",\"ms\":1.042}\n");
    buf_truncate(&line, 0);
    plain.verdict = AUDIT_ALLOWED;
    plain.sys_errno = 0;
    plain.cause = plain.rule = "";
    plain.pid = 0;
    plain.start_time = 0;
    plain.cgroup = "/docker/00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    plain.exe = "/bin/cat";
    plain.exe_deleted = true;
    plain.resource = "kbs:///r/t/t";
    plain.version = "v";
    plain.took_us = 7;
    assert_done(audit_record_line(&plain, &line, &err), &err);
    assert_string_equal(buf_text(&line),
        "{\"time\":\"2026-01-31T12:00:00.123456Z\",\"id\":\"r-1-2\",\"verdict\":\"allowed\","
        "\"pid\":0,\"uid\":33,\"gid\":34,\"cgroup\":\"/docker/"
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\"container\":"
        "\"00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\",\"exe\":\"/bin/cat\","
        "\"exe_deleted\":true,\"path\":\"/sealed/x\",\"resource\":\"kbs:///r/t/t\",\"version\":"
        "\"v\",\"ms\":0.007}\n");
}

/* What a caller may put into a name must not become another member, another line, or something else on a terminal. */
static void test_hostile(void **state)
{
    (void)state;
    static const struct {
        const char *path, *wanted;
    } cases[] = {
        {"/a\"b", "/a\"b"},
        {"/a\\b", "/a\\x5cb"},
        {"/a\nb\r\t\x1b[2J", "/a\\x0ab\\x0d\\x09\\x1b[2J"},
        {"/\x7f", "/\\x7f"},
        {"/\xff\xfe", "/\\xff\\xfe"},
        {"/\xc2\x9b"
         "31m",
            "/\\xc2\\x9b31m"},
        {"/\xe2\x80\xae"
         "evil",
            "/\\xe2\\x80\\xae"
            "evil"},
        {"/\xed\xa0\x80", "/\\xed\\xa0\\x80"},
        {"/\xc3\xa4\xe2\x82\xac", "/\xc3\xa4\xe2\x82\xac"},
        {"/\",\"verdict\":\"allowed", "/\",\"verdict\":\"allowed"},
        {"", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_buf line = BUF_INIT(AUDIT_LINE_MAX);
        auto_json *json = NULL;
        struct audit_record hostile = record(cases[i].path);
        hostile.exe = hostile.cgroup = hostile.resource = cases[i].path;
        assert_done(audit_record_line(&hostile, &line, &err), &err);
        assert_ptr_equal(strchr(buf_text(&line), '\n'), buf_text(&line) + line.len - 1);
        assert_done(json_load_strict(buf_bytes(&line), AUDIT_LINE_MAX, "line", &json, &err), &err);
        assert_string_equal(json_member_text(json, "path"), cases[i].wanted);
        assert_string_equal(json_member_text(json, "verdict"), "refused");
    }
}

static void test_longest(void **state)
{
    (void)state;
    static char text[4096];
    struct err err = ERR_INIT;
    auto_buf line = BUF_INIT(AUDIT_LINE_MAX);
    memset(text, 1, sizeof text - 1);
    struct audit_record longest = record(text);
    longest.cgroup = longest.exe = longest.resource = text;
    assert_done(audit_record_line(&longest, &line, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_longest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
