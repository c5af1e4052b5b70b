/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/json.h"

#define VECTOR   TEST_SOURCE_DIR "/vectors/tpm_keys.json"
#define EVIDENCE TEST_SOURCE_DIR "/vectors/tpm_evidence.json"
#define BAD      TEST_SOURCE_DIR "/bad/tpm_public"

static json_t *keys, *evidence;

static json_t *load(const char *path)
{
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1 << 20);
    json_t *json = NULL;
    assert_done(file_read(path, 1 << 20, &text, &err) &&
                    json_load_strict(buf_bytes(&text), 1 << 20, path, &json, &err),
        &err);
    return json;
}

static int load_vectors(void **state)
{
    (void)state;
    tpm_structs_silence();
    keys = load(VECTOR);
    evidence = load(EVIDENCE);
    return 0;
}

static int free_vectors(void **state)
{
    (void)state;
    json_unref(keys);
    json_unref(evidence);
    return 0;
}

static void member(const json_t *object, const char *name, struct buf *out)
{
    struct err err = ERR_INIT;
    assert_done(
        b64_decode(B64_STD, bytes_str(json_member_text(object, name)), name, out, &err), &err);
}

static void test_attest(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_attest attest;
    auto_buf raw = BUF_INIT(4096);
    member(json_object_get(json_object_get(evidence, "evidence"), "tpm_quote"), "message", &raw);
    assert_done(tpm_attest_parse(buf_bytes(&raw), &attest, &err), &err);
    assert_int_equal(attest.magic, TPM_MAGIC);
    assert_int_equal(attest.type, TPM_TYPE_QUOTE);
    assert_int_equal(attest.extra_len, 32);
    assert_memory_equal(attest.extra_data, "\x24\xd7\xb8\x63", 4);
    assert_int_equal(attest.selection_count, 1);
    assert_int_equal(attest.selections[0].hash, TPM_ALG_HASH_SHA256);
    assert_int_equal(attest.selections[0].size, 3);
    assert_memory_equal(attest.selections[0].bits, "\xff\xff\xff\0", 4);
    assert_int_equal(attest.pcr_digest_len, 32);
    assert_true(attest.clock_safe);
    for (size_t len = 6; len < raw.len; len++)
        assert_false(tpm_attest_parse(bytes_of(raw.data, len), &attest, &err));
}

/* Another magic or type is handed on as it is: the rest is not looked at. */
static void test_attest_of_another_kind(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_attest attest;
    assert_done(
        tpm_attest_parse(bytes_of("\xff\x54\x43\x47\x80\x17garbage", 13), &attest, &err), &err);
    assert_int_equal(attest.type, 0x8017);
    assert_done(tpm_attest_parse(bytes_of("\0\0\0\1\x80\x18", 6), &attest, &err), &err);
    assert_int_equal(attest.magic, 1);
    assert_int_equal(attest.selection_count, 0);
    assert_refused(tpm_attest_parse(bytes_of("\xff\x54\x43\x47\x80", 5), &attest, &err), &err,
        ERR_FORMAT, "TPMS_ATTEST of 5 bytes");
}

static void test_signature(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_signature signature;
    auto_buf raw = BUF_INIT(4096);
    member(json_object_get(json_object_get(evidence, "evidence"), "tpm_quote"), "signature", &raw);
    assert_done(tpm_signature_parse(buf_bytes(&raw), &signature, &err), &err);
    assert_int_equal(signature.alg, TPM_ALG_SIGN_RSASSA);
    assert_int_equal(signature.hash, TPM_ALG_HASH_SHA256);
    assert_int_equal(signature.len, 256);
    assert_memory_equal(signature.data, raw.data + 6, 256);
    for (size_t len = 0; len < raw.len; len++)
        assert_false(tpm_signature_parse(bytes_of(raw.data, len), &signature, &err));
    assert_done(buf_append_str(&raw, "x", &err), &err);
    assert_refused(tpm_signature_parse(buf_bytes(&raw), &signature, &err), &err, ERR_FORMAT,
        "1 bytes after its end");
}

static void test_ek_public(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_public ek;
    auto_buf raw = BUF_INIT(4096);
    member(keys, "ek_public", &raw);
    assert_done(tpm_public_parse(buf_bytes(&raw), &ek, &err), &err);
    assert_int_equal(ek.type, TPM_ALG_KEY_RSA);
    assert_int_equal(ek.attributes, 0x000300b2);
    assert_int_equal(ek.policy_len, 32);
    assert_int_equal(ek.symmetric, TPM_ALG_CIPHER_AES);
    assert_int_equal(ek.symmetric_bits, 128);
    assert_int_equal(ek.symmetric_mode, TPM_ALG_MODE_CFB);
    assert_int_equal(ek.scheme, TPM_ALG_NONE);
    assert_int_equal(ek.exponent, 65537); /* 0 in the structure */
    assert_int_equal(ek.modulus_len, 256);
    assert_memory_equal(ek.modulus, raw.data + raw.len - 256, 256);
    for (size_t len = 0; len < raw.len; len++)
        assert_false(tpm_public_parse(bytes_of(raw.data, len), &ek, &err));
}

static void test_ak_public(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct tpm_public ak;
    auto_buf rsa = BUF_INIT(4096), ecdsa = BUF_INIT(4096);
    member(keys, "ak_public", &rsa);
    member(keys, "ak_ecdsa_public", &ecdsa);
    assert_done(tpm_public_parse(buf_bytes(&rsa), &ak, &err), &err);
    assert_int_equal(ak.scheme, TPM_ALG_SIGN_RSASSA);
    assert_int_equal(ak.scheme_hash, TPM_ALG_HASH_SHA256);
    assert_int_equal(ak.symmetric, TPM_ALG_NONE);
    assert_done(tpm_public_parse(buf_bytes(&ecdsa), &ak, &err), &err);
    assert_int_equal(ak.type, 0x0023);
    assert_int_equal(ak.modulus_len, 0);
}

static void test_bad_files(void **state)
{
    (void)state;
    DIR *dir = opendir(BAD);
    int count = 0;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        struct err err = ERR_INIT;
        auto_buf raw = BUF_INIT(1 << 16);
        struct tpm_public public;
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, BAD "/%s", entry->d_name);
        assert_done(file_read(path, 1 << 16, &raw, &err), &err);
        if (tpm_public_parse(buf_bytes(&raw), &public, &err))
            fail_msg("%s was taken", entry->d_name);
        assert_int_equal(err.code, ERR_FORMAT);
        count++;
    }
    closedir(dir);
    assert_true(count >= 14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attest),
        cmocka_unit_test(test_attest_of_another_kind),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_ek_public),
        cmocka_unit_test(test_ak_public),
        cmocka_unit_test(test_bad_files),
    };
    return cmocka_run_group_tests(tests, load_vectors, free_vectors);
}
