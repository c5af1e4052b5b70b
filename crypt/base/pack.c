/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/base/pack.h"

#include "crypt/base/utf8.h"

struct pack_reader pack_reader(struct bytes message)
{
    return (struct pack_reader){.rest = message};
}

struct bytes pack_get_fixed(struct pack_reader *in, size_t len)
{
    if (in->failed || len > in->rest.len) {
        in->failed = true;
        return BYTES_EMPTY;
    }
    struct bytes taken = bytes_of(in->rest.data, len);
    if (len > 0)
        in->rest = bytes_of(in->rest.data + len, in->rest.len - len);
    return taken;
}

static uint64_t get_number(struct pack_reader *in, size_t width)
{
    struct bytes taken = pack_get_fixed(in, width);
    uint64_t value = 0;
    for (size_t i = 0; i < taken.len; i++)
        value = value << 8 | taken.data[i];
    return value;
}

uint8_t pack_get_u8(struct pack_reader *in)
{
    return (uint8_t)get_number(in, 1);
}

uint16_t pack_get_u16(struct pack_reader *in)
{
    return (uint16_t)get_number(in, 2);
}

uint32_t pack_get_u32(struct pack_reader *in)
{
    return (uint32_t)get_number(in, 4);
}

uint64_t pack_get_u64(struct pack_reader *in)
{
    return get_number(in, 8);
}

static uint64_t get_reversed(struct pack_reader *in, size_t width)
{
    struct bytes taken = pack_get_fixed(in, width);
    uint64_t value = 0;
    for (size_t i = taken.len; i-- > 0;)
        value = value << 8 | taken.data[i];
    return value;
}

uint16_t pack_get_le16(struct pack_reader *in)
{
    return (uint16_t)get_reversed(in, 2);
}

uint32_t pack_get_le32(struct pack_reader *in)
{
    return (uint32_t)get_reversed(in, 4);
}

uint64_t pack_get_le64(struct pack_reader *in)
{
    return get_reversed(in, 8);
}

static struct bytes get_counted(struct pack_reader *in, size_t width, size_t max)
{
    uint64_t len = get_number(in, width);
    if (in->failed || len > max) {
        in->failed = true;
        return BYTES_EMPTY;
    }
    return pack_get_fixed(in, (size_t)len);
}

struct bytes pack_get_block16(struct pack_reader *in, size_t max)
{
    return get_counted(in, 2, max);
}

struct bytes pack_get_block(struct pack_reader *in, size_t max)
{
    return get_counted(in, 4, max);
}

void pack_get_text(struct pack_reader *in, char *out, size_t out_size)
{
    out[0] = '\0';
    struct bytes text = pack_get_block(in, out_size - 1);
    if (text.len == 0)
        return;
    if (memchr(text.data, '\0', text.len) || !utf8_valid(text)) {
        in->failed = true;
        return;
    }
    memcpy(out, text.data, text.len);
    out[text.len] = '\0';
}

bool pack_finish(const struct pack_reader *in, const char *what, struct err *err)
{
    if (in->failed)
        return err_set(
            err, ERR_FORMAT, "%s: cut short, or a field in it is too long or not text", what);
    if (in->rest.len > 0)
        return err_set(err, ERR_FORMAT, "%s: %zu bytes after its end", what, in->rest.len);
    return true;
}

struct pack_writer pack_writer(struct buf *out)
{
    return (struct pack_writer){.out = out};
}

static void fail(struct pack_writer *out, enum err_code cause)
{
    if (!out->failed)
        out->cause = cause;
    out->failed = true;
}

void pack_put_fixed(struct pack_writer *out, struct bytes data)
{
    struct err err;
    if (!out->failed && !buf_append(out->out, data, &err))
        fail(out, err.code);
}

static void put_number(struct pack_writer *out, uint64_t value, size_t width)
{
    uint8_t data[8];
    for (size_t i = 0; i < width; i++)
        data[i] = (uint8_t)(value >> 8 * (width - 1 - i));
    pack_put_fixed(out, bytes_of(data, width));
}

void pack_put_u8(struct pack_writer *out, uint8_t value)
{
    put_number(out, value, 1);
}

void pack_put_u16(struct pack_writer *out, uint16_t value)
{
    put_number(out, value, 2);
}

void pack_put_u32(struct pack_writer *out, uint32_t value)
{
    put_number(out, value, 4);
}

void pack_put_u64(struct pack_writer *out, uint64_t value)
{
    put_number(out, value, 8);
}

static void put_counted(struct pack_writer *out, struct bytes data, size_t width, size_t max)
{
    if (data.len > max) {
        fail(out, ERR_FORMAT);
        return;
    }
    put_number(out, data.len, width);
    pack_put_fixed(out, data);
}

void pack_put_block16(struct pack_writer *out, struct bytes data)
{
    put_counted(out, data, 2, UINT16_MAX);
}

void pack_put_block(struct pack_writer *out, struct bytes data)
{
    put_counted(out, data, 4, UINT32_MAX);
}

void pack_put_text(struct pack_writer *out, const char *text)
{
    pack_put_block(out, bytes_str(text ? text : ""));
}

bool pack_written(const struct pack_writer *out, const char *what, struct err *err)
{
    if (!out->failed)
        return true;
    if (out->cause == ERR_NOMEM)
        return err_set(err, ERR_NOMEM, "%s: out of memory", what);
    return err_set(err, ERR_FORMAT,
        "%s: does not fit into %zu bytes, or a field is too long for its length", what,
        out->out->max);
}
