/* SPDX-License-Identifier: Apache-2.0 */
/* When a plaintext is over, and when the guest itself is doubted. */
#include "fs/custody.h"

#include <string.h>

#include "tests/unit/lease_fixture.h"

static struct loop *loop;
static struct custody *custody;
static struct leases *leases;
static char seen[256];
static struct {
    struct resolver resolver;
    unsigned probes, anew, cancels;
    resolve_fn *fn;
    void *arg;
} fake;

static bool probe(struct resolver *self, bool anew, int64_t timeout_ms, resolve_fn *fn, void *arg,
    struct resolver_call **ret_call, struct err *err)
{
    (void)self, (void)timeout_ms, (void)err;
    fake.probes++;
    fake.anew += anew;
    fake.fn = fn;
    fake.arg = arg;
    *ret_call = (struct resolver_call *)&fake;
    return true;
}

static void cancel(struct resolver *self, struct resolver_call *call)
{
    (void)self, (void)call;
    fake.cancels++;
}

static void note(const char *what, const char *path)
{
    size_t used = strlen(seen);
    snprintf(seen + used, sizeof seen - used, "%s %.100s;", what, path ? path : "all");
}

static void on_over(void *arg, const char *path, struct lease *lease)
{
    (void)arg;
    note(lease ? "now" : "over", path);
}
static void on_distrusted(void *arg, const struct err *err)
{
    (void)arg;
    note("distrusted", err->message);
}
static void on_refused(void *arg, const char *path, const struct err *err, bool awaited)
{
    (void)arg, (void)err, (void)awaited;
    note("refused", path);
}
static void on_changed(
    void *arg, const char *path, const struct conf_settings *settings, bool first)
{
    (void)arg, (void)settings;
    note(first ? "first" : "changed", path);
}

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    memset(&fake, 0, sizeof fake);
    seen[0] = '\0';
    fake.resolver = (struct resolver){.probe = probe, .cancel = cancel};
    if (!loop_new(&loop, &err))
        return -1;
    const struct custody_conf conf = {.loop = loop,
        .error_ttl_ms = 1000,
        .memory = 1 << 20,
        .over = on_over,
        .distrusted = on_distrusted,
        .refused = on_refused,
        .changed = on_changed};
    if (!custody_new(&conf, &fake.resolver, &custody, &err))
        return -1;
    leases = custody_leases(custody);
    return 0;
}

static int end(void **state)
{
    (void)state;
    custody_free(custody);
    loop_free(loop);
    return 0;
}

static void refuse(enum err_code code, bool first)
{
    struct err err = ERR_INIT;
    struct park_events events = custody_events(custody);
    err_set(&err, code, "as it says");
    events.refused(events.arg, "/m/a", &err, first, true);
}

/* Wherever it is held, and only what lies at that path. */
static void a_withdrawn_secret_is_wiped(void **state)
{
    auto_lease *gone = lease_make(leases, "/m/a", "gone", 0),
               *stays = lease_make(leases, "/m/b", "stays", 0);
    (void)state;
    refuse(ERR_UNREACH, false);
    assert_true(lease_holds(gone, "gone"));
    refuse(ERR_REVOKED, true);
    assert_true(lease_is_revoked(gone));
    assert_true(lease_holds(stays, "stays"));
    assert_string_equal(seen, "refused /m/a;over /m/a;refused /m/a;");
}

/* The first withdrawal may be of the guest: every broker is asked anew, once at a time. */
static void a_withdrawal_is_a_doubt(void **state)
{
    (void)state;
    refuse(ERR_DENIED_POLICY, false);
    assert_int_equal(fake.probes, 0);
    refuse(ERR_REVOKED, true);
    refuse(ERR_REVOKED, true);
    assert_int_equal(fake.probes, 1);
    assert_int_equal(fake.anew, 1);
    struct err err = ERR_INIT;
    err_set(&err, ERR_UNREACH, "nobody answers");
    fake.fn(fake.arg, NULL, &err);
    refuse(ERR_REVOKED, true);
    assert_int_equal(fake.probes, 2);
}

static void a_guest_that_is_not_trusted_keeps_nothing(void **state)
{
    auto_lease *one = lease_make(leases, "/m/a", "one", 0),
               *other = lease_make(leases, "/n/b", "other", 0);
    struct err err = ERR_INIT;
    (void)state;
    err_set(&err, ERR_DENIED_POLICY, "not affirming");
    fake.resolver.distrusted(fake.resolver.distrusted_arg, &err);
    assert_true(lease_is_revoked(one) && lease_is_revoked(other));
    assert_string_equal(seen, "over all;distrusted not affirming;");
}

/* What arrives is shown from now on only when it is another; the first tells nobody of a change. */
static void news(void **state)
{
    auto_lease *lease = lease_make(leases, "/m/a", "text", 0);
    struct park_events events = custody_events(custody);
    (void)state;
    events.arrived(events.arg, "/m/a", lease, CACHE_FIRST, NULL);
    events.arrived(events.arg, "/m/a", lease, CACHE_SAME, NULL);
    events.arrived(events.arg, "/m/a", lease, CACHE_CHANGED, NULL);
    assert_string_equal(seen, "first /m/a;now /m/a;changed /m/a;");
}

static void an_end_cancels_the_doubt(void **state)
{
    (void)state;
    refuse(ERR_REVOKED, true);
    custody_free(custody);
    custody = NULL;
    assert_int_equal(fake.cancels, 1);
    assert_null(fake.resolver.distrusted);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_withdrawn_secret_is_wiped),
        TEST(a_withdrawal_is_a_doubt),
        TEST(a_guest_that_is_not_trusted_keeps_nothing),
        TEST(news),
        TEST(an_end_cancels_the_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
