/* SPDX-License-Identifier: Apache-2.0 */
/* What every store must do, told of the directory and of PostgreSQL by the same tests. */
#include "tests/unit/store_fixture.h"

#include <pthread.h>

#include "crypt/base/clock.h"

#define KEY "default/key/1"

static int64_t put_until(const char *text, int64_t not_after)
{
    auto_secret *value = NULL;
    int64_t version = 0;
    assert_done(secret_copy(bytes_str(text), &value, &err), &err);
    assert_done(store_write(store, KEY, value, not_after, &version, &err), &err);
    return version;
}

static int64_t put(const char *text)
{
    return put_until(text, 0);
}

static void assert_read(int64_t version, const char *text, int64_t is)
{
    auto_secret *value = NULL;
    struct store_version at;
    assert_done(store_read(store, KEY, version, &at, &value, &err), &err);
    assert_int_equal(secret_len(value), strlen(text));
    assert_memory_equal(secret_bytes(value).data, text, strlen(text));
    assert_int_equal(at.version, is);
}

static bool reads(int64_t version)
{
    auto_secret *value = NULL;
    return store_read(store, KEY, version, NULL, &value, &err);
}

/* "3 2 1" */
static void assert_versions(const char *wanted)
{
    auto_store_versions versions = {0};
    char text[256] = "";
    assert_done(store_list_versions(store, KEY, &versions, &err), &err);
    for (size_t i = 0; i < versions.count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s%d", i > 0 ? " " : "",
            (int)versions.items[i].version);
    assert_string_equal(text, wanted);
}

static void assert_keys(enum store_space space, const char *wanted)
{
    auto_json *keys = NULL;
    assert_done(store_list(store, space, &keys, &err), &err);
    auto_free char *text = json_text(keys);
    assert_string_equal(text, wanted);
}

static void each_put_is_a_version(void **state)
{
    (void)state;
    assert_refused(reads(0), &err, ERR_NOTFOUND, KEY);
    int64_t before = clock_wall_s();
    assert_int_equal(put("one"), 1);
    assert_versions("1");
    assert_int_equal(put(""), 2);
    assert_int_equal(put_until("three", before + 1000), 3);
    assert_read(0, "three", 3);
    assert_read(3, "three", 3);
    assert_read(2, "", 2);
    assert_read(1, "one", 1);
    assert_refused(reads(4), &err, ERR_NOTFOUND, "no version 4");
    assert_versions("3 2 1");
    auto_store_versions versions = {0};
    assert_done(store_list_versions(store, KEY, &versions, &err), &err);
    assert_int_equal(versions.items[0].not_after, before + 1000);
    assert_int_equal(versions.items[2].not_after, 0);
    assert_in_range(versions.items[0].created, before, clock_wall_s());
    assert_keys(STORE_RESOURCE, "[\"" KEY "\"]");
}

static void an_end_is_kept_with_the_first_version_too(void **state)
{
    (void)state;
    struct store_version at;
    auto_secret *value = NULL;
    assert_int_equal(put_until("one", 5000000000), 1);
    assert_done(store_read(store, KEY, 0, &at, &value, &err), &err);
    assert_int_equal(at.not_after, 5000000000);
    assert_int_equal(put("two"), 2);
    auto_store_versions versions = {0};
    assert_done(store_list_versions(store, KEY, &versions, &err), &err);
    assert_int_equal(versions.items[0].not_after, 0);
    assert_int_equal(versions.items[1].not_after, 5000000000);
}

static void old_ones_go_beyond_the_limit(void **state)
{
    (void)state;
    char text[16];
    store_limits(store, 3);
    for (int i = 1; i <= 5; i++) {
        snprintf(text, sizeof text, "value %d", i);
        assert_int_equal(put(text), i);
    }
    assert_versions("5 4 3");
    assert_refused(reads(2), &err, ERR_NOTFOUND, "no version 2");
    assert_read(3, "value 3", 3);
    store_limits(store, 1);
    assert_int_equal(put("value 6"), 6);
    assert_versions("6");
    assert_int_equal(put("value 7"), 7);
    assert_versions("7");
    assert_read(0, "value 7", 7);
}

