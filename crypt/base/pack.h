/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cursors over binary messages, big-endian unless the name says otherwise, never past the end: the only code that moves a pointer
 * through untrusted bytes. A reader remembers the first failure, so a message is decoded straight
 * through and checked once:
 *
 *     struct pack_reader in = pack_reader(message);
 *     uint16_t kind = pack_get_u16(&in);
 *     struct bytes name = pack_get_block(&in, 255);      u32 length, then the bytes; borrowed
 *     if (!pack_finish(&in, "attestd request", err))     short, over-long or trailing bytes
 *         return false;
 *
 * Getters return 0 / empty after a failure. A writer writes into a struct buf and remembers
 * likewise.
 */
#pragma once

#include "crypt/base/buf.h"

struct pack_reader {
    struct bytes rest;
    bool failed;
};

struct pack_reader pack_reader(struct bytes message);
uint8_t pack_get_u8(struct pack_reader *in);
uint16_t pack_get_u16(struct pack_reader *in);
uint32_t pack_get_u32(struct pack_reader *in);
uint64_t pack_get_u64(struct pack_reader *in);
/* Little-endian, as firmware and Intel write. */
uint16_t pack_get_le16(struct pack_reader *in);
uint32_t pack_get_le32(struct pack_reader *in);
uint64_t pack_get_le64(struct pack_reader *in);
struct bytes pack_get_fixed(struct pack_reader *in, size_t len);
/* u16 length, then that many bytes (TPM2B); fails when the length is over `max`. */
struct bytes pack_get_block16(struct pack_reader *in, size_t max);
/* u32 length, then that many bytes; fails when the length is over `max`. */
struct bytes pack_get_block(struct pack_reader *in, size_t max);
/* A block that is UTF-8 text without NUL, copied into `out` with its NUL; fails when it does not
 * fit. */
void pack_get_text(struct pack_reader *in, char *out, size_t out_size);
/* True when nothing failed and nothing is left. */
bool pack_finish(const struct pack_reader *in, const char *what, struct err *err) MUST_CHECK;

struct pack_writer {
    struct buf *out;
    bool failed;
    enum err_code cause; /* of the first failure: ERR_FORMAT (does not fit) or ERR_NOMEM */
};

struct pack_writer pack_writer(struct buf *out);
void pack_put_u8(struct pack_writer *out, uint8_t value);
void pack_put_u16(struct pack_writer *out, uint16_t value);
void pack_put_u32(struct pack_writer *out, uint32_t value);
void pack_put_u64(struct pack_writer *out, uint64_t value);
void pack_put_fixed(struct pack_writer *out, struct bytes data);
void pack_put_block16(struct pack_writer *out, struct bytes data);
void pack_put_block(struct pack_writer *out, struct bytes data);
void pack_put_text(struct pack_writer *out, const char *text); /* a block; NULL is written as "" */
bool pack_written(const struct pack_writer *out, const char *what, struct err *err) MUST_CHECK;
