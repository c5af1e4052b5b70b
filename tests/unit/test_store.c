/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/base/file.h"
#include "kbs/server/store/store.h"

static struct err err;
static char root[64];
static struct store *store;

static int make_store(void **state)
{
    (void)state;
    strcpy(root, "/tmp/sealed-store.XXXXXX");
    return mkdtemp(root) && store_dir_open(root, &store, &err) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *stat, int flag, struct FTW *ftw)
{
    (void)stat;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int drop_store(void **state)
{
    (void)state;
    store_free(store);
    return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static const char *in_root(const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", root, name);
    return path;
}

static void plant(const char *name, const char *text)
{
    assert_done(file_write(in_root(name), bytes_str(text), 0600, &err), &err);
}

static void put(const char *key, const char *text)
{
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str(text), &value, &err), &err);
    assert_done(store_put_secret(store, STORE_RESOURCE, key, value, &err), &err);
}

static void assert_value(const char *key, const char *text)
{
    auto_secret *value = NULL;
    assert_done(store_get_secret(store, STORE_RESOURCE, key, &value, &err), &err);
    assert_int_equal(secret_len(value), strlen(text));
    assert_memory_equal(secret_bytes(value).data, text, strlen(text));
}

static bool get(const char *key)
{
    auto_secret *value = NULL;
    return store_get_secret(store, STORE_RESOURCE, key, &value, &err);
}

static void assert_keys(enum store_space space, const char *wanted)
{
    auto_json *keys = NULL;
    assert_done(store_list(store, space, &keys, &err), &err);
    auto_free char *text = json_text(keys);
    assert_string_equal(text, wanted);
}

static void put_get_replace_delete(void **state)
{
    (void)state;
    put("default/key/1", "first");
    assert_value("default/key/1", "first");
    put("default/key/1", "second, longer");
    assert_value("default/key/1", "second, longer");
    put("default/key/1", "");
    assert_value("default/key/1", "");
    assert_keys(STORE_RESOURCE, "[\"default/key/1\"]");
    assert_done(store_delete(store, STORE_RESOURCE, "default/key/1", &err), &err);
    assert_refused(get("default/key/1"), &err, ERR_NOTFOUND, "default/key/1");
    assert_refused(store_delete(store, STORE_RESOURCE, "default/key/1", &err), &err, ERR_NOTFOUND,
        "default/key/1");
    assert_keys(STORE_RESOURCE, "[]");
}

static void files_are_private(void **state)
{
    (void)state;
    struct stat stat_file, stat_dir;
    put("default/key/1", "x");
    assert_int_equal(stat(in_root("repository/default/key/1"), &stat_file), 0);
    assert_int_equal(stat_file.st_mode & 07777, 0600);
    assert_int_equal(stat(in_root("repository/default/key"), &stat_dir), 0);
    assert_int_equal(stat_dir.st_mode & 07777, 0700);
}

static void hostile_keys_are_refused(void **state)
{
    (void)state;
    static const char *const keys[] = {"", "/", "a/", "/a", "a//b", ".", "..", "../x", "a/../b",
        "a/.b", ".new-x", "a b", "a%2fb", "a\\x2Fb", "a\nb", "a/b/c/d/e/f/g", "caf\xc3\xa9"};
    auto_secret *value = NULL;
    auto_buf out = BUF_INIT(100);
    assert_done(secret_copy(bytes_str("x"), &value, &err), &err);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        assert_false(store_key_ok(keys[i]));
        assert_refused(get(keys[i]), &err, ERR_FORMAT, "is no name");
        assert_refused(store_put_secret(store, STORE_RESOURCE, keys[i], value, &err), &err,
            ERR_FORMAT, "is no name");
        assert_refused(
            store_get(store, STORE_POLICY, keys[i], &out, &err), &err, ERR_FORMAT, "is no name");
        assert_refused(
            store_delete(store, STORE_POLICY, keys[i], &err), &err, ERR_FORMAT, "is no name");
    }
    assert_keys(STORE_RESOURCE, "[]");
}

static void the_longest_key_works(void **state)
{
    (void)state;
    char name[3 * 256] = "";
    memset(name, 'k', sizeof name - 1);
    name[255] = name[511] = '/';
    put(name, "long");
    assert_value(name, "long");
    assert_done(store_delete(store, STORE_RESOURCE, name, &err), &err);
    name[255] = 'k';
    assert_false(store_key_ok(name));
}

