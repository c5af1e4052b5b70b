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
    bool loaded = sealedfs_conf_load(path, options, ret_conf, err);
    unlink(path);
    return loaded;
}

static void test_defaults(void **state)
{
    struct sealedfs_conf conf;
    struct err err = ERR_INIT;
    (void)state;
    assert_done(load("", NULL, &conf, &err), &err);
    assert_null(conf.kbs.url);
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
    assert_refused(sealedfs_conf_load(NULL, "ro,config=/nonexistent/x.conf", &conf, &err), &err,
        ERR_CONFIG, "/nonexistent/x.conf");
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_options_win), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_config_option), cmocka_unit_test(test_sample_file)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
