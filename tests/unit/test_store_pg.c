/* SPDX-License-Identifier: Apache-2.0 */
/* What only a database does: it restarts, hangs, is not there yet, and has a schema. */
#include "tests/unit/store_fixture.h"

#include <pthread.h>

#define KEY     "default/key/1"
#define WRITERS 4

static struct postgres postgres;

static void script(const char *text)
{
    const struct pg_target target = postgres_target(&postgres);
    AUTO(pg_link_free) struct pg_link *link = NULL;
    assert_done(pg_link_open(&target, &link, &err), &err);
    assert_done(pg_link_script(link, text, &err), &err);
}

/* -- a restart ----------------------------------------------------------------------------------------- */

struct writer {
    int64_t versions, nonces;
    bool ok;
    int number;
};
static bool stop_writing;

static void *write_on(void *arg)
{
    struct writer *writer = arg;
    struct err mine = ERR_INIT;
    auto_secret *value = NULL;
    char key[32], nonce[32];
    snprintf(key, sizeof key, "default/key/%d", writer->number);
    writer->ok = secret_copy(bytes_str("value"), &value, &mine);
    while (writer->ok && !__atomic_load_n(&stop_writing, __ATOMIC_RELAXED)) {
        int64_t version = 0;
        bool created = false;
        snprintf(nonce, sizeof nonce, "n%d-%lld", writer->number, (long long)writer->nonces);
        writer->ok =
            store_write(store, key, value, 0, &version, &mine) && version == writer->versions + 1 &&
            store_create(store, STORE_NONCE, nonce, bytes_str(nonce), &created, &mine) && created;
        writer->versions = version;
        __atomic_fetch_add(&writer->nonces, 1, __ATOMIC_RELAXED);
    }
    if (!writer->ok)
        fprintf(stderr, "%s\n", mine.message);
    return NULL;
}

static void await_nonces(const struct writer *writer, int64_t more)
{
    const struct timespec pause = {0, 5000000};
    int64_t wanted = __atomic_load_n(&writer->nonces, __ATOMIC_RELAXED) + more;
    for (int i = 0; i < 20000 && __atomic_load_n(&writer->nonces, __ATOMIC_RELAXED) < wanted; i++)
        nanosleep(&pause, NULL);
}

/* Every write is accepted once, none twice and none is lost: neither in an orderly restart nor in a crash. */
static void a_restart_is_a_pause(void **state)
{
    (void)state;
    static const int ends[] = {SIGINT, SIGQUIT};
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS] = {0};
    auto_json *nonces = NULL;
    size_t wanted = 0;
    store_limits(store, STORE_VERSIONS_MAX);
    __atomic_store_n(&stop_writing, false, __ATOMIC_RELAXED);
    for (int i = 0; i < WRITERS; i++) {
        writers[i].number = i;
        assert_int_equal(pthread_create(&threads[i], NULL, write_on, &writers[i]), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        await_nonces(&writers[0], 5);
        postgres_stop(&postgres, ends[i]);
        postgres_start(&postgres);
    }
    await_nonces(&writers[0], 5);
    __atomic_store_n(&stop_writing, true, __ATOMIC_RELAXED);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_done(store_list(store, STORE_NONCE, &nonces, &err), &err);
    for (int i = 0; i < WRITERS; i++) {
        auto_store_versions versions = {0};
        char key[32];
        assert_true(writers[i].ok);
        snprintf(key, sizeof key, "default/key/%d", i);
        assert_done(store_list_versions(store, key, &versions, &err), &err);
        assert_int_equal(versions.items[0].version, writers[i].versions);
        wanted += (size_t)writers[i].nonces;
    }
    assert_int_equal(json_array_size(nonces), wanted);
}

/* -- it does not answer ---------------------------------------------------------------------------------- */

