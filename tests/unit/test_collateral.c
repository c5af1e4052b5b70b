/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/inputs.h"

#include "attest/verify/collateral.h"

static struct err err;

static void names_are_harmless(void **state)
{
    static const char *const good[] = {"amd/chain/Milan", "intel/root-crl",
        "intel/tcb/50806F000000", "amd/vcek/Turin/0011223344556677/bl01_tee00_snp04_ucode84_fmc00"};
    static const char *const bad[] = {"", "amd", "amd/", "/amd/chain", "amd//chain", "amd/../x",
        "amd/chain/Milan/", "amd/a b", "amd/a.b", "amd/a%2f", "amd/\xc3\xa4", "ibm/chain/x",
        "amdx/y", "amd/a/b/c/d/e", "amd/a\nb", "intel/?x=1"};
    char long_name[COLLATERAL_NAME_MAX + 1] = "amd/";
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(collateral_name_ok(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (collateral_name_ok(bad[i]))
            fail_msg("\"%s\" was taken", bad[i]);
    memset(long_name + 4, 'x', COLLATERAL_NAME_MAX - 5);
    assert_true(collateral_name_ok(long_name));
    long_name[COLLATERAL_NAME_MAX - 1] = 'x';
    assert_false(collateral_name_ok(long_name));
}

static void what_was_put_is_got(void **state)
{
    (void)state;
    auto_collateral *set = NULL;
    struct bytes body, chain = bytes_str("before");
    assert_done(collateral_new(&set, &err), &err);
    assert_false(collateral_get(set, "intel/root-crl", &body, &chain));
    assert_false(collateral_get(NULL, "intel/root-crl", &body, &chain));
    assert_done(collateral_put(set, "intel/root-crl", bytes_str("one"), BYTES_EMPTY, &err), &err);
    assert_done(
        collateral_put(set, "intel/qe-identity", bytes_str("two"), bytes_str("PEM"), &err), &err);
    assert_true(collateral_get(set, "intel/root-crl", &body, NULL));
    assert_true(bytes_equal(body, bytes_str("one")));
    assert_true(collateral_get(set, "intel/qe-identity", &body, &chain));
    assert_true(bytes_equal(body, bytes_str("two")) && bytes_equal(chain, bytes_str("PEM")));
    assert_done(collateral_put(set, "intel/root-crl", bytes_str("three"), chain, &err), &err);
    assert_true(collateral_get(set, "intel/root-crl", &body, &chain));
    assert_true(bytes_equal(body, bytes_str("three")) && bytes_equal(chain, bytes_str("PEM")));
    assert_int_equal(collateral_count(set), 2);
    assert_int_equal(collateral_count(NULL), 0);
    assert_string_equal(collateral_name(set, 1), "intel/qe-identity");
}

static void limits_hold(void **state)
{
    (void)state;
    auto_collateral *many = NULL, *large = NULL;
    auto_buf block = BUF_INIT(COLLATERAL_TOTAL_MAX);
    auto_free uint8_t *data = calloc(1, COLLATERAL_OBJECT_MAX + 1);
    char name[64];
    assert_done(collateral_new(&many, &err), &err);
    assert_done(collateral_new(&large, &err), &err);
    assert_refused(collateral_put(many, "amd/../x", bytes_str("x"), BYTES_EMPTY, &err), &err,
        ERR_FORMAT, "no name");
    assert_refused(collateral_put(many, "amd/x", BYTES_EMPTY, bytes_str("x"), &err), &err,
        ERR_FORMAT, "amd/x is empty");
    assert_refused(
        collateral_put(many, "amd/x", bytes_of(data, COLLATERAL_OBJECT_MAX + 1), BYTES_EMPTY, &err),
        &err, ERR_FORMAT, "over 1048576 bytes");
    assert_refused(
        collateral_put(many, "amd/x", bytes_of(data, COLLATERAL_OBJECT_MAX), bytes_str("x"), &err),
        &err, ERR_FORMAT, "over 1048576 bytes");
    for (int i = 0; i < COLLATERAL_COUNT_MAX; i++) {
        snprintf(name, sizeof name, "amd/%d", i);
        assert_done(collateral_put(many, name, bytes_str("x"), BYTES_EMPTY, &err), &err);
    }
    assert_refused(collateral_put(many, "amd/x", bytes_str("x"), BYTES_EMPTY, &err), &err,
        ERR_FORMAT, "more than 256");
    assert_done(collateral_put(many, "amd/0", bytes_str("yy"), BYTES_EMPTY, &err), &err);
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "amd/%d", i);
        assert_done(
            collateral_put(large, name, bytes_of(data, COLLATERAL_OBJECT_MAX), BYTES_EMPTY, &err),
            &err);
    }
    assert_refused(
        collateral_put(large, "amd/3", bytes_of(data, COLLATERAL_OBJECT_MAX), BYTES_EMPTY, &err),
        &err, ERR_FORMAT, "collateral of more than");
    assert_done(
        collateral_put(large, "amd/2", bytes_of(data, COLLATERAL_OBJECT_MAX), BYTES_EMPTY, &err),
        &err);
    /* What a set may hold fits into a block of the limit. */
    assert_done(
        collateral_put(large, "amd/last",
            bytes_of(data, COLLATERAL_OBJECT_MAX - 2 - 3 * (12 + 5) - 12 - 8), BYTES_EMPTY, &err),
        &err);
    assert_done(collateral_encode(large, &block, &err), &err);
    assert_int_equal(block.len, COLLATERAL_TOTAL_MAX);
}

