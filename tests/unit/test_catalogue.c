/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/catalogue.h"

#include <stdio.h>

#include "tests/unit/unit.h"

#define TEXT(literal) ((char[]){literal})

static void test_entries(void **state)
{
    static const char *const wanted[] = {
        "", "a", "a/b", "a/b-c", "a/b/file", "apps", "apps/web", "top"};
    struct conf_file files[] = {{.path = TEXT("top")}, {.path = TEXT("a/b/file")},
        {.path = TEXT("a/b-c")}, {.path = TEXT("elsewhere"), .mount = 1}};
    struct conf_source sources[] = {{.at = TEXT("apps/web")}, {.at = NULL}, {.at = TEXT("a/b")}};
    struct sealedfs_conf conf = {.files = {files, 4}, .sources = {sources, 3}};
    struct catalogue catalogue;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(catalogue_make(&conf, 0, &catalogue, &err), &err);
    assert_int_equal(catalogue.count, ARRAY_LEN(wanted));
    for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
        const struct catalogue_entry *entry = catalogue_find(&catalogue, wanted[i]);
        assert_ptr_equal(entry, &catalogue.entries[i]);
        assert_string_equal(entry->path, wanted[i]);
    }
    assert_null(catalogue_find(&catalogue, "elsewhere"));
    assert_null(catalogue_find(&catalogue, "a/"));
    const struct catalogue_entry *file = catalogue_find(&catalogue, "a/b/file");
    assert_false(file->is_dir);
    assert_int_equal(file->file, 1);
    assert_string_equal(catalogue_name(file), "file");
    assert_string_equal(catalogue.entries[file->parent].path, "a/b");
    assert_string_equal(catalogue.entries[catalogue.entries[file->parent].parent].path, "a");
    assert_int_equal(catalogue_find(&catalogue, "top")->parent, 0);
    catalogue_done(&catalogue);
    catalogue_done(&catalogue);
}

/* A file that a source's place, or a directory of another file, would be as well; wherever it stands in the order. */
static void test_both(void **state)
{
    struct conf_file files[] = {
        {.name = TEXT("one"), .path = TEXT("a/b")}, {.name = TEXT("two"), .path = TEXT("z")}};
    char *places[] = {TEXT("a/b"), TEXT("a/b/c"), TEXT("z"), TEXT("z/y/x")};
    struct catalogue catalogue;
    struct err err = ERR_INIT;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct conf_source source = {.at = places[i]};
        struct sealedfs_conf conf = {.files = {files, 2}, .sources = {&source, 1}};
        assert_refused(catalogue_make(&conf, 0, &catalogue, &err), &err, ERR_CONFIG,
            i < 2 ? "[file:one]: its path a/b would be a directory" : "[file:two]");
    }
}

static void test_many(void **state)
{
    enum { MANY = 5000 };
    static struct conf_file files[MANY];
    static char paths[MANY][32];
    struct sealedfs_conf conf = {.files = {files, MANY}};
    struct catalogue catalogue;
    struct err err = ERR_INIT;
    (void)state;
    for (int i = 0; i < MANY; i++) {
        snprintf(paths[i], sizeof paths[i], "dir-%d/sub/file-%d", i % 7, i);
        files[i].path = paths[i];
    }
    assert_done(catalogue_make(&conf, 0, &catalogue, &err), &err);
    assert_int_equal(catalogue.count, MANY + 2 * 7 + 1);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(catalogue_find(&catalogue, paths[i])->file, i);
    catalogue_done(&catalogue);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries), cmocka_unit_test(test_both), cmocka_unit_test(test_many)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
