/* SPDX-License-Identifier: Apache-2.0 */
/* A server without sockets: real store, sessions, agents and signer in a directory of its own; time stands at EAR_TEST_NOW. */
#pragma once

#include <ftw.h>
#include <unistd.h>

#include "kbs/server/admin.h"
#include "kbs/server/http/exchange.h"
#include "kbs/server/token/session.h"
#include "kbs/server/token/token_keys.h"
#include "tests/unit/ear_key.h"
#include "tests/unit/unit.h"

struct kbs_fixture {
    char root[64];
    struct kbs_conf conf;
    struct server server;
    int64_t now;
};

static struct kbs_fixture kbs;
static struct err err;

static int64_t kbs_clock(void)
{
    return kbs.now;
}

static inline int kbs_setup(void **state)
{
    static const char text[] = "[attestation]\ntees = tpm, sample\n";
    (void)state;
    memset(&kbs, 0, sizeof kbs);
    strcpy(kbs.root, "/tmp/sealed-kbs-test.XXXXXX");
    assert_non_null(mkdtemp(kbs.root));
    assert_done(conf_parse(text, strlen(text), "test", kbs_conf_fields, kbs_conf_field_count,
                    &kbs.conf, &err),
        &err);
    kbs.now = EAR_TEST_NOW;
    kbs.server = (struct server){.conf = &kbs.conf, .clock = kbs_clock};
    kbs.server.signer = (struct ear_signer){.issuer = "test", .lifetime_s = 300};
    assert_done(ear_test_key(&kbs.server.signer.key, &err), &err);
    kbs.conf.token.lifetime_ms = kbs.server.signer.lifetime_s * 1000;
    assert_done(
        token_keys_new(&kbs.conf, kbs.server.signer.key, &kbs.server.token_keys, &err), &err);
    assert_done(store_dir_open(kbs.root, &kbs.server.store, &err), &err);
    assert_done(admin_new(&kbs.conf, &kbs.server.admin, &err), &err);
    assert_done(sessions_new(kbs.server.signer.key, &kbs.server.sessions, &err), &err);
    return 0;
}

static inline int kbs_remove_one(
    const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static inline int kbs_teardown(void **state)
{
    (void)state;
    sessions_free(kbs.server.sessions);
    token_keys_free(kbs.server.token_keys);
    admin_free(kbs.server.admin);
    store_free(kbs.server.store);
    jwk_unref(kbs.server.signer.key);
    kbs_conf_done(&kbs.conf);
    return nftw(kbs.root, kbs_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The whole way of a request behind the HTTP library. The caller frees the exchange. */
static inline struct exchange *kbs_ask(
    enum request_method method, const char *uri, const char *authorization, const char *body)
{
    struct exchange *exchange = exchange_new(uri);
    assert_non_null(exchange);
    exchange->request.method = method;
    exchange->request.peer = "test";
    exchange->request.authorization = authorization;
    if (exchange_head(&kbs.server, exchange, NULL) && body)
        assert_true(exchange_body(exchange, bytes_str(body)));
    exchange_finish(&kbs.server, exchange);
    return exchange;
}

static inline void kbs_assert_answer(struct exchange *exchange, int status, const char *text)
{
    const char *got = buf_text(&exchange->response.body);
    if (exchange->response.status != status || !strstr(got, text))
        fail_msg("%s: %d %s", exchange->uri, exchange->response.status, got);
    exchange_free(exchange);
}
