/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/token/token_keys.h"

#include "kbs/server/outbound/jwks_source.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "crypt/base/b64.h"
#include "crypt/base/file.h"
#include "crypt/base/log.h"

#define TIME_MAX INT64_C(253402300799) /* end of the year 9999 */

DEFINE_AUTO(X509, X509_free);
DEFINE_AUTO(BIO, BIO_free_all);

struct token_keys {
    struct jwk *current, *previous; /* previous: NULL when there is none */
    int64_t retired;                /* unix seconds: `previous` signed nothing after that */
    int64_t lifetime_s;
    json_t *x5c; /* or NULL */
    struct token_trust *trust;
};

void token_keys_free(struct token_keys *keys)
{
    if (!keys)
        return;
    jwk_unref(keys->current);
    jwk_unref(keys->previous);
    json_unref(keys->x5c);
    token_trust_free(keys->trust);
    free(keys);
}

/* -- files ------------------------------------------------------------------------------------- */

static bool read_previous(const char *path, struct token_keys *keys, struct err *err)
{
    static const struct json_field fields[] = {{"retired", JSON_FIELD_INT,
        offsetof(struct token_keys, retired), .min = 0, .max = TIME_MAX, .required = true}};
    auto_buf text = BUF_INIT(JWK_TEXT_MAX);
    auto_json *json = NULL;
    if (!path || !file_read(path, JWK_TEXT_MAX, &text, err)) {
        bool absent = !path || err->code == ERR_NOTFOUND;
        if (absent)
            err_clear(err);
        return absent;
    }
    if (!json_load_strict(buf_bytes(&text), JWK_TEXT_MAX, "key", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "key", keys, err) ||
        !jwk_from_json(json, false, &keys->previous, err))
        return false;
    return jwk_kind(keys->previous) == JWK_EC_P256 ||
           err_set(err, ERR_CONFIG, "no public P-256 key");
}

static bool add_certificate(struct token_keys *keys, X509 *certificate, struct err *err)
{
    unsigned char *der = NULL;
    int len = i2d_X509(certificate, &der);
    auto_free char *text = len > 0 ? b64_encode(B64_STD, bytes_of(der, (size_t)len)) : NULL;
    OPENSSL_free(der);
    return (text && json_array_append_new(keys->x5c, json_string(text)) == 0) || err_nomem(err);
}

static bool read_certificates(const char *path, struct token_keys *keys, struct err *err)
{
    auto_buf text = BUF_INIT(TOKEN_CERT_MAX);
    if (!path)
        return true;
    if (!file_read(path, TOKEN_CERT_MAX, &text, err))
        return false;
    AUTO(BIO_free_all) BIO *in = BIO_new_mem_buf(buf_text(&text), (int)text.len);
    keys->x5c = json_array();
    if (!in || !keys->x5c)
        return err_nomem(err);
    for (;;) {
        AUTO(X509_free) X509 *certificate = PEM_read_bio_X509(in, NULL, NULL, NULL);
        if (!certificate)
            break;
        EVP_PKEY *certified = X509_get0_pubkey(certificate);
        if (json_array_size(keys->x5c) == 0 &&
            (!certified || EVP_PKEY_eq(certified, jwk_pkey(keys->current)) != 1))
            return err_set(err, ERR_CONFIG,
                "its first certificate is for another key than [token] key; leaf first");
        if (!add_certificate(keys, certificate, err))
            return false;
    }
    ERR_clear_error();
    return json_array_size(keys->x5c) > 0 || err_set(err, ERR_CONFIG, "holds no PEM certificate");
}

static bool read_trusted(const struct kbs_conf *conf, struct token_keys *keys, struct err *err)
{
    const struct conf_list *certs = &conf->token.trusted_certs, *sets = &conf->token.trusted_jwks;
    for (size_t i = 0; i < certs->count; i++) {
        auto_buf text = BUF_INIT(TOKEN_TRUST_PEM_MAX);
        if (!file_read(certs->items[i], TOKEN_TRUST_PEM_MAX, &text, err) ||
            !token_trust_add_authorities(keys->trust, buf_bytes(&text), certs->items[i], err))
            return err_wrap(err, "[token] trusted_certs");
    }
    for (size_t i = 0; i < sets->count; i++) {
        auto_buf text = BUF_INIT(TOKEN_TRUST_SET_MAX);
        if (jwks_source_is_url(sets->items[i]))
            continue;
        if (!file_read(sets->items[i], TOKEN_TRUST_SET_MAX, &text, err) ||
            !token_trust_set_keys(keys->trust, buf_bytes(&text), sets->items[i], err))
            return err_wrap(err, "[token] trusted_jwks");
    }
    return true;
}