static void nobody_waits_for_ever(void **state)
{
    (void)state;
    struct store_pg_conf conf = postgres_conf(&postgres);
    AUTO(store_free) struct store *hasty = NULL;
    auto_buf out = BUF_INIT(100);
    const struct pg_target target = postgres_target(&postgres);
    AUTO(pg_link_free) struct pg_link *other = NULL;
    conf.retry_ms = 0;
    assert_done(store_pg_open(&conf, &hasty, &err), &err);
    store_free(take_ptr(hasty));
    conf.target.statement_ms = 300;
    assert_done(store_pg_open(&conf, &hasty, &err), &err);
    assert_done(pg_link_open(&target, &other, &err), &err);
    assert_done(pg_link_script(other, "BEGIN; LOCK TABLE record", &err), &err);
    assert_refused(store_get(hasty, STORE_POLICY, "x", &out, &err), &err, ERR_TIMEOUT, "timeout");
    assert_done(pg_link_script(other, "COMMIT", &err), &err);
    assert_refused(store_get(hasty, STORE_POLICY, "x", &out, &err), &err, ERR_NOTFOUND, "kbs/x");
}

static void *open_it(void *arg)
{
    struct err mine = ERR_INIT;
    const struct store_pg_conf conf = postgres_conf(&postgres);
    struct store *opened = NULL;
    if (!store_pg_open(&conf, &opened, &mine))
        return NULL;
    store_free(opened);
    return arg;
}

static void it_may_start_after_us(void **state)
{
    (void)state;
    struct store_pg_conf conf = postgres_conf(&postgres);
    struct store *none = NULL;
    auto_buf out = BUF_INIT(100);
    pthread_t thread;
    void *opened = NULL;
    postgres_stop(&postgres, SIGINT);
    conf.start_ms = 50;
    assert_refused(store_pg_open(&conf, &none, &err), &err, ERR_UNREACH, "database postgres on");
    assert_int_equal(pthread_create(&thread, NULL, open_it, &conf), 0);
    postgres_start(&postgres);
    pthread_join(thread, &opened);
    assert_non_null(opened);
    assert_refused(store_get(store, STORE_POLICY, "x", &out, &err), &err, ERR_NOTFOUND, "kbs/x");
}

/* -- the schema -------------------------------------------------------------------------------------------- */

static bool opens(void)
{
    const struct store_pg_conf conf = postgres_conf(&postgres);
    AUTO(store_free) struct store *opened = NULL;
    return store_pg_open(&conf, &opened, &err);
}

static void *migrate(void *arg)
{
    struct err mine = ERR_INIT;
    const struct store_pg_conf conf = postgres_conf(&postgres);
    int64_t *from = arg, to = 0;
    bool done = store_pg_migrate(&conf, from, &to, &mine);
    if (!done)
        fprintf(stderr, "%s\n", mine.message);
    return done ? arg : NULL;
}

static void migrations_are_made_once(void **state)
{
    (void)state;
    pthread_t threads[WRITERS];
    int64_t from[WRITERS];
    int first = 0;
    script("DROP SCHEMA sealed CASCADE");
    assert_refused(opens(), &err, ERR_CONFIG, "sealed kbs store migrate");
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, migrate, &from[i]), 0);
    for (int i = 0; i < WRITERS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_non_null(done);
        first += from[i] == 0;
    }
    assert_int_equal(first, 1);
    assert_true(opens());
}

static void a_newer_schema_is_refused(void **state)
{
    (void)state;
    const struct store_pg_conf conf = postgres_conf(&postgres);
    int64_t from, to;
    script("INSERT INTO schema_version (version) VALUES (1000)");
    assert_refused(opens(), &err, ERR_CONFIG, "has version 1000");
    assert_refused(store_pg_migrate(&conf, &from, &to, &err), &err, ERR_CONFIG, "newer program");
    script("DELETE FROM schema_version");
    assert_refused(opens(), &err, ERR_CONFIG, "sealed kbs store migrate");
}

/* -- what is in it ------------------------------------------------------------------------------------------ */

