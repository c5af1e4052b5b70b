/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <sys/mman.h>
#include <unistd.h>

#include "attest/attestd_conf.h"
#include "crypt/base/file.h"

static bool load(const char *text, struct attestd_conf *ret_conf, struct err *err)
{
    char path[] = "/tmp/test-attestd-conf.XXXXXX";
    auto_fd int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    bool loaded = attestd_conf_load(path, ret_conf, err);
    unlink(path);
    return loaded;
}

static void test_defaults(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
    assert_done(attestd_conf_load(NULL, &conf, &err), &err);
    assert_string_equal(conf.socket, "/run/sealedfs/attestd.sock");
    assert_string_equal(conf.user, "sealed-attest");
    assert_string_equal(conf.attester.tcti, "device:/dev/tpmrm0");
    assert_string_equal(
        conf.attester.event_log, "/sys/kernel/security/tpm0/binary_bios_measurements");
    assert_int_equal(conf.attester.boot_log.len, 0);
    assert_int_equal(conf.attester.ak_handle, 0x81010002);
    assert_false(conf.attester.sample_enabled);
}

/* A guest without a TPM does not silently get evidence that proves nothing. */
static void test_auto_needs_leave_for_sample(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const struct attester *attester = NULL;
    {
        AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
        assert_done(load("[tpm]\ntcti = device:/dev/no-such-tpm\n", &conf, &err), &err);
        assert_done(attestd_conf_attester(&conf, &attester, &err), &err);
        assert_string_equal(attester->tee, "tpm");
    }
    {
        AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
        assert_done(
            load("[tpm]\ntcti = device:/dev/no-such-tpm\n[sample]\nenabled = yes\n", &conf, &err),
            &err);
        assert_done(attestd_conf_attester(&conf, &attester, &err), &err);
        assert_string_equal(attester->tee, "sample");
    }
    {
        AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
        assert_done(
            load("[tpm]\ntcti = swtpm:path=/x\n[sample]\nenabled = yes\n", &conf, &err), &err);
        assert_done(attestd_conf_attester(&conf, &attester, &err), &err);
        assert_string_equal(attester->tee, "tpm");
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *said;
    } cases[] = {
        {"[attestd]\ntee = sample\n", "[sample]"},
        {"[attestd]\ntee = snp\n", "tee"},
        {"[tpm]\ntcti = mssim:host=localhost,port=2321\n", "network"},
        {"[tpm]\ntcti = swtpm:host=localhost\n", "network"},
        {"[tpm]\ntcti = device:tpm0\n", "tcti"},
        {"[tpm]\ntcti =\n", "tcti"},
        {"[tpm]\nevent_log = no\n", "an absolute path or \"none\""},
        {"[tpm]\nevent_log = sys/kernel\n", "an absolute path"},
        {"[tpm]\nak_handle = 0x80000001\n", "ak_handle"},
        {"[tpm]\nak_handle = 0x81800000\n", "ak_handle"},
        {"[attestd]\nrate = 0\n", "rate"},
        {"[attestd]\ndeadline = 1ms\n", "deadline"},
        {"[attestd]\nsocket = relative\n", "socket"},
        {"[attestd]\nsockets = /x\n", "sockets"},
        {"[other]\nsocket = /x\n", "other"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct attestd_conf conf;
        if (load(cases[i].text, &conf, &err))
            fail_msg("taken: %s", cases[i].text);
        assert_int_equal(err.code, ERR_CONFIG);
        if (!strstr(err.message, cases[i].said))
            fail_msg("%s: %s", cases[i].text, err.message);
    }
}

static void test_uids(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
    struct attestd_uids uids;
    assert_done(load("[attestd]\nallow_users = root, 4242 0\n", &conf, &err), &err);
    assert_done(attestd_conf_uids(&conf, &uids, &err), &err);
    assert_int_equal(uids.count, 2);
    assert_int_equal(uids.items[0], 0);
    assert_int_equal(uids.items[1], 4242);
}

static void test_bad_uids(void **state)
{
    (void)state;
    static const char *const users[] = {
        "no-such-user-here", "4294967295", "99999999999999999999", "12x", "-1"};
    for (size_t i = 0; i < ARRAY_LEN(users); i++) {
        char text[128];
        struct err err = ERR_INIT;
        AUTO_DONE(attestd_conf_done) struct attestd_conf conf = {0};
        struct attestd_uids uids;
        snprintf(text, sizeof text, "[attestd]\nallow_users = root %s\n", users[i]);
        assert_done(load(text, &conf, &err), &err);
        assert_refused(attestd_conf_uids(&conf, &uids, &err), &err, ERR_CONFIG, "allow_users");
    }
}

/* The installed sample is what `sealed-attestd --print-sample` prints. */
static void test_sample_file(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char made[8192];
    auto_buf shipped = BUF_INIT(sizeof made);
    auto_fd int fd = memfd_create("sample", MFD_CLOEXEC);
    assert_done(conf_print_sample(attestd_fields, attestd_field_count, fd, &err), &err);
    ssize_t len = pread(fd, made, sizeof made, 0);
    assert_true(len > 0);
    assert_done(
        file_read(TEST_SOURCE_DIR "/../packaging/conf/attestd.conf", sizeof made, &shipped, &err),
        &err);
    assert_int_equal(shipped.len, len);
    assert_memory_equal(shipped.data, made, (size_t)len);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_auto_needs_leave_for_sample),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_uids),
        cmocka_unit_test(test_bad_uids),
        cmocka_unit_test(test_sample_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