static void spaces_are_apart(void **state)
{
    (void)state;
    auto_buf out = BUF_INIT(100);
    assert_done(store_put(store, STORE_POLICY, "a", bytes_str("policy"), &err), &err);
    assert_refused(store_get(store, STORE_REFERENCE, "a", &out, &err), &err, ERR_NOTFOUND,
        "reference_value/a");
    assert_done(store_get(store, STORE_POLICY, "a", &out, &err), &err);
    assert_string_equal(buf_text(&out), "policy");
    /* Plaintext has no way into ordinary memory. */
    assert_refused(store_get(store, STORE_RESOURCE, "a", &out, &err), &err, ERR_INTERNAL, "secret");
    assert_refused(
        store_put(store, STORE_RESOURCE, "a", bytes_str("x"), &err), &err, ERR_INTERNAL, "secret");
}

static void trustees_flat_layout_is_read(void **state)
{
    (void)state;
    plant("repository/default\\x2Fkey\\x2F1", "flat");
    assert_value("default/key/1", "flat");
    assert_keys(STORE_RESOURCE, "[\"default/key/1\"]");
    put("default/key/1", "nested");
    assert_value("default/key/1", "nested");
    assert_int_equal(access(in_root("repository/default\\x2Fkey\\x2F1"), F_OK), -1);
    /* An old file that comes back must not outlive a deletion. */
    plant("repository/default\\x2Fkey\\x2F1", "flat");
    assert_value("default/key/1", "nested");
    assert_keys(STORE_RESOURCE, "[\"default/key/1\"]");
    assert_done(store_delete(store, STORE_RESOURCE, "default/key/1", &err), &err);
    assert_refused(get("default/key/1"), &err, ERR_NOTFOUND, "default/key/1");
}

static void a_mounted_secret_is_read(void **state)
{
    (void)state;
    const char *repository = in_root("repository/default/key");
    assert_done(file_make_dirs(repository, 0700, &err), &err);
    assert_done(file_make_dirs(in_root("repository/default/key/..2026"), 0700, &err), &err);
    plant("repository/default/key/..2026/1", "mounted");
    assert_int_equal(symlink("..2026", in_root("repository/default/key/..data")), 0);
    assert_int_equal(symlink("..data/1", in_root("repository/default/key/1")), 0);
    assert_value("default/key/1", "mounted");
    assert_keys(STORE_RESOURCE, "[\"default/key/1\"]");
}

static void links_out_of_the_store_are_not_followed(void **state)
{
    (void)state;
    plant("outside", "no");
    assert_done(file_make_dirs(in_root("repository/a/b"), 0700, &err), &err);
    assert_int_equal(symlink("../../../outside", in_root("repository/a/b/c")), 0);
    assert_int_equal(symlink("/etc", in_root("repository/a/etc")), 0);
    assert_int_equal(symlink("loop", in_root("repository/a/loop")), 0);
    assert_refused(get("a/b/c"), &err, ERR_IO, "out of the store");
    assert_refused(get("a/etc/passwd"), &err, ERR_IO, "out of the store");
    assert_keys(STORE_RESOURCE, "[]");
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str("x"), &value, &err), &err);
    assert_refused(store_put_secret(store, STORE_RESOURCE, "a/etc/x", value, &err), &err, ERR_IO,
        "symbolic link");
    put("a/b/c", "mine"); /* the link itself is replaced */
    assert_value("a/b/c", "mine");
    auto_buf out = BUF_INIT(10);
    assert_done(file_read(in_root("outside"), 10, &out, &err), &err);
    assert_string_equal(buf_text(&out), "no");
}

static void what_is_no_file_is_refused(void **state)
{
    (void)state;
    put("a/b/c", "x");
    auto_secret *value = NULL;
    assert_done(secret_copy(bytes_str("x"), &value, &err), &err);
    assert_refused(get("a/b"), &err, ERR_NOTFOUND, "a/b");
    assert_refused(get("a/b/c/d"), &err, ERR_NOTFOUND, "a/b/c/d");
    assert_refused(store_put_secret(store, STORE_RESOURCE, "a/b", value, &err), &err, ERR_FORMAT,
        "directory of values");
    assert_refused(store_put_secret(store, STORE_RESOURCE, "a/b/c/d", value, &err), &err,
        ERR_FORMAT, "already the name of a value");
    assert_int_equal(mkfifo(in_root("repository/a/fifo"), 0600), 0);
    assert_refused(get("a/fifo"), &err, ERR_IO, "not a regular file");
    assert_value("a/b/c", "x");
}

