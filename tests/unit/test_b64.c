/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <dirent.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"

/* RFC 4648 section 10, and one value that shows every difference between the alphabets. */
static const struct {
    const char *data;
    size_t len;
    const char *text[3];
} vectors[] = {
    {"", 0, {"", "", ""}},
    {"f", 1, {"Zg==", "Zg", "Zg=="}},
    {"fo", 2, {"Zm8=", "Zm8", "Zm8="}},
    {"foo", 3, {"Zm9v", "Zm9v", "Zm9v"}},
    {"foob", 4, {"Zm9vYg==", "Zm9vYg", "Zm9vYg=="}},
    {"fooba", 5, {"Zm9vYmE=", "Zm9vYmE", "Zm9vYmE="}},
    {"foobar", 6, {"Zm9vYmFy", "Zm9vYmFy", "Zm9vYmFy"}},
    {"\xfb\xff\xfe\xff", 4, {"+//+/w==", "-__-_w", "-__-_w=="}},
};

static void vectors_both_ways(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        for (enum b64_kind kind = B64_STD; kind <= B64_URL_PAD; kind++) {
            struct bytes data = bytes_of(vectors[i].data, vectors[i].len);
            const char *wanted = vectors[i].text[kind];
            auto_free char *text = b64_encode(kind, data);
            assert_string_equal(text, wanted);
            assert_int_equal(b64_encoded_len(kind, data.len), strlen(wanted));
            assert_true(b64_decoded_max(strlen(wanted)) >= data.len);
            auto_buf out = BUF_INIT(100);
            assert_done(b64_decode(kind, bytes_str(wanted), "x", &out, &err), &err);
            assert_true(bytes_equal(buf_bytes(&out), data));
        }
}

static void one_bad_character_is_found_anywhere(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char text[140];
    uint8_t out[105];
    memset(text, 'A', sizeof text);
    for (size_t i = 0; i < sizeof text; i++) {
        char wanted[40];
        snprintf(wanted, sizeof wanted, "position %zu is not base64", i);
        text[i] = '!';
        assert_refused(
            b64_decode_exact(B64_URL, bytes_of(text, sizeof text), "x", out, sizeof out, &err),
            &err, ERR_FORMAT, wanted);
        text[i] = 'A';
    }
}

static void every_byte_comes_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t data[256 + 2], back[sizeof data];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 167 + i / 256);
    for (size_t len = 0; len <= sizeof data; len++)
        for (enum b64_kind kind = B64_STD; kind <= B64_URL_PAD; kind++) {
            char text[400];
            assert_done(b64_encode_to(kind, bytes_of(data, len), text, sizeof text, &err), &err);
            assert_done(b64_decode_exact(kind, bytes_str(text), "x", back, len, &err), &err);
            assert_memory_equal(back, data, len);
            auto_secret *secret = NULL;
            assert_done(b64_decode_secret(kind, bytes_str(text), "x", &secret, &err), &err);
            assert_true(secret_equal(secret_bytes(secret), bytes_of(data, len)));
        }
}

static void only_the_alphabet_is_taken(void **state)
{
    (void)state;
    static const char *const alphabets[] = {
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    };
    struct err err = ERR_INIT;
    for (enum b64_kind kind = B64_STD; kind <= B64_URL_PAD; kind++)
        for (int c = 0; c < 256; c++) {
            char text[] = {'A', 'A', (char)c, 'A'};
            const char *found = memchr(alphabets[kind], c, 64);
            uint8_t out[3];
            bool done = b64_decode_exact(kind, bytes_of(text, 4), "x", out, 3, &err);
            assert_int_equal(done, found != NULL);
            if (found)
                assert_int_equal(out[1] << 8 | out[2], (found - alphabets[kind]) << 6);
        }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        enum b64_kind kind;
        const char *text, *said;
    } cases[] = {
        {B64_STD, "Zg", "not a multiple of 4"},
        {B64_STD, "Zg=", "not a multiple of 4"},
        {B64_STD, "Z===", "`=` at position 1"},
        {B64_STD, "====", "`=` at position 0"},
        {B64_STD, "Zg==Zg==", "`=` at position 2"},
        {B64_STD, "Zm9v\n", "not a multiple of 4"},
        {B64_STD, "Zm 9", "white space at position 2"},
        {B64_STD, "Zm_9",
            "position 2 of the base64 text is of the other alphabet; this one has + and /"},
        {B64_URL, "Zm/9",
            "position 2 of the base64 text is of the other alphabet; this one has - and _"},
        {B64_URL, "Zg==", "`=` at position 2"},
        {B64_URL, "Zm9vZ", "a length that nothing encodes to"},
        {B64_STD, "Zh==", "bits set after the last byte"},
        {B64_URL, "Zm9", "bits set after the last byte"},
        {B64_URL, "Zm9v!", "position 4 is not base64"},
    };
    struct err err = ERR_INIT;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_buf out = BUF_INIT(100);
        struct secret *secret = NULL;
        struct bytes text = bytes_str(cases[i].text);
        assert_refused(
            b64_decode(cases[i].kind, text, "field", &out, &err), &err, ERR_FORMAT, cases[i].said);
        assert_int_equal(strncmp(err.message, "field: ", 7), 0);
        assert_int_equal(out.len, 0);
        assert_refused(b64_decode_secret(cases[i].kind, text, "field", &secret, &err), &err,
            ERR_FORMAT, cases[i].said);
        assert_null(secret);
    }
}

