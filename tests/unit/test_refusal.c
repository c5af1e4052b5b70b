/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "kbs/refusal.h"

#define URL "https://kbs:8443"

static bool explain(enum refusal_step step, long status, const char *body, struct err *err)
{
    struct http_response response = {.status = status, .body = bytes_str(body)};
    return refusal_explain(step, URL, &response, err);
}

static bool named(enum refusal_step step, const char *name, const char *detail, struct err *err)
{
    char body[512];
    snprintf(body, sizeof body,
        "{\"type\":\"https://github.com/confidential-containers/kbs/errors/%s\",\"detail\":\"%s\"}",
        name, detail);
    return explain(step, 401, body, err);
}

static void a_resource_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum err_code code;
        bool renew;
    } cases[] = {
        {"TokenNotFound", ERR_DENIED_POLICY, true},
        {"TokenVerifierError", ERR_DENIED_POLICY, true},
        {"AttestationError", ERR_DENIED_POLICY, true},
        {"PolicyDeny", ERR_DENIED_POLICY, false},
        {"PluginInternalError", ERR_NOTFOUND, false},
        {"PluginNotFound", ERR_NOTFOUND, false},
        {"InvalidRequestPath", ERR_NOTFOUND, false},
        {"JweError", ERR_CRYPTO, false},
        {"PolicyEngineError", ERR_UNREACH, false},
        {"SomethingNew", ERR_DENIED_POLICY, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        assert_int_equal(
            named(REFUSAL_RESOURCE, cases[i].name, "because [id 01HZ]", &err), cases[i].renew);
        assert_int_equal(err.code, cases[i].code);
        assert_string_equal(err.ref, "01HZ");
        assert_non_null(strstr(err.message, URL));
        assert_non_null(strstr(err.message, "because"));
        /* Only a resource is asked for again under a new token. */
        assert_false(named(REFUSAL_AUTH, cases[i].name, "x", &err));
        assert_false(named(REFUSAL_ATTEST, cases[i].name, "x", &err));
    }
}

/* A broker that cannot decide has denied and withdrawn nothing. */
static void a_fault_of_the_broker_is_no_denial(void **state)
{
    (void)state;
    static const char *const names[] = {
        "AttestationError", "PluginInternalError", "TokenNotFound", "PolicyDeny"};
    for (int step = REFUSAL_AUTH; step <= REFUSAL_RESOURCE; step++)
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
            struct err err = ERR_INIT;
            char body[256];
            snprintf(body, sizeof body, "{\"type\":\"x/errors/%s\",\"detail\":\"busy [id 01HZ]\"}",
                names[i]);
            assert_false(explain((enum refusal_step)step, 503, body, &err));
            assert_int_equal(err.code, ERR_UNREACH);
            assert_non_null(strstr(err.message, "has a problem (status 503): busy"));
            assert_string_equal(err.ref, "01HZ");
        }
}

static void a_handshake_is_refused_by_step(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    named(REFUSAL_ATTEST, "AttestationError", "RCAR handshake Attest failed", &err);
    assert_int_equal(err.code, ERR_DENIED_POLICY);
    assert_non_null(strstr(err.message, "does not accept this guest's evidence"));
    named(REFUSAL_AUTH, "AttestationError", "KBS Client Protocol Version Mismatch: expect =0.5.0",
        &err);
    assert_non_null(strstr(err.message, "this client: 0.4.0"));
    assert_non_null(strstr(err.message, "expect =0.5.0"));
    named(REFUSAL_AUTH, "AttestationError", "unknown TEE", &err);
    assert_non_null(strstr(err.message, "refuses this guest: unknown TEE"));
}

static void without_a_name_the_status_decides(void **state)
{
    (void)state;
    static const struct {
        long status;
        enum err_code code;
        const char *told;
    } cases[] = {
        {500, ERR_UNREACH, "has a problem (status 500)"},
        {503, ERR_UNREACH, "has a problem (status 503)"},
        {429, ERR_UNREACH, "has a problem (status 429)"},
        {302, ERR_FORMAT, "redirects"},
        {404, ERR_FORMAT, "is this the URL of a KBS?"},
        {413, ERR_FORMAT, "is this the URL of a KBS?"},
        {204, ERR_FORMAT, "is this the URL of a KBS?"},
        {401, ERR_UNREACH, "is this the URL of a KBS?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        for (int step = REFUSAL_AUTH; step <= REFUSAL_RESOURCE; step++) {
            struct err err = ERR_INIT;
            assert_false(
                explain((enum refusal_step)step, cases[i].status, "<html>hello</html>", &err));
            assert_int_equal(err.code, cases[i].code);
            assert_non_null(strstr(err.message, cases[i].told));
            assert_string_equal(err.ref, "");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_resource_is_refused_by_name),
        cmocka_unit_test(a_fault_of_the_broker_is_no_denial),
        cmocka_unit_test(a_handshake_is_refused_by_step),
        cmocka_unit_test(without_a_name_the_status_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
