/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/kbs_conf.h"
#include "tests/unit/unit.h"

#include <netinet/in.h>

static struct err err;

static bool parse(const char *text)
{
    auto_kbs_conf conf = {0};
    return conf_parse(text, strlen(text), "kbs.conf", kbs_conf_fields, kbs_conf_field_count, &conf,
               &err) &&
           kbs_conf_check(&conf, &err);
}

static void the_defaults_are_good(void **state)
{
    (void)state;
    auto_kbs_conf conf = {0};
    assert_done(parse(""), &err);
    assert_done(conf_parse("", 0, "x", kbs_conf_fields, kbs_conf_field_count, &conf, &err), &err);
    assert_int_equal(conf.admin.mode, KBS_ADMIN_DENY);
    assert_int_equal(conf.attestation.admit, KBS_ADMIT_MANUAL);
    assert_true(kbs_conf_tee_ok(&conf, "tpm"));
    assert_false(kbs_conf_tee_ok(&conf, "sample"));
    assert_false(conf.server.plain_http);
    assert_int_equal(conf.token.lifetime_ms, 300000);
}

static void combinations_are_checked(void **state)
{
    (void)state;
    static const struct {
        const char *text, *why;
    } refused[] = {
        {"[server]\nlisten = 0.0.0.0:8080\n", "plain_http = yes"},
        {"[server]\nlisten = [::]:8080\n", "plain_http = yes"},
        {"[server]\nlisten = 128.0.0.1:8080\n", "plain_http = yes"},
        {"[server]\nlisten = localhost:8080\n", "numeric"},
        {"[server]\nlisten = 127.0.0.1\n", "no address"},
        {"[server]\nlisten = 127.0.0.1:\n", "no address"},
        {"[server]\nlisten = 127.0.0.1:65536\n", "no address"},
        {"[server]\nlisten = 127.0.0.1:-1\n", "no address"},
        {"[server]\nlisten = ::1:80\n", "numeric"},
        {"[server]\nlisten = [127.0.0.1]:80\n", "numeric"},
        {"[server]\nlisten = :80\n", "numeric"},
        {"[server]\ntls_cert = /a\n", "both"},
        {"[server]\ntls_key = /a\n", "both"},
        {"[admin]\nkeys = relative.jwk\n", "absolute"},
        {"[attestation]\ntees =\n", "empty"},
        {"[attestation]\ntees = tpm, sgx\n", "sgx"},
        {"[server]\nthreads = 0\n", "threads"},
        {"[server]\nbody_max = 3M\n", "body_max"},
        {"[token]\nlifetime = 1s\n", "lifetime"},
        {"[admin]\nmode = open\n", "mode"},
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_refused(parse(refused[i].text), &err, ERR_CONFIG, refused[i].why);
    assert_done(parse("[server]\nlisten = [::1]:0\n"), &err);
    assert_done(parse("[server]\nlisten = 127.1.2.3:80\n"), &err);
    assert_done(parse("[server]\nlisten = 0.0.0.0:80\nplain_http = yes\n"), &err);
    assert_done(parse("[server]\nlisten = 0.0.0.0:80\ntls_cert = /a\ntls_key = /b\n"), &err);
    assert_done(parse("[attestation]\ntees = tpm, sample\n"), &err);
}

static void addresses_are_read(void **state)
{
    (void)state;
    struct kbs_address address;
    assert_done(kbs_conf_address("10.1.2.3:443", &address, &err), &err);
    const struct sockaddr_in *four = (const void *)&address.any;
    assert_int_equal(four->sin_family, AF_INET);
    assert_int_equal(ntohl(four->sin_addr.s_addr), 0x0a010203);
    assert_int_equal(ntohs(four->sin_port), 443);
    assert_int_equal(address.len, sizeof *four);
    assert_false(address.loopback);
    assert_done(kbs_conf_address("[::1]:1", &address, &err), &err);
    assert_int_equal(address.any.ss_family, AF_INET6);
    assert_true(address.loopback);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_defaults_are_good),
        cmocka_unit_test(combinations_are_checked),
        cmocka_unit_test(addresses_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
