/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/park.h"

#include <errno.h>

#include "tests/unit/lease_fixture.h"

/* A resolver that answers when the test says so. */
struct resolver_call {
    resolve_fn *fn;
    void *arg;
    char path[64];
};

static struct resolver_call *calls[16];
static size_t call_count, cancelled;

static bool fake_resolve(struct resolver *self, const struct resolve_request *request,
    resolve_fn *fn, void *arg, struct resolver_call **ret_call, struct err *err)
{
    (void)self;
    if (strcmp(request->path, "refused at once") == 0)
        return err_set(err, ERR_FORMAT, "at once");
    struct resolver_call *call = calloc(1, sizeof *call);
    *call = (struct resolver_call){.fn = fn, .arg = arg};
    snprintf(call->path, sizeof call->path, "%s", request->path);
    calls[call_count++] = call;
    *ret_call = call;
    return true;
}

static void fake_cancel(struct resolver *self, struct resolver_call *call)
{
    (void)self;
    free(call);
    cancelled++;
}

static void land(size_t index, const char *text, enum err_code code)
{
    auto_secret *secret = NULL;
    struct err err = ERR_INIT;
    struct resolve_result result = {NULL, "kbs:///a/b/c", loop_now_ms()};
    if (text) {
        assert_done(secret_copy(bytes_str(text), &secret, &err), &err);
        result.plaintext = secret;
    } else {
        err_set(&err, code, "as told");
    }
    struct resolver_call call = *calls[index];
    free(calls[index]);
    call.fn(call.arg, text ? &result : NULL, &err);
}

/* What became of each ticket: the errno, 0 for a secret, STALE for a kept one, -1 while it waits. */
#define STALE 100000
static int ends[64];
static size_t last_len;
static struct err last_refusal;
static size_t refusals;
static bool last_awaited;

static void on_reply(void *arg, void *ticket, const struct park_answer *answer)
{
    (void)arg;
    int *end = ticket;
    assert_int_equal(*end, -1); /* once */
    *end = answer->stale ? STALE : answer->sys_errno;
    if (answer->lease)
        last_len = answer->lease->len;
}

static void on_refused(void *arg, const char *path, const struct err *err, bool first, bool awaited)
{
    (void)arg;
    (void)path;
    (void)first;
    last_awaited = awaited;
    last_refusal = *err;
    refusals++;
}

static size_t stales, arrivals;
static enum cache_news last_news;

static void on_stale(void *arg, const char *path, const struct err *err)
{
    (void)arg;
    (void)path;
    (void)err;
    stales++;
}

static void on_arrived(void *arg, const char *path, struct lease *lease, enum cache_news news,
    const struct conf_settings *settings)
{
    (void)arg;
    (void)path;
    (void)lease;
    (void)settings;
    last_news = news;
    arrivals++;
}

static struct conf_settings settings;

struct world {
    struct loop *loop;
    struct leases *leases;
    struct cache *cache;
    struct park *park;
    struct resolver resolver;
    struct blob *blob;
};

static void world_start(struct world *world, int64_t timeout_ms)
{
    struct err err = ERR_INIT;
    struct cache_conf cache = {.error_ttl_ms = 60000, .memory = 100000};
    settings = (struct conf_settings){.fresh_ms = 60000};
    *world = (struct world){.resolver = {.resolve = fake_resolve, .cancel = fake_cancel}};
    assert_done(loop_new(&world->loop, &err), &err);
    assert_done(cache_new(&cache, &world->cache, &err), &err);
    world->leases = leases_make();
    struct park_conf conf = {.loop = world->loop,
        .mountpoint = "/m",
        .leases = world->leases,
        .patience_ms = 20,
        .resolver = &world->resolver,
        .cache = world->cache,
        .timeout_ms = timeout_ms,
        .length_max = 1000,
        .reply = on_reply,
        .events = {.refused = on_refused, .stale = on_stale, .arrived = on_arrived}};
    assert_done(park_new(&conf, &world->park, &err), &err);
    world->blob = blob_make("sealed.x");
    memset(ends, 0xff, sizeof ends);
    call_count = cancelled = refusals = stales = arrivals = 0;
}

