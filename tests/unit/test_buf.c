/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include "crypt/base/buf.h"

static void gathers_text(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(1000);
    assert_string_equal(buf_text(&buf), "");
    assert_done(buf_append_str(&buf, "one", &err), &err);
    assert_done(buf_append(&buf, BYTES_EMPTY, &err), &err);
    assert_done(buf_printf(&buf, &err, " %d %s", 2, "three"), &err);
    assert_string_equal(buf_text(&buf), "one 2 three");
    assert_int_equal(buf.len, 11);
    assert_int_equal(buf_bytes(&buf).len, 11);
    buf_truncate(&buf, 3);
    assert_string_equal(buf_text(&buf), "one");
    buf_truncate(&buf, 30);
    assert_int_equal(buf.len, 3);
}

static void grows_across_many_appends(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(100000);
    for (int i = 0; i < 10000; i++) {
        uint8_t digits[3] = {(uint8_t)i, (uint8_t)(i >> 8), 0x55};
        assert_done(buf_append(&buf, bytes_of(digits, sizeof digits), &err), &err);
        assert_true(buf.size > buf.len && buf.data[buf.len] == 0);
    }
    for (int i = 0; i < 10000; i++)
        assert_true(buf.data[3 * i] == (uint8_t)i && buf.data[3 * i + 1] == (uint8_t)(i >> 8));
}

static void maximum_is_exact(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(5);
    assert_done(buf_append_str(&buf, "12345", &err), &err);
    assert_int_equal(buf.size, 6);
    assert_refused(buf_append_str(&buf, "6", &err), &err, ERR_FORMAT, "1 bytes more than the 5");
    assert_refused(buf_printf(&buf, &err, "%d", 67), &err, ERR_FORMAT, "than the 5");
    assert_string_equal(buf_text(&buf), "12345");
    auto_buf none = {0};
    assert_refused(buf_append_str(&none, "x", &err), &err, ERR_FORMAT, "than the 0");
    assert_done(buf_append_str(&none, "", &err), &err);
}

static void absurd_length_does_not_wrap(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(SIZE_MAX);
    uint8_t *room;
    assert_done(buf_append_str(&buf, "abc", &err), &err);
    assert_refused(buf_reserve(&buf, SIZE_MAX - 3, &room, &err), &err, ERR_NOMEM, "memory");
    assert_string_equal(buf_text(&buf), "abc");
}

static void taken_text_leaves_it_empty(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_buf buf = BUF_INIT(10);
    auto_free char *nothing = buf_take_text(&buf);
    assert_string_equal(nothing, "");
    assert_done(buf_append_str(&buf, "text", &err), &err);
    auto_free char *text = buf_take_text(&buf);
    assert_string_equal(text, "text");
    assert_string_equal(buf_text(&buf), "");
    assert_done(buf_append_str(&buf, "0123456789", &err), &err);
    buf_done(&buf);
    assert_int_equal(buf.max, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gathers_text),
        cmocka_unit_test(grows_across_many_appends),
        cmocka_unit_test(maximum_is_exact),
        cmocka_unit_test(absurd_length_does_not_wrap),
        cmocka_unit_test(taken_text_leaves_it_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
