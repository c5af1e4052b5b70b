/* SPDX-License-Identifier: Apache-2.0 */
/* Sealed records: what opens, and that nothing else does. */
#include "tests/unit/store_fixture.h"

#include <dirent.h>
#include <sys/stat.h>

#include "crypt/base/file.h"

#define KEY   "default/key/1"
#define PLAIN "the plaintext of the test"

static const struct store_version at = {.version = 3, .created = 1000, .not_after = 2000};

static void seal(const struct store_keys *keys, struct buf *out)
{
    assert_done(
        store_record_seal(keys, STORE_RESOURCE, KEY, &at, bytes_str(PLAIN), out, &err), &err);
}

static bool opens(const struct store_keys *keys, const char *key, const struct buf *record)
{
    auto_secret *value = NULL;
    err_clear(&err);
    bool done = store_record_open(keys, STORE_RESOURCE, key, buf_bytes(record), &value, &err);
    assert_true(!done || secret_equal(secret_bytes(value), bytes_str(PLAIN)));
    return done;
}

static void a_record_opens_and_says_what_it_is(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("ab");
    auto_buf record = BUF_INIT(STORE_RECORD_MAX), again = BUF_INIT(STORE_RECORD_MAX);
    struct store_head head;
    seal(keys, &record);
    assert_int_equal(record.len, strlen(PLAIN) + STORE_RECORD_EXTRA);
    assert_true(store_record_is(buf_bytes(&record)));
    assert_null(memmem(record.data, record.len, PLAIN, strlen(PLAIN)));
    assert_done(store_record_head(buf_bytes(&record), &head, &err), &err);
    assert_string_equal(head.kek, store_keys_id(keys, 0));
    assert_memory_equal(&head.at, &at, sizeof at);
    assert_true(opens(keys, KEY, &record));
    seal(keys, &again);
    assert_memory_not_equal(record.data, again.data, record.len); /* a data key of its own */
}

static void every_changed_byte_is_noticed(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    seal(keys, &record);
    for (size_t i = 0; i < record.len; i++) {
        record.data[i] ^= 1;
        assert_false(opens(keys, KEY, &record));
        assert_int_equal(
            err.code, i >= 8 && i < 16 ? ERR_CONFIG : ERR_IO); /* the KEK's id, or the rest */
        record.data[i] ^= 1;
    }
    assert_true(opens(keys, KEY, &record));
    for (size_t len = record.len; len-- > 0;) {
        buf_truncate(&record, len);
        assert_false(opens(keys, KEY, &record));
    }
}

static void it_is_bound_to_its_name_and_space(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    auto_secret *value = NULL;
    seal(keys, &record);
    assert_false(opens(keys, "default/key/2", &record));
    assert_non_null(strstr(err.message, "of another name or version"));
    assert_false(store_record_open(keys, STORE_META, KEY, buf_bytes(&record), &value, &err));
}

static void another_key_is_named(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = fixture_keys("a");
    AUTO(store_keys_free) struct store_keys *others = fixture_keys("b");
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    seal(keys, &record);
    assert_false(opens(others, KEY, &record));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.message, store_keys_id(keys, 0)));
    assert_false(opens(NULL, KEY, &record));
    assert_int_equal(err.code, ERR_CONFIG);
}

static void a_rewrap_touches_the_data_key_alone(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *old = fixture_keys("a");
    AUTO(store_keys_free) struct store_keys *both = fixture_keys("ba");
    AUTO(store_keys_free) struct store_keys *new = fixture_keys("b");
    auto_buf record = BUF_INIT(STORE_RECORD_MAX), after = BUF_INIT(STORE_RECORD_MAX);
    seal(old, &record);
    assert_done(store_record_rewrap(both, buf_bytes(&record), &after, &err), &err);
    assert_int_equal(after.len, record.len);
    assert_memory_equal(after.data + 56, record.data + 56, record.len - 56);
    assert_true(opens(new, KEY, &after));
    assert_false(opens(old, KEY, &after));
}

static void read_record(const char *dir, const char *name, struct buf *out)
{
    char path[512];
    snprintf(path, sizeof path, TEST_SOURCE_DIR "/%s/%s", dir, name);
    assert_done(file_read(path, STORE_RECORD_MAX, out, &err), &err);
}

/* Made by another implementation of the header's table, with a key of zeros and the name a/b/c. */
static void what_others_made_by_the_format_opens(void **state)
{
    (void)state;
    AUTO(store_keys_free) struct store_keys *keys = NULL;
    auto_secret *kek = NULL, *value = NULL;
    auto_buf record = BUF_INIT(STORE_RECORD_MAX);
    assert_done(secret_new(STORE_KEK_SIZE, &kek, &err), &err);
    assert_done(store_keys_add(&keys, kek, &err), &err);
    read_record("fuzz/corpus/store_record", "good", &record);
    assert_done(
        store_record_open(keys, STORE_RESOURCE, "a/b/c", buf_bytes(&record), &value, &err), &err);
    assert_true(secret_equal(secret_bytes(value), bytes_str("value")));
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/store_record");
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        auto_secret *none = NULL;
        if (entry->d_name[0] == '.')
            continue;
        buf_truncate(&record, 0);
        read_record("bad/store_record", entry->d_name, &record);
        assert_refused(
            store_record_open(keys, STORE_RESOURCE, "a/b/c", buf_bytes(&record), &none, &err), &err,
            ERR_IO, "");
        count++;
    }
    closedir(dir);
    assert_in_range(count, 8, 100);
}

static void files_of_keys(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"0123456789abcdef0123456789abcdef", NULL},
        {"30313233343536373839616263646566303132333435363738396162636465\n66", "no key-encryption"},
        {"3031323334353637383961626364656630313233343536373839616263646566", NULL},
        {"3031323334353637383961626364656630313233343536373839616263646566\n", NULL},
        {"303132333435363738396162636465663031323334353637383961626364656x", "no key-encryption"},
        {"0123456789abcdef0123456789abcde", "no key-encryption"},
        {"", "no key-encryption"},
    };
    char path[128];
    strcpy(root, "/tmp/sealed-store.XXXXXX");
    assert_non_null(mkdtemp(root));
    snprintf(path, sizeof path, "%s/kek", root);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(store_keys_free) struct store_keys *keys = NULL;
        assert_done(file_write(path, bytes_str(cases[i].text), 0600, &err), &err);
        if (cases[i].told) {
            assert_refused(store_keys_add_file(&keys, path, &err), &err, ERR_CONFIG, cases[i].told);
            continue;
        }
        assert_done(store_keys_add_file(&keys, path, &err), &err);
        assert_refused(store_keys_add_file(&keys, path, &err), &err, ERR_CONFIG, "twice");
        assert_int_equal(store_keys_count(keys), 1);
    }
    AUTO(store_keys_free) struct store_keys *keys = NULL;
    assert_int_equal(chmod(path, 0644), 0);
    assert_refused(store_keys_add_file(&keys, path, &err), &err, ERR_CONFIG, "chmod");
    assert_int_equal(nftw(root, fixture_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_opens_and_says_what_it_is),
        cmocka_unit_test(every_changed_byte_is_noticed),
        cmocka_unit_test(it_is_bound_to_its_name_and_space),
        cmocka_unit_test(another_key_is_named),
        cmocka_unit_test(a_rewrap_touches_the_data_key_alone),
        cmocka_unit_test(what_others_made_by_the_format_opens),
        cmocka_unit_test(files_of_keys),
    };
    (void)fixture_setup, (void)fixture_teardown;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
