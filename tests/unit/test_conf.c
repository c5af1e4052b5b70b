/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "tests/unit/conf_sample.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sample_conf conf;
static struct err err;

static bool parse(const char *text)
{
    return conf_table_parse(text, strlen(text), "f.conf", &sample_table, &conf, &err);
}

static void done(void)
{
    conf_table_done(&conf, &sample_table);
}

static void every_type_is_read(void **state)
{
    (void)state;
    assert_done(parse("# c\n; c\n\n[server]\nlisten=h:1\npath = /a/b\nadmit = on\nworkers = "
                      "0x10\nwait = 250ms\n"
                      "[cache]\nsize = 64K\nmode = 600\nlevel = low\nallow = a, b\nallow = c\nname "
                      "= caf\xc3\xa9 x"),
        &err);
    assert_string_equal(conf.listen, "h:1");
    assert_string_equal(conf.path, "/a/b");
    assert_true(conf.admit);
    assert_int_equal(conf.workers, 16);
    assert_int_equal(conf.wait_ms, 250);
    assert_int_equal(conf.cache_bytes, 65536);
    assert_int_equal(conf.mode, 0600);
    assert_int_equal(conf.level, 0);
    assert_int_equal(
        conf.allow.count, 3); /* the default "root" is replaced, the second line adds */
    assert_string_equal(conf.allow.items[0], "a");
    assert_string_equal(conf.allow.items[2], "c");
    assert_string_equal(conf.name, "caf\xc3\xa9 x");
    done();
}

static void defaults_fill_the_rest(void **state)
{
    (void)state;
    assert_done(parse("[cache]\nname = x\nallow =\n"), &err);
    assert_string_equal(conf.listen, "127.0.0.1:8080");
    assert_null(conf.path);
    assert_int_equal(conf.wait_ms, 5000);
    assert_int_equal(conf.level, 1);
    assert_int_equal(conf.allow.count, 0); /* emptied on purpose */
    done();
    assert_null(conf.listen);
    assert_done(conf_table_load(NULL, &sample_table, &conf, &err), &err);
    assert_int_equal(conf.workers, 4);
    assert_string_equal(conf.allow.items[0], "root");
    done();
}

static void longest_line_is_read_whole(void **state)
{
    (void)state;
    char text[300];
    int len = snprintf(text, sizeof text, "[cache]\nname = %0191d\n[server]\nadmit = yes\n", 7);
    assert_done(conf_table_parse(text, (size_t)len, "f.conf", &sample_table, &conf, &err), &err);
    assert_int_equal(strlen(conf.name), 191); /* 198 bytes with "name = " */
    assert_true(conf.admit);
    done();
    snprintf(text, sizeof text, "[cache]\nname = %0192d\n", 7);
    assert_refused(parse(text), &err, ERR_CONFIG, "f.conf:2: line of 199 bytes; at most 198");
}

