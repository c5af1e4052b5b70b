/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "attest/verify/ecdsa_raw.h"
#include "crypt/ossl.h"

static struct err err;
static const char message[] = "what hardware says";

struct raw {
    uint8_t r[72], s[72];
};

static void sign(
    EVP_PKEY *key, const EVP_MD *digest, enum ecdsa_order order, int size, struct raw *out)
{
    uint8_t der[160];
    size_t len = sizeof der;
    auto_md_ctx *ctx = EVP_MD_CTX_new();
    assert_int_equal(EVP_DigestSignInit(ctx, NULL, digest, NULL, key), 1);
    assert_int_equal(
        EVP_DigestSign(ctx, der, &len, (const uint8_t *)message, sizeof message - 1), 1);
    const unsigned char *at = der;
    auto_ecdsa_sig *signature = d2i_ECDSA_SIG(NULL, &at, (long)len);
    int (*write)(const BIGNUM *, unsigned char *, int) =
        order == ECDSA_BIG_ENDIAN ? BN_bn2binpad : BN_bn2lebinpad;
    write(ECDSA_SIG_get0_r(signature), out->r, size);
    write(ECDSA_SIG_get0_s(signature), out->s, size);
}

static bool good(EVP_PKEY *key, enum ecdsa_curve curve, struct bytes text, const struct raw *raw,
    int size, enum ecdsa_order order)
{
    bool is_good = false;
    assert_done(ecdsa_raw_verify(key, curve, text, bytes_of(raw->r, (size_t)size),
                    bytes_of(raw->s, (size_t)size), order, &is_good, &err),
        &err);
    return is_good;
}

static void both_orders_and_curves(void **state)
{
    (void)state;
    struct bytes text = bytes_of(message, sizeof message - 1), less = bytes_of(message, 5);
    auto_pkey *p256 = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384"),
              *other = EVP_EC_gen("P-384");
    struct raw big, little;
    sign(p256, EVP_sha256(), ECDSA_BIG_ENDIAN, 32, &big);
    sign(p384, EVP_sha384(), ECDSA_LITTLE_ENDIAN, 72, &little);
    assert_true(good(p256, ECDSA_P256, text, &big, 32, ECDSA_BIG_ENDIAN));
    assert_true(good(p384, ECDSA_P384, text, &little, 72, ECDSA_LITTLE_ENDIAN));
    assert_true(good(p384, ECDSA_P384, text, &little, 48, ECDSA_LITTLE_ENDIAN));
    assert_false(good(p256, ECDSA_P256, less, &big, 32, ECDSA_BIG_ENDIAN));
    assert_false(good(p256, ECDSA_P256, text, &big, 32, ECDSA_LITTLE_ENDIAN));
    assert_false(good(p384, ECDSA_P384, text, &little, 72, ECDSA_BIG_ENDIAN));
    assert_false(good(other, ECDSA_P384, text, &little, 72, ECDSA_LITTLE_ENDIAN));
    assert_false(good(p384, ECDSA_P256, text, &big, 32, ECDSA_BIG_ENDIAN));
    little.s[71] = 1;
    assert_false(good(p384, ECDSA_P384, text, &little, 72, ECDSA_LITTLE_ENDIAN));
}

/* 0, the order itself, and r + order: a verifier that reduces first would take the last. */
static void numbers_out_of_range(void **state)
{
    (void)state;
    struct bytes text = bytes_of(message, sizeof message - 1);
    auto_pkey *key = EVP_EC_gen("P-384");
    EC_GROUP *group = EC_GROUP_new_by_curve_name(NID_secp384r1);
    const BIGNUM *order = EC_GROUP_get0_order(group);
    auto_bignum *sum = BN_new();
    struct raw raw, changed;
    sign(key, EVP_sha384(), ECDSA_LITTLE_ENDIAN, 72, &raw);
    changed = raw;
    memset(changed.r, 0, sizeof changed.r);
    assert_false(good(key, ECDSA_P384, text, &changed, 72, ECDSA_LITTLE_ENDIAN));
    changed = raw;
    memset(changed.s, 0, sizeof changed.s);
    assert_false(good(key, ECDSA_P384, text, &changed, 72, ECDSA_LITTLE_ENDIAN));
    changed = raw;
    BN_bn2lebinpad(order, changed.r, 72);
    assert_false(good(key, ECDSA_P384, text, &changed, 72, ECDSA_LITTLE_ENDIAN));
    changed = raw;
    BN_lebin2bn(raw.r, 72, sum);
    BN_add(sum, sum, order);
    BN_bn2lebinpad(sum, changed.r, 72);
    assert_false(good(key, ECDSA_P384, text, &changed, 72, ECDSA_LITTLE_ENDIAN));
    memset(&changed, 0xff, sizeof changed);
    assert_false(good(key, ECDSA_P384, text, &changed, 72, ECDSA_LITTLE_ENDIAN));
    EC_GROUP_free(group);
}

static void points_become_keys(void **state)
{
    (void)state;
    auto_pkey *key = EVP_EC_gen("P-256"), *made = NULL, *none = NULL;
    uint8_t point[65];
    size_t len = 0;
    assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, sizeof point, &len), 1);
    assert_int_equal(len, 65);
    assert_done(ecdsa_key_from_point(ECDSA_P256, bytes_of(point + 1, 64), &made, &err), &err);
    assert_int_equal(EVP_PKEY_eq(key, made), 1);
    assert_true(ecdsa_key_is(made, ECDSA_P256));
    assert_false(ecdsa_key_is(made, ECDSA_P384));
    assert_false(ecdsa_key_is(NULL, ECDSA_P384));
    assert_refused(ecdsa_key_from_point(ECDSA_P384, bytes_of(point + 1, 64), &none, &err), &err,
        ERR_FORMAT, "EC point of 64 bytes");
    point[64] ^= 1;
    assert_refused(ecdsa_key_from_point(ECDSA_P256, bytes_of(point + 1, 64), &none, &err), &err,
        ERR_FORMAT, "not a point of prime256v1");
    memset(point, 0, sizeof point);
    assert_refused(ecdsa_key_from_point(ECDSA_P256, bytes_of(point + 1, 64), &none, &err), &err,
        ERR_FORMAT, "not a point");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_orders_and_curves),
        cmocka_unit_test(numbers_out_of_range),
        cmocka_unit_test(points_become_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
