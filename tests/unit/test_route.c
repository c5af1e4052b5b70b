/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/kbs_fixture.h"

static void paths_are_raw_with_single_slashes(void **state)
{
    (void)state;
    static const struct {
        const char *uri, *path;
    } cases[] = {
        {"/kbs/v0/resource/a/b/c", "/kbs/v0/resource/a/b/c"},
        {"//kbs///v0/resource//a/b/c/", "/kbs/v0/resource/a/b/c"},
        {"/kbs/v0/x?y=/a//b", "/kbs/v0/x"},
        {"/a/%2e%2e/b", "/a/%2e%2e/b"},
        {"/a/../b/./c", "/a/../b/./c"},
        {"/", "/"},
        {"//", "/"},
        {"", ""},
        {"?x", ""},
        {"http://host/kbs", "http:/host/kbs"},
        {"*", "*"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_free char *path = route_path(cases[i].uri);
        assert_string_equal(path, cases[i].path);
    }
}

static void routes_match_whole_paths(void **state)
{
    (void)state;
    static const struct {
        enum request_method method;
        const char *path, *pattern;
    } cases[] = {
        {REQUEST_GET, "/kbs/v0/resource/a/b/c", "/kbs/v0/resource/*"},
        {REQUEST_GET, "/kbs/v0/resource", "/kbs/v0/resource"},
        {REQUEST_POST, "/kbs/v0/resource", NULL},
        {REQUEST_DELETE, "/kbs/v0/resource/a/b/c", "/kbs/v0/resource/*"},
        {REQUEST_GET, "/kbs/v0/resources", NULL},
        {REQUEST_GET, "/kbs/v0/Resource", NULL},
        {REQUEST_GET, "/kbs/v0/resource%2Fa", NULL},
        {REQUEST_GET, "/kbs/v0/resource-policy", "/kbs/v0/resource-policy"},
        {REQUEST_GET, "/kbs/v0/resource-policy/resource-policy",
            "/kbs/v0/resource-policy/resource-policy"},
        {REQUEST_GET, "/kbs/v0/resource-policy/other", NULL},
        {REQUEST_POST, "/kbs/v0/auth", "/kbs/v0/auth"},
        {REQUEST_GET, "/kbs/v0/auth", NULL},
        {REQUEST_POST, "/kbs/v0/attest", "/kbs/v0/attest"},
        {REQUEST_POST, "/kbs/v0/attest/x", NULL},
        {REQUEST_GET, "/healthz", "/healthz"},
        {REQUEST_OTHER, "/healthz", NULL},
        {REQUEST_GET, "/kbs/v0/x/../resource", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct route *route = route_find(cases[i].method, cases[i].path);
        if (!route != !cases[i].pattern || (route && strcmp(route->pattern, cases[i].pattern) != 0))
            fail_msg("%s: %s", cases[i].path, route ? route->pattern : "none");
    }
}

/* As a real Trustee answers (names and statuses). */
static void what_is_not_there_is_told_as_upstream(void **state)
{
    (void)state;
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/kbs/v0/noplugin/x", NULL, NULL), 404,
        "{\"type\":\"https://github.com/confidential-containers/kbs/errors/PluginNotFound\","
        "\"detail\":\"Plugin noplugin not found\"}");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/auth", NULL, NULL), 404, "Plugin auth not found");
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/", NULL, NULL), 404, "InvalidRequestPath");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v1/resource", NULL, NULL), 404, "InvalidRequestPath");
    kbs_assert_answer(
        kbs_ask(REQUEST_GET, "/kbs/v0/<script>\"\\", NULL, NULL), 404, "Plugin  not found");
    kbs_assert_answer(kbs_ask(REQUEST_GET, "/healthz", NULL, NULL), 200, "ok");
}

