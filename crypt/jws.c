/* SPDX-License-Identifier: Apache-2.0 */
#include "crypt/jws.h"

#include <openssl/rsa.h>

#include "crypt/base/b64.h"
#include "crypt/jwk_internal.h"

#define HEADER_MAX        (64u * 1024) /* tokens carry certificate chains in their header */
#define KID_MAX           1024
#define SIGNATURE_MAX     512 /* RSA-4096 */
#define FIELD_MAX         66
#define DER_SIGNATURE_MAX 144 /* two integers of FIELD_MAX bytes, their signs and heads */

static const struct {
    const char *name;
    enum jwk_kind kind;
    const EVP_MD *(*md)(void); /* NULL: the algorithm hashes by itself */
    size_t field;              /* bytes of r and of s in ECDSA; 0 for others */
} algs[JWS_ALG_COUNT] = {
    [JWS_ES256] = {"ES256", JWK_EC_P256, EVP_sha256, 32},
    [JWS_ES384] = {"ES384", JWK_EC_P384, EVP_sha384, 48},
    [JWS_ES512] = {"ES512", JWK_EC_P521, EVP_sha512, FIELD_MAX},
    [JWS_RS256] = {"RS256", JWK_RSA, EVP_sha256, 0},
    [JWS_EDDSA] = {"EdDSA", JWK_OKP_ED25519, NULL, 0},
};

struct jws {
    char *text;
    struct bytes signing_input; /* header "." payload, within text */
    json_t *header;
    enum jws_alg alg;
    const char *kid;
    struct buf payload, signature;
};

void jws_free(struct jws *jws)
{
    if (!jws)
        return;
    buf_done(&jws->payload);
    buf_done(&jws->signature);
    json_unref(jws->header);
    free(jws->text);
    free(jws);
}

enum jws_alg jws_alg(const struct jws *jws)
{
    return jws->alg;
}

const char *jws_alg_name(enum jws_alg alg)
{
    return algs[alg].name;
}

static const EVP_MD *alg_md(enum jws_alg alg)
{
    return algs[alg].md ? algs[alg].md() : NULL;
}

const char *jws_kid(const struct jws *jws)
{
    return jws->kid;
}

const json_t *jws_header(const struct jws *jws)
{
    return jws->header;
}

struct bytes jws_unverified_payload(const struct jws *jws)
{
    return buf_bytes(&jws->payload);
}

/* Exactly three sections between two dots. */
static bool split(struct bytes text, struct bytes ret_sections[3], struct err *err)
{
    size_t count = 1;
    ret_sections[0] = bytes_of(text.data, 0);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] != '.')
            ret_sections[count - 1].len++;
        else if (count++ < 3)
            ret_sections[count - 1] = bytes_of(text.data + i + 1, 0);
        else
            break;
    }
    if (count != 3)
        return err_set(err, ERR_FORMAT, "a compact JWS has three sections between dots, not %s",
            count < 3 ? "fewer" : "more");
    return true;
}

static bool find_alg(const char *name, enum jws_alg *ret_alg, struct err *err)
{
    for (int i = 0; i < JWS_ALG_COUNT; i++) {
        if (strcmp(name, algs[i].name) == 0) {
            *ret_alg = (enum jws_alg)i;
            return true;
        }
    }
    return err_set(err, ERR_FORMAT,
        "alg \"%.32s\" is not taken; sign with ES256, ES384, ES512, RS256 or EdDSA", name);
}

static bool read_header(struct jws *jws, struct bytes section, struct err *err)
{
    struct {
        const char *alg, *kid;
        json_t *crit, *b64;
    } header = {0};
    static const struct json_field fields[] = {
        {"alg", JSON_FIELD_TEXT, offsetof(__typeof__(header), alg), .max = 32, .required = true},
        {"kid", JSON_FIELD_TEXT, offsetof(__typeof__(header), kid), .max = KID_MAX},
        {"crit", JSON_FIELD_ANY, offsetof(__typeof__(header), crit)},
        {"b64", JSON_FIELD_ANY, offsetof(__typeof__(header), b64)},
    };
    auto_buf text = BUF_INIT(HEADER_MAX);
    if (!b64_decode(B64_URL, section, "JWS header", &text, err) ||
        !json_load_strict(buf_bytes(&text), HEADER_MAX, "JWS header", &jws->header, err) ||
        !json_decode(jws->header, fields, ARRAY_LEN(fields), true, "JWS header", &header, err))
        return false;
    /* RFC 7515 section 4.1.11: critical extensions that are not understood make the JWS invalid.
     * RFC 7797 section 3: b64 true is what holds without it (CoCo's tool writes it), anything else changes what is signed. */
    if (header.crit || (header.b64 && !json_is_true(header.b64)))
        return err_set(err, ERR_FORMAT, "JWS header: \"%s\" is not taken; sign without it",
            header.crit ? "crit" : "b64");
    jws->kid = header.kid;
    return find_alg(header.alg, &jws->alg, err);
}

