/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/b64.h"

/*
 * Characters become values and back by arithmetic on masks: neither an index into a table nor a
 * branch depends on the data, so that neither cache nor timing tells of key material. What errors
 * say (a length, a position, the kind of mistake) is worked out only once the input has been
 * refused.
 */

struct alphabet {
    uint8_t c62, c63;
    bool padded;
};

static const struct alphabet alphabets[] = {
    [B64_STD] = {'+', '/', true},
    [B64_URL] = {'-', '_', false},
    [B64_URL_PAD] = {'-', '_', true},
};

/* All ones when low <= c <= high, else 0; every argument is below 2^31. */
static uint32_t mask_range(uint32_t c, uint32_t low, uint32_t high)
{
    return (((c - low) | (high - c)) >> 31) - 1;
}

static uint32_t mask_equal(uint32_t a, uint32_t b)
{
    return mask_range(a, b, b);
}

/* 0..63, or 64 when the character is not of the alphabet. */
static uint32_t value_of(const struct alphabet *alphabet, uint32_t c)
{
    uint32_t upper = mask_range(c, 'A', 'Z');
    uint32_t lower = mask_range(c, 'a', 'z');
    uint32_t digit = mask_range(c, '0', '9');
    uint32_t is_62 = mask_equal(c, alphabet->c62);
    uint32_t is_63 = mask_equal(c, alphabet->c63);
    uint32_t none = ~(upper | lower | digit | is_62 | is_63);
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
           (is_62 & 62) | (is_63 & 63) | (none & 64);
}

#define BLOCK 64

/* The same for sixteen characters at once, since tokens of some kilobytes are decoded for each request. A comparison
 * of vectors gives masks, again without a branch. */
typedef uint8_t lanes __attribute__((vector_size(16)));

static lanes lanes_of(const struct alphabet *alphabet, lanes c)
{
    lanes upper = (lanes)((c >= 'A') & (c <= 'Z'));
    lanes lower = (lanes)((c >= 'a') & (c <= 'z'));
    lanes digit = (lanes)((c >= '0') & (c <= '9'));
    lanes is_62 = (lanes)(c == alphabet->c62), is_63 = (lanes)(c == alphabet->c63);
    lanes none = ~(upper | lower | digit | is_62 | is_63);
    return (upper & (c - 'A')) | (lower & (c - 'a' + 26)) | (digit & (c - '0' + 52)) |
           (is_62 & 62) | (is_63 & 63) | (none & 64);
}

struct block {
    union {
        uint8_t values[BLOCK];
        lanes lanes[BLOCK / sizeof(lanes)];
    };
};

static void block_wipe(struct block *block)
{
    secret_wipe(block, sizeof *block);
}

/* Of the up to BLOCK characters of `text` from `at` on; for those that a short block lacks, value 0. */
static void block_read(
    const struct alphabet *alphabet, struct bytes text, size_t at, struct block *ret_block)
{
    struct bytes part = bytes_slice(text, at, BLOCK);
    if (part.len < BLOCK)
        memset(ret_block->values, 'A', BLOCK);
    if (part.len > 0)
        memcpy(ret_block->values, part.data, part.len);
    for (size_t i = 0; i < ARRAY_LEN(ret_block->lanes); i++)
        ret_block->lanes[i] = lanes_of(alphabet, ret_block->lanes[i]);
}

static uint8_t char_of(const struct alphabet *alphabet, uint32_t value)
{
    return (uint8_t)((mask_range(value, 0, 25) & (value + 'A')) |
                     (mask_range(value, 26, 51) & (value - 26 + 'a')) |
                     (mask_range(value, 52, 61) & (value - 52 + '0')) |
                     (mask_equal(value, 62) & alphabet->c62) |
                     (mask_equal(value, 63) & alphabet->c63));
}

size_t b64_encoded_len(enum b64_kind kind, size_t len)
{
    size_t tail = len % 3;
    size_t whole = len / 3 * 4;
    if (tail == 0)
        return whole;
    return whole + (alphabets[kind].padded ? 4 : tail + 1);
}

size_t b64_decoded_max(size_t text_len)
{
    return text_len / 4 * 3 + 3;
}

