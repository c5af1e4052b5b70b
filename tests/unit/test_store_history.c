/* SPDX-License-Identifier: Apache-2.0 */
/* Versions in a directory: what Trustee, people, backups and kills leave there. */
#include "tests/unit/store_fixture.h"

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "crypt/base/file.h"

#define KEY "default/key/1"

static const char *in_root(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void plant(const char *name, const char *text)
{
    char dir[512];
    snprintf(dir, sizeof dir, "%s", in_root(name));
    *strrchr(dir, '/') = '\0';
    assert_done(file_make_dirs(dir, 0700, &err), &err);
    assert_done(file_write(in_root(name), bytes_str(text), 0600, &err), &err);
}

static void put_key(const char *key, const char *text, int64_t not_after)
{
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str(text), &value, &err), &err);
    assert_done(store_write(store, key, value, not_after, NULL, &err), &err);
}

static void put(const char *text)
{
    put_key(KEY, text, 0);
}

static bool read_key(const char *key, int64_t version, struct secret **ret_value)
{
    return store_read(store, key, version, NULL, ret_value, &err);
}

static bool reads(int64_t version)
{
    auto_secret *value = NULL;
    return read_key(KEY, version, &value);
}

static void assert_value(int64_t version, const char *text, int64_t is, int64_t not_after)
{
    auto_secret *value = NULL;
    struct store_version at;
    assert_done(store_read(store, KEY, version, &at, &value, &err), &err);
    assert_true(secret_equal(secret_bytes(value), bytes_str(text)));
    assert_int_equal(at.version, is);
    assert_int_equal(at.not_after, not_after);
}

static int count_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw);
static int counted;

/* Files beneath a directory of the store. */
static int files_in(const char *name)
{
    counted = 0;
    assert_int_equal(nftw(in_root(name), count_one, 16, FTW_PHYS), 0);
    return counted;
}

static int count_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)path;
    (void)stat;
    (void)ftw;
    counted += flag == FTW_F;
    return 0;
}

static void a_first_version_is_one_file_where_trustee_looks(void **state)
{
    (void)state;
    auto_buf text = BUF_INIT(100);
    put("one");
    assert_int_equal(files_in("version"), 0);
    put("two");
    assert_done(file_read(in_root("repository/" KEY), 100, &text, &err), &err);
    assert_string_equal(buf_text(&text), "two");
    assert_int_equal(files_in("repository"), 1);
    assert_int_equal(files_in("version"), 2);
}

static void trustees_file_is_version_one(void **state)
{
    (void)state;
    plant("repository/default\\x2Fkey\\x2F1", "flat");
    assert_value(0, "flat", 1, 0);
    assert_value(1, "flat", 1, 0);
    put("two");
    assert_value(0, "two", 2, 0);
    assert_value(1, "flat", 1, 0);
    assert_int_equal(files_in("repository"), 1);
}

static void what_somebody_else_put_there_is_the_newest(void **state)
{
    (void)state;
    put("one");
    put_key(KEY, "two", 5000000000);
    plant("repository/" KEY, "by hand");
    assert_value(0, "by hand", 3, 0);
    assert_value(2, "two", 2, 5000000000);
    put("four");
    assert_value(0, "four", 4, 0);
    assert_value(3, "by hand", 3, 0);
}

static void a_restored_backup_keeps_its_versions(void **state)
{
    (void)state;
    put("one");
    put_key(KEY, "two", 5000000000);
    plant("repository/" KEY, "two"); /* no hard link any more */
    assert_value(0, "two", 2, 5000000000);
    put("three");
    assert_value(2, "two", 2, 5000000000);
    assert_value(1, "one", 1, 0);
}

static void what_a_killed_put_left_does_not_exist(void **state)
{
    (void)state;
    put("one");
    put("two");
    plant("version/" KEY "/.3.1000.0", "half done");
    assert_value(0, "two", 2, 0);
    assert_refused(reads(3), &err, ERR_NOTFOUND, "no version 3");
    put("three");
    assert_value(0, "three", 3, 0);
    assert_value(2, "two", 2, 0);
    assert_int_equal(unlink(in_root("repository/" KEY)), 0); /* a deletion that was cut short */
    assert_refused(reads(2), &err, ERR_NOTFOUND, "does not exist");
    put("anew");
    assert_value(0, "anew", 1, 0);
    assert_refused(reads(2), &err, ERR_NOTFOUND, "no version 2");
}

static void plaintext_is_read_where_it_may_be(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    struct store_rewrapped done = {0};
    auto_buf text = BUF_INIT(1000);
    plant("repository/default\\x2Fkey\\x2F1", "flat");
    put_key(KEY, "two", 5000000000);
    put("three");
    assert_done(store_use_keys(store, keys, false, &err), &err);
    assert_refused(reads(0), &err, ERR_CONFIG, "stored in plaintext");
    assert_refused(reads(1), &err, ERR_CONFIG, "sealed kbs store rewrap");
    assert_done(store_use_keys(store, keys, true, &err), &err);
    assert_value(0, "three", 3, 0);
    assert_done(store_rewrap(store, &done, &err), &err);
    assert_int_equal(done.versions, 3);
    assert_done(store_use_keys(store, keys, false, &err), &err);
    assert_value(0, "three", 3, 0);
    assert_value(2, "two", 2, 5000000000);
    assert_value(1, "flat", 1, 0);
    assert_done(file_read(in_root("repository/" KEY), 1000, &text, &err), &err);
    assert_true(store_record_is(buf_bytes(&text)));
    /* Nothing of it is left in plaintext, the entry of the current version neither. */
    char command[256];
    snprintf(command, sizeof command, "! grep -rqE 'flat|two|three' %s", root);
    assert_int_equal(system(command), 0);
}