static void a_set_crosses_a_process_border(void **state)
{
    (void)state;
    auto_collateral *set = NULL, *got = NULL, *none = NULL;
    auto_buf block = BUF_INIT(4096), again = BUF_INIT(4096), empty = BUF_INIT(16);
    struct bytes body, chain;
    assert_done(collateral_new(&set, &err), &err);
    assert_done(collateral_put(set, "amd/chain/Milan", bytes_str("PEM"), BYTES_EMPTY, &err), &err);
    assert_done(
        collateral_put(set, "intel/tcb/00A06D080000", bytes_str("{}"), bytes_str("chain"), &err),
        &err);
    assert_done(collateral_encode(set, &block, &err), &err);
    assert_done(collateral_decode(buf_bytes(&block), &got, &err), &err);
    assert_int_equal(collateral_count(got), 2);
    assert_true(collateral_get(got, "intel/tcb/00A06D080000", &body, &chain));
    assert_true(bytes_equal(body, bytes_str("{}")) && bytes_equal(chain, bytes_str("chain")));
    assert_done(collateral_encode(got, &again, &err), &err);
    assert_true(bytes_equal(buf_bytes(&block), buf_bytes(&again)));
    assert_done(collateral_encode(NULL, &empty, &err), &err);
    assert_done(collateral_decode(buf_bytes(&empty), &none, &err), &err);
    assert_int_equal(collateral_count(none), 0);
    for (size_t len = 0; len < block.len; len++) {
        auto_collateral *cut = NULL;
        assert_false(collateral_decode(bytes_of(block.data, len), &cut, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
}

static bool refuse(const struct secret *input, struct err *ret_err)
{
    auto_collateral *set = NULL;
    return collateral_decode(secret_bytes(input), &set, ret_err);
}

static void bad_inputs(void **state)
{
    static const struct bad_input inputs[] = {
        {"body-empty.bin", ERR_FORMAT, "is empty"},
        {"body-length-4gib.bin", ERR_FORMAT, "collateral: cut short"},
        {"count-65535.bin", ERR_FORMAT, "collateral: cut short"},
        {"name-empty.bin", ERR_FORMAT, "no name"},
        {"name-long.bin", ERR_FORMAT, "collateral: cut short"},
        {"name-other-vendor.bin", ERR_FORMAT, "no name"},
        {"name-traversal.bin", ERR_FORMAT, "no name"},
        {"name-twice.bin", ERR_FORMAT, "comes twice"},
        {"name-with-nul.bin", ERR_FORMAT, "collateral: cut short"},
        {"objects-257.bin", ERR_FORMAT, "more than 256"},
        {"trailing.bin", ERR_FORMAT, "1 bytes after its end"},
    };
    (void)state;
    assert_all_bad("bad/collateral", inputs, ARRAY_LEN(inputs), refuse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_harmless),
        cmocka_unit_test(what_was_put_is_got),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(a_set_crosses_a_process_border),
        cmocka_unit_test(bad_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
