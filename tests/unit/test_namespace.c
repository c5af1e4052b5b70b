/* SPDX-License-Identifier: Apache-2.0 */
/* tests/it/fs_catalogue.sh shows the same through a mount; here are routes, cookies, and what is hard to see from there. */
#include "fs/namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tests/unit/unit.h"

#define TEXT(literal) ((char[]){literal})

static char root[] = "/tmp/sealed-unit.XXXXXX";
static char one[64], two[64], local[64];
static struct conf_mount mounts[] = {{.name = TEXT("m"),
    .by_name = true,
    .by_name_mode = 0400,
    .by_name_owner = TEXT("root"),
    .by_name_group = TEXT("root")}};
static struct conf_source sources[] = {
    {.directory = one}, {.directory = two, .at = TEXT("db/two")}};
static struct conf_file files[] = {
    {.name = TEXT("f0"), .path = TEXT("db/file"), .resource = TEXT("kbs:///a/b/c"), .mode = 0400},
    {.name = TEXT("f1"), .path = TEXT("only/here"), .resource = TEXT("kbs:///a/b/d"), .mode = 0400},
    {.name = TEXT("f2"), .path = TEXT("local"), .sealed_file = local, .mode = 0400},
    {.name = TEXT("f3"),
        .path = TEXT("db/two/over"),
        .resource = TEXT("kbs:///a/b/e"),
        .mode = 0400}};
static struct sealedfs_conf conf = {
    .mounts = {mounts, 1}, .sources = {sources, 2}, .files = {files, 4}};
static struct namespace *space;

static bool is_own(const void *arg, dev_t device)
{
    (void)arg;
    (void)device;
    return false;
}

static const struct beneath_own own = {.is_own = is_own};

static void make(const char *dir, const char *name, bool is_dir)
{
    char path[192];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = is_dir ? mkdir(path, 0700) : open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    if (!is_dir)
        close(fd);
}

static int start(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    assert_non_null(mkdtemp(root));
    snprintf(one, sizeof one, "%s/one", root);
    snprintf(two, sizeof two, "%s/two", root);
    snprintf(local, sizeof local, "%s/local", root);
    make(root, "one", true);
    make(root, "two", true);
    make(one, "db", true);
    make(one, "db/mirrored", false);
    make(one, "db/file", false);
    make(one, "db/two", true);
    make(one, "db/two/hidden", false);
    make(one, ".kbs", true);
    make(one, "top", false);
    make(two, "x", false);
    make(two, "over", false);
    if (geteuid() == 0)
        assert_done(namespace_new(&conf, 0, -1, &space, &err), &err);
    return 0;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    namespace_free(space);
    snprintf(command, sizeof command, "rm -rf %s", root);
    return system(command);
}

/* "KIND INDEX", or the errno. */
static const char *route(const char *path)
{
    static const char *const kinds[] = {"none", "source", "file", "name"};
    static char text[32];
    struct namespace_file file;
    int failed = namespace_open(space, &own, path, &file);
    if (failed) {
        snprintf(text, sizeof text, "%s", strerrorname_np(failed));
        return text;
    }
    snprintf(text, sizeof text, "%s %u", kinds[file.origin.kind], file.origin.index);
    close(file.fd);
    if (file.content_fd >= 0)
        close(file.content_fd);
    return text;
}

static void test_routes(void **state)
{
    static const char *const routes[][2] = {{"", "source 0"}, {"top", "source 0"},
        {"db", "source 0"}, {"db/mirrored", "source 0"}, {"db/file", "file 0"},
        {"db/two", "source 1"}, {"db/two/x", "source 1"}, {"db/two/hidden", "ENOENT"},
        {"db/two/over", "file 3"}, {"db/twox", "ENOENT"}, {"only", "none 0"},
        {"only/here", "file 1"}, {"only/there", "ENOENT"}, {"only/here/more", "ENOENT"},
        {"db/file/more", "ENOTDIR"}, {"nothing", "ENOENT"}, {".kbs", "name 0"},
        {".kbs/a/b/c", "name 0"}, {".kbs/a/b/c/d", "ENOENT"}};
    (void)state;
    if (!space)
        skip();
    for (size_t i = 0; i < ARRAY_LEN(routes); i++)
        assert_string_equal(route(routes[i][0]), routes[i][1]);
}