bool b64_encode_to(
    enum b64_kind kind, struct bytes data, char *out, size_t out_size, struct err *err)
{
    const struct alphabet *alphabet = &alphabets[kind];
    if (data.len > SIZE_MAX / 2 || out_size <= b64_encoded_len(kind, data.len))
        return err_set(
            err, ERR_INTERNAL, "%zu bytes of room for the base64 of %zu", out_size, data.len);
    size_t at = 0;
    for (size_t i = 0; i < data.len; i += 3) {
        size_t have = data.len - i < 3 ? data.len - i : 3;
        uint32_t word = 0;
        for (size_t k = 0; k < 3; k++)
            word = word << 8 | (k < have ? data.data[i + k] : 0);
        for (size_t k = 0; k <= have; k++)
            out[at++] = (char)char_of(alphabet, word >> (18 - 6 * k) & 63);
        for (size_t k = have; alphabet->padded && k < 3; k++)
            out[at++] = '=';
    }
    out[at] = '\0';
    return true;
}

char *b64_encode(enum b64_kind kind, struct bytes data)
{
    if (data.len > SIZE_MAX / 2)
        return NULL;
    size_t size = b64_encoded_len(kind, data.len) + 1;
    char *text = malloc(size);
    struct err ignored;
    if (text && !b64_encode_to(kind, data, text, size, &ignored)) {
        free(text);
        return NULL;
    }
    return text;
}

/* Why this text was refused, in words; never its characters. */
static bool refuse_character(
    const struct alphabet *alphabet, struct bytes digits, const char *what, struct err *err)
{
    size_t at = 0;
    while (at + 1 < digits.len && value_of(alphabet, digits.data[at]) < 64)
        at++;
    uint8_t c = digits.data[at];
    if (c == ' ' || (c >= '\t' && c <= '\r'))
        return err_set(
            err, ERR_FORMAT, "%s: white space at position %zu of the base64 text", what, at);
    if (c == '=')
        return err_set(err, ERR_FORMAT,
            "%s: `=` at position %zu of the base64 text, where none belongs", what, at);
    if (strchr("+/-_", c) && c != '\0')
        return err_set(err, ERR_FORMAT,
            "%s: position %zu of the base64 text is of the other alphabet; this one has %c and %c",
            what, at, alphabet->c62, alphabet->c63);
    return err_set(err, ERR_FORMAT, "%s: position %zu is not base64", what, at);
}

/* Takes the padding off and checks every rule; what is left can be decoded without looking again.
 */
static bool check(enum b64_kind kind, struct bytes text, const char *what, struct bytes *ret_digits,
    struct err *err)
{
    const struct alphabet *alphabet = &alphabets[kind];
    struct bytes digits = text;
    if (alphabet->padded) {
        if (text.len % 4 != 0)
            return err_set(err, ERR_FORMAT,
                "%s: %zu characters of base64, not a multiple of 4 (padding missing?)", what,
                text.len);
        for (int i = 0; i < 2 && digits.len > 0 && digits.data[digits.len - 1] == '='; i++)
            digits.len--;
    }
    AUTO_DONE(block_wipe) struct block block;
    lanes all = {0};
    uint8_t seen = 0;
    for (size_t at = 0; at < digits.len; at += BLOCK) {
        block_read(alphabet, digits, at, &block);
        for (size_t i = 0; i < ARRAY_LEN(block.lanes); i++)
            all |= block.lanes[i];
    }
    for (size_t i = 0; i < sizeof all; i++)
        seen |= all[i];
    if (seen & 64)
        return refuse_character(alphabet, digits, what, err);
    size_t tail = digits.len % 4;
    unsigned last = tail > 0 ? block.values[(digits.len - 1) % BLOCK] : 0;
    if (tail == 1)
        return err_set(err, ERR_FORMAT,
            "%s: %zu characters of base64, a length that nothing encodes to", what, digits.len);
    /* RFC 4648 section 3.5: otherwise several texts would stand for the same bytes. */
    if ((tail == 2 && (last & 15)) || (tail == 3 && (last & 3)))
        return err_set(
            err, ERR_FORMAT, "%s: bits set after the last byte of the base64 text", what);
    *ret_digits = digits;
    return true;
}

static size_t digits_len(struct bytes digits)
{
    return digits.len / 4 * 3 + (digits.len % 4) * 3 / 4;
}

