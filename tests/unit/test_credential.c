/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment: the checks of the public areas, and credentials opened here by an EK whose private half the test has. That a real
 * TPM opens them is shown by tests/it/credential.sh.
 */
#include "tests/unit/unit.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "attest/verify/credential.h"
#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/json.h"
#include "crypt/base/pack.h"

#define VECTOR TEST_SOURCE_DIR "/vectors/tpm_keys.json"

static json_t *keys;

static int load_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf text = BUF_INIT(1 << 20);
    tpm_structs_silence();
    return file_read(VECTOR, 1 << 20, &text, &err) &&
                   json_load_strict(buf_bytes(&text), 1 << 20, "vector", &keys, &err)
               ? 0
               : -1;
}

static int free_keys(void **state)
{
    (void)state;
    json_unref(keys);
    return 0;
}

static void member(const char *name, struct buf *out)
{
    struct err err = ERR_INIT;
    assert_done(
        b64_decode(B64_STD, bytes_str(json_member_text(keys, name)), name, out, &err), &err);
}

static void test_ak(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf ak = BUF_INIT(4096), name = BUF_INIT(64), spki = BUF_INIT(1024);
    member("ak_public", &ak);
    assert_done(credential_check_ak(buf_bytes(&ak), &name, &spki, &err), &err);
    auto_free char *name_hex = hex_encode_dup(buf_bytes(&name));
    auto_free char *spki_text = b64_encode(B64_STD, buf_bytes(&spki));
    assert_string_equal(name_hex, json_member_text(keys, "ak_name"));
    assert_string_equal(spki_text, json_member_text(keys, "ak_spki"));
}

/* A TPM2B_PUBLIC of an RSA key, from its parts. */
struct area {
    uint16_t type, name_alg;
    uint32_t attributes;
    struct bytes policy;
    uint16_t scheme, scheme_hash, bits;
    uint32_t exponent;
    struct bytes modulus;
};

static void put_area(const struct area *area, struct buf *out)
{
    struct err err = ERR_INIT;
    auto_buf body = BUF_INIT(2048);
    struct pack_writer to = pack_writer(&body), whole = pack_writer(out);
    pack_put_u16(&to, area->type);
    pack_put_u16(&to, area->name_alg);
    pack_put_u32(&to, area->attributes);
    pack_put_block16(&to, area->policy);
    pack_put_u16(&to, TPM_ALG_NONE);
    pack_put_u16(&to, area->scheme);
    if (area->scheme != TPM_ALG_NONE)
        pack_put_u16(&to, area->scheme_hash);
    pack_put_u16(&to, area->bits);
    pack_put_u32(&to, area->exponent);
    pack_put_block16(&to, area->modulus);
    pack_put_block16(&whole, buf_bytes(&body));
    assert_done(pack_written(&to, "area", &err) && pack_written(&whole, "area", &err), &err);
}

#define AK_GOOD                                                                  \
    (TPM_OBJECT_FIXED_TPM | TPM_OBJECT_FIXED_PARENT | TPM_OBJECT_OWN_SENSITIVE | \
        TPM_OBJECT_RESTRICTED | TPM_OBJECT_SIGN | TPM_OBJECT_USER_AUTH)

static bool check_area(const struct area *area, struct err *err)
{
    auto_buf raw = BUF_INIT(4096), name = BUF_INIT(64), spki = BUF_INIT(1024);
    put_area(area, &raw);
    bool done = credential_check_ak(buf_bytes(&raw), &name, &spki, err);
    assert_int_equal(name.len, done ? 34 : 0);
    assert_int_equal(spki.len > 0, done);
    return done;
}

