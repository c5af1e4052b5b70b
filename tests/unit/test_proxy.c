/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/proxy.h"

static void nothing_configured_is_no_proxy(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO(proxy_free) struct proxy *proxy = NULL;
    assert_done(proxy_new(&(struct proxy_conf){0}, &proxy, &err), &err);
    assert_null(proxy_for(proxy, "https://kbs.example.org:443"));
    assert_null(proxy_header(proxy));
}

static void hosts_and_domains_are_reached_directly(void **state)
{
    (void)state;
    static const char *const except[] = {"kbs.example.org", ".inner.net", "10.0.0.7", "[::1]"};
    static const struct {
        const char *origin;
        bool proxied;
    } rows[] = {{"https://kbs.example.org:8443", false}, {"https://KBS.Example.ORG:443", false},
        {"https://sub.kbs.example.org:443", false}, {"https://evilkbs.example.org:443", true},
        {"https://example.org:443", true}, {"https://kbs.example.org.evil.net:443", true},
        {"https://inner.net:443", false}, {"https://a.b.inner.net:443", false},
        {"https://notinner.net:443", true}, {"https://10.0.0.7:443", false},
        {"https://10.0.0.70:443", true}, {"https://[::1]:443", false},
        {"https://[::11]:443", true}};
    struct err err = ERR_INIT;
    AUTO(proxy_free) struct proxy *proxy = NULL;
    struct proxy_conf conf = {
        .url = "http://Proxy:3128/", .except = except, .except_count = ARRAY_LEN(except)};
    assert_done(proxy_new(&conf, &proxy, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *found = proxy_for(proxy, rows[i].origin);
        if (rows[i].proxied)
            assert_string_equal(found, "http://Proxy:3128");
        else
            assert_null(found);
    }
    assert_null(proxy_for(proxy, "http://127.0.0.1:8080"));
    assert_null(proxy_for(proxy, "http://localhost:80"));
    assert_non_null(proxy_for(proxy, "http://kbs.example.com:80"));
    static const char *const all[] = {"*"};
    AUTO(proxy_free) struct proxy *none = NULL;
    conf.except = all;
    conf.except_count = 1;
    assert_done(proxy_new(&conf, &none, &err), &err);
    assert_null(proxy_for(none, "https://kbs.example.org:443"));
}

static void refuse(struct proxy_conf conf, const char *why)
{
    struct err err = ERR_INIT;
    struct proxy *proxy = NULL;
    assert_refused(proxy_new(&conf, &proxy, &err), &err, ERR_CONFIG, why);
    assert_null(proxy);
    assert_null(strstr(err.message, "hunter2"));
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const char *const except[] = {"a"};
    refuse((struct proxy_conf){.url = "proxy:3128"}, "the form is http://HOST:PORT");
    refuse((struct proxy_conf){.url = "https://proxy:3128"}, "the form is http://HOST:PORT");
    refuse(
        (struct proxy_conf){.url = "http://guest:hunter2@proxy:3128"}, "without user or password");
    refuse((struct proxy_conf){.url = "http://proxy:3128/x"}, "without a path");
    refuse((struct proxy_conf){.credential = "/x"}, "proxy_credential is set without proxy");
    refuse((struct proxy_conf){.except = except, .except_count = 1}, "no_proxy is set without");
}

static void credentials_are_one_line(void **state)
{
    (void)state;
    static const struct {
        const char *text, *encoded;                                      /* NULL: refused */
    } rows[] = {{"Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 section 2 */
        {"a:b:%41\r\n", "YTpiOiU0MQ=="}, {"guest:\n", "Z3Vlc3Q6"}, {"", NULL}, {"guest", NULL},
        {":x", NULL}, {"a:b\nc:d\n", NULL}, {"a:b\tc", NULL}};
    char path[] = "/tmp/test-proxy.XXXXXX";
    auto_fd int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        AUTO(proxy_free) struct proxy *proxy = NULL;
        struct proxy_conf conf = {.url = "http://proxy:1", .credential = path};
        char header[128];
        assert_return_code(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, rows[i].text, strlen(rows[i].text), 0), strlen(rows[i].text));
        bool done = proxy_new(&conf, &proxy, &err);
        if (!rows[i].encoded) {
            assert_refused(done, &err, ERR_CONFIG, "user:password");
            continue;
        }
        assert_done(done, &err);
        snprintf(header, sizeof header, "Proxy-Authorization: Basic %s", rows[i].encoded);
        assert_string_equal(proxy_header(proxy), header);
    }
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_configured_is_no_proxy),
        cmocka_unit_test(hosts_and_domains_are_reached_directly),
        cmocka_unit_test(other_forms_are_refused),
        cmocka_unit_test(credentials_are_one_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