static void no_plaintext_is_in_it(void **state)
{
    (void)state;
    auto_secret *value = NULL;
    struct pg_rows *rows = NULL;
    enum pg_outcome outcome;
    const struct pg_target target = postgres_target(&postgres);
    AUTO(pg_link_free) struct pg_link *link = NULL;
    static const struct pg_statement search = {
        0, "SELECT count(*) FROM resource WHERE position($1::bytea in record) > 0"};
    const struct pg_param text[] = {PG_P_BYTES(bytes_str("the plaintext")), PG_P_END};
    const struct pg_param magic[] = {PG_P_BYTES(bytes_str(STORE_RECORD_MAGIC)), PG_P_END};
    assert_done(secret_copy(bytes_str("the plaintext"), &value, &err), &err);
    assert_done(store_write(store, KEY, value, 0, NULL, &err), &err);
    assert_done(pg_link_open(&target, &link, &err), &err);
    assert_done(pg_link_run(link, &search, text, &rows, &outcome, &err), &err);
    assert_int_equal(pg_rows_int(rows, 0, 0), 0);
    pg_rows_free(rows);
    assert_done(pg_link_run(link, &search, magic, &rows, &outcome, &err), &err);
    assert_int_equal(pg_rows_int(rows, 0, 0), 1);
    pg_rows_free(rows);
    script("UPDATE resource SET record = 'in clear text'");
    secret_unref(take_ptr(value));
    assert_refused(
        store_read(store, KEY, 0, NULL, &value, &err), &err, ERR_IO, "no encrypted record");
    AUTO(store_free) struct store *without = NULL;
    auto_secret *other = NULL;
    assert_done(secret_copy(bytes_str("x"), &other, &err), &err);
    fixture_open(&without);
    assert_refused(
        store_write(without, KEY, other, 0, NULL, &err), &err, ERR_CONFIG, "[store] kek");
}

static void a_row_moved_elsewhere_is_refused(void **state)
{
    (void)state;
    auto_secret *value = NULL, *got = NULL;
    assert_done(secret_copy(bytes_str("one"), &value, &err), &err);
    assert_done(store_write(store, KEY, value, 0, NULL, &err), &err);
    script("INSERT INTO resource SELECT 'default/key/2', version, record, created, not_after FROM "
           "resource");
    assert_refused(store_read(store, "default/key/2", 0, NULL, &got, &err), &err, ERR_IO,
        "of another name or version");
    script("UPDATE resource SET version = 9 WHERE key = 'default/key/1'");
    assert_refused(
        store_read(store, KEY, 0, NULL, &got, &err), &err, ERR_IO, "holds the record of version 1");
}

static void a_directory_is_copied(void **state)
{
    (void)state;
    AUTO(store_free) struct store *from = NULL;
    auto_secret *value = NULL, *got = NULL;
    auto_buf out = BUF_INIT(100);
    struct store_version at;
    size_t count = 0;
    assert_done(store_dir_open(root, &from, &err), &err);
    assert_done(secret_copy(bytes_str("one"), &value, &err), &err);
    for (int i = 0; i < 4; i++)
        assert_done(store_write(from, KEY, value, i == 1 ? 5000000000 : 0, NULL, &err), &err);
    assert_done(store_delete_version(from, KEY, 1, &err), &err);
    assert_done(store_put(from, STORE_POLICY, "resource-policy", bytes_str("deny **"), &err), &err);
    assert_done(store_put(from, STORE_NONCE, "n", bytes_str("x"), &err), &err);
    assert_done(store_copy(from, store, &count, &err), &err);
    assert_int_equal(count, 4);
    assert_done(store_read(store, KEY, 2, &at, &got, &err), &err);
    assert_int_equal(at.not_after, 5000000000);
    assert_done(store_get(store, STORE_POLICY, "resource-policy", &out, &err), &err);
    assert_string_equal(buf_text(&out), "deny **");
    assert_done(store_copy(from, store, &count, &err), &err);
    assert_int_equal(count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_restart_is_a_pause),
        TEST(nobody_waits_for_ever),
        TEST(it_may_start_after_us),
        TEST(migrations_are_made_once),
        TEST(a_newer_schema_is_refused),
        TEST(no_plaintext_is_in_it),
        TEST(a_row_moved_elsewhere_is_refused),
        TEST(a_directory_is_copied),
    };
    postgres_setup(&postgres);
    fixture_postgres = &postgres;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_teardown(&postgres);
    return failed;
}