static void world_end(struct world *world)
{
    struct park_stats stats;
    struct err err = ERR_INIT;
    park_stop(world->park);
    assert_done(loop_turn(world->loop, 0, &err), &err);
    park_stats(world->park, &stats);
    assert_int_equal(stats.waiters, 0);
    assert_int_equal(stats.flights, 0);
    park_free(world->park);
    cache_free(world->cache);
    leases_free(world->leases);
    loop_free(world->loop);
    blob_unref(world->blob);
}

static void turn(struct world *world)
{
    struct err err = ERR_INIT;
    assert_done(loop_turn(world->loop, 0, &err), &err);
}

static enum cache_result last_result;

static uint64_t add(struct world *world, const char *path, int *ticket)
{
    uint64_t id;
    auto_lease *lease = NULL;
    struct err refusal = ERR_INIT, err = ERR_INIT;
    const struct park_wanted wanted = {path, world->blob, &settings};
    assert_done(
        park_add(world->park, &wanted, ticket, &id, &last_result, &lease, &refusal, &err), &err);
    return id;
}

static uint64_t wait_on(struct world *world, const char *path, int *ticket)
{
    uint64_t id = add(world, path, ticket);
    assert_true(id > 0);
    park_arm(world->park, id);
    return id;
}

static void test_one_flight_for_all(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    for (int i = 0; i < 20; i++)
        wait_on(&world, "same", &ends[i]);
    wait_on(&world, "other", &ends[20]);
    turn(&world);
    assert_int_equal(call_count, 2);
    land(strcmp(calls[0]->path, "same") == 0 ? 0 : 1, "secret", ERR_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(ends[i], 0);
    assert_int_equal(last_len, 6);
    assert_int_equal(ends[20], -1);
    assert_int_equal(add(&world, "same", &ends[21]), 0); /* it is in the cache now */
    world_end(&world);
    assert_int_equal(ends[20], ENOTCONN);
    assert_int_equal(cancelled, 1);
}

static void test_refusals(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    wait_on(&world, "x", &ends[0]);
    wait_on(&world, "x", &ends[1]);
    wait_on(&world, "refused at once", &ends[2]);
    turn(&world);
    assert_int_equal(ends[2], EBADMSG);
    assert_int_equal(call_count, 1);
    land(0, NULL, ERR_UNREACH);
    assert_int_equal(ends[0], EHOSTUNREACH);
    assert_int_equal(ends[1], EHOSTUNREACH);
    assert_int_equal(refusals, 2);
    assert_string_equal(last_refusal.message, "as told");
    assert_int_equal(add(&world, "x", &ends[3]), 0);
    world_end(&world);
}

static void test_too_long(void **state)
{
    char text[1002];
    struct world world;
    (void)state;
    world_start(&world, 60000);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    wait_on(&world, "x", &ends[0]);
    turn(&world);
    land(0, text, ERR_OK);
    assert_int_equal(ends[0], EBADMSG);
    assert_non_null(strstr(last_refusal.message, "secrets.maximum"));
    world_end(&world);
}

static void test_interrupt(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    uint64_t one = wait_on(&world, "x", &ends[0]);
    wait_on(&world, "x", &ends[1]);
    turn(&world);
    park_interrupt(world.park, one);
    assert_int_equal(ends[0], EINTR);
    assert_int_equal(ends[1], -1);
    park_interrupt(world.park, one);
    park_interrupt(world.park, 999);
    land(0, "secret", ERR_OK);
    assert_int_equal(ends[0], EINTR);
    assert_int_equal(ends[1], 0);
    world_end(&world);
}

/* An end that comes between park_add and park_arm is kept until then. */
static void test_before_it_is_armed(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    uint64_t interrupted = add(&world, "x", &ends[0]);
    park_interrupt(world.park, interrupted);
    assert_int_equal(ends[0], -1);
    park_arm(world.park, interrupted);
    assert_int_equal(ends[0], EINTR);
    turn(&world);
    assert_int_equal(call_count, 1); /* and the flight goes on */
    uint64_t late = add(&world, "x", &ends[1]);
    land(0, "secret", ERR_OK);
    assert_int_equal(ends[1], -1);
    park_arm(world.park, late);
    assert_int_equal(ends[1], 0);
    world_end(&world);
}

static void test_deadline(void **state)
{
    struct world world;
    struct err err = ERR_INIT;
    (void)state;
    world_start(&world, 30);
    wait_on(&world, "x", &ends[0]);
    while (ends[0] == -1)
        assert_done(loop_turn(world.loop, 1000, &err), &err);
    assert_int_equal(ends[0], ETIMEDOUT);
    wait_on(&world, "x", &ends[1]); /* joins the flight that is still under way */
    turn(&world);
    assert_int_equal(call_count, 1);
    land(0, "secret", ERR_OK);
    assert_int_equal(ends[1], 0);
    world_end(&world);
}

/* A plaintext that is two minutes old, and usable for ten. */
static void age(struct world *world, const char *path)
{
    enum cache_news news;
    settings.usable_ms = 600000;
    auto_lease *lease = lease_make(world->leases, path, "kept", 120000);
    auto_lease *kept = cache_put(world->cache, path, world->blob, lease, &settings, &news);
    assert_ptr_equal(kept, lease);
}

static void test_asked_before_the_aged_is_served(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    age(&world, "x");
    wait_on(&world, "x", &ends[0]);
    turn(&world);
    assert_int_equal(ends[0], -1);
    land(0, "rotated", ERR_OK);
    assert_int_equal(ends[0], 0);
    assert_int_equal(last_len, strlen("rotated"));
    assert_int_equal(last_news, CACHE_CHANGED);
    assert_int_equal(arrivals, 1);
    world_end(&world);
}

static void test_no_answer(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    age(&world, "x");
    age(&world, "y");
    age(&world, "z");
    wait_on(&world, "x", &ends[0]);
    turn(&world);
    land(0, NULL, ERR_UNREACH);
    assert_int_equal(ends[0], STALE);
    assert_int_equal(last_len, strlen("kept"));
    assert_true(stales == 1 && refusals == 0);
    /* Known to be down: the others do not wait, and the broker is asked in their place. */
    assert_int_equal(add(&world, "y", &ends[1]), 0);
    assert_int_equal(last_result, CACHE_STALE);
    assert_int_equal(add(&world, "y", &ends[1]), 0);
    turn(&world);
    assert_int_equal(call_count, 2);
    /* It is back: what is aged waits for it again. */
    land(1, "new", ERR_OK);
    assert_int_equal(last_news, CACHE_CHANGED);
    wait_on(&world, "z", &ends[2]);
    turn(&world);
    assert_int_equal(ends[2], -1);
    world_end(&world);
}

static void test_denied_although_it_is_kept(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    age(&world, "x");
    wait_on(&world, "x", &ends[0]);
    turn(&world);
    land(0, NULL, ERR_DENIED_POLICY);
    assert_int_equal(ends[0], EKEYREVOKED);
    assert_int_equal(last_refusal.code, ERR_REVOKED);
    assert_int_equal(stales, 0);
    world_end(&world);
}

static void until_it_ends(struct world *world, const int *end)
{
    struct err err = ERR_INIT;
    while (*end == -1)
        assert_done(loop_turn(world->loop, 1000, &err), &err);
}

static void test_patience(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    age(&world, "x");
    age(&world, "y");
    wait_on(&world, "x", &ends[0]);
    wait_on(&world, "never served", &ends[1]);
    until_it_ends(&world, &ends[0]);
    assert_int_equal(ends[0], STALE);
    assert_int_equal(ends[1], -1);
    assert_int_equal(call_count, 2);
    /* While that one hangs, nobody waits who need not. */
    for (int i = 0; i < 5; i++) {
        assert_int_equal(add(&world, "x", &ends[2]), 0);
        assert_int_equal(last_result, CACHE_STALE);
        assert_int_equal(add(&world, "y", &ends[3]), 0);
        assert_int_equal(last_result, CACHE_STALE);
    }
    turn(&world);
    assert_int_equal(call_count, 3);
    land(strcmp(calls[0]->path, "x") == 0 ? 0 : 1, "at last", ERR_OK);
    assert_int_equal(add(&world, "x", &ends[4]), 0);
    assert_int_equal(last_result, CACHE_HIT);
    world_end(&world);
}

/* Revoked while it was waited for: nothing is left to go on with, and the deadline counts. */
static void test_patience_with_nothing(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60);
    age(&world, "x");
    wait_on(&world, "x", &ends[0]);
    wait_on(&world, "y", &ends[1]);
    (void)leases_revoke(world.leases, "x");
    until_it_ends(&world, &ends[0]);
    assert_int_equal(ends[0], ETIMEDOUT);
    until_it_ends(&world, &ends[1]);
    world_end(&world);
}

