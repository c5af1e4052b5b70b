/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"

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

static void the_date_is_read_in_its_one_form(void **state)
{
    (void)state;
    static const char *const bad[] = {"Date: Monday, 23-Nov-26 05:10:22 GMT\r\n",
        "Date: Mon Nov 23 05:10:22 2026\r\n", "Date: Mon, 23 Nov 2026 05:10:22 CET\r\n",
        "Date: Mon, 23 Nov 2026 25:10:22 GMT\r\n", "Date:\r\n"};
    struct http_headers headers = {0};
    struct err err = ERR_INIT;
    feed(&headers, bad, ARRAY_LEN(bad));
    assert_int_equal(headers.date, 0);
    assert_done(
        http_headers_line(&headers, bytes_str("date: Mon, 23 Nov 2026 05:10:22 GMT\r\n"), &err),
        &err);
    assert_int_equal(headers.date, 1795410622);
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

/* What is not over a limit is left out or shown harmless, which is a refusal here. */
static bool refuse(const struct secret *input, struct err *err)
{
    struct http_headers headers = {0};
    struct bytes rest = secret_bytes(input);
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.data, '\n', rest.len);
        size_t len = end ? (size_t)(end - rest.data) + 1 : rest.len;
        if (!http_headers_line(&headers, bytes_slice(rest, 0, len), err))
            return false;
        rest = bytes_slice(rest, len, rest.len);
    }
    assert_true(http_header_ok(headers.set_cookie) && http_header_ok(headers.content_type));
    if (strchr(headers.content_type, '?'))
        return err_set(err, ERR_FORMAT, "type \"%s\"", headers.content_type);
    return headers.set_cookie[0] || err_set(err, ERR_FORMAT, "no cookie");
}

static void bad_inputs(void **state)
{
    static const struct bad_input inputs[] = {
        {"blank-before-colon.txt", ERR_FORMAT, "no cookie"},
        {"bytes-over-32k.txt", ERR_FORMAT, "32 KiB"},
        {"content-type-control-character.txt", ERR_FORMAT, "type \"application/?[2Jjson\""},
        {"content-type-not-ascii.txt", ERR_FORMAT, "type \"t??xt\""},
        {"cookie-attributes-only.txt", ERR_FORMAT, "no cookie"},
        {"cookie-backslash.txt", ERR_FORMAT, "no cookie"},
        {"cookie-blank-in-value.txt", ERR_FORMAT, "no cookie"},
        {"cookie-carriage-return.txt", ERR_FORMAT, "no cookie"},
        {"cookie-comma.txt", ERR_FORMAT, "no cookie"},
        {"cookie-control-character.txt", ERR_FORMAT, "no cookie"},
        {"cookie-no-equals-sign.txt", ERR_FORMAT, "no cookie"},
        {"cookie-no-name.txt", ERR_FORMAT, "no cookie"},
        {"cookie-not-ascii.txt", ERR_FORMAT, "no cookie"},
        {"cookie-nul.txt", ERR_FORMAT, "no cookie"},
        {"cookie-of-512-bytes.txt", ERR_FORMAT, "no cookie"},
        {"cookie-of-interim-answer.txt", ERR_FORMAT, "no cookie"},
        {"cookie-quotes.txt", ERR_FORMAT, "no cookie"},
        {"folded-line.txt", ERR_FORMAT, "no cookie"},
        {"line-over-32k.txt", ERR_FORMAT, "32 KiB"},
        {"lines-101-in-two-answers.txt", ERR_FORMAT, "100 header lines"},
        {"lines-101.txt", ERR_FORMAT, "100 header lines"},
    };
    struct err err = ERR_INIT;
    (void)state;
    assert_all_bad("bad/http_headers", inputs, ARRAY_LEN(inputs), refuse);
    struct secret *good = input_secret("fuzz/corpus/http_headers/auth");
    assert_done(refuse(good, &err), &err); /* as all of them were before they were damaged */
    secret_unref(good);
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
        cmocka_unit_test(the_date_is_read_in_its_one_form),
        cmocka_unit_test(cookies_are_joined),
        cmocka_unit_test(cookies_that_cannot_be_sent_back_are_left_out),
        cmocka_unit_test(a_final_answer_forgets_the_interim_one),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(bad_inputs),
        cmocka_unit_test(request_headers_are_printable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
