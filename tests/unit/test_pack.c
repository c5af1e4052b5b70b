/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/pack.h"

static void one_of_each_comes_back(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(1000);
    struct pack_writer out = pack_writer(&buf);
    pack_put_u8(&out, 0xfe);
    pack_put_u16(&out, 0xfedc);
    pack_put_u32(&out, 0xfedcba98);
    pack_put_u64(&out, 0xfedcba9876543210);
    pack_put_fixed(&out, bytes_str("raw"));
    pack_put_block16(&out, bytes_str("tpm2b"));
    pack_put_block(&out, bytes_str("block"));
    pack_put_text(&out, "Straße");
    pack_put_text(&out, NULL);
    assert_done(pack_written(&out, "message", &err), &err);

    struct pack_reader in = pack_reader(buf_bytes(&buf));
    char text[16], empty[1] = "x";
    assert_int_equal(pack_get_u8(&in), 0xfe);
    assert_int_equal(pack_get_u16(&in), 0xfedc);
    assert_int_equal(pack_get_u32(&in), 0xfedcba98);
    assert_true(pack_get_u64(&in) == 0xfedcba9876543210);
    assert_true(bytes_equal(pack_get_fixed(&in, 3), bytes_str("raw")));
    assert_true(bytes_equal(pack_get_block16(&in, 5), bytes_str("tpm2b")));
    assert_true(bytes_equal(pack_get_block(&in, 5), bytes_str("block")));
    pack_get_text(&in, text, sizeof text);
    pack_get_text(&in, empty, sizeof empty);
    assert_string_equal(text, "Straße");
    assert_string_equal(empty, "");
    assert_done(pack_finish(&in, "message", &err), &err);
}

static void bytes_are_big_endian(void **state)
{
    (void)state;
    auto_buf buf = BUF_INIT(100);
    struct pack_writer out = pack_writer(&buf);
    pack_put_u16(&out, 0x0102);
    pack_put_block(&out, bytes_str("A"));
    assert_int_equal(buf.len, 7);
    assert_memory_equal(buf.data,
        "\x01\x02\x00\x00\x00\x01"
        "A",
        7);
}

static void little_endian_when_asked(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const uint8_t message[] = {1, 2, 1, 2, 3, 4, 1, 2, 3, 4, 5, 6, 7, 0xf8};
    struct pack_reader in = pack_reader(bytes_of(message, sizeof message));
    assert_int_equal(pack_get_le16(&in), 0x0201);
    assert_int_equal(pack_get_le32(&in), 0x04030201);
    assert_true(pack_get_le64(&in) == 0xf807060504030201);
    assert_done(pack_finish(&in, "message", &err), &err);
    assert_int_equal(pack_get_le32(&in), 0);
    assert_true(in.failed);
}

static void every_cut_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const uint8_t message[] = {1, 0, 2, 0, 0, 0, 3, 'a', 'b', 'c', 0, 1, 'z'};
    for (size_t len = 0; len <= sizeof message; len++) {
        struct pack_reader in = pack_reader(bytes_of(message, len));
        pack_get_u8(&in);
        pack_get_u16(&in);
        pack_get_block(&in, 3);
        pack_get_block16(&in, 1);
        if (len == sizeof message)
            assert_done(pack_finish(&in, "message", &err), &err);
        else
            assert_refused(
                pack_finish(&in, "message", &err), &err, ERR_FORMAT, "message: cut short");
    }
}

static void after_a_failure_all_is_empty(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    char text[8] = "before";
    struct pack_reader in = pack_reader(bytes_str("\x7f\x7f\x7f\x7f\x7f"));
    assert_int_equal(pack_get_u64(&in), 0);
    assert_int_equal(pack_get_u8(&in), 0);
    assert_int_equal(pack_get_fixed(&in, 1).len, 0);
    assert_int_equal(pack_get_block(&in, 100).len, 0);
    pack_get_text(&in, text, sizeof text);
    assert_string_equal(text, "");
    assert_refused(pack_finish(&in, "x", &err), &err, ERR_FORMAT, "x: cut short");
}

static void over_long_and_trailing_are_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct pack_reader in = pack_reader(bytes_of("\0\0\0\4wxyz", 8));
    assert_int_equal(pack_get_block(&in, 3).len, 0);
    assert_refused(pack_finish(&in, "x", &err), &err, ERR_FORMAT, "too long");

    in = pack_reader(bytes_of("\xff\xff\xff\xffwxyz", 8));
    assert_int_equal(pack_get_block(&in, SIZE_MAX).len, 0);
    assert_refused(pack_finish(&in, "x", &err), &err, ERR_FORMAT, "cut short");

    in = pack_reader(bytes_str("ab"));
    assert_int_equal(pack_get_u8(&in), 'a');
    assert_refused(pack_finish(&in, "x", &err), &err, ERR_FORMAT, "1 bytes after its end");
}

static void text_must_be_text_and_fit(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static const struct bytes refused[] = {
        {(const uint8_t *)"\0\0\0\3a\0b", 7},             /* NUL inside */
        {(const uint8_t *)"\0\0\0\2\xc3\x28", 6},         /* not UTF-8 */
        {(const uint8_t *)"\0\0\0\3\xed\xa0\x80", 7},     /* a surrogate */
        {(const uint8_t *)"\0\0\0\2\xc0\xaf", 6},         /* over-long */
        {(const uint8_t *)"\0\0\0\4\xf4\x90\x80\x80", 8}, /* above U+10FFFF */
        {(const uint8_t *)"\0\0\0\1\xc3", 5},             /* cut */
        {(const uint8_t *)"\0\0\0\5abcde", 9},            /* one too long for the room */
    };
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        char text[5] = "old";
        struct pack_reader in = pack_reader(refused[i]);
        pack_get_text(&in, text, sizeof text);
        assert_string_equal(text, "");
        assert_refused(pack_finish(&in, "x", &err), &err, ERR_FORMAT, "not text");
    }
}

static void writer_remembers_the_first_failure(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(3);
    struct pack_writer out = pack_writer(&buf);
    pack_put_u32(&out, 1);
    pack_put_u8(&out, 2);
    assert_int_equal(buf.len, 0);
    assert_refused(
        pack_written(&out, "reply", &err), &err, ERR_FORMAT, "reply: does not fit into 3 bytes");

    static const uint8_t large[65536];
    auto_buf wide = BUF_INIT(100000);
    out = pack_writer(&wide);
    pack_put_block16(&out, bytes_of(large, 65535));
    assert_false(out.failed);
    pack_put_block16(&out, bytes_of(large, 65536));
    assert_refused(pack_written(&out, "reply", &err), &err, ERR_FORMAT, "too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_each_comes_back),
        cmocka_unit_test(bytes_are_big_endian),
        cmocka_unit_test(little_endian_when_asked),
        cmocka_unit_test(every_cut_is_refused),
        cmocka_unit_test(after_a_failure_all_is_empty),
        cmocka_unit_test(over_long_and_trailing_are_refused),
        cmocka_unit_test(text_must_be_text_and_fit),
        cmocka_unit_test(writer_remembers_the_first_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