static void test_expired(void **state)
{
    struct world world;
    enum cache_news news;
    (void)state;
    world_start(&world, 20);
    auto_lease *lease = lease_make(world.leases, "x", "kept", 120000);
    auto_lease *kept = cache_put(world.cache, "x", world.blob, lease, &settings, &news);
    wait_on(&world, "x", &ends[0]);
    until_it_ends(&world, &ends[0]);
    assert_int_equal(ends[0], EKEYEXPIRED); /* the deadline */
    land(0, NULL, ERR_UNREACH);
    assert_int_equal(last_refusal.code, ERR_STALE);
    lease_unref(take_ptr(lease));
    lease_unref(take_ptr(kept));
    world_end(&world);
}

static void test_refresh(void **state)
{
    struct world world;
    (void)state;
    world_start(&world, 60000);
    const struct park_wanted wanted = {"x", world.blob, &settings};
    assert_true(park_refresh(world.park, &wanted));
    assert_true(park_refresh(world.park, &wanted));
    turn(&world);
    assert_int_equal(call_count, 1);
    wait_on(&world, "x", &ends[0]); /* joins it */
    turn(&world);
    assert_int_equal(call_count, 1);
    land(0, "secret", ERR_OK);
    assert_int_equal(ends[0], 0);
    assert_int_equal(last_news, CACHE_FIRST);
    assert_true(park_refresh(world.park, &wanted)); /* nobody joins */
    turn(&world);
    land(1, NULL, ERR_NOTFOUND);
    assert_int_equal(last_refusal.code, ERR_REVOKED);
    assert_false(last_awaited);
    world_end(&world);
}

