/* SPDX-License-Identifier: Apache-2.0 */
/* Making sealed secrets. What is made is read back with the reader's own checks before it is signed. */
#include "crypt/aead.h"
#include "crypt/base/b64.h"
#include "crypt/hash.h"
#include "crypt/jws.h"
#include "crypt/sealed_internal.h"

#define WRAPPING_KEY_SIZE 32

static bool make_annotations(const char *context, json_t **ret_annotations, struct err *err)
{
    if (!context)
        return json_build(ret_annotations, err, "{}");
    if (context[0] == '\0' || strlen(context) > SEALED_CONTEXT_MAX)
        return err_set(
            err, ERR_FORMAT, "the context must be a text of 1 to %d bytes", SEALED_CONTEXT_MAX);
    return json_build(ret_annotations, err, "{s:s}", "context", context);
}

static bool check_signer(const struct jwk *signer, const char *kid, struct err *err)
{
    enum jws_alg alg;
    if (!jwk_is_private(signer) || !jws_alg_of(signer, &alg, err) ||
        !(SEALED_SIGNER_ALGS & JWS_ALLOW(alg)))
        return err_set(err, ERR_CRYPTO,
            "sealed secrets are signed with a private key on P-256 or P-521, or an Ed25519 one, "
            "that is for signatures (make one: sealed keygen)");
    if (!kid || kid[0] == '\0')
        return err_set(err, ERR_FORMAT,
            "a kid must say where readers find the signer's public key, e.g. "
            "kbs:///default/signing-key/sealed-secret");
    return true;
}

/* The way a reader will go, up to the fetch. */
static bool read_back(const char *text, const struct jwk *signer, struct err *err)
{
    auto_sealed *sealed = NULL;
    const char *uri;
    return sealed_parse(bytes_str(text), &sealed, err) && sealed_verify(sealed, signer, err) &&
           sealed_uri(sealed, &uri, err);
}

static bool sign(const struct jwk *signer, const char *kid, const json_t *payload, char **ret_text,
    struct err *err)
{
    auto_json *header = NULL;
    auto_free char *json = json_text(payload);
    auto_free char *jws = NULL;
    if (!json)
        return err_nomem(err);
    if (!json_build(&header, err, "{s:s}", "kid", kid) ||
        !jws_sign(signer, header, bytes_str(json), &jws, err))
        return false;
    size_t len = sizeof SEALED_PREFIX - 1 + strlen(jws);
    if (len > SEALED_TEXT_MAX)
        return err_set(err, ERR_FORMAT,
            "the sealed text would have %zu bytes; at most %u are taken. Put the data into the key "
            "broker and seal its name (vault)",
            len, SEALED_TEXT_MAX);
    auto_free char *text = malloc(len + 1);
    if (!text)
        return err_nomem(err);
    memcpy(stpcpy(text, SEALED_PREFIX), jws, strlen(jws) + 1);
    if (!read_back(text, signer, err))
        return false;
    *ret_text = take_ptr(text);
    return true;
}

bool sealed_make_vault(const struct jwk *signer, const char *kid, const char *uri,
    const char *context, char **ret_text, struct err *err)
{
    auto_json *annotations = NULL, *payload = NULL;
    return (check_signer(signer, kid, err) && make_annotations(context, &annotations, err) &&
               json_build(&payload, err, "{s:s,s:s,s:s,s:s,s:{},s:O}", "version", "0.1.0", "type",
                   "vault", "name", uri, "provider", provider_kbs.name, "provider_settings",
                   "annotations", annotations) &&
               sign(signer, kid, payload, ret_text, err)) ||
           err_wrap(err, "sealing");
}

/* Ciphertext and tag, and the fresh data key that made them, wrapped. */
static bool encrypt(const struct secret *wrapping_key, const struct secret *plaintext,
    uint8_t iv[AEAD_NONCE_SIZE], struct buf *data, struct buf *wrapped, struct err *err)
{
    auto_secret *data_key = NULL;
    uint8_t tag[AEAD_TAG_SIZE];
    if (secret_len(wrapping_key) != WRAPPING_KEY_SIZE)
        return err_set(err, ERR_FORMAT, "the wrapping key has %zu bytes; it must have %d",
            secret_len(wrapping_key), WRAPPING_KEY_SIZE);
    return secret_random(WRAPPING_KEY_SIZE, &data_key, err) &&
           hash_random(iv, AEAD_NONCE_SIZE, err) &&
           aead_seal(secret_bytes(data_key), bytes_of(iv, AEAD_NONCE_SIZE), BYTES_EMPTY,
               secret_bytes(plaintext), data, tag, err) &&
           buf_append(data, bytes_of(tag, sizeof tag), err) &&
           keywrap_wrap(secret_bytes(wrapping_key), secret_bytes(data_key), wrapped, err);
}

bool sealed_make_envelope(const struct jwk *signer, const char *kid, const char *key_uri,
    const struct secret *wrapping_key, const struct secret *plaintext, const char *context,
    char **ret_text, struct err *err)
{
    auto_json *annotations = NULL, *payload = NULL;
    auto_buf data = BUF_INIT(SECRET_SIZE_MAX + AEAD_TAG_SIZE), wrapped = BUF_INIT(64);
    uint8_t iv[AEAD_NONCE_SIZE];
    if (!check_signer(signer, kid, err) || !make_annotations(context, &annotations, err) ||
        !encrypt(wrapping_key, plaintext, iv, &data, &wrapped, err))
        return err_wrap(err, "sealing");
    auto_free char *data_text = b64_encode(B64_STD, buf_bytes(&data));
    auto_free char *wrapped_text = b64_encode(B64_STD, buf_bytes(&wrapped));
    auto_free char *iv_text = b64_encode(B64_STD, bytes_of(iv, sizeof iv));
    if (!data_text || !wrapped_text || !iv_text)
        return err_nomem(err);
    return (json_build(&payload, err, "{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:{},s:O}", "version",
                "0.1.0", "type", "envelope", "key_id", key_uri, "encrypted_key", wrapped_text,
                "encrypted_data", data_text, "wrap_type", "A256GCM", "iv", iv_text, "provider",
                provider_kbs.name, "provider_settings", "annotations", annotations) &&
               sign(signer, kid, payload, ret_text, err)) ||
           err_wrap(err, "sealing");
}