bool jws_parse(struct bytes text, struct jws **ret_jws, struct err *err)
{
    if (text.len > JWS_TEXT_MAX)
        return err_set(
            err, ERR_FORMAT, "JWS of %zu bytes; at most %u are taken", text.len, JWS_TEXT_MAX);
    auto_jws *jws = calloc(1, sizeof *jws);
    if (!jws || !(jws->text = malloc(text.len + 1)))
        return err_nomem(err);
    if (text.len > 0)
        memcpy(jws->text, text.data, text.len);
    jws->text[text.len] = '\0';
    jws->payload.max = JWS_TEXT_MAX;
    jws->signature.max = SIGNATURE_MAX;

    struct bytes sections[3];
    if (!split(bytes_of(jws->text, text.len), sections, err) ||
        !read_header(jws, sections[0], err) ||
        !b64_decode(B64_URL, sections[1], "JWS payload", &jws->payload, err) ||
        !b64_decode(B64_URL, sections[2], "JWS signature", &jws->signature, err))
        return false;
    jws->signing_input = bytes_of(jws->text, sections[0].len + 1 + sections[1].len);
    *ret_jws = take_ptr(jws);
    return true;
}

/* RFC 7515 section 10.7 and RFC 8725 section 3.1: the key decides, not the header. */
static bool check_key(enum jws_alg alg, const struct jwk *key, struct err *err)
{
    const char *name = algs[alg].name;
    if (jwk_kind(key) != algs[alg].kind)
        return err_set(err, ERR_CRYPTO, "alg %s does not go with a key of this type (%s)", name,
            jwk_kind(key) == JWK_RSA   ? "RSA"
            : jwk_kind(key) == JWK_OCT ? "oct"
                                       : jwk_curve(jwk_kind(key)));
    if (jwk_alg(key) && strcmp(jwk_alg(key), name) != 0)
        return err_set(
            err, ERR_CRYPTO, "alg %s, but the key is for alg \"%.32s\"", name, jwk_alg(key));
    if (jwk_use(key) && strcmp(jwk_use(key), "sig") != 0)
        return err_set(err, ERR_CRYPTO, "the key is for use \"%.16s\", not for signatures (sig)",
            jwk_use(key));
    return true;
}

/* r and s (RFC 7518 section 3.4) as the DER that OpenSSL takes. */
static bool der_signature(
    struct bytes raw, uint8_t der[DER_SIGNATURE_MAX], size_t *ret_len, struct err *err)
{
    auto_ecdsa_sig *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw.data, (int)(raw.len / 2), NULL);
    BIGNUM *s = BN_bin2bn(raw.data + raw.len / 2, (int)(raw.len / 2), NULL);
    if (!sig || !r || !s || ECDSA_SIG_set0(sig, r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return err_nomem(err);
    }
    uint8_t *at = der;
    if (i2d_ECDSA_SIG(sig, NULL) > DER_SIGNATURE_MAX)
        return err_set(err, ERR_INTERNAL, "ECDSA signature too long");
    *ret_len = (size_t)i2d_ECDSA_SIG(sig, &at);
    return true;
}

static bool check_length(
    enum jws_alg alg, const struct jwk *key, struct bytes signature, struct err *err)
{
    size_t want = algs[alg].field ? 2 * algs[alg].field : (size_t)EVP_PKEY_get_size(jwk_pkey(key));
    if (signature.len == want)
        return true;
    return err_set(err, ERR_CRYPTO, "signature of %zu bytes; %s with this key makes %zu%s",
        signature.len, algs[alg].name, want,
        algs[alg].field ? " (r and s side by side, not DER)" : "");
}

bool jws_verify(const struct jws *jws, const struct jwk *key, unsigned allowed,
    struct bytes *ret_payload, struct err *err)
{
    if (!(allowed & JWS_ALLOW(jws->alg)))
        return err_set(err, ERR_CRYPTO, "alg %s is not allowed here", algs[jws->alg].name);
    struct bytes signature = buf_bytes(&jws->signature);
    uint8_t der[DER_SIGNATURE_MAX];
    size_t der_len = 0;
    if (!check_key(jws->alg, key, err) || !check_length(jws->alg, key, signature, err))
        return false;
    if (algs[jws->alg].field) {
        if (!der_signature(signature, der, &der_len, err))
            return false;
        signature = bytes_of(der, der_len);
    }
    auto_md_ctx *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestVerifyInit(ctx, NULL, alg_md(jws->alg), NULL, jwk_pkey(key)) != 1)
        return err_set(err, ERR_INTERNAL, "%s: %s", algs[jws->alg].name, ossl_reason());
    if (EVP_DigestVerify(ctx, signature.data, signature.len, jws->signing_input.data,
            jws->signing_input.len) != 1) {
        ossl_forget();
        return err_set(err, ERR_CRYPTO,
            "the %s signature does not fit: another key made it, or the text was altered",
            algs[jws->alg].name);
    }
    *ret_payload = buf_bytes(&jws->payload);
    return true;
}

