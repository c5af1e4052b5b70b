/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/jwe.h"

#include <openssl/rand.h>

#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/jwe_internal.h"

#define HEADER_MAX  8192
#define PARTY_MAX   1024 /* apu and apv */
#define WRAPPED_MAX 512  /* RSA-4096 */

static const char enc_name[] = "A256GCM";

/* The members of the flattened form (RFC 7516 section 7.2.2), as text. */
struct envelope {
    const char *protected, *encrypted_key, *iv, *ciphertext, *tag;
    json_t *refused[4];
};

static const char *const refused_members[] = {"header", "unprotected", "aad", "recipients"};

static bool read_envelope(const json_t *json, struct envelope *ret_envelope, struct err *err)
{
    static const struct json_field fields[] = {
        {"protected", JSON_FIELD_TEXT, offsetof(struct envelope, protected), .required = true},
        {"encrypted_key", JSON_FIELD_TEXT, offsetof(struct envelope, encrypted_key),
            .required = true},
        {"iv", JSON_FIELD_TEXT, offsetof(struct envelope, iv), .required = true},
        {"ciphertext", JSON_FIELD_TEXT, offsetof(struct envelope, ciphertext), .required = true},
        {"tag", JSON_FIELD_TEXT, offsetof(struct envelope, tag), .required = true},
    };
    /* Unknown members are ignored (RFC 7516 section 7.2.1); these are known, and would change the
     * meaning. */
    for (size_t i = 0; i < ARRAY_LEN(refused_members); i++)
        if (json_object_get(json, refused_members[i]))
            return err_set(err, ERR_FORMAT,
                "member \"%s\" is not taken; everything belongs into \"protected\"",
                refused_members[i]);
    return json_decode(json, fields, ARRAY_LEN(fields), true, "text", ret_envelope, err);
}

/* The protected header; texts borrow from `json`. */
struct header {
    json_t *json;
    struct jwk *epk;
    struct buf apu, apv;
};

static void header_done(struct header *header)
{
    json_unref(header->json);
    jwk_unref(header->epk);
    buf_done(&header->apu);
    buf_done(&header->apv);
}

static bool check_algorithms(
    const char *alg, const char *enc, const struct jwk *recipient, struct err *err)
{
    const char *wanted = jwe_alg_for(recipient);
    if (!wanted)
        return err_set(err, ERR_CRYPTO,
            "a JWE opens with a P-256, a P-521 or an RSA key; this key is of another kind");
    if (strcmp(alg, wanted) != 0)
        return err_set(err, ERR_CRYPTO, "alg \"%.32s\"; this key takes %s", alg, wanted);
    if (strcmp(enc, enc_name) != 0)
        return err_set(err, ERR_CRYPTO, "enc \"%.32s\"; only %s is taken", enc, enc_name);
    if (jwk_alg(recipient) && strcmp(jwk_alg(recipient), wanted) != 0)
        return err_set(err, ERR_CRYPTO, "alg %s, but the key is for alg \"%.32s\"", wanted,
            jwk_alg(recipient));
    if (jwk_use(recipient) && strcmp(jwk_use(recipient), "enc") != 0)
        return err_set(err, ERR_CRYPTO, "the key is for use \"%.16s\", not for encryption (enc)",
            jwk_use(recipient));
    return true;
}

static bool read_agreement(struct header *header, const struct jwk *recipient, const json_t *epk,
    const char *apu, const char *apv, struct err *err)
{
    header->apu = (struct buf)BUF_INIT(PARTY_MAX);
    header->apv = (struct buf)BUF_INIT(PARTY_MAX);
    if (!epk)
        return err_set(err, ERR_FORMAT, "header: member \"epk\" is missing");
    if (!jwk_from_json(epk, false, &header->epk, err))
        return err_wrap(err, "header: epk");
    if (jwk_kind(header->epk) != jwk_kind(recipient))
        return err_set(err, ERR_CRYPTO, "header: epk is not on %s",
            jwk_kind(recipient) == JWK_EC_P256 ? "P-256" : "P-521");
    return (!apu || b64_decode(B64_URL, bytes_str(apu), "header: apu", &header->apu, err)) &&
           (!apv || b64_decode(B64_URL, bytes_str(apv), "header: apv", &header->apv, err));
}

