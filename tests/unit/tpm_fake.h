/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM made of software, for tests: TPM evidence by a key of its own, right in every part unless a member says
 * otherwise. What it signs is what the members say, so a check is met by a true signature over a wrong statement.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"
#include "crypt/base/json.h"
#include "crypt/base/pack.h"

struct tpm_fake {
    EVP_PKEY *key;
    uint8_t pcrs[24][32];
    uint32_t magic;
    uint16_t type;
    uint8_t extra[64];
    size_t extra_len;
    struct tpm_selection selections[2];
    size_t selection_count;
};

static inline struct tpm_fake tpm_fake_new(EVP_PKEY *key, struct bytes report_data)
{
    struct tpm_fake fake = {.key = key,
        .magic = TPM_MAGIC,
        .type = TPM_TYPE_QUOTE,
        .extra_len = 32,
        .selection_count = 1,
        .selections = {{TPM_ALG_HASH_SHA256, 3, {0xff, 0xff, 0xff}}}};
    memcpy(fake.extra, report_data.data, report_data.len < 32 ? report_data.len : 32);
    memset(fake.pcrs[17], 0xff, sizeof fake.pcrs[17] * 6);
    return fake;
}

/* TPMS_ATTEST, appended. */
static inline bool tpm_fake_message(const struct tpm_fake *fake, struct buf *out, struct err *err)
{
    uint8_t digest[32];
    struct pack_writer to = pack_writer(out);
    SHA256((const uint8_t *)fake->pcrs, sizeof fake->pcrs, digest);
    pack_put_u32(&to, fake->magic);
    pack_put_u16(&to, fake->type);
    pack_put_block16(&to, bytes_of("\0\x0b", 2));
    pack_put_block16(&to, bytes_of(fake->extra, fake->extra_len));
    pack_put_u64(&to, 123456);
    pack_put_u32(&to, 7);
    pack_put_u32(&to, 0);
    pack_put_u8(&to, 1);
    pack_put_u64(&to, 0x20191023);
    pack_put_u32(&to, (uint32_t)fake->selection_count);
    for (size_t i = 0; i < fake->selection_count; i++) {
        pack_put_u16(&to, fake->selections[i].hash);
        pack_put_u8(&to, fake->selections[i].size);
        pack_put_fixed(&to, bytes_of(fake->selections[i].bits, fake->selections[i].size));
    }
    pack_put_block16(&to, bytes_of(digest, sizeof digest));
    return pack_written(&to, "TPMS_ATTEST", err);
}

/* TPMT_SIGNATURE by RSASSA with SHA-256, appended. */
static inline bool tpm_fake_sign(
    EVP_PKEY *key, struct bytes message, struct buf *out, struct err *err)
{
    uint8_t raw[TPM_RSA_BYTES_MAX];
    size_t len = sizeof raw;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool done = ctx && EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
                EVP_DigestSign(ctx, raw, &len, message.data, message.len) == 1;
    EVP_MD_CTX_free(ctx);
    if (!done)
        return err_set(err, ERR_CRYPTO, "cannot sign");
    struct pack_writer to = pack_writer(out);
    pack_put_u16(&to, TPM_ALG_SIGN_RSASSA);
    pack_put_u16(&to, TPM_ALG_HASH_SHA256);
    pack_put_block16(&to, bytes_of(raw, len));
    return pack_written(&to, "TPMT_SIGNATURE", err);
}

static inline bool tpm_fake_set_b64(
    json_t *object, const char *name, struct bytes data, struct err *err)
{
    auto_free char *text = b64_encode(B64_STD, data);
    return (text && json_object_set_new(object, name, json_string(text)) == 0) || err_nomem(err);
}

static inline bool tpm_fake_evidence(
    const struct tpm_fake *fake, json_t **ret_evidence, struct err *err)
{
    auto_buf message = BUF_INIT(4096), signature = BUF_INIT(4096);
    auto_json *evidence = NULL;
    uint8_t *spki = NULL;
    if (!json_build(&evidence, err, "{s:{s:[]}}", "tpm_quote", "pcrs") ||
        !tpm_fake_message(fake, &message, err) ||
        !tpm_fake_sign(fake->key, buf_bytes(&message), &signature, err))
        return false;
    json_t *quote = json_object_get(evidence, "tpm_quote");
    for (size_t i = 0; i < 24; i++) {
        char hex[65];
        hex_encode(bytes_of(fake->pcrs[i], 32), hex);
        json_array_append_new(json_object_get(quote, "pcrs"), json_string(hex));
    }
    int len = i2d_PUBKEY(fake->key, &spki);
    bool done = len > 0 &&
                tpm_fake_set_b64(evidence, "ak_public", bytes_of(spki, (size_t)len), err) &&
                tpm_fake_set_b64(quote, "message", buf_bytes(&message), err) &&
                tpm_fake_set_b64(quote, "signature", buf_bytes(&signature), err);
    OPENSSL_free(spki);
    if (!done)
        return false;
    *ret_evidence = take_ptr(evidence);
    return true;
}