bool jws_alg_of(const struct jwk *key, enum jws_alg *ret_alg, struct err *err)
{
    for (int i = 0; i < JWS_ALG_COUNT; i++) {
        if (algs[i].kind == jwk_kind(key)) {
            *ret_alg = (enum jws_alg)i;
            return check_key(*ret_alg, key, err);
        }
    }
    return err_set(err, ERR_CRYPTO,
        "a key of this type cannot sign; use a P-256, P-384, P-521, Ed25519 or RSA key");
}

/* alg, kid, then the caller's members: some readers print the header as it comes. */
static bool make_header(enum jws_alg alg, const struct jwk *key, const json_t *extra,
    json_t **ret_header, struct err *err)
{
    auto_json *header = NULL;
    if (extra && (json_object_get(extra, "alg") || json_object_get(extra, "crit")))
        return err_set(err, ERR_INTERNAL, "alg and crit of a JWS are not the caller's to set");
    if (!json_build(&header, err, "{s:s}", "alg", algs[alg].name))
        return false;
    bool done = true;
    if (jwk_kid(key) && !(extra && json_object_get(extra, "kid")))
        done = json_object_set_new(header, "kid", json_string(jwk_kid(key))) == 0;
    const char *name;
    json_t *value;
    /* jansson's iteration macro wants a pointer that is not const; nothing is changed through it.
     */
    json_t *members = (json_t *)(uintptr_t)extra;
    json_object_foreach(members, name, value) done =
        done && json_object_set(header, name, value) == 0;
    if (!done)
        return err_nomem(err);
    *ret_header = take_ptr(header);
    return true;
}

/* DER from OpenSSL to r and s of full width. */
static bool raw_signature(struct bytes der, size_t field, uint8_t *out, struct err *err)
{
    const uint8_t *at = der.data;
    auto_ecdsa_sig *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
    if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, (int)field) < 0 ||
        BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + field, (int)field) < 0)
        return err_set(err, ERR_INTERNAL, "ECDSA signature: %s", ossl_reason());
    return true;
}

static bool sign(
    enum jws_alg alg, const struct jwk *key, struct bytes input, struct buf *out, struct err *err)
{
    uint8_t signature[SIGNATURE_MAX], raw[2 * FIELD_MAX];
    size_t len = sizeof signature, field = algs[alg].field;
    auto_md_ctx *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestSignInit(ctx, NULL, alg_md(alg), NULL, jwk_pkey(key)) != 1 ||
        EVP_DigestSign(ctx, signature, &len, input.data, input.len) != 1)
        return err_set(err, ERR_INTERNAL, "signing with %s: %s", algs[alg].name, ossl_reason());
    if (field == 0)
        return buf_append(out, bytes_of(signature, len), err);
    return raw_signature(bytes_of(signature, len), field, raw, err) &&
           buf_append(out, bytes_of(raw, 2 * field), err);
}

static bool append_b64(struct buf *text, struct bytes data, struct err *err)
{
    auto_free char *encoded = b64_encode(B64_URL, data);
    if (!encoded)
        return err_nomem(err);
    return buf_append_str(text, encoded, err);
}

bool jws_sign(const struct jwk *key, const json_t *header, struct bytes payload, char **ret_text,
    struct err *err)
{
    enum jws_alg alg = JWS_ES256;
    auto_json *whole = NULL;
    if (!jwk_is_private(key))
        return err_set(err, ERR_CRYPTO, "signing needs a private key; this one is public");
    if (!jws_alg_of(key, &alg, err) || !make_header(alg, key, header, &whole, err))
        return false;
    auto_free char *header_text = json_text(whole);
    auto_buf text = BUF_INIT(JWS_TEXT_MAX);
    auto_buf signature = BUF_INIT(SIGNATURE_MAX);
    if (!header_text)
        return err_nomem(err);
    if (!append_b64(&text, bytes_str(header_text), err) || !buf_append_str(&text, ".", err) ||
        !append_b64(&text, payload, err) || !sign(alg, key, buf_bytes(&text), &signature, err) ||
        !buf_append_str(&text, ".", err) || !append_b64(&text, buf_bytes(&signature), err))
        return false;
    char *result = buf_take_text(&text);
    if (!result)
        return err_nomem(err);
    *ret_text = result;
    return true;
}