static bool read_header(
    const char *section, const struct jwk *recipient, struct header *header, struct err *err)
{
    struct {
        const char *alg, *enc, *apu, *apv;
        json_t *epk, *crit, *zip, *b64;
    } members = {0};
    static const struct json_field fields[] = {
        {"alg", JSON_FIELD_TEXT, offsetof(__typeof__(members), alg), .max = 64, .required = true},
        {"enc", JSON_FIELD_TEXT, offsetof(__typeof__(members), enc), .max = 64, .required = true},
        {"apu", JSON_FIELD_TEXT, offsetof(__typeof__(members), apu), .max = HEADER_MAX},
        {"apv", JSON_FIELD_TEXT, offsetof(__typeof__(members), apv), .max = HEADER_MAX},
        {"epk", JSON_FIELD_ANY, offsetof(__typeof__(members), epk)},
        {"crit", JSON_FIELD_ANY, offsetof(__typeof__(members), crit)},
        {"zip", JSON_FIELD_ANY, offsetof(__typeof__(members), zip)},
        {"b64", JSON_FIELD_ANY, offsetof(__typeof__(members), b64)},
    };
    auto_buf text = BUF_INIT(HEADER_MAX);
    if (!b64_decode(B64_URL, bytes_str(section), "header", &text, err) ||
        !json_load_strict(buf_bytes(&text), HEADER_MAX, "header", &header->json, err) ||
        !json_decode(header->json, fields, ARRAY_LEN(fields), true, "header", &members, err))
        return false;
    if (members.crit || members.zip || members.b64)
        return err_set(err, ERR_FORMAT, "header: \"%s\" is not taken; encrypt without it",
            members.crit  ? "crit"
            : members.zip ? "zip"
                          : "b64");
    return check_algorithms(members.alg, members.enc, recipient, err) &&
           (jwk_kind(recipient) == JWK_RSA ||
               read_agreement(header, recipient, members.epk, members.apu, members.apv, err));
}

static bool open_content(const struct envelope *text, const struct key32 *cek,
    struct secret **ret_plaintext, struct err *err)
{
    uint8_t iv[AEAD_NONCE_SIZE], tag[AEAD_TAG_SIZE];
    auto_buf ciphertext = BUF_INIT(JWE_TEXT_MAX);
    return b64_decode_exact(B64_URL, bytes_str(text->iv), "iv", iv, sizeof iv, err) &&
           b64_decode_exact(B64_URL, bytes_str(text->tag), "tag", tag, sizeof tag, err) &&
           b64_decode(B64_URL, bytes_str(text->ciphertext), "ciphertext", &ciphertext, err) &&
           aead_open(key32_bytes(cek), bytes_of(iv, sizeof iv), bytes_str(text->protected),
               buf_bytes(&ciphertext), bytes_of(tag, sizeof tag), ret_plaintext, err);
}

static bool decrypt(
    struct bytes text, const struct jwk *recipient, struct secret **ret_plaintext, struct err *err)
{
    auto_json *json = NULL;
    struct envelope envelope = {0};
    AUTO_DONE(header_done) struct header header = {0};
    auto_buf wrapped = BUF_INIT(WRAPPED_MAX);
    if (!json_load_strict(text, JWE_TEXT_MAX, "text", &json, err) ||
        !read_envelope(json, &envelope, err) ||
        !read_header(envelope.protected, recipient, &header, err) ||
        !b64_decode(B64_URL, bytes_str(envelope.encrypted_key), "encrypted_key", &wrapped, err))
        return false;
    const struct jwe_agreement agreement = {
        .epk = header.epk, .apu = buf_bytes(&header.apu), .apv = buf_bytes(&header.apv)};
    auto_key32 cek;
    return jwe_open_key(recipient, &agreement, buf_bytes(&wrapped), &cek, err) &&
           open_content(&envelope, &cek, ret_plaintext, err);
}

bool jwe_decrypt(
    struct bytes text, const struct jwk *recipient, struct secret **ret_plaintext, struct err *err)
{
    return decrypt(text, recipient, ret_plaintext, err) || err_wrap(err, "JWE");
}

