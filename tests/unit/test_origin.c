/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/origin.h"

static void origins(void **state)
{
    (void)state;
    static const struct {
        const char *url, *origin;
    } cases[] = {
        {"https://kbs.example.org", "https://kbs.example.org:443"},
        {"HTTPS://kbs.example.org:8443/", "https://kbs.example.org:8443"},
        {"https://10.0.0.1/kbs/v0/auth", "https://10.0.0.1:443"},
        {"https://[2001:db8::1]:8443/x", "https://[2001:db8::1]:8443"},
        {"http://127.0.0.1:8080", "http://127.0.0.1:8080"},
        {"http://127.255.1.2/", "http://127.255.1.2:80"},
        {"http://[::1]:8080/", "http://[::1]:8080"},
        {"http://LocalHost/", "http://LocalHost:80"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        char origin[ORIGIN_SIZE];
        assert_done(origin_of(cases[i].url, false, origin, &err), &err);
        assert_string_equal(origin, cases[i].origin);
    }
}

static void plain_http_stays_on_this_machine(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://kbs.example.org/", "http://10.0.0.1",
        "http://128.0.0.1", "http://0.0.0.0", "http://127.1", "http://2130706433",
        "http://0x7f.0.0.1", "http://localhost.example.org", "http://127.0.0.1.example.org",
        "http://[::]", "http://[::ffff:127.0.0.1]", "http://localhost."};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct err err = ERR_INIT;
        char origin[ORIGIN_SIZE] = "untouched";
        assert_refused(
            origin_of(urls[i], false, origin, &err), &err, ERR_CONFIG, "only for this machine");
        assert_string_equal(origin, "untouched");
        assert_done(origin_of(urls[i], true, origin, &err), &err);
    }
}

static void what_two_readers_could_read_differently(void **state)
{
    (void)state;
    static const char *const urls[] = {"", "https", "https:/x", "https://", "https:///x",
        "ftp://127.0.0.1", "file:///etc/passwd", "https://a@b", "http://127.0.0.1@evil",
        "http://127.0.0.1\\@evil", "http://127.0.0.1#@evil/", "https://h:", "https://h:0",
        "https://h:65536", "https://h:123456", "https://h:8o", "https://h?q", "https://h#f",
        "https://h%2e", "https://h ", "https://h\n", "https://[::1", "https://[]", "https://[::1]x",
        "https://[::1%25eth0]", "https://\xc3\xa9", " https://h"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct err err = ERR_INIT;
        char origin[ORIGIN_SIZE];
        assert_refused(origin_of(urls[i], true, origin, &err), &err, ERR_CONFIG, "\"");
    }
    char longest[400] = "https://";
    struct err err = ERR_INIT;
    char origin[ORIGIN_SIZE];
    memset(longest + strlen(longest), 'h', 256);
    assert_refused(origin_of(longest, true, origin, &err), &err, ERR_CONFIG, "host");
    longest[strlen(longest) - 1] = '\0';
    assert_done(origin_of(longest, true, origin, &err), &err);
}

static void passwords_are_not_shown(void **state)
{
    (void)state;
    static const char *const urls[] = {"https://guest:hunter2@kbs.example.org:8443",
        "guest:hunter2@kbs.example.org", "https://guest:x@hunter2@kbs.example.org",
        "https://guest:hunter2/x@kbs.example.org", "ftp://hunter2@kbs.example.org",
        "hunter2@https://kbs.example.org", "http://hunter2@kbs.example.org:x"};
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct err err = ERR_INIT;
        char origin[ORIGIN_SIZE];
        assert_refused(origin_of(urls[i], false, origin, &err), &err, ERR_CONFIG, "***@");
        assert_null(strstr(err.message, "hunter2"));
    }
    assert_string_equal(origin_show("https://h:1/x").text, "https://h:1/x");
}

static void what_stays_on_this_machine(void **state)
{
    (void)state;
    assert_true(origin_stays_here("http://127.0.0.1:8080"));
    assert_true(origin_stays_here("http://[::1]:8080"));
    assert_true(origin_stays_here("http://localhost:80"));
    assert_false(origin_stays_here("https://127.0.0.1:8080"));
    assert_false(origin_stays_here("http://kbs.example.org:80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(origins),
        cmocka_unit_test(plain_http_stays_on_this_machine),
        cmocka_unit_test(passwords_are_not_shown),
        cmocka_unit_test(what_stays_on_this_machine),
        cmocka_unit_test(what_two_readers_could_read_differently),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
