/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of JWE, for crypt/jwe*.c and for tests that need fixed keys; nothing else includes
 * this. */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/jwe.h"
#include "crypt/ossl.h"

/* What a received header says about the content key; texts decoded, borrowed by the caller. */
struct jwe_agreement {
    const struct jwk *epk; /* NULL for RSA */
    struct bytes apu, apv;
};

/* Z: the x coordinate of the shared point, as wide as the curve's field. On the stack, wiped. */
struct jwe_z {
    uint8_t data[66];
    size_t len;
};
static inline void jwe_z_wipe(struct jwe_z *z)
{
    secret_wipe(z, sizeof *z);
}
#define auto_jwe_z AUTO_DONE(jwe_z_wipe) struct jwe_z
static inline struct bytes jwe_z_bytes(const struct jwe_z *z)
{
    return bytes_of(z->data, z->len);
}
/* Both keys on P-256, or both on P-521. */
bool jwe_agree(const struct jwk *own, const struct jwk *peer, struct jwe_z *ret_z, struct err *err)
    MUST_CHECK;
/* RFC 7518 section 4.6.2 (Concat KDF of SP 800-56A, one round of SHA-256); `bits` 128 or 256, the
 * rest is zero. */
bool jwe_derive(const struct jwe_z *z, const char *algorithm, struct bytes apu, struct bytes apv,
    unsigned bits, struct key32 *ret_key, struct err *err) MUST_CHECK;
/* The content key out of encrypted_key, by the algorithm of the recipient's kind. */
bool jwe_open_key(const struct jwk *recipient, const struct jwe_agreement *agreement,
    struct bytes encrypted_key, struct key32 *ret_cek, struct err *err) MUST_CHECK;
/* The other way; `ephemeral` (private, of the recipient's curve) is NULL for RSA. */
bool jwe_seal_key(const struct jwk *recipient, const struct jwk *ephemeral, const struct key32 *cek,
    struct buf *out, struct err *err) MUST_CHECK;

/* jwe_encrypt with everything that is random given. */
bool jwe_encrypt_fixed(const struct jwk *recipient, const struct jwk *ephemeral,
    const struct key32 *cek, const uint8_t iv[12], struct bytes plaintext, struct buf *out,
    struct err *err) MUST_CHECK;
