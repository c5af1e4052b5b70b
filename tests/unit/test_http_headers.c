/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/http_headers.h"

static void feed(struct http_headers *headers, const char *const *lines, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct err err = ERR_INIT;
        assert_done(http_headers_line(headers, bytes_str(lines[i]), &err), &err);
    }
}

static void what_is_kept(void **state)
{
    (void)state;
    static const char *const lines[] = {"HTTP/1.1 200 OK\r\n",
        "content-TYPE:  application/json \r\n",
        "Set-Cookie: kbs-session-id=abc; Expires=Mon, 23 Nov 2026 00:11:32 GMT\r\n",
        "X-Other: y\r\n", "\r\n"};
    struct http_headers headers = {0};
    feed(&headers, lines, ARRAY_LEN(lines));
    assert_string_equal(headers.content_type, "application/json");
    assert_string_equal(headers.set_cookie, "kbs-session-id=abc");
    assert_int_equal(headers.count, 5);
}

static void cookies_are_joined(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "Set-Cookie: balancer=n1; Path=/\r\n", "set-cookie:kbs-session-id=abc\r\n"};
    struct http_headers headers = {0};
    feed(&headers, lines, ARRAY_LEN(lines));
    assert_string_equal(headers.set_cookie, "balancer=n1; kbs-session-id=abc");
}

static void cookies_that_cannot_be_sent_back_are_left_out(void **state)
{
    (void)state;
    static const char *const lines[] = {"Set-Cookie:\r\n", "Set-Cookie: novalue\r\n",
        "Set-Cookie: =x\r\n", "Set-Cookie: a=b c\r\n", "Set-Cookie: a=\"b\"\r\n",
        "Set-Cookie: a=\x01\r\n", "Set-Cookie: a=\xc3\xa9\r\n", "Set-Cookie: ;a=b\r\n",
        "Set-Cookies: a=b\r\n", "Set-Cookie : a=b\r\n"};
    char huge[700] = "Set-Cookie: a=";
    struct http_headers headers = {0};
    struct err err = ERR_INIT;
    feed(&headers, lines, ARRAY_LEN(lines));
    memset(huge + strlen(huge), 'x', 600);
    assert_done(http_headers_line(&headers, bytes_str(huge), &err), &err);
    assert_string_equal(headers.set_cookie, "");
    assert_done(http_headers_line(&headers, bytes_str("Set-Cookie: a=b"), &err), &err);
    assert_string_equal(headers.set_cookie, "a=b");
}

static void a_final_answer_forgets_the_interim_one(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "HTTP/1.1 103 Early Hints\r\n", "Set-Cookie: early=1\r\n", "\r\n", "HTTP/1.1 200 OK\r\n"};
    struct http_headers headers = {0};
    feed(&headers, lines, ARRAY_LEN(lines));
    assert_string_equal(headers.set_cookie, "");
    assert_int_equal(headers.count, 4);
}

static void limits_hold(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct http_headers many = {0}, big = {0};
    char line[1024];
    for (unsigned i = 0; i < HTTP_HEADER_COUNT_MAX; i++)
        assert_done(http_headers_line(&many, bytes_str("X: y\r\n"), &err), &err);
    assert_refused(http_headers_line(&many, bytes_str("X: y\r\n"), &err), &err, ERR_FORMAT,
        "100 header lines");
    memset(line, 'x', sizeof line);
    for (unsigned i = 0; i < HTTP_HEADER_BYTES_MAX / sizeof line; i++)
        assert_done(http_headers_line(&big, bytes_of(line, sizeof line), &err), &err);
    assert_refused(http_headers_line(&big, bytes_of(line, 1), &err), &err, ERR_FORMAT, "32 KiB");
}

static void request_headers_are_printable(void **state)
{
    (void)state;
    assert_true(http_header_ok("Bearer a.b.c"));
    assert_false(http_header_ok("a\r\nX: y"));
    assert_false(http_header_ok("a\tb"));
    assert_false(http_header_ok("\xc3\xa9"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept),
        cmocka_unit_test(cookies_are_joined),
        cmocka_unit_test(cookies_that_cannot_be_sent_back_are_left_out),
        cmocka_unit_test(a_final_answer_forgets_the_interim_one),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(request_headers_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
