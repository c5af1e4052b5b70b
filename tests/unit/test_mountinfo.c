/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "fs/mountinfo.h"

#define SPACES 1365 /* escaped, four bytes each: more than a path may have */

static bool parse(const char *text, struct mountinfo *ret_mount)
{
    char line[16384];
    assert_true(strlen(text) < sizeof line);
    memcpy(line, text, strlen(text) + 1);
    return mountinfo_parse(line, ret_mount);
}

static void what_is_told_of_a_mount(void **state)
{
    (void)state;
    struct mountinfo mount;
    assert_true(parse("36 35 98:0 / /sealed ro shared:1 master:2 - fuse.sealedfs x rw\n", &mount));
    assert_int_equal(mount.id, 36);
    assert_true(mount.shared);
    assert_string_equal(mount.path, "/sealed");
    assert_string_equal(mount.type, "fuse.sealedfs");
    assert_true(parse("7 1 0:1 / / rw - tmpfs x rw\n", &mount));
    assert_string_equal(mount.path, "/");
    assert_false(mount.shared);
}

static void escapes(void **state)
{
    (void)state;
    struct mountinfo mount;
    assert_true(parse("7 1 0:1 / /a\\040b\\011\\012\\134c\\377 rw - tmpfs x rw", &mount));
    assert_string_equal(mount.path, "/a b\t\n\\c\377");
    static const char *const kept[] = {"/a\\", "/a\\0", "/a\\04", "/a\\08x", "/a\\+40"};
    for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
        char line[64];
        snprintf(line, sizeof line, "7 1 0:1 / %s rw - tmpfs x rw", kept[i]);
        assert_true(parse(line, &mount));
        assert_string_equal(mount.path, kept[i]);
    }
    assert_false(parse("7 1 0:1 / /a\\000b rw - tmpfs x rw", &mount));
    assert_false(parse("7 1 0:1 / /a\\777b rw - tmpfs x rw", &mount));
}

/* A user may mount there with fusermount3. */
static void a_path_of_many_blanks(void **state)
{
    (void)state;
    static char line[8192];
    struct mountinfo mount;
    char *at = stpcpy(line, "7 1 0:1 / /");
    for (size_t i = 0; i < SPACES; i++)
        at = stpcpy(at, "\\040");
    strcpy(at, " rw - tmpfs x rw");
    assert_true(parse(line, &mount));
    assert_int_equal(strlen(mount.path), SPACES + 1);
    assert_int_equal(strspn(mount.path + 1, " "), SPACES);
}

static void what_is_no_mount(void **state)
{
    (void)state;
    static const char *const lines[] = {"", "\n", "7 1 0:1 / /a rw tmpfs x rw", "x 1 0:1 / /a - t",
        "7 1 0:1 / a rw - tmpfs x rw", "7 1 0:1 / - tmpfs x rw", "7 1 0:1 / /a rw - "};
    struct mountinfo mount;
    char line[PATH_MAX + 64] = "7 1 0:1 / /";
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_false(parse(lines[i], &mount));
    size_t len = strlen(line);
    memset(line + len, 'a', PATH_MAX - 1);
    strcpy(line + len + PATH_MAX - 1, " rw - tmpfs x rw");
    assert_false(parse(line, &mount));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told_of_a_mount),
        cmocka_unit_test(escapes),
        cmocka_unit_test(a_path_of_many_blanks),
        cmocka_unit_test(what_is_no_mount),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
