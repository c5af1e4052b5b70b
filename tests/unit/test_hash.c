/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/b64.h"
#include "crypt/hash.h"
#include "tests/unit/unit.h"

static void assert_hex(struct bytes got, const char *wanted)
{
    char *hex = hex_encode_dup(got);
    assert_string_equal(hex, wanted);
    free(hex);
}

/* FIPS 180-4: "abc". */
static void sha2_of_abc(void **state)
{
    (void)state;
    static const struct {
        const char *name, *digest;
    } rows[] = {
        {"sha256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"SHA384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baec"
            "a134c825a7"},
        {"Sha512",
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c"
            "23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"},
    };
    const struct bytes pieces[] = {bytes_str("a"), BYTES_EMPTY, bytes_str("bc")};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        enum hash_alg alg;
        struct hash hash;
        assert_true(hash_alg_parse(rows[i].name, &alg));
        assert_done(hash_bytes(alg, bytes_str("abc"), &hash, &err), &err);
        assert_int_equal(hash.len, hash_size(alg));
        assert_hex(hash_view(&hash), rows[i].digest);
        assert_done(hash_pieces(alg, pieces, ARRAY_LEN(pieces), &hash, &err), &err);
        assert_hex(hash_view(&hash), rows[i].digest);
    }
}

static void unknown_names_are_refused(void **state)
{
    (void)state;
    enum hash_alg alg = HASH_SHA512;
    assert_false(hash_alg_parse("sm3", &alg));
    assert_false(hash_alg_parse("", &alg));
    assert_false(hash_alg_parse("sha2560", &alg));
    assert_int_equal(alg, HASH_SHA512);
}

/* RFC 4231 test case 2, and the empty key that OpenSSL takes for "none set". */
static void hmac_vectors(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t mac[32];
    assert_done(
        hash_hmac_sha256(bytes_str("Jefe"), bytes_str("what do ya want for nothing?"), mac, &err),
        &err);
    assert_hex(
        bytes_of(mac, 32), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_done(hash_hmac_sha256(BYTES_EMPTY, BYTES_EMPTY, mac, &err), &err);
    assert_hex(
        bytes_of(mac, 32), "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

static void random_differs(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t a[32] = {0}, b[32] = {0};
    assert_done(hash_random(a, sizeof a, &err), &err);
    assert_done(hash_random(b, sizeof b, &err), &err);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha2_of_abc),
        cmocka_unit_test(unknown_names_are_refused),
        cmocka_unit_test(hmac_vectors),
        cmocka_unit_test(random_differs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
