/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/sealedfs_conf.h"

#include <sys/mman.h>

#include "crypt/base/file.h"
#include "tests/unit/unit.h"

static bool load(
    const char *text, const char *options, struct sealedfs_conf *ret_conf, struct err *err)
{
    char path[] = "/tmp/test-sealedfs-conf.XXXXXX";
    auto_fd int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    bool loaded = sealedfs_conf_load(path, options, NULL, ret_conf, err);
    unlink(path);
    return loaded;
}

static void test_defaults(void **state)
{
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(load("", NULL, &conf, &err), &err);
    assert_int_equal(conf.kbs.urls.count, 0);
    assert_string_equal(conf.mount.user, "sealedfs");
    assert_int_equal(conf.secrets.signature, SIGNATURE_REQUIRED);
    assert_int_equal(conf.secrets.ttl_ms, 300000);
    assert_int_equal(conf.secrets.maximum, 1024 * 1024);
    sealedfs_conf_done(&conf);
}

static void test_options_win(void **state)
{
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(
        load("[secrets]\nttl = 1m\nsigners = kbs:///a/signing-key/1, kbs:///a/signing-key/2\n",
            "rw,_netdev,x-systemd.automount,secrets.ttl=2m,user=nobody,nofail,comment=x", &conf,
            &err),
        &err);
    assert_int_equal(conf.secrets.ttl_ms, 120000);
    assert_int_equal(conf.secrets.signers.count, 2);
    assert_string_equal(conf.mount.user, "nobody");
    sealedfs_conf_done(&conf);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text, *options, *wanted;
    } cases[] = {{"[secrets]\nttll = 1m\n", NULL, "ttll"}, {"[nothing]\nx = 1\n", NULL, "nothing"},
        {"[secrets]\nsignature = maybe\n", NULL, "signature"},
        {"[secrets]\nmaximum = 2M\n", NULL, "maximum"},
        {"[secrets]\nmemory = 64K\n", NULL, "lower maximum"}, {"", "ttl=never", "ttl"},
        {"", "nonsense", "nonsense"}, {"", "nonsense=1", "nonsense"},
        {"", "config=relative", "absolute"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sealedfs_conf conf;
        struct err err = ERR_INIT;
        assert_refused(
            load(cases[i].text, cases[i].options, &conf, &err), &err, ERR_CONFIG, cases[i].wanted);
    }
}

static void test_config_option(void **state)
{
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    (void)state;
    assert_refused(sealedfs_conf_load(NULL, "ro,config=/nonexistent/x.conf", NULL, &conf, &err),
        &err, ERR_CONFIG, "/nonexistent/x.conf");
}

/* The installed sample is what `sealedfs --print-sample` prints. */
static void test_sample_file(void **state)
{
    char made[16384];
    auto_buf shipped = BUF_INIT(sizeof made);
    struct err err = ERR_INIT;
    (void)state;
    auto_fd int fd = memfd_create("sample", MFD_CLOEXEC);
    assert_done(sealedfs_conf_sample(fd, &err), &err);
    ssize_t len = pread(fd, made, sizeof made, 0);
    assert_true(len > 0);
    assert_done(
        file_read(TEST_SOURCE_DIR "/../packaging/conf/sealedfs.conf", sizeof made, &shipped, &err),
        &err);
    assert_int_equal(shipped.len, len);
    assert_memory_equal(shipped.data, made, (size_t)len);
}

/* Index by index as the file has them, with what they inherit. */
static void test_catalogue(void **state)
{
    static const char text[] =
        "[secrets]\nttl = 2m\nusable = 1h\n"
        "[mount:a]\npath = /sealed\nby_name = yes\n[mount:b]\npath = /mnt/b\n"
        "[source:s]\nmount = b\ndirectory = /src\n"
        "[file:f]\nmount = b\npath = db/password\nresource = kbs:///r/t/g\nfresh = 0s\n"
        "rules = ops\nmode = 0440\n"
        "[rule:ops]\nverdict = allow\nuser = root\n";
    static const struct sealedfs_mirror mirror = {"/from", "/to"};
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    (void)state;
    char path[] = "/tmp/test-sealedfs-conf.XXXXXX";
    auto_fd int fd = mkstemp(path);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    bool loaded = sealedfs_conf_load(path, NULL, &mirror, &conf, &err);
    unlink(path);
    assert_done(loaded, &err);
    assert_int_equal(conf.mounts.count, 3);
    assert_string_equal(conf.mounts.items[2].path, "/to");
    assert_int_equal(conf.sources.count, 2);
    assert_int_equal(conf.sources.items[0].mount, 1);
    assert_int_equal(conf.sources.items[0].settings.fresh_ms, 120000);
    assert_int_equal(conf.sources.items[0].settings.usable_ms, 3600000);
    assert_int_equal(conf.sources.items[1].mount, 2);
    assert_int_equal(conf.files.items[0].mount, 1);
    assert_int_equal(conf.files.items[0].settings.fresh_ms, 0);
    assert_int_equal(conf.files.items[0].mode, 0440);
    assert_int_equal(conf.rules.items[0].verdict, VERDICT_ALLOW);
    sealedfs_conf_done(&conf);
}