static void one_version_is_deleted_or_all(void **state)
{
    (void)state;
    put("one");
    put("two");
    put("three");
    assert_refused(store_delete_version(store, KEY, 3, &err), &err, ERR_FORMAT, "the current one");
    assert_done(store_delete_version(store, KEY, 2, &err), &err);
    assert_versions("3 1");
    assert_refused(reads(2), &err, ERR_NOTFOUND, "no version 2");
    assert_refused(store_delete_version(store, KEY, 2, &err), &err, ERR_NOTFOUND, "no version 2");
    assert_refused(store_delete_version(store, KEY, 9, &err), &err, ERR_NOTFOUND, "no version 9");
    assert_done(store_delete(store, STORE_RESOURCE, KEY, &err), &err);
    assert_refused(reads(0), &err, ERR_NOTFOUND, KEY);
    assert_refused(reads(1), &err, ERR_NOTFOUND, KEY);
    assert_refused(
        store_delete(store, STORE_RESOURCE, KEY, &err), &err, ERR_NOTFOUND, "does not exist");
    assert_keys(STORE_RESOURCE, "[]");
    put("anew");
    assert_read(0, "anew", 1);
    assert_versions("1");
}

/* -- many at once ---------------------------------------------------------------------------------- */

#define RACERS 8
#define PUTS   5

static void *put_often(void *arg)
{
    struct err mine = ERR_INIT;
    int64_t *versions = arg;
    auto_secret *value = NULL;
    if (!secret_copy(bytes_str("raced"), &value, &mine))
        return NULL;
    for (int i = 0; i < PUTS; i++)
        if (!store_write(store, KEY, value, 0, &versions[i], &mine)) {
            fprintf(stderr, "%s\n", mine.message);
            return NULL;
        }
    return arg;
}

static void no_accepted_put_is_lost(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    int64_t versions[RACERS][PUTS] = {0};
    bool seen[RACERS * PUTS + 1] = {false};
    store_limits(store, STORE_VERSIONS_MAX);
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, put_often, versions[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_non_null(done);
    }
    for (size_t i = 0; i < RACERS; i++)
        for (size_t j = 0; j < PUTS; j++) {
            assert_in_range(versions[i][j], 1, RACERS * PUTS);
            assert_false(seen[versions[i][j]]);
            seen[versions[i][j]] = true;
            assert_read(versions[i][j], "raced", versions[i][j]);
        }
}

static void *create_one(void *arg)
{
    struct err mine = ERR_INIT;
    bool created = false;
    char text[32];
    snprintf(text, sizeof text, "%p", arg);
    if (!store_create(store, STORE_NONCE, "n", bytes_str(text), &created, &mine))
        return NULL;
    *(bool *)arg = created;
    return arg;
}

static void only_one_creates(void **state)
{
    (void)state;
    pthread_t threads[RACERS];
    bool created[RACERS] = {0};
    auto_buf out = BUF_INIT(100);
    int winners = 0;
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, create_one, &created[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_non_null(done);
        winners += created[i];
    }
    assert_int_equal(winners, 1);
    assert_done(store_get(store, STORE_NONCE, "n", &out, &err), &err);
    for (size_t i = 0; i < RACERS; i++) {
        char text[32];
        snprintf(text, sizeof text, "%p", (void *)&created[i]);
        assert_int_equal(created[i], strcmp(text, buf_text(&out)) == 0);
    }
}

/* -- the other spaces -------------------------------------------------------------------------------- */