static void administrators_routes_are_closed(void **state)
{
    (void)state;
    static const struct {
        enum request_method method;
        const char *path;
    } cases[] = {
        {REQUEST_POST, "/kbs/v0/resource/a/b/c"},
        {REQUEST_PUT, "/kbs/v0/resource/a/b/c"},
        {REQUEST_DELETE, "/kbs/v0/resource/a/b/c"},
        {REQUEST_GET, "/kbs/v0/resource"},
        {REQUEST_POST, "/kbs/v0/resource-policy"},
        {REQUEST_GET, "/kbs/v0/resource-policy"},
        {REQUEST_GET, "/kbs/v0/resource-policy/resource-policy"},
        {REQUEST_POST, "/kbs/v0/attestation-policy"},
        {REQUEST_POST, "/kbs/v0/reference-value"},
        {REQUEST_GET, "/kbs/v0/reference-value"},
        {REQUEST_GET, "/kbs/v0/reference-value/a/b"},
        {REQUEST_DELETE, "/kbs/v0/reference-value/a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct exchange *exchange = kbs_ask(cases[i].method, cases[i].path, NULL, "secret");
        assert_null(exchange->secret); /* nothing was kept of a body that nobody may send */
        assert_int_equal(exchange->body.len, 0);
        kbs_assert_answer(exchange, 401, "AdminAuthAccess");
    }
    auto_json *keys = NULL;
    assert_done(store_list(kbs.server.store, STORE_RESOURCE, &keys, &err), &err);
    assert_int_equal(json_array_size(keys), 0);
}

static struct exchange *upload(enum request_method method, const char *uri)
{
    struct exchange *exchange = exchange_new(uri);
    exchange->request.method = method;
    exchange->request.peer = "test";
    return exchange;
}

static void announced_bodies_are_capped(void **state)
{
    (void)state;
    struct exchange *exchange = upload(REQUEST_POST, "/kbs/v0/attest");
    assert_true(exchange_head(&kbs.server, exchange, "2097152"));
    exchange_free(exchange);
    static const char *const lengths[] = {
        "2097153", "18446744073709551615", "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(lengths); i++) {
        exchange = upload(REQUEST_POST, "/kbs/v0/attest");
        assert_false(exchange_head(&kbs.server, exchange, lengths[i]));
        kbs_assert_answer(exchange, 413, "larger than");
    }
}

static void bodies_without_length_are_capped(void **state)
{
    (void)state;
    static uint8_t piece[65536];
    struct exchange *exchange = upload(REQUEST_POST, "/kbs/v0/attest");
    int pieces = 0;
    assert_true(exchange_head(&kbs.server, exchange, NULL));
    while (exchange_body(exchange, bytes_of(piece, sizeof piece)) && pieces < 1000)
        pieces++;
    assert_in_range(pieces, 33, 200); /* some more is read, so that the answer arrives */
    assert_true(exchange->body.len <= 2u * 1024 * 1024);
    exchange_finish(&kbs.server, exchange);
    kbs_assert_answer(exchange, 413, "larger than");
}

static void refusals_fit_their_ids(void **state)
{
    (void)state;
    struct response response;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    response_init(&response);
    response_refuse(&response, "PolicyDeny", "0123456789abcdef0123456789abcdef", "%s", text);
    assert_non_null(strstr(buf_text(&response.body), " [id 0123456789abcdef0123456789abcdef]\"}"));
    assert_int_equal(response.status, 401);
    assert_null(response.content_type);
    response_refuse(&response, "PolicyDeny", NULL, "again");
    assert_null(strstr(buf_text(&response.body), "[id"));
    response_done(&response);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, kbs_setup, kbs_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_are_raw_with_single_slashes),
        cmocka_unit_test(routes_match_whole_paths),
        TEST(what_is_not_there_is_told_as_upstream),
        TEST(administrators_routes_are_closed),
        TEST(announced_bodies_are_capped),
        TEST(bodies_without_length_are_capped),
        cmocka_unit_test(refusals_fit_their_ids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