static void test_elsewhere(void **state)
{
    struct namespace_file file;
    (void)state;
    if (!space)
        skip();
    assert_int_equal(namespace_open(space, &own, "local", &file), 0);
    assert_true(file.elsewhere);
    assert_int_equal(file.content_fd, -1);
    assert_int_equal(file.content_errno, ENOENT);
    close(file.fd);
    make(root, "local", false);
    assert_int_equal(namespace_open(space, &own, "local", &file), 0);
    assert_true(file.content_fd >= 0 && file.content_errno == 0);
    close(file.fd);
    close(file.content_fd);
}

struct names {
    char text[512];
    size_t count, room;
    uint64_t cookie;
};

static bool take(void *arg, const struct monitor_entry *entry)
{
    struct names *names = arg;
    if (names->room == 0)
        return false;
    names->room--;
    names->count++;
    names->cookie = entry->cookie;
    if (entry->name[0] != '.' || entry->name[1] == 'k') {
        strncat(names->text, entry->name, sizeof names->text - strlen(names->text) - 1);
        strncat(names->text, " ", sizeof names->text - strlen(names->text) - 1);
    }
    return true;
}

/* A sink with room for one entry at a time finds every entry once, as one with room for all does. */
static void assert_lists(const char *path, size_t count, const char *const *members)
{
    struct names all = {.room = 1000}, each = {.room = 0};
    bool done = false;
    assert_int_equal(namespace_list(space, &own, path, 0, take, &all, &done), 0);
    assert_true(done);
    assert_int_equal(all.count, count + 2); /* and the two dots */
    for (size_t i = 0; i < count; i++)
        assert_non_null(strstr(all.text, members[i]));
    for (done = false; !done;) {
        size_t before = each.count;
        each.room = 1;
        assert_int_equal(namespace_list(space, &own, path, each.cookie, take, &each, &done), 0);
        assert_true(done || each.count == before + 1);
    }
    assert_int_equal(each.count, all.count);
    assert_string_equal(each.text, all.text);
}

static void test_lists(void **state)
{
    struct names names = {.room = 10};
    bool done;
    (void)state;
    if (!space)
        skip();
    assert_lists("", 4, (const char *const[]){"db ", "top ", "only ", "local "});
    assert_lists("db", 3, (const char *const[]){"mirrored ", "file ", "two "});
    assert_lists("db/two", 2, (const char *const[]){"x ", "over "});
    assert_lists("only", 1, (const char *const[]){"here "});
    assert_int_equal(namespace_open(space, &own, ".kbs/p/q", &(struct namespace_file){0}), 0);
    assert_lists(".kbs", 0, NULL);
    assert_lists(".kbs/p/q", 0, NULL);
    assert_int_equal(namespace_list(space, &own, "db/file", 0, take, &names, &done), ENOTDIR);
    assert_int_equal(namespace_list(space, &own, "top", 0, take, &names, &done), ENOTDIR);
    assert_int_equal(namespace_list(space, &own, "nothing", 0, take, &names, &done), ENOENT);
    /* The end of a directory on ext4 and others. */
    names = (struct names){.room = 10};
    assert_int_equal(namespace_list(space, &own, "db", INT64_MAX, take, &names, &done), 0);
    assert_true(done);
}

static void test_refused(void **state)
{
    struct namespace *bad = NULL;
    struct err err = ERR_INIT;
    struct conf_source missing = {.directory = TEXT("/nonexistent")};
    struct conf_file lost = {
        .name = TEXT("lost"), .path = TEXT("x"), .sealed_file = TEXT("/nonexistent/dir/x")};
    struct sealedfs_conf without = {.mounts = {mounts, 1}, .sources = {&missing, 1}};
    (void)state;
    assert_refused(namespace_new(&without, 0, -1, &bad, &err), &err, ERR_CONFIG, "/nonexistent");
    without = (struct sealedfs_conf){.mounts = {mounts, 1}, .files = {&lost, 1}};
    assert_refused(namespace_new(&without, 0, -1, &bad, &err), &err, ERR_CONFIG, "[file:lost]");
    assert_null(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_routes),
        cmocka_unit_test(test_elsewhere), cmocka_unit_test(test_lists),
        cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, start, end);
}