static void spaces_hold_bytes(void **state)
{
    (void)state;
    static const uint8_t odd[] = {0, 1, 255, '\'', '\\', 0};
    auto_buf out = BUF_INIT(100), small = BUF_INIT(3);
    assert_refused(
        store_get(store, STORE_POLICY, "x/y", &out, &err), &err, ERR_NOTFOUND, "kbs/x/y");
    assert_done(store_put(store, STORE_POLICY, "x/y", bytes_of(odd, sizeof odd), &err), &err);
    assert_done(store_put(store, STORE_AGENT, "x/y", bytes_str(""), &err), &err);
    assert_done(store_get(store, STORE_POLICY, "x/y", &out, &err), &err);
    assert_int_equal(out.len, sizeof odd);
    assert_memory_equal(out.data, odd, sizeof odd);
    assert_refused(
        store_get(store, STORE_POLICY, "x/y", &small, &err), &err, ERR_FORMAT, "kbs/x/y");
    buf_truncate(&out, 0);
    assert_done(store_get(store, STORE_AGENT, "x/y", &out, &err), &err);
    assert_int_equal(out.len, 0);
    assert_done(store_put(store, STORE_POLICY, "a", bytes_str("2"), &err), &err);
    assert_done(store_put(store, STORE_POLICY, "a", bytes_str("3"), &err), &err);
    assert_done(store_put(store, STORE_POLICY, "B", bytes_str("2"), &err), &err);
    assert_done(store_put(store, STORE_POLICY, "a-b", bytes_str("2"), &err), &err);
    assert_done(store_get(store, STORE_POLICY, "a", &out, &err), &err);
    assert_string_equal(buf_text(&out), "3");
    assert_keys(STORE_POLICY, "[\"B\",\"a\",\"a-b\",\"x/y\"]"); /* by bytes, in no locale */
    assert_done(store_delete(store, STORE_POLICY, "x/y", &err), &err);
    assert_refused(store_delete(store, STORE_POLICY, "x/y", &err), &err, ERR_NOTFOUND, "kbs/x/y");
    assert_keys(STORE_AGENT, "[\"x/y\"]");
    assert_refused(store_put(store, STORE_POLICY, "a/../b", bytes_str("2"), &err), &err, ERR_FORMAT,
        "is no name");
    assert_refused(
        store_put(store, STORE_RESOURCE, KEY, bytes_str("2"), &err), &err, ERR_INTERNAL, "secret");
}

static void what_is_old_is_pruned(void **state)
{
    (void)state;
    size_t count = 99;
    int64_t now = clock_wall_s();
    assert_done(store_put(store, STORE_NONCE, "a", bytes_str("x"), &err), &err);
    assert_done(store_put(store, STORE_NONCE, "b", bytes_str("x"), &err), &err);
    assert_done(store_put(store, STORE_EXPLANATION, "c", bytes_str("x"), &err), &err);
    assert_done(store_prune(store, STORE_NONCE, now - 100, &count, &err), &err);
    assert_int_equal(count, 0);
    assert_done(store_prune(store, STORE_NONCE, now + 100, &count, &err), &err);
    assert_int_equal(count, 2);
    assert_keys(STORE_NONCE, "[]");
    assert_keys(STORE_EXPLANATION, "[\"c\"]");
    assert_false(store_prune(store, STORE_RESOURCE, now + 100, &count, &err));
}

/* -- keys -------------------------------------------------------------------------------------------- */

static void a_wrong_key_fails_at_the_start(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *a = fixture_keys("a");
    AUTO(store_keys_free) struct store_keys *b = fixture_keys("b");
    AUTO(store_keys_free) struct store_keys *ba = fixture_keys("ba");
    assert_done(store_use_keys(store, a, false, &err), &err);
    put("under a");
    assert_refused(store_use_keys(store, b, false, &err), &err, ERR_CONFIG, "wrong key-encryption");
    assert_refused(store_use_keys(store, NULL, false, &err), &err, ERR_CONFIG, "[store] kek");
    assert_done(store_use_keys(store, a, false, &err), &err);
    assert_read(0, "under a", 1);
    assert_done(store_use_keys(store, ba, false, &err), &err);
    assert_int_equal(put("under b"), 2);
    assert_read(1, "under a", 1);
    assert_refused(store_use_keys(store, a, false, &err), &err, ERR_CONFIG, "wrong key-encryption");
}

