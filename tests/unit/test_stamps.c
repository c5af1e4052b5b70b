/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/stamps.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypt/base/file.h"
#include "tests/unit/unit.h"

static char directory[64];

static int start(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/stamps.XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int end(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", directory);
    return system(command);
}

static char *content(const char *name)
{
    static char text[128];
    char path[128];
    struct err err = ERR_INIT;
    auto_buf read = BUF_INIT(100);
    snprintf(path, sizeof path, "%s/run/%s", directory, name);
    assert_done(file_read(path, 100, &read, &err), &err);
    snprintf(text, sizeof text, "%s", buf_text(&read));
    return text;
}

static unsigned long number(const char *name)
{
    const char *text = content(name);
    assert_int_equal(strlen(text), 20 + 1 + 20 + 1);
    assert_int_equal(text[20], ' ');
    return strtoul(text, NULL, 10);
}

static struct stamps *open_stamps(void)
{
    static char run[80], web[] = "web", db[] = "db", again[] = "web";
    static struct conf_source sources[2];
    static struct conf_file files[2];
    struct sealedfs_conf conf = {.sources = {sources, 2}, .files = {files, 2}};
    struct stamps *stamps = NULL;
    struct err err = ERR_INIT;
    snprintf(run, sizeof run, "%s/run", directory);
    conf.secrets.stamps = run;
    sources[0].settings.on_change = web;
    files[0].settings.on_change = db;
    files[1].settings.on_change = again;
    assert_done(stamps_open(&conf, &stamps, &err), &err);
    return stamps;
}

static void test_counts(void **state)
{
    AUTO(stamps_free) struct stamps *stamps = open_stamps();
    char path[128];
    struct stat st;
    (void)state;
    assert_int_equal(number("web"), 0);
    assert_int_equal(number("db"), 0);
    snprintf(path, sizeof path, "%s/run/web", directory);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    stamps_seen(stamps, "web"); /* nobody could have seen it before */
    assert_int_equal(number("web"), 0);
    stamps_changed(stamps, "web");
    stamps_changed(stamps, "web");
    stamps_changed(stamps, "no such stamp");
    assert_int_equal(number("web"), 2);
    assert_int_equal(number("db"), 0);
}

/* What happened between two workers is not known. */
static void test_successor(void **state)
{
    struct stamps *before = open_stamps();
    (void)state;
    stamps_changed(before, "web");
    stamps_free(before);
    AUTO(stamps_free) struct stamps *stamps = open_stamps();
    assert_int_equal(number("web"), 1);
    stamps_seen(stamps, "web");
    stamps_seen(stamps, "web"); /* once is enough */
    assert_int_equal(number("web"), 2);
    stamps_seen(stamps, "db");
    assert_int_equal(number("db"), 1);
}

static void test_spoilt(void **state)
{
    char path[128];
    struct err err = ERR_INIT;
    (void)state;
    stamps_free(open_stamps());
    snprintf(path, sizeof path, "%s/run/web", directory);
    assert_done(
        file_write(path, bytes_str("something else that is longer than a stamp is, to be sure"),
            0644, &err),
        &err);
    stamps_free(open_stamps());
    assert_int_equal(number("web"), 0);
}

static void test_nothing_is_made_for_nobody(void **state)
{
    struct sealedfs_conf conf = {0};
    char run[80];
    struct stat st;
    struct err err = ERR_INIT;
    AUTO(stamps_free) struct stamps *stamps = NULL;
    (void)state;
    snprintf(run, sizeof run, "%s/run", directory);
    conf.secrets.stamps = run;
    assert_done(stamps_open(&conf, &stamps, &err), &err);
    assert_int_equal(stat(run, &st), -1);
    stamps_changed(stamps, "web");
}

static void test_not_through_a_link(void **state)
{
    char name[] = "web", run[80], path[128];
    struct conf_source source = {.settings = {.on_change = name}};
    struct sealedfs_conf conf = {.sources = {&source, 1}};
    struct stamps *stamps = NULL;
    struct err err = ERR_INIT;
    (void)state;
    snprintf(run, sizeof run, "%s/run", directory);
    snprintf(path, sizeof path, "%s/run/web", directory);
    conf.secrets.stamps = run;
    assert_int_equal(mkdir(run, 0755), 0);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_refused(stamps_open(&conf, &stamps, &err), &err, ERR_IO, "/run/web");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_counts, start, end),
        cmocka_unit_test_setup_teardown(test_successor, start, end),
        cmocka_unit_test_setup_teardown(test_spoilt, start, end),
        cmocka_unit_test_setup_teardown(test_nothing_is_made_for_nobody, start, end),
        cmocka_unit_test_setup_teardown(test_not_through_a_link, start, end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
