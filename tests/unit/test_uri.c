/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "kbs/uri.h"

#define SEGMENT_250                                                                                \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"                                                            \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void plain_form(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kbs_uri uri;
    char text[KBS_URI_MAX];
    assert_done(kbs_uri_parse("kbs:///default/key/1", &uri, &err), &err);
    assert_string_equal(uri.host, "");
    assert_string_equal(uri.repository, "default");
    assert_string_equal(uri.type, "key");
    assert_string_equal(uri.tag, "1");
    kbs_uri_format(&uri, text);
    assert_string_equal(text, "kbs:///default/key/1");
}

static void a_version_is_kept_and_written(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kbs_uri uri;
    char text[KBS_URI_MAX];
    assert_done(kbs_uri_parse("kbs://host/default/key/1?version=12", &uri, &err), &err);
    assert_string_equal(uri.tag, "1");
    assert_int_equal(uri.version, 12);
    kbs_uri_format(&uri, text);
    assert_string_equal(text, "kbs:///default/key/1?version=12");
    assert_done(kbs_uri_parse("kbs:///default/key/1", &uri, &err), &err);
    assert_int_equal(uri.version, 0);
    static const char *const bad[] = {"?version=", "?version=0", "?version=01", "?version=-1",
        "?version=+1", "?version=1x", "?version=1&version=2", "?version=99999999999999999999",
        "?Version=1", "?x=1&version=2", "?"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        snprintf(text, sizeof text, "kbs:///default/key/1%s", bad[i]);
        assert_refused(kbs_uri_parse(text, &uri, &err), &err, ERR_FORMAT, "?version=N");
    }
}

static void authority_is_kept_but_not_written(void **state)
{
    (void)state;
    static const char *const hosts[] = {"kbs.example.org", "10.0.0.1:8443", "[::1]:8080"};
    for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
        struct err err = ERR_INIT;
        struct kbs_uri uri;
        char text[KBS_URI_MAX];
        snprintf(text, sizeof text, "KBS://%s/_r/-t/x.y.z", hosts[i]);
        assert_done(kbs_uri_parse(text, &uri, &err), &err);
        assert_string_equal(uri.host, hosts[i]);
        kbs_uri_format(&uri, text);
        assert_string_equal(text, "kbs:///_r/-t/x.y.z");
    }
}

static void longest_segments_fit(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kbs_uri uri;
    char text[KBS_URI_MAX];
    char again[KBS_URI_MAX];
    snprintf(
        text, sizeof text, "kbs:///%sbcdef/%sbcdef/%sbcdef", SEGMENT_250, SEGMENT_250, SEGMENT_250);
    assert_done(kbs_uri_parse(text, &uri, &err), &err);
    assert_int_equal(strlen(uri.tag), KBS_SEGMENT_MAX);
    kbs_uri_format(&uri, again);
    assert_string_equal(again, text);
    assert_false(kbs_segment_ok(SEGMENT_250 "bcdefg"));
}

static void refusals_say_why(void **state)
{
    (void)state;
    static const struct {
        const char *text, *told;
    } cases[] = {
        {"", "no resource URI"},
        {"default/key/1", "no resource URI"},
        {"https:///default/key/1", "has the scheme \"https\""},
        {"kbs+pkcs11:///default/key/1", "names a plugin"},
        {"KBS+PKCS11:///default/key/1", "names a plugin"},
        {"kbs://default/key/1", "has 2 of three segments"},
        {"kbs://default", "third slash"},
        {"kbs:///default/key", "has 2 of three segments"},
        {"kbs:///default/key/1/2", "more than three segments"},
        {"kbs:///default//1", "an empty segment"},
        {"kbs:///default/key/", "an empty segment"},
        {"kbs:////key/1", "an empty segment"},
        {"kbs:///default/../1", "begins with a dot"},
        {"kbs:///default/./1", "begins with a dot"},
        {"kbs:///default/.key/1", "begins with a dot"},
        {"kbs:///default/k%65y/1", "percent sign"},
        {"kbs:///default/key/1?x=y", "a query"},
        {"kbs:///default/key/1#x", "a fragment"},
        {"kbs:///default/k y/1", "a character outside"},
        {"kbs:///default/key/1\n", "a character outside"},
        {"kbs:///default/k\xc3\xa9y/1", "a character outside"},
        {"kbs:///default/key\\1/x", "a character outside"},
        {"kbs://user@host/default/key/1", "a bad host"},
        {" kbs:///default/key/1", "has the scheme"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct kbs_uri uri = {.tag = "untouched"};
        assert_refused(kbs_uri_parse(cases[i].text, &uri, &err), &err, ERR_FORMAT, cases[i].told);
        assert_string_equal(uri.tag, "untouched");
    }
}

static void refusals_show_no_control_characters(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct kbs_uri uri;
    assert_false(kbs_uri_parse("kbs:///a/\x1b[2J/c", &uri, &err));
    assert_null(strchr(err.message, '\x1b'));
}

static void path_form_drops_empty_segments(void **state)
{
    (void)state;
    static const char *const paths[] = {
        "default/key/1", "/default/key/1", "//default///key/1", "default/key/1/"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct err err = ERR_INIT;
        struct kbs_uri uri;
        char text[KBS_URI_MAX];
        assert_done(kbs_uri_from_path(paths[i], &uri, &err), &err);
        kbs_uri_format(&uri, text);
        assert_string_equal(text, "kbs:///default/key/1");
    }
    static const char *const bad[] = {
        "", "/", "default/key", "default/key/1/2", "default/../1", "a/b/c%2f", "a/b/c?q"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;
        struct kbs_uri uri;
        assert_refused(
            kbs_uri_from_path(bad[i], &uri, &err), &err, ERR_FORMAT, "kbs:///repository/type/tag");
    }
}

static void every_bad_file_is_refused(void **state)
{
    (void)state;
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/uri");
    assert_non_null(dir);
    int count = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        char text[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, TEST_SOURCE_DIR "/bad/uri/%s", entry->d_name);
        FILE *file = fopen(path, "rbe");
        assert_non_null(file);
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
        struct err err = ERR_INIT;
        struct kbs_uri uri;
        assert_refused(kbs_uri_parse(text, &uri, &err), &err, ERR_FORMAT, "resource");
        count++;
    }
    closedir(dir);
    assert_true(count >= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_form),
        cmocka_unit_test(a_version_is_kept_and_written),
        cmocka_unit_test(authority_is_kept_but_not_written),
        cmocka_unit_test(longest_segments_fit),
        cmocka_unit_test(refusals_say_why),
        cmocka_unit_test(refusals_show_no_control_characters),
        cmocka_unit_test(path_form_drops_empty_segments),
        cmocka_unit_test(every_bad_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