static void a_rewrap_changes_all_and_lets_the_old_key_go(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *a = fixture_keys("a");
    AUTO(store_keys_free) struct store_keys *ba = fixture_keys("ba");
    AUTO(store_keys_free) struct store_keys *b = fixture_keys("b");
    struct store_rewrapped done = {0};
    assert_done(store_use_keys(store, a, false, &err), &err);
    put("one");
    put_until("two", 5000000000);
    put("three");
    assert_done(store_use_keys(store, ba, false, &err), &err);
    assert_done(store_rewrap(store, &done, &err), &err);
    assert_int_equal(done.resources, 1);
    assert_int_equal(done.versions, 3);
    assert_done(store_use_keys(store, b, false, &err), &err);
    assert_read(0, "three", 3);
    assert_read(2, "two", 2);
    assert_read(1, "one", 1);
    auto_store_versions versions = {0};
    assert_done(store_list_versions(store, KEY, &versions, &err), &err);
    assert_int_equal(versions.items[1].not_after, 5000000000);
    assert_refused(store_use_keys(store, a, false, &err), &err, ERR_CONFIG, "wrong key-encryption");
    assert_done(store_rewrap(store, &done, &err), &err);
    assert_int_equal(done.versions, 0);
    assert_int_equal(put("four"), 4);
    assert_versions("4 3 2 1");
}

static bool stop_writing;

static void *write_on(void *arg)
{
    struct err mine = ERR_INIT;
    auto_secret *value = NULL, *got = NULL;
    if (!secret_copy(bytes_str("meanwhile"), &value, &mine))
        return NULL;
    while (!__atomic_load_n(&stop_writing, __ATOMIC_RELAXED)) {
        secret_unref(take_ptr(got));
        if (!store_write(store, "other/key/1", value, 0, NULL, &mine) ||
            !store_read(store, "other/key/1", 0, NULL, &got, &mine)) {
            fprintf(stderr, "%s\n", mine.message);
            return NULL;
        }
    }
    return arg;
}

static void others_go_on_during_a_rewrap(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *ba = fixture_keys("ba");
    AUTO(store_keys_free) struct store_keys *ab = fixture_keys("ab");
    struct store *second = NULL;
    struct store_rewrapped done = {0};
    pthread_t thread;
    void *went = NULL;
    assert_done(store_use_keys(store, ab, false, &err), &err);
    for (int i = 0; i < 8; i++)
        put("value");
    fixture_open(&second);
    assert_done(store_use_keys(second, ba, false, &err), &err);
    assert_done(store_use_keys(store, ba, false, &err), &err);
    __atomic_store_n(&stop_writing, false, __ATOMIC_RELAXED);
    assert_int_equal(pthread_create(&thread, NULL, write_on, store), 0);
    assert_done(store_rewrap(second, &done, &err), &err);
    __atomic_store_n(&stop_writing, true, __ATOMIC_RELAXED);
    pthread_join(thread, &went);
    store_free(second);
    assert_non_null(went);
    assert_int_equal(done.versions, 8);
    assert_read(0, "value", 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(each_put_is_a_version),
        TEST(an_end_is_kept_with_the_first_version_too),
        TEST(old_ones_go_beyond_the_limit),
        TEST(one_version_is_deleted_or_all),
        TEST(no_accepted_put_is_lost),
        TEST(only_one_creates),
        TEST(spaces_hold_bytes),
        TEST(what_is_old_is_pruned),
        TEST(a_wrong_key_fails_at_the_start),
        TEST(a_rewrap_changes_all_and_lets_the_old_key_go),
        TEST(others_go_on_during_a_rewrap),
    };
    struct postgres postgres = {0};
    int failed = cmocka_run_group_tests_name("directory", tests, NULL, NULL);
    postgres_setup(&postgres);
    fixture_postgres = &postgres;
    failed += cmocka_run_group_tests_name("PostgreSQL", tests, NULL, NULL);
    postgres_teardown(&postgres);
    return failed;
}