static uint32_t word_of(const uint8_t four[4])
{
    return (uint32_t)four[0] << 18 | (uint32_t)four[1] << 12 | (uint32_t)four[2] << 6 | four[3];
}

static void decode(enum b64_kind kind, struct bytes digits, uint8_t *out)
{
    AUTO_DONE(block_wipe) struct block block;
    size_t len = digits_len(digits), done = 0;
    for (size_t at = 0; at < digits.len; at += BLOCK) {
        block_read(&alphabets[kind], digits, at, &block);
        const uint8_t *four = block.values;
        for (; len - done >= 3 && four < block.values + BLOCK; four += 4) {
            uint32_t word = word_of(four);
            out[done++] = (uint8_t)(word >> 16);
            out[done++] = (uint8_t)(word >> 8);
            out[done++] = (uint8_t)word;
        }
        if (four < block.values + BLOCK)
            for (int shift = 16; done < len; shift -= 8)
                out[done++] = (uint8_t)(word_of(four) >> shift);
    }
}

bool b64_decode(
    enum b64_kind kind, struct bytes text, const char *what, struct buf *out, struct err *err)
{
    struct bytes digits;
    uint8_t *room;
    if (!check(kind, text, what, &digits, err))
        return false;
    if (!buf_reserve(out, digits_len(digits), &room, err))
        return err_wrap(err, "%s", what);
    decode(kind, digits, room);
    buf_commit(out, digits_len(digits));
    return true;
}

bool b64_decode_exact(enum b64_kind kind, struct bytes text, const char *what, uint8_t *out,
    size_t len, struct err *err)
{
    struct bytes digits;
    if (!check(kind, text, what, &digits, err))
        return false;
    if (digits_len(digits) != len)
        return err_set(
            err, ERR_FORMAT, "%s: %zu bytes, where %zu are needed", what, digits_len(digits), len);
    decode(kind, digits, out);
    return true;
}

bool b64_decode_secret(enum b64_kind kind, struct bytes text, const char *what,
    struct secret **ret_secret, struct err *err)
{
    struct bytes digits;
    auto_secret *secret = NULL;
    if (!check(kind, text, what, &digits, err))
        return false;
    if (!secret_new(digits_len(digits), &secret, err))
        return err_wrap(err, "%s", what);
    decode(kind, digits, secret_data(secret));
    *ret_secret = take_ptr(secret);
    return true;
}

void hex_encode(struct bytes data, char *out)
{
    for (size_t i = 0; i < 2 * data.len; i++) {
        uint32_t value = data.data[i / 2] >> (i % 2 ? 0 : 4) & 15;
        out[i] = (char)(value + '0' + (mask_range(value, 10, 15) & ('a' - '0' - 10)));
    }
    out[2 * data.len] = '\0';
}

char *hex_encode_dup(struct bytes data)
{
    if (data.len > SIZE_MAX / 4)
        return NULL;
    char *text = malloc(2 * data.len + 1);
    if (text)
        hex_encode(data, text);
    return text;
}

static uint32_t hex_value(uint32_t c)
{
    uint32_t digit = mask_range(c, '0', '9');
    uint32_t lower = mask_range(c, 'a', 'f');
    uint32_t upper = mask_range(c, 'A', 'F');
    return (digit & (c - '0')) | (lower & (c - 'a' + 10)) | (upper & (c - 'A' + 10)) |
           (~(digit | lower | upper) & 16);
}

bool hex_decode(struct bytes text, const char *what, uint8_t *out, size_t len, struct err *err)
{
    if (text.len % 2 != 0 || text.len / 2 != len)
        return err_set(err, ERR_FORMAT, "%s: %zu hexadecimal digits, where %zu are needed", what,
            text.len, 2 * len);
    uint32_t seen = 0;
    for (size_t i = 0; i < text.len; i++)
        seen |= hex_value(text.data[i]);
    if (seen & 16)
        return err_set(err, ERR_FORMAT, "%s: a character that is not a hexadecimal digit", what);
    for (size_t i = 0; i < len; i++)
        out[i] = (uint8_t)(hex_value(text.data[2 * i]) << 4 | hex_value(text.data[2 * i + 1]));
    return true;
}