static void refusals_tell_line_key_and_remedy(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {
        {"\n[sever]\n", "f.conf:2: unknown section [sever]; known: server, cache, rule:NAME"},
        {"[server]\nlisen = a\n",
            "f.conf:2: server.lisen: unknown key; known in [server]: listen, path, admit"},
        {"a = b\n", "f.conf:1: key before the first [section]"},
        {"[cache]\nname = x\n\nname = y\n", "f.conf:4: cache.name: given twice"},
        {"[server]\nworkers = 65\n",
            "f.conf:2: server.workers: \"65\" is not valid; accepted: a number, from 1 to 64"},
        {"[server]\nadmit = maybe\n", "\"maybe\" is not valid; accepted: yes or no"},
        {"[server]\nwait = 5\n", "a duration such as 250ms, 5s, 10m, 1h, 2d, from 10ms to 60000ms"},
        {"[cache]\nlevel = mid\n", "one of: low, high"},
        {"[server]\npath = a\n", "an absolute path without \"..\""},
        {"[cache]\nlevel\n", "f.conf:2: neither [section], nor key = value, nor a comment"},
        {"[cache]\nname = a # b\n", "f.conf:2: comment behind a value"},
        {"[cache]\nallow = a\n b\n", "f.conf:3: indented line"},
        {"[rule:]\n", "f.conf:1: [rule:]: a name has 1 to 64"},
        {"[rule:a b]\n", "f.conf:1: [rule:a b]: a name has"},
        {"[rule]\n", "unknown section [rule]; known: server, cache, rule:NAME"},
        {"[server:x]\n", "unknown section [server:x]"},
        {"[cache]\nname = x\n[rule:a]\nallow = no\n",
            "f.conf: rule:a.path: missing; it must be set (what this rule is about)"},
        {"[rule:a]\nallow = no\n[cache]\nname = x\n", "f.conf: rule:a.path: missing"},
        {"[rule:a]\npath = /x\npath = /y\n", "f.conf:3: rule:a.path: given twice"},
        {"[rule:a]\npath = /x\n[cache]\nname = x\n[rule:a]\n", "f.conf:5: [rule:a]: given twice"},
        {"[rule:a]\nlisten = /x\n",
            "f.conf:2: rule:a.listen: unknown key; known in [rule:a]: allow, path, users"},
        {"[server]\n", "f.conf: cache.name: missing; it must be set (name of this cache)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_refused(parse(rows[i].text), &err, ERR_CONFIG, rows[i].message);
        assert_null(conf.listen); /* nothing is left to free */
    }
}

static void repeated_sections_keep_their_order(void **state)
{
    (void)state;
    void *added;
    assert_done(
        parse("[rule:z]\npath = /z\nusers = a b\n[cache]\nname = x\n[rule:a.1-_]\npath = /a\n"
              "allow = no\n[rule:A]\npath = /A\nusers = c\nusers = d\n"),
        &err);
    assert_int_equal(conf.rules.count, 3);
    assert_string_equal(conf.rules.items[0].name, "z");
    assert_string_equal(conf.rules.items[0].path, "/z");
    assert_int_equal(conf.rules.items[0].users.count, 2);
    assert_true(conf.rules.items[0].allow);
    assert_string_equal(conf.rules.items[1].name, "a.1-_");
    assert_false(conf.rules.items[1].allow);
    assert_int_equal(conf.rules.items[2].users.count, 2);
    assert_done(conf_table_add(&conf, &sample_table, "rule", "later", &added, &err), &err);
    assert_ptr_equal(added, &conf.rules.items[3]);
    assert_refused(conf_table_add(&conf, &sample_table, "rule", "later", &added, &err), &err,
        ERR_CONFIG, "given twice");
    conf_table_done(&conf, &sample_table);
    assert_int_equal(conf.rules.count, 0);
}

static void names_longer_than_libinih_keeps_are_whole(void **state)
{
    (void)state;
    char text[300], name[CONF_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    name[CONF_NAME_MAX] = '\0';
    snprintf(text, sizeof text, "[cache]\nname = x\n[rule:%s]\npath = /x\n", name);
    assert_done(parse(text), &err);
    assert_string_equal(conf.rules.items[0].name, name);
    conf_table_done(&conf, &sample_table);
    snprintf(text, sizeof text, "[cache]\nname = x\n[rule:%sn]\npath = /x\n", name);
    assert_refused(parse(text), &err, ERR_CONFIG, "f.conf:3: name of a section of more than 64");
}

static void every_bad_file_is_refused(void **state)
{
    (void)state;
    static char text[CONF_FILE_MAX];
    int count = 0;
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/conf");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_name[0] == '.')
            continue;
        int fd = openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);
        ssize_t len = read(fd, text, sizeof text);
        close(fd);
        assert_true(len >= 0);
        if (conf_table_parse(text, (size_t)len, entry->d_name, &sample_table, &conf, &err))
            fail_msg("%s was accepted", entry->d_name);
        if (err.code != ERR_CONFIG ||
            strncmp(err.message, entry->d_name, strlen(entry->d_name)) != 0)
            fail_msg("%s: %s", entry->d_name, err.message);
        count++;
    }
    closedir(dir);
    assert_true(count >= 38);
}