static void too_much_is_refused(void **state)
{
    (void)state;
    auto_buf big = BUF_INIT(STORE_VALUE_MAX + 1);
    char piece[1024] = {0};
    while (big.len < STORE_VALUE_MAX)
        assert_done(buf_append(&big, bytes_of(piece, sizeof piece), &err), &err);
    assert_done(store_put(store, STORE_POLICY, "big", buf_bytes(&big), &err), &err);
    assert_done(buf_append(&big, bytes_str("x"), &err), &err);
    assert_refused(
        store_put(store, STORE_POLICY, "big", buf_bytes(&big), &err), &err, ERR_FORMAT, "at most");
    auto_buf small = BUF_INIT(100);
    assert_refused(
        store_get(store, STORE_POLICY, "big", &small, &err), &err, ERR_FORMAT, "kbs/big");
}

static void a_cut_off_write_is_swept(void **state)
{
    (void)state;
    struct stat info;
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    put("a/b/c", "x");
    plant("repository/a/b/.new-fresh", "half");
    plant("repository/a/b/.new-old", "half");
    assert_int_equal(utimensat(AT_FDCWD, in_root("repository/a/b/.new-old"), old, 0), 0);
    assert_keys(STORE_RESOURCE, "[\"a/b/c\"]");
    store_free(store);
    assert_done(store_dir_open(root, &store, &err), &err);
    assert_int_equal(stat(in_root("repository/a/b/.new-old"), &info), -1);
    assert_int_equal(
        stat(in_root("repository/a/b/.new-fresh"), &info), 0); /* perhaps a replica's */
    assert_value("a/b/c", "x");
}

static void prune_by_age(void **state)
{
    (void)state;
    size_t count = 99;
    const struct timespec old[2] = {{1000, 0}, {1000, 0}};
    assert_done(store_put(store, STORE_NONCE, "old", bytes_str("x"), &err), &err);
    assert_done(store_put(store, STORE_NONCE, "new", bytes_str("x"), &err), &err);
    assert_int_equal(utimensat(AT_FDCWD, in_root("nonce/old"), old, 0), 0);
    assert_done(store_prune(store, STORE_NONCE, 1000, &count, &err), &err);
    assert_int_equal(count, 0);
    assert_done(store_prune(store, STORE_NONCE, 1001, &count, &err), &err);
    assert_int_equal(count, 1);
    assert_keys(STORE_NONCE, "[\"new\"]");
}

#define RACERS 8

static void *race(void *arg)
{
    struct err mine = ERR_INIT;
    bool created = false;
    char text[16];
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
    int winners = 0;
    for (size_t i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &created[i]), 0);
    for (size_t i = 0; i < RACERS; i++) {
        void *done = NULL;
        pthread_join(threads[i], &done);
        assert_non_null(done);
        winners += created[i];
    }
    assert_int_equal(winners, 1);
    auto_buf out = BUF_INIT(100);
    assert_done(store_get(store, STORE_NONCE, "n", &out, &err), &err);
    for (size_t i = 0; i < RACERS; i++) {
        char text[16];
        snprintf(text, sizeof text, "%p", (void *)&created[i]);
        assert_int_equal(created[i], strcmp(text, buf_text(&out)) == 0);
    }
    assert_keys(STORE_NONCE, "[\"n\"]");
}

static void no_temporary_file_stays(void **state)
{
    (void)state;
    bool created = true;
    assert_done(store_put(store, STORE_AGENT, "a", bytes_str("1"), &err), &err);
    assert_done(store_create(store, STORE_AGENT, "a", bytes_str("2"), &created, &err), &err);
    assert_false(created);
    DIR *dir = opendir(in_root("agent"));
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] == '.' && strncmp(entry->d_name, ".new", 4) == 0)
            fail_msg("%s stayed", entry->d_name);
    closedir(dir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_store, drop_store)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        TEST(put_get_replace_delete),
        TEST(files_are_private),
        TEST(hostile_keys_are_refused),
        TEST(the_longest_key_works),
        TEST(spaces_are_apart),
        TEST(trustees_flat_layout_is_read),
        TEST(a_mounted_secret_is_read),
        TEST(links_out_of_the_store_are_not_followed),
        TEST(what_is_no_file_is_refused),
        TEST(too_much_is_refused),
        TEST(a_cut_off_write_is_swept),
        TEST(prune_by_age),
        TEST(only_one_creates),
        TEST(no_temporary_file_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