static void test_ak_rules(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t modulus[256], short_modulus[128], even[256], small[256];
    memset(modulus, 0xc1, sizeof modulus);
    memset(short_modulus, 0xc1, sizeof short_modulus);
    memset(even, 0xc2, sizeof even);
    memset(small, 0x41, sizeof small);
    const struct area good = {TPM_ALG_KEY_RSA, TPM_ALG_HASH_SHA256, AK_GOOD, BYTES_EMPTY,
        TPM_ALG_SIGN_RSASSA, TPM_ALG_HASH_SHA256, 2048, 0, bytes_of(modulus, sizeof modulus)};
    assert_done(check_area(&good, &err), &err);
    static const struct {
        uint32_t flip;
        const char *says;
    } flips[] = {
        {TPM_OBJECT_FIXED_TPM, "is not fixedTPM"},
        {TPM_OBJECT_FIXED_PARENT, "is not fixedParent"},
        {TPM_OBJECT_OWN_SENSITIVE, "sensitiveDataOrigin"},
        {TPM_OBJECT_RESTRICTED, "is not restricted"},
        {TPM_OBJECT_SIGN, "is no signing key"},
        {TPM_OBJECT_DECRYPT, "may also decrypt"},
    };
    for (size_t i = 0; i < ARRAY_LEN(flips); i++) {
        struct area area = good;
        area.attributes ^= flips[i].flip;
        assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, flips[i].says);
    }
    struct area area = good;
    area.scheme_hash = 0x0004;
    assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, "RSASSA with SHA-256");
    area = good;
    area.scheme = TPM_ALG_NONE; /* signs by any scheme its holder names */
    assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, "RSASSA with SHA-256");
    area = good;
    area.scheme = 0x0016; /* RSAPSS */
    assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, "RSASSA with SHA-256");
    area = good;
    area.name_alg = 0x0004;
    assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, "name algorithm");
    area = good;
    area.bits = 1024;
    area.modulus = bytes_of(short_modulus, sizeof short_modulus);
    assert_refused(check_area(&area, &err), &err, ERR_DENIED_POLICY, "shorter than 2048 bits");
    area.bits = 2048;
    assert_refused(check_area(&area, &err), &err, ERR_FORMAT, "are no key of 2048 bits");
    area.modulus = BYTES_EMPTY;
    assert_refused(check_area(&area, &err), &err, ERR_FORMAT, "are no key of 2048 bits");
    area.modulus = bytes_of(even, sizeof even);
    assert_refused(check_area(&area, &err), &err, ERR_FORMAT, "are no key of 2048 bits");
    area.modulus = bytes_of(small, sizeof small);
    assert_refused(check_area(&area, &err), &err, ERR_FORMAT, "are no key of 2048 bits");
    area = good;
    area.exponent = 3;
    assert_refused(check_area(&area, &err), &err, ERR_FORMAT, "exponent 3");
}

static void test_ek_rules(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct {
        size_t at;
        uint8_t flip;
        const char *says;
    } flips[] = {
        {9, 0x10, "other attributes"},                             /* fixedTPM and the like */
        {7, 0x04, "other attributes"},                             /* may also sign */
        {20, 0x01, "another policy"}, {5, 0x07, "name algorithm"}, /* 000b -> 000c, SHA-384 */
        {47, 0x80 ^ 0x00, "symmetric"},                            /* key bits */
    };
    char ek_sha256[65] = "untouched";
    for (size_t i = 0; i < ARRAY_LEN(flips); i++) {
        auto_buf ek = BUF_INIT(4096);
        member("ek_public", &ek);
        ek.data[flips[i].at] ^= flips[i].flip;
        assert_refused(
            credential_check_ek(buf_bytes(&ek), BYTES_EMPTY, BYTES_EMPTY, ek_sha256, &err), &err,
            ERR_DENIED_POLICY, flips[i].says);
    }
    auto_buf ek = BUF_INIT(4096);
    member("ek_public", &ek);
    assert_refused(credential_check_ek(buf_bytes(&ek), BYTES_EMPTY, BYTES_EMPTY, ek_sha256, &err),
        &err, ERR_DENIED_POLICY, "shows no EK certificate");
    assert_string_equal(ek_sha256, "untouched");
}

/* --- opening what was made, by the book (part 1, 24.4) ------------------------------------------------------------- */

/* The vector's EK area with a modulus of our own. */
static EVP_PKEY *own_ek(struct buf *out)
{
    EVP_PKEY *key = EVP_RSA_gen(2048);
    BIGNUM *modulus = NULL;
    member("ek_public", out);
    assert_true(EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &modulus));
    assert_int_equal(BN_bn2binpad(modulus, out->data + out->len - 256, 256), 256);
    BN_free(modulus);
    return key;
}

static void hmac256(struct bytes key, struct bytes data, uint8_t out[32])
{
    unsigned len = 32;
    assert_non_null(HMAC(EVP_sha256(), key.data, (int)key.len, data.data, data.len, out, &len));
}

static void decrypt_seed(EVP_PKEY *key, struct bytes encrypted, uint8_t seed[32])
{
    size_t len = 256;
    uint8_t plain[256];
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(key, NULL);
    assert_true(EVP_PKEY_decrypt_init(ctx) == 1 &&
                EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
                EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) == 1 &&
                EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, OPENSSL_memdup("IDENTITY", 9), 9) == 1);
    assert_int_equal(EVP_PKEY_decrypt(ctx, plain, &len, encrypted.data, encrypted.len), 1);
    EVP_PKEY_CTX_free(ctx);
    assert_int_equal(len, 32);
    memcpy(seed, plain, 32);
}