static void test_after_stop(void **state)
{
    uint64_t id;
    enum cache_result result;
    struct lease *lease = NULL;
    struct world world;
    struct err refusal, err = ERR_INIT;
    (void)state;
    world_start(&world, 60000);
    uint64_t unarmed = add(&world, "x", &ends[0]);
    wait_on(&world, "y", &ends[1]);
    park_stop(world.park);
    const struct park_wanted wanted = {"z", world.blob, &settings};
    assert_false(park_refresh(world.park, &wanted));
    assert_false(park_add(world.park, &wanted, &ends[2], &id, &result, &lease, &refusal, &err));
    assert_int_equal(err.sys_errno, ENOTCONN);
    park_arm(world.park, unarmed);
    turn(&world);
    assert_int_equal(ends[0], ENOTCONN);
    assert_int_equal(ends[1], ENOTCONN);
    assert_int_equal(call_count, 0);
    world_end(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_flight_for_all),
        cmocka_unit_test(test_refusals), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_interrupt), cmocka_unit_test(test_before_it_is_armed),
        cmocka_unit_test(test_deadline), cmocka_unit_test(test_after_stop),
        cmocka_unit_test(test_asked_before_the_aged_is_served), cmocka_unit_test(test_no_answer),
        cmocka_unit_test(test_denied_although_it_is_kept), cmocka_unit_test(test_patience),
        cmocka_unit_test(test_patience_with_nothing), cmocka_unit_test(test_expired),
        cmocka_unit_test(test_refresh)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