static void test_catalogue_refused(void **state)
{
#define MOUNT "[mount:a]\npath = /sealed\n"
#define FILE_ "[file:f]\nresource = kbs:///r/t/g\n"
    static const struct {
        const char *text, *wanted;
    } cases[] = {{FILE_ "path = x\n", "no mount to show it"},
        {MOUNT FILE_ "path = /x\n", "below the mount point"},
        {MOUNT FILE_ "path = a/../x\n", "below the mount point"},
        {MOUNT FILE_ "path = ..data/x\n", "volumes that rotate"},
        {MOUNT FILE_ "path = .kbs/x\n", "by their names"},
        {MOUNT FILE_ "path = x\nmount = c\n", "no section [mount:c]"},
        {MOUNT FILE_ "path = x\nsealed_file = /y\n", "set one of"},
        {MOUNT "[file:f]\npath = x\n", "set one of"},
        {MOUNT FILE_ "path = x\nrules = r\n", "no section [rule:r]"},
        {MOUNT FILE_ "path = x\non_change = a/b\n", "not a path"},
        {MOUNT FILE_ "path = x\n[file:g]\nresource = kbs:///r/t/g\npath = x\n", "same path"},
        {MOUNT FILE_ "path = x\n[file:g]\nresource = kbs:///r/t/g\npath = x/y\n",
            "a file and a directory"},
        {MOUNT "[mount:b]\npath = /sealed\n", "both on /sealed"},
        {MOUNT "[mount:b]\npath = /b\n" FILE_ "path = x\n", "say which one"},
        {MOUNT "[source:s]\ndirectory = /s\n[source:t]\ndirectory = /t\n", "at the same place"},
        {"[rule:r]\nverdict = allow\npath = db/*\n", "whole paths"},
        {"[rule:r]\nverdict = deny\npath = /sealed//db\n", "would fit none"},
        {"[rule:r]\nverdict = deny\npath = /sealed/../db\n", "would fit none"},
        {"[rule:r]\nverdict = deny\npath = /sealed/db/\n", "would fit none"},
        {"[rule:r]\nverdict = allow\nexe =\n", "at least one"},
        {"[rule:r]\nverdict = allow\nexe_sha256 = abc\n", "64 hexadecimal digits"},
        {"[rule:r]\nuser = root\n", "rule:r.verdict: missing"}};
    struct sealedfs_conf conf;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        assert_refused(load(cases[i].text, NULL, &conf, &err), &err, ERR_CONFIG, cases[i].wanted);
    }
}

static void write_text(const char *path, const char *text)
{
    struct err err = ERR_INIT;
    assert_done(file_write(path, bytes_str(text), 0644, &err), &err);
}

static void test_snapshot(void **state)
{
    char dir[] = "/tmp/test-sealedfs-conf.XXXXXX", path[64];
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    int good, bad;
    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/conf", dir);
    write_text(path, "[secrets]\nttl = 1m\n");
    assert_done(sealedfs_conf_snapshot(path, NULL, &good, &err), &err);
    write_text(path, "[secrets]\nttl = never\n");
    assert_done(sealedfs_conf_snapshot(path, NULL, &bad, &err), &err);
    unlink(path);
    rmdir(dir);
    assert_done(sealedfs_conf_load_snapshot(good, path, "error_ttl=2s", NULL, &conf, &err), &err);
    assert_int_equal(conf.secrets.ttl_ms, 60000);
    assert_int_equal(conf.secrets.error_ttl_ms, 2000);
    sealedfs_conf_done(&conf);
    assert_refused(
        sealedfs_conf_load_snapshot(bad, path, NULL, NULL, &conf, &err), &err, ERR_CONFIG, path);
    assert_refused(sealedfs_conf_load_snapshot(good, path, "ttl=never", NULL, &conf, &err), &err,
        ERR_CONFIG, "option -o");
    assert_done(sealedfs_conf_load_snapshot(-1, NULL, NULL, NULL, &conf, &err), &err);
    assert_int_equal(conf.secrets.ttl_ms, 300000);
    sealedfs_conf_done(&conf);
    assert_refused(sealedfs_conf_snapshot(path, NULL, &good, &err), &err, ERR_CONFIG, path);
    close(good);
    close(bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_options_win), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_catalogue), cmocka_unit_test(test_catalogue_refused),
        cmocka_unit_test(test_config_option), cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_sample_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