static void room_is_respected(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t out[3] = {1, 2, 3};
    char text[9];
    assert_refused(b64_decode_exact(B64_STD, bytes_str("Zm8="), "key", out, 3, &err), &err,
        ERR_FORMAT, "key: 2 bytes, where 3 are needed");
    assert_refused(b64_decode_exact(B64_STD, bytes_str("Zm9vZm9v"), "key", out, 3, &err), &err,
        ERR_FORMAT, "key: 6 bytes");
    assert_int_equal(out[0], 1);
    assert_refused(
        b64_encode_to(B64_STD, bytes_str("foobar"), text, 8, &err), &err, ERR_INTERNAL, "room");
    assert_done(b64_encode_to(B64_STD, bytes_str("foobar"), text, 9, &err), &err);
    auto_buf small = BUF_INIT(2);
    assert_refused(b64_decode(B64_STD, bytes_str("Zm9v"), "key", &small, &err), &err, ERR_FORMAT,
        "key: 1 bytes more");
    struct secret *secret = NULL;
    size_t len = 4 * ((size_t)SECRET_SIZE_MAX / 3 + 1);
    auto_free char *large = malloc(len);
    memset(large, 'A', len);
    assert_refused(b64_decode_secret(B64_STD, bytes_of(large, len), "key", &secret, &err), &err,
        ERR_FORMAT, "that a secret may have");
}

static void hex_both_ways(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    uint8_t data[4];
    assert_done(hex_decode(bytes_str("00aFfF9e"), "digest", data, 4, &err), &err);
    assert_memory_equal(data, "\x00\xaf\xff\x9e", 4);
    auto_free char *text = hex_encode_dup(bytes_of(data, 4));
    assert_string_equal(text, "00afff9e");
    for (int c = 0; c < 256; c++) {
        char pair[] = {'0', (char)c};
        bool wanted = c != 0 && strchr("0123456789abcdefABCDEF", c) != NULL;
        assert_int_equal(hex_decode(bytes_of(pair, 2), "digest", data, 1, &err), wanted);
    }
    assert_refused(hex_decode(bytes_str("00af"), "digest", data, 3, &err), &err, ERR_FORMAT,
        "digest: 4 hexadecimal");
    assert_refused(hex_decode(bytes_str("00a"), "digest", data, 1, &err), &err, ERR_FORMAT,
        "where 2 are needed");
    assert_refused(hex_decode(bytes_str("0x"), "digest", data, 1, &err), &err, ERR_FORMAT,
        "not a hexadecimal digit");
}

/* The file's name ends in the kind it is refused as; ".any" is refused as every kind. */
static void bad_inputs_are_refused(void **state)
{
    (void)state;
    static const char *const endings[] = {".std", ".url", ".urlpad"};
    DIR *dir = opendir(TEST_SOURCE_DIR "/bad/b64");
    assert_non_null(dir);
    int checked = 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        const char *ending = strrchr(entry->d_name, '.');
        if (entry->d_name[0] == '.' || !ending)
            continue;
        struct err err = ERR_INIT;
        auto_buf text = BUF_INIT(1000);
        assert_done(file_read_at(dirfd(dir), entry->d_name, 1000, &text, &err), &err);
        for (enum b64_kind kind = B64_STD; kind <= B64_URL_PAD; kind++) {
            if (strcmp(ending, ".any") != 0 && strcmp(ending, endings[kind]) != 0)
                continue;
            auto_buf out = BUF_INIT(1000);
            if (b64_decode(kind, buf_bytes(&text), entry->d_name, &out, &err))
                fail_msg("%s was taken", entry->d_name);
            assert_int_equal(err.code, ERR_FORMAT);
            checked++;
        }
    }
    closedir(dir);
    assert_true(checked > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_both_ways),
        cmocka_unit_test(every_byte_comes_back),
        cmocka_unit_test(one_bad_character_is_found_anywhere),
        cmocka_unit_test(only_the_alphabet_is_taken),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(room_is_respected),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(bad_inputs_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