static void test_make(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf ek = BUF_INIT(4096), object = BUF_INIT(256), encrypted = BUF_INIT(512);
    auto_secret *credential = NULL;
    uint8_t name[34] = {0, 0x0b, 1, 2, 3}, seed[32], mac[32], sym[32], hmac_key[32], input[128],
            plain[64];
    EVP_PKEY *key = own_ek(&ek);
    assert_done(
        secret_copy(bytes_str("0123456789abcdef0123456789abcdef"), &credential, &err), &err);
    assert_done(credential_make(buf_bytes(&ek), bytes_of(name, sizeof name), credential, &object,
                    &encrypted, &err),
        &err);

    struct pack_reader secret_in = pack_reader(buf_bytes(&encrypted));
    decrypt_seed(key, pack_get_block16(&secret_in, 256), seed);
    assert_done(pack_finish(&secret_in, "secret", &err), &err);
    struct pack_reader in = pack_reader(buf_bytes(&object));
    assert_int_equal(pack_get_u16(&in), object.len - 2);
    struct bytes outer = pack_get_block16(&in, 32);
    struct bytes identity = in.rest;
    assert_int_equal(identity.len, 34);

    memcpy(input, "\0\0\0\1INTEGRITY\0\0\0\1\0", 18);
    hmac256(bytes_of(seed, 32), bytes_of(input, 18), hmac_key);
    memcpy(input, identity.data, identity.len);
    memcpy(input + identity.len, name, sizeof name);
    hmac256(bytes_of(hmac_key, 32), bytes_of(input, identity.len + sizeof name), mac);
    assert_true(bytes_equal(outer, bytes_of(mac, 32)));

    memcpy(input, "\0\0\0\1STORAGE\0", 12);
    memcpy(input + 12, name, sizeof name);
    memcpy(input + 12 + sizeof name, "\0\0\0\x80", 4);
    hmac256(bytes_of(seed, 32), bytes_of(input, 16 + sizeof name), sym);
    int len = 0;
    static const uint8_t zero[16];
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    assert_true(EVP_DecryptInit_ex2(ctx, EVP_aes_128_cfb128(), sym, zero, NULL) == 1 &&
                EVP_DecryptUpdate(ctx, plain, &len, identity.data, (int)identity.len) == 1);
    EVP_CIPHER_CTX_free(ctx);
    assert_memory_equal(plain,
        "\0\x20"
        "0123456789abcdef0123456789abcdef",
        34);
    EVP_PKEY_free(key);
}

/* Two credentials for one key share nothing that an onlooker could compare. */
static void test_make_is_fresh(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf ek = BUF_INIT(4096), one = BUF_INIT(512), two = BUF_INIT(512);
    auto_secret *credential = NULL;
    uint8_t name[34] = {0, 0x0b};
    member("ek_public", &ek);
    assert_done(secret_copy(bytes_str("same"), &credential, &err), &err);
    assert_done(
        credential_make(buf_bytes(&ek), bytes_of(name, 34), credential, &one, &one, &err), &err);
    assert_done(
        credential_make(buf_bytes(&ek), bytes_of(name, 34), credential, &two, &two, &err), &err);
    assert_int_equal(one.len, two.len);
    assert_memory_not_equal(one.data + 4, two.data + 4, 32);
}

static void test_make_refuses(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf ek = BUF_INIT(4096), ak = BUF_INIT(4096), out = BUF_INIT(512);
    auto_secret *good = NULL, *large = NULL, *empty = NULL;
    uint8_t name[35] = {0};
    member("ek_public", &ek);
    member("ak_public", &ak);
    assert_done(secret_random(32, &good, &err) && secret_random(33, &large, &err) &&
                    secret_new(0, &empty, &err),
        &err);
    assert_refused(credential_make(buf_bytes(&ek), bytes_of(name, 34), large, &out, &out, &err),
        &err, ERR_FORMAT, "1 to 32 bytes");
    assert_refused(credential_make(buf_bytes(&ek), bytes_of(name, 34), empty, &out, &out, &err),
        &err, ERR_FORMAT, "1 to 32 bytes");
    assert_refused(credential_make(buf_bytes(&ek), bytes_of(name, 33), good, &out, &out, &err),
        &err, ERR_FORMAT, "not 32 for 33");
    assert_refused(credential_make(buf_bytes(&ek), bytes_of(name, 35), good, &out, &out, &err),
        &err, ERR_FORMAT, "not 32 for 35");
    assert_refused(credential_make(buf_bytes(&ak), bytes_of(name, 34), good, &out, &out, &err),
        &err, ERR_DENIED_POLICY, "attributes");
    assert_refused(credential_make(BYTES_EMPTY, bytes_of(name, 34), good, &out, &out, &err), &err,
        ERR_FORMAT, "TPM2B_PUBLIC");
    assert_int_equal(out.len, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ak),
        cmocka_unit_test(test_ak_rules),
        cmocka_unit_test(test_ek_rules),
        cmocka_unit_test(test_make),
        cmocka_unit_test(test_make_is_fresh),
        cmocka_unit_test(test_make_refuses),
    };
    return cmocka_run_group_tests(tests, load_keys, free_keys);
}