static void assignments_come_on_top(void **state)
{
    (void)state;
    assert_done(parse("[cache]\nname = x\n"), &err);
#define ASSIGN(key, value) \
    conf_assign(&conf, sample_fields, SAMPLE_COUNT, "option -o", key, value, &err)
    assert_done(ASSIGN("listen", "a:1"), &err);
    assert_string_equal(conf.listen, "a:1");
    assert_done(ASSIGN("server.workers", "7"), &err);
    assert_int_equal(conf.workers, 7);
    assert_done(ASSIGN("allow", "u v"), &err);
    assert_int_equal(conf.allow.count, 2);
    assert_done(ASSIGN("cache.name", "y"), &err);
    assert_string_equal(conf.name, "y");
    assert_refused(
        ASSIGN("name", "z"), &err, ERR_CONFIG, "stands for cache.name and for server.name");
    assert_refused(ASSIGN("workers", "65"), &err, ERR_CONFIG, "option -o: server.workers: \"65\"");
    assert_int_equal(conf.workers, 7);
    assert_refused(ASSIGN("frob", "1"), &err, ERR_CONFIG,
        "option -o: frob: unknown key; known: listen, path, ");
    assert_non_null(strstr(err.message, "server.name")); /* `name` alone would be ambiguous */
    assert_non_null(strstr(err.message, "cache.name"));
    assert_refused(ASSIGN("nowhere.frob", "1"), &err, ERR_CONFIG,
        "option -o: nowhere.frob: unknown key; known: listen, ");
    assert_refused(ASSIGN("cache.listen", "1"), &err, ERR_CONFIG,
        "option -o: cache.listen: unknown key; known in [cache]: ");
    assert_null(strstr(strstr(err.message, "known in"), "listen"));
    done();
}

static void sample_parses_to_the_defaults(void **state)
{
    (void)state;
    static char text[8192];
    int fd = memfd_create("sample", MFD_CLOEXEC);
    assert_done(conf_table_sample(&sample_table, fd, &err), &err);
    ssize_t len = pread(fd, text, sizeof text - 1, 0);
    close(fd);
    text[len] = '\0';
    assert_non_null(strstr(
        text, "[server]\n# address and port to listen on\n# text\n#listen = 127.0.0.1:8080\n"));
    assert_non_null(strstr(text, "# name of this cache\n# text; required\nname = \n"));
    assert_refused(parse(text), &err, ERR_CONFIG,
        "cache.name: \"\" is not valid"); /* what is required is to be filled in */
    char *name = strstr(text, "\nname = \n");
    name[strlen("\nname = ") - 1] = 'x';
    assert_done(parse(text), &err);
    assert_int_equal(conf.workers, 4);
    done();
}

/* -- files -- */

static char directory[] = "/tmp/test_conf.XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    snprintf(path, sizeof path, "%s/f.conf", directory);
    return 0;
}

static int drop_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static void files_must_be_ours_alone(void **state)
{
    (void)state;
#define LOAD() conf_table_load(path, &sample_table, &conf, &err)
    assert_refused(LOAD(), &err, ERR_CONFIG, "No such file");
    write_file("[cache]\nname = x\n", 0644);
    assert_done(LOAD(), &err);
    assert_string_equal(conf.name, "x");
    done();
    write_file("[cache]\nname = x\n", 0664);
    assert_refused(LOAD(), &err, ERR_CONFIG, "run: chmod go-w /tmp/test_conf");
    write_file("[cache]\nname = x\n", 0646);
    assert_refused(LOAD(), &err, ERR_CONFIG, "chmod go-w");
    assert_refused(conf_table_load(directory, &sample_table, &conf, &err), &err, ERR_CONFIG,
        "not a regular file");
    if (geteuid() == 0) {
        write_file("[cache]\nname = x\n", 0644);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_refused(LOAD(), &err, ERR_CONFIG, "owned by uid 65534");
        unlink(path);
    }
    assert_null(conf.name);
}