/* Compact, members in the order in which CoCo's client prints them again (protocol.md A.3). */
static bool make_header(
    const struct jwk *recipient, const struct jwk *ephemeral, char **ret_section, struct err *err)
{
    auto_json *header = NULL, *epk = NULL;
    if (!json_build(&header, err, "{s:s,s:s}", "alg", jwe_alg_for(recipient), "enc", enc_name))
        return false;
    if (ephemeral) {
        auto_json *point = NULL;
        if (!jwk_public_json(ephemeral, NULL, &point, err) ||
            !json_build(&epk, err, "{s:s,s:s,s:s,s:s}", "crv", json_member_text(point, "crv"),
                "kty", json_member_text(point, "kty"), "x", json_member_text(point, "x"), "y",
                json_member_text(point, "y")))
            return false;
        if (json_object_set(header, "epk", epk) != 0)
            return err_nomem(err);
    }
    auto_free char *text = json_text(header);
    char *section = text ? b64_encode(B64_URL, bytes_str(text)) : NULL;
    if (!section)
        return err_nomem(err);
    *ret_section = section;
    return true;
}

static bool append_member(struct buf *out, const char *before, struct bytes data, struct err *err)
{
    auto_free char *text = b64_encode(B64_URL, data);
    if (!text)
        return err_nomem(err);
    return buf_append_str(out, before, err) && buf_append_str(out, text, err);
}

bool jwe_encrypt_fixed(const struct jwk *recipient, const struct jwk *ephemeral,
    const struct key32 *cek, const uint8_t iv[12], struct bytes plaintext, struct buf *out,
    struct err *err)
{
    auto_free char *section = NULL;
    auto_buf wrapped = BUF_INIT(WRAPPED_MAX);
    auto_buf ciphertext = BUF_INIT(JWE_TEXT_MAX);
    auto_buf text = BUF_INIT(JWE_TEXT_MAX);
    uint8_t tag[AEAD_TAG_SIZE];
    return make_header(recipient, ephemeral, &section, err) &&
           jwe_seal_key(recipient, ephemeral, cek, &wrapped, err) &&
           aead_seal(key32_bytes(cek), bytes_of(iv, AEAD_NONCE_SIZE), bytes_str(section), plaintext,
               &ciphertext, tag, err) &&
           buf_append_str(&text, "{\"protected\":\"", err) && buf_append_str(&text, section, err) &&
           append_member(&text, "\",\"encrypted_key\":\"", buf_bytes(&wrapped), err) &&
           append_member(&text, "\",\"iv\":\"", bytes_of(iv, AEAD_NONCE_SIZE), err) &&
           append_member(&text, "\",\"ciphertext\":\"", buf_bytes(&ciphertext), err) &&
           append_member(&text, "\",\"tag\":\"", bytes_of(tag, sizeof tag), err) &&
           buf_append_str(&text, "\"}", err) && buf_append(out, buf_bytes(&text), err);
}

bool jwe_encrypt(
    const struct jwk *recipient, struct bytes plaintext, struct buf *out, struct err *err)
{
    const char *alg = jwe_alg_for(recipient);
    auto_jwk *ephemeral = NULL;
    auto_key32 cek;
    uint8_t iv[AEAD_NONCE_SIZE];
    if (!alg || !check_algorithms(alg, enc_name, recipient, err))
        return alg ? false
                   : err_set(
                         err, ERR_CRYPTO, "a JWE is made for a P-256, a P-521 or an RSA key only");
    if (plaintext.len > SECRET_SIZE_MAX)
        return err_set(err, ERR_FORMAT, "%zu bytes to encrypt; at most %u are taken", plaintext.len,
            SECRET_SIZE_MAX);
    if (jwk_kind(recipient) != JWK_RSA && !jwk_generate(jwk_kind(recipient), NULL, &ephemeral, err))
        return false;
    if (RAND_priv_bytes(cek.data, sizeof cek.data) != 1 || RAND_bytes(iv, sizeof iv) != 1)
        return err_set(err, ERR_INTERNAL, "random bytes: %s", ossl_reason());
    return jwe_encrypt_fixed(recipient, ephemeral, &cek, iv, plaintext, out, err);
}