bool token_keys_new(
    const struct kbs_conf *conf, struct jwk *current, struct token_keys **ret_keys, struct err *err)
{
    AUTO(token_keys_free) struct token_keys *keys = calloc(1, sizeof *keys);
    if (!keys)
        return err_nomem(err);
    keys->current = jwk_ref(current);
    keys->lifetime_s = conf->token.lifetime_ms / 1000;
    if (!read_previous(conf->token.previous, keys, err))
        return err_wrap(err, "[token] previous %s", conf->token.previous);
    if (!read_certificates(conf->token.certificate, keys, err))
        return err_wrap(err, "[token] certificate %s", conf->token.certificate);
    if (!token_trust_new(&keys->trust, err) || !read_trusted(conf, keys, err))
        return false;
    *ret_keys = take_ptr(keys);
    return true;
}

const json_t *token_keys_x5c(const struct token_keys *keys)
{
    return keys->x5c;
}

struct token_trust *token_keys_trust(struct token_keys *keys)
{
    return keys->trust;
}

/* -- tokens ------------------------------------------------------------------------------------ */

/* Until the last token that the key signed has ended. */
static bool previous_counts(const struct token_keys *keys, int64_t now)
{
    return keys->previous && now <= keys->retired + keys->lifetime_s + TOKEN_LEEWAY_S;
}

/* One that the REST interface made for another relying party: nobody here knows whether its evidence was fresh. */
static bool refuse_unasked(const struct ear *ear, struct err *err)
{
    return !json_object_get(ear->payload, EAR_FRESHNESS) ||
           err_set(err, ERR_CRYPTO,
               "attestation token: made by POST /attestation for another relying party; attest "
               "with "
               "/auth and /attest to get resources here");
}

static bool verify_previous(const struct token_keys *keys, struct bytes token, int64_t now,
    bool *ret_ours, struct ear *ret_ear, struct err *err)
{
    auto_ear ear = {0};
    *ret_ours = ear_verify(token, keys->previous, now, &ear, err);
    if (!*ret_ours)
        return false;
    int64_t issued = json_integer_value(json_object_get(ear.payload, "iat"));
    if (issued > keys->retired + TOKEN_LEEWAY_S)
        return err_set(err, ERR_CRYPTO,
            "attestation token: signed by the key that was replaced, after it was replaced");
    if (!refuse_unasked(&ear, err))
        return false;
    *ret_ear = ear;
    ear = (struct ear){0};
    return true;
}

static bool verify_foreign(
    struct token_keys *keys, struct bytes token, int64_t now, struct ear *ret_ear, struct err *err)
{
    auto_jws *jws = NULL;
    auto_jwk *key = NULL;
    return jws_parse(token, &jws, err) && token_trust_key(keys->trust, jws, now, &key, err) &&
           ear_verify_foreign(jws, key, TOKEN_TRUST_ALGS, now, ret_ear, err);
}

static bool verify_own(const struct token_keys *keys, struct bytes token, int64_t now,
    bool *ret_ours, struct ear *ret_ear, struct err *err)
{
    auto_ear ear = {0};
    *ret_ours = ear_verify(token, keys->current, now, &ear, err);
    if (!*ret_ours || !refuse_unasked(&ear, err))
        return false;
    *ret_ear = ear;
    ear = (struct ear){0};
    return true;
}

bool token_keys_verify(struct token_keys *keys, struct bytes token, int64_t now,
    struct ear *ret_ear, enum token_origin *ret_origin, struct err *err)
{
    bool ours = false;
    *ret_origin = TOKEN_OWN;
    if (verify_own(keys, token, now, &ours, ret_ear, err))
        return true;
    if (ours || err->code == ERR_STALE) /* refused; or it is over */
        return false;
    struct err other = ERR_INIT;
    if (previous_counts(keys, now) && verify_previous(keys, token, now, &ours, ret_ear, &other)) {
        err_clear(err);
        return true;
    }
    /* What was refused as our own is not asked for once more as another's: our keys may be in the sets, too. */
    if (ours) {
        *err = other;
        return false;
    }
    if (!token_trust_any(keys->trust))
        return false;
    *ret_origin = TOKEN_FOREIGN;
    err_clear(err);
    return verify_foreign(keys, token, now, ret_ear, err);
}

static bool add_public(json_t *list, const struct jwk *key, struct err *err)
{
    auto_json *json = NULL;
    char thumbprint[44];
    if (!jwk_public_json(key, "ES256", &json, err) || !jwk_thumbprint(key, thumbprint, err))
        return false;
    return (json_object_set_new(json, "kid", json_string(thumbprint)) == 0 &&
               json_object_set_new(json, "use", json_string("sig")) == 0 &&
               json_array_append(list, json) == 0) ||
           err_nomem(err);
}

bool token_keys_jwks(const struct token_keys *keys, int64_t now, json_t **ret_jwks, struct err *err)
{
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    if (!add_public(list, keys->current, err) ||
        (previous_counts(keys, now) && !add_public(list, keys->previous, err)))
        return false;
    return json_build(ret_jwks, err, "{s:O}", "keys", list);
}
