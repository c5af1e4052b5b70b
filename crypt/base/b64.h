/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict base64 (RFC 4648). STD: `+/` with mandatory padding. URL: `-_` and no padding. URL_PAD:
 * `-_` with padding. Refused: white space, characters of the other alphabet, missing or extra
 * padding, non-zero bits after the last byte. The decoder has no table look-ups that depend on the
 * data, so that key material may pass through it. Also lower/upper-case hexadecimal.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

enum b64_kind { B64_STD, B64_URL, B64_URL_PAD };

size_t b64_encoded_len(enum b64_kind kind, size_t len);
size_t b64_decoded_max(size_t text_len);

/* malloc'd, NUL-terminated; NULL when memory is out. Public data only. */
char *b64_encode(enum b64_kind kind, struct bytes data);
/* Writes b64_encoded_len() characters and a NUL; `out_size` must hold both. */
bool b64_encode_to(
    enum b64_kind kind, struct bytes data, char *out, size_t out_size, struct err *err) MUST_CHECK;
/* `what` names the field in errors, e.g. "sealed secret header". Appends to `out`. */
bool b64_decode(enum b64_kind kind, struct bytes text, const char *what, struct buf *out,
    struct err *err) MUST_CHECK;
/* Into exactly `len` bytes at `out`; any other decoded length is ERR_FORMAT. */
bool b64_decode_exact(enum b64_kind kind, struct bytes text, const char *what, uint8_t *out,
    size_t len, struct err *err) MUST_CHECK;
bool b64_decode_secret(enum b64_kind kind, struct bytes text, const char *what,
    struct secret **ret_secret, struct err *err) MUST_CHECK;

/* Writes 2*len characters and a NUL. */
void hex_encode(struct bytes data, char *out);
char *hex_encode_dup(struct bytes data);
bool hex_decode(struct bytes text, const char *what, uint8_t *out, size_t len, struct err *err)
    MUST_CHECK;
