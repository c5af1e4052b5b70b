/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "tests/unit/unit.h"

static struct bytes unhex(const char *hex, uint8_t *room)
{
    struct err err = ERR_INIT;
    assert_done(hex_decode(bytes_str(hex), "test", room, strlen(hex) / 2, &err), &err);
    return bytes_of(room, strlen(hex) / 2);
}

static void assert_hex(struct bytes got, const char *wanted)
{
    char *hex = hex_encode_dup(got);
    assert_string_equal(hex, wanted);
    free(hex);
}

/* Test cases 14 and 16 of McGrew and Viega, "The Galois/Counter Mode of Operation", appendix B. */
static const struct {
    const char *key, *iv, *aad, *plaintext, *ciphertext, *tag;
} gcm[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
        "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
        "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
        "feedfacedeadbeeffeedfacedeadbeefabaddad2",
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449"
        "a6b525"
        "b16aedf5aa0de657ba637b39",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056"
        "828838"
        "c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static void gcm_vectors_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(gcm); i++) {
        struct err err = ERR_INIT;
        uint8_t key[32], iv[12], aad[64], plain[64], cipher[64], tag[16], made[16];
        struct bytes k = unhex(gcm[i].key, key), n = unhex(gcm[i].iv, iv),
                     a = unhex(gcm[i].aad, aad);
        auto_buf out = BUF_INIT(1024);
        auto_secret *opened = NULL;
        assert_done(aead_seal(k, n, a, unhex(gcm[i].plaintext, plain), &out, made, &err), &err);
        assert_hex(buf_bytes(&out), gcm[i].ciphertext);
        assert_hex(bytes_of(made, 16), gcm[i].tag);
        assert_done(aead_open(k, n, a, unhex(gcm[i].ciphertext, cipher), unhex(gcm[i].tag, tag),
                        &opened, &err),
            &err);
        assert_hex(secret_bytes(opened), gcm[i].plaintext);
    }
}

static void nothing_is_left_of_altered_data(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t key[32], iv[12], aad[64], cipher[64], tag[16];
    struct bytes k = unhex(gcm[1].key, key), n = unhex(gcm[1].iv, iv), a = unhex(gcm[1].aad, aad);
    struct bytes c = unhex(gcm[1].ciphertext, cipher), t = unhex(gcm[1].tag, tag);
    uint8_t *const places[] = {key, iv, aad, cipher, cipher + 59, tag, tag + 15};
    size_t count, before, bytes;
    secret_stats(&before, &bytes);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        struct secret *opened = NULL;
        *places[i] ^= 0x80;
        assert_refused(
            aead_open(k, n, a, c, t, &opened, &err), &err, ERR_CRYPTO, "tag does not fit");
        assert_null(opened);
        *places[i] ^= 0x80;
    }
    secret_stats(&count, &bytes);
    assert_int_equal(count, before);
}

static void empty_plaintext(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const uint8_t key[32] = {1}, iv[12] = {2};
    uint8_t tag[16];
    auto_buf out = BUF_INIT(16);
    auto_secret *opened = NULL;
    assert_done(
        aead_seal(bytes_of(key, 32), bytes_of(iv, 12), BYTES_EMPTY, BYTES_EMPTY, &out, tag, &err),
        &err);
    assert_int_equal(out.len, 0);
    assert_done(aead_open(bytes_of(key, 32), bytes_of(iv, 12), BYTES_EMPTY, BYTES_EMPTY,
                    bytes_of(tag, 16), &opened, &err),
        &err);
    assert_int_equal(secret_len(opened), 0);
    tag[3] ^= 1;
    assert_refused(aead_open(bytes_of(key, 32), bytes_of(iv, 12), BYTES_EMPTY, BYTES_EMPTY,
                       bytes_of(tag, 16), &opened, &err),
        &err, ERR_CRYPTO, "tag does not fit");
}

static void wrong_sizes_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    const uint8_t room[128] = {0};
    struct secret *out = NULL;
    struct bytes b12 = bytes_of(room, 12), b16 = bytes_of(room, 16), b32 = bytes_of(room, 32);
    assert_refused(
        aead_open(b16, b12, b12, b12, b16, &out, &err), &err, ERR_FORMAT, "key of 16 bytes");
    assert_refused(
        aead_open(b32, b16, b12, b12, b16, &out, &err), &err, ERR_FORMAT, "nonce of 16 bytes");
    assert_refused(
        aead_open(b32, b12, b12, b12, b12, &out, &err), &err, ERR_FORMAT, "tag of 12 bytes");
    assert_refused(keywrap_unwrap(b16, bytes_of(room, 40), &out, &err), &err, ERR_FORMAT,
        "wrapping key of 16 bytes");
    static const size_t bad[] = {0, 7, 8, 16, 23, 25, 39, 41, 73, 80};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(
            keywrap_unwrap(b32, bytes_of(room, bad[i]), &out, &err), &err, ERR_FORMAT, "RFC 3394");
    auto_buf wrapped = BUF_INIT(128);
    assert_refused(
        keywrap_wrap(b32, bytes_of(room, 15), &wrapped, &err), &err, ERR_FORMAT, "RFC 3394");
    assert_refused(
        keywrap_wrap(b32, bytes_of(room, 72), &wrapped, &err), &err, ERR_FORMAT, "RFC 3394");
    uint8_t key[32];
    assert_refused(
        keywrap_unwrap_key32(b32, bytes_of(room, 24), key, &err), &err, ERR_FORMAT, "takes 40");
    assert_null(out);
}

/* RFC 3394 sections 4.3, 4.5 and 4.6: a 256-bit wrapping key and keys of 128, 192 and 256 bits. */
static void keywrap_vectors_both_ways(void **state)
{
    (void)state;
    static const char kek_hex[] =
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    static const struct {
        const char *key, *wrapped;
    } rows[] = {
        {"00112233445566778899aabbccddeeff", "64e8c3f9ce0f5ba263e9777905818a2a93c8191e7d6e8ae7"},
        {"00112233445566778899aabbccddeeff0001020304050607",
            "a8f9bc1612c68b3ff6e6f4fbe30e71e4769c8b80a32cb8958cd5d17d6b254da1"},
        {"00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21"},
    };
    uint8_t kek[32], key[64], wrapped[72];
    struct bytes k = unhex(kek_hex, kek);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct err err = ERR_INIT;
        auto_buf out = BUF_INIT(128);
        auto_secret *opened = NULL;
        assert_done(keywrap_wrap(k, unhex(rows[i].key, key), &out, &err), &err);
        assert_hex(buf_bytes(&out), rows[i].wrapped);
        struct bytes w = unhex(rows[i].wrapped, wrapped);
        assert_done(keywrap_unwrap(k, w, &opened, &err), &err);
        assert_hex(secret_bytes(opened), rows[i].key);
        for (size_t at = 0; at < w.len; at++) {
            struct secret *none = NULL;
            wrapped[at] ^= 1;
            assert_refused(keywrap_unwrap(k, w, &none, &err), &err, ERR_CRYPTO, "does not open");
            assert_null(none);
            wrapped[at] ^= 1;
        }
    }
    struct err err = ERR_INIT;
    uint8_t stack[32] = {0};
    assert_done(keywrap_unwrap_key32(k, unhex(rows[2].wrapped, wrapped), stack, &err), &err);
    assert_hex(bytes_of(stack, 32), rows[2].key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gcm_vectors_both_ways),
        cmocka_unit_test(nothing_is_left_of_altered_data),
        cmocka_unit_test(empty_plaintext),
        cmocka_unit_test(wrong_sizes_are_refused),
        cmocka_unit_test(keywrap_vectors_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
