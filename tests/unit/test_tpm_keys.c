/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>

#include "attest/tpm_keys.h"
#include "crypt/jwk.h"

#define HANDLE 0x81010002

/* What a TPM gives back for our own template. */
static TPM2B_PUBLIC good_key(void)
{
    TPM2B_PUBLIC key = tpm_template_ak;
    key.publicArea.unique.rsa.size = 256;
    memset(key.publicArea.unique.rsa.buffer, 0xab, 256);
    return key;
}

static void test_good_keys(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    TPM2B_PUBLIC key = good_key();
    assert_done(tpm_ak_check(&key, HANDLE, &err), &err);
    key.publicArea.parameters.rsaDetail.exponent = 65537;
    key.publicArea.objectAttributes &= ~TPMA_OBJECT_NODA; /* as tpm2_createak makes it */
    assert_done(tpm_ak_check(&key, HANDLE, &err), &err);
}

static void spoil_type(TPMT_PUBLIC *area)
{
    area->type = TPM2_ALG_ECC;
}
static void spoil_bits(TPMT_PUBLIC *area)
{
    area->parameters.rsaDetail.keyBits = 1024;
}
static void spoil_size(TPMT_PUBLIC *area)
{
    area->unique.rsa.size = 128;
}
static void spoil_exponent(TPMT_PUBLIC *area)
{
    area->parameters.rsaDetail.exponent = 3;
}
static void spoil_restricted(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_RESTRICTED;
}
static void spoil_fixed(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_FIXEDTPM;
}
static void spoil_parent(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_FIXEDPARENT;
}
static void spoil_origin(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_SENSITIVEDATAORIGIN;
}
static void spoil_sign(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_SIGN_ENCRYPT;
}
static void spoil_auth(TPMT_PUBLIC *area)
{
    area->objectAttributes &= ~TPMA_OBJECT_USERWITHAUTH;
}
static void spoil_decrypt(TPMT_PUBLIC *area)
{
    area->objectAttributes |= TPMA_OBJECT_DECRYPT;
}
static void spoil_admin(TPMT_PUBLIC *area)
{
    area->objectAttributes |= TPMA_OBJECT_ADMINWITHPOLICY;
}
static void spoil_scheme(TPMT_PUBLIC *area)
{
    area->parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSAPSS;
}
static void spoil_null(TPMT_PUBLIC *area)
{
    area->parameters.rsaDetail.scheme.scheme = TPM2_ALG_NULL;
}
static void spoil_hash(TPMT_PUBLIC *area)
{
    area->parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA1;
}

static void test_each_fault_is_named(void **state)
{
    (void)state;
    static const struct {
        void (*spoil)(TPMT_PUBLIC *area);
        const char *said;
    } cases[] = {{spoil_type, "not an RSA key"}, {spoil_bits, "2048"}, {spoil_size, "2048"},
        {spoil_exponent, "65537"}, {spoil_restricted, "restricted"}, {spoil_fixed, "restricted"},
        {spoil_parent, "restricted"}, {spoil_origin, "restricted"}, {spoil_sign, "restricted"},
        {spoil_auth, "policy"}, {spoil_decrypt, "restricted"}, {spoil_admin, "policy"},
        {spoil_scheme, "RSASSA"}, {spoil_null, "RSASSA"}, {spoil_hash, "SHA-256"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        TPM2B_PUBLIC key = good_key();
        cases[i].spoil(&key.publicArea);
        assert_refused(tpm_ak_check(&key, HANDLE, &err), &err, ERR_ATTEST, cases[i].said);
        assert_non_null(strstr(err.message, "0x81010002"));
        assert_non_null(strstr(err.message, "sealed attest enroll --create-key"));
    }
}

/* The DER that is put together by hand is what OpenSSL writes for the same key. */
static void test_spki(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_jwk *rsa = NULL;
    auto_buf wanted = BUF_INIT(1024), got = BUF_INIT(1024);
    assert_done(jwk_generate(JWK_RSA, NULL, &rsa, &err), &err);
    assert_done(jwk_spki(rsa, &wanted, &err), &err);
    BIGNUM *modulus = NULL;
    assert_true(EVP_PKEY_get_bn_param(jwk_pkey(rsa), "n", &modulus));
    TPM2B_PUBLIC key = good_key();
    assert_int_equal(BN_bn2binpad(modulus, key.publicArea.unique.rsa.buffer, 256), 256);
    BN_free(modulus);
    assert_done(tpm_ak_spki(&key, &got, &err), &err);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&wanted)));
}

static void test_spki_of_a_short_modulus(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf out = BUF_INIT(1024);
    TPM2B_PUBLIC key = good_key();
    key.publicArea.unique.rsa.buffer[0] = 0x7f;
    assert_refused(tpm_ak_spki(&key, &out, &err), &err, ERR_ATTEST, "2048");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_keys),
        cmocka_unit_test(test_each_fault_is_named),
        cmocka_unit_test(test_spki),
        cmocka_unit_test(test_spki_of_a_short_modulus),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