static void a_record_moved_elsewhere_is_refused(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    auto_secret *value = NULL;
    char from[512], to[512];
    assert_done(store_use_keys(store, keys, false, &err), &err);
    put("one");
    put("two");
    put_key("default/key/2", "other", 0);
    snprintf(from, sizeof from, "%s", in_root("repository/default/key/2"));
    snprintf(to, sizeof to, "%s", in_root("repository/" KEY));
    assert_int_equal(rename(from, to), 0);
    assert_refused(reads(0), &err, ERR_IO, "of another name or version");
    put("three"); /* that it is broken does not stop whoever repairs it */
    assert_true(reads(0));
    assert_false(read_key("default/key/2", 0, &value));
}

static void a_damaged_record_can_be_put_anew(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    assert_done(store_use_keys(store, keys, false, &err), &err);
    put("one");
    put("two");
    plant("repository/" KEY, STORE_RECORD_MAGIC "cut off");
    assert_refused(reads(0), &err, ERR_IO, "no whole encrypted record");
    put("three");
    assert_true(reads(0));
    assert_true(reads(1));
}

static void a_value_that_looks_encrypted_needs_a_key(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str(STORE_RECORD_MAGIC " and more"), &value, &err), &err);
    assert_refused(
        store_write(store, KEY, value, 0, NULL, &err), &err, ERR_FORMAT, "needs [store] kek");
    assert_done(store_use_keys(store, keys, false, &err), &err);
    assert_done(store_write(store, KEY, value, 0, NULL, &err), &err);
    assert_value(0, STORE_RECORD_MAGIC " and more", 1, 0);
}

/* -- killed at any moment ----------------------------------------------------------------------------- */

#define RESOURCES 6
#define VERSIONS  3
#define KILLS     40

static void check_all(void)
{
    char key[32], text[32];
    for (int i = 0; i < RESOURCES; i++)
        for (int version = 1; version <= VERSIONS; version++) {
            auto_secret *value = NULL;
            snprintf(key, sizeof key, "default/key/%d", i);
            snprintf(text, sizeof text, "value %d of %d", version, i);
            assert_done(read_key(key, version, &value), &err);
            assert_true(secret_equal(secret_bytes(value), bytes_str(text)));
        }
}

/* The child rewraps until it is killed, a little later each time; what is there can be read after each. It makes its own keys: secrets
 * are not inherited. */
static void rewrap_and_kill(const char *letters, useconds_t after)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct store_rewrapped done = {0};
        struct err mine = ERR_INIT;
        struct store_keys *keys = fixture_keys(letters);
        bool ok = store_use_keys(store, keys, true, &mine) && store_rewrap(store, &done, &mine);
        if (!ok)
            fprintf(stderr, "%s\n", mine.message);
        _exit(ok ? 0 : 1);
    }
    int status;
    usleep(after);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

static void a_rewrap_that_is_killed_loses_nothing(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *first = fixture_keys("a");
    AUTO(store_keys_free) struct store_keys *second = fixture_keys("ba");
    AUTO(store_keys_free) struct store_keys *last = fixture_keys("b");
    struct store_rewrapped done = {0};
    char key[32], text[32];
    for (int version = 1; version <= VERSIONS; version++)
        for (int i = 0; i < RESOURCES; i++) {
            snprintf(key, sizeof key, "default/key/%d", i);
            snprintf(text, sizeof text, "value %d of %d", version, i);
            put_key(key, text, version == 2 ? 5000000000 : 0);
        }
    assert_done(store_use_keys(store, first, true, &err), &err);
    for (int i = 0; i < KILLS; i++) { /* from plaintext */
        rewrap_and_kill("a", (useconds_t)(i * 250));
        check_all();
    }
    assert_done(store_rewrap(store, &done, &err), &err);
    assert_done(store_use_keys(store, second, false, &err), &err);
    for (int i = 0; i < KILLS; i++) { /* from one key to the next */
        rewrap_and_kill("ba", (useconds_t)(i * 250));
        check_all();
    }
    assert_done(store_rewrap(store, &done, &err), &err);
    assert_done(store_use_keys(store, last, false, &err), &err);
    check_all();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(a_first_version_is_one_file_where_trustee_looks),
        TEST(trustees_file_is_version_one),
        TEST(what_somebody_else_put_there_is_the_newest),
        TEST(a_restored_backup_keeps_its_versions),
        TEST(what_a_killed_put_left_does_not_exist),
        TEST(plaintext_is_read_where_it_may_be),
        TEST(a_record_moved_elsewhere_is_refused),
        TEST(a_damaged_record_can_be_put_anew),
        TEST(a_value_that_looks_encrypted_needs_a_key),
        TEST(a_rewrap_that_is_killed_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