static void long_files_are_refused(void **state)
{
    (void)state;
    write_file("", 0644);
    assert_int_equal(truncate(path, CONF_FILE_MAX + 1), 0);
    assert_refused(LOAD(), &err, ERR_CONFIG, "longer than");
}

static void credentials_must_be_private(void **state)
{
    (void)state;
    struct secret *secret = NULL;
    write_file("token", 0600);
    assert_done(conf_credential(path, 16, false, &secret, &err), &err);
    assert_true(bytes_equal(secret_bytes(secret), bytes_str("token")));
    secret_unref(take_ptr(secret));
    assert_refused(conf_credential(path, 4, false, &secret, &err), &err, ERR_FORMAT, path);
    write_file("token", 0640);
    assert_refused(conf_credential(path, 16, false, &secret, &err), &err, ERR_CONFIG,
        "run: chmod 600 /tmp/test_conf");
    assert_done(conf_credential(path, 16, true, &secret, &err), &err);
    secret_unref(take_ptr(secret));
    write_file("token", 0644);
    assert_refused(conf_credential(path, 16, true, &secret, &err), &err, ERR_CONFIG,
        "run: chmod 640 /tmp/test_conf");
    assert_refused(conf_credential(directory, 16, true, &secret, &err), &err, ERR_CONFIG,
        "not a regular file");
    unlink(path);
    assert_refused(
        conf_credential(path, 16, true, &secret, &err), &err, ERR_CONFIG, "No such file");
    assert_null(secret);
}

struct key_conf {
    char *key;
};

static void credentials_are_checked_where_they_are_named(void **state)
{
    (void)state;
    static const struct conf_field fields[] = {
        {"server", "key", CONF_CREDENTIAL, offsetof(struct key_conf, key), .help = "a key"},
    };
    struct key_conf got = {NULL};
    char text[256];
    write_file("token", 0644);
    snprintf(text, sizeof text, "[server]\nkey = %s\n", path);
    assert_refused(conf_parse(text, strlen(text), "x.conf", fields, 1, &got, &err), &err,
        ERR_CONFIG, "x.conf:2: server.key");
    assert_non_null(strstr(err.message, "chmod 600"));
    write_file("token", 0600);
    assert_done(conf_parse(text, strlen(text), "x.conf", fields, 1, &got, &err), &err);
    assert_string_equal(got.key, path);
    conf_done(&got, fields, 1);
    /* One that is missing is its reader's to complain about. */
    unlink(path);
    assert_done(conf_parse(text, strlen(text), "x.conf", fields, 1, &got, &err), &err);
    conf_done(&got, fields, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read),
        cmocka_unit_test(defaults_fill_the_rest),
        cmocka_unit_test(longest_line_is_read_whole),
        cmocka_unit_test(refusals_tell_line_key_and_remedy),
        cmocka_unit_test(repeated_sections_keep_their_order),
        cmocka_unit_test(names_longer_than_libinih_keeps_are_whole),
        cmocka_unit_test(every_bad_file_is_refused),
        cmocka_unit_test(assignments_come_on_top),
        cmocka_unit_test(sample_parses_to_the_defaults),
        cmocka_unit_test(files_must_be_ours_alone),
        cmocka_unit_test(long_files_are_refused),
        cmocka_unit_test(credentials_must_be_private),
        cmocka_unit_test(credentials_are_checked_where_they_are_named),
    };
    return cmocka_run_group_tests(tests, make_directory, drop_directory);
}
