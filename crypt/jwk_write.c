/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as text: public JSON, private JWK (built in locked memory), thumbprint. */
#include "crypt/jwk_internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypt/base/b64.h"
#include "crypt/hash.h"

#define FIELD_MAX  66
#define NUMBER_MAX 512

/* Members of a public number as base64url: `width` 0 for the shortest form. malloc'd; NULL after
 * err_set. */
static char *public_number(const struct jwk *jwk, const char *param, size_t width, struct err *err)
{
    uint8_t bytes[NUMBER_MAX];
    auto_bignum *number = NULL;
    if (EVP_PKEY_get_bn_param(jwk->pkey, param, &number) != 1) {
        err_set(err, ERR_INTERNAL, "reading a public key: %s", ossl_reason());
        return NULL;
    }
    int len = width ? (int)width : BN_num_bytes(number);
    if (len > (int)sizeof bytes || BN_bn2binpad(number, bytes, len) != len) {
        err_set(err, ERR_INTERNAL, "public number of %d bytes", len);
        return NULL;
    }
    char *text = b64_encode(B64_URL, bytes_of(bytes, (size_t)len));
    if (!text)
        err_nomem(err);
    return text;
}

#define POINT_MAX (1 + 2 * FIELD_MAX)

/* x and y out of one encoded point: asked for apart, each costs a modular inverse. False when the key was imported in
 * compressed form, which OpenSSL keeps to. */
static bool encoded_point(const struct jwk *jwk, uint8_t ret_point[POINT_MAX])
{
    size_t len = 0;
    bool done = EVP_PKEY_get_octet_string_param(
                    jwk->pkey, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, ret_point, POINT_MAX, &len) == 1;
    if (!done)
        ossl_forget();
    return done && len == 1 + 2 * jwk_field_size(jwk->kind) && ret_point[0] == 4;
}

static bool okp_number(const struct jwk *jwk, char **ret_x, struct err *err)
{
    uint8_t x[JWK_ED25519_SIZE];
    if (!jwk_okp_public(jwk->pkey, x, err))
        return false;
    char *text = b64_encode(B64_URL, bytes_of(x, sizeof x));
    if (!text)
        return err_nomem(err);
    *ret_x = text;
    return true;
}

/* n and e, x and y, or x alone (OKP: the second stays NULL). */
static bool public_numbers(
    const struct jwk *jwk, char **ret_first, char **ret_second, struct err *err)
{
    if (jwk->kind == JWK_OKP_ED25519)
        return okp_number(jwk, ret_first, err);
    bool is_rsa = jwk->kind == JWK_RSA;
    size_t width = jwk_field_size(jwk->kind);
    uint8_t point[POINT_MAX];
    auto_free char *first = NULL, *second = NULL;
    if (!is_rsa && encoded_point(jwk, point)) {
        first = b64_encode(B64_URL, bytes_of(point + 1, width));
        second = b64_encode(B64_URL, bytes_of(point + 1 + width, width));
        if (!first || !second)
            return err_nomem(err);
    } else {
        first = public_number(
            jwk, is_rsa ? OSSL_PKEY_PARAM_RSA_N : OSSL_PKEY_PARAM_EC_PUB_X, width, err);
        second = first ? public_number(jwk,
                             is_rsa ? OSSL_PKEY_PARAM_RSA_E : OSSL_PKEY_PARAM_EC_PUB_Y, width, err)
                       : NULL;
    }
    if (!second)
        return false;
    *ret_first = take_ptr(first);
    *ret_second = take_ptr(second);
    return true;
}

static bool set_label(json_t *json, const char *name, const char *value, struct err *err)
{
    if (value && json_object_set_new(json, name, json_string(value)) != 0)
        return err_nomem(err);
    return true;
}

bool jwk_public_json(const struct jwk *jwk, const char *alg, json_t **ret_json, struct err *err)
{
    auto_json *json = NULL;
    auto_free char *first = NULL, *second = NULL;
    if (jwk->kind == JWK_OCT)
        return err_set(err, ERR_FORMAT, "a symmetric key has no public part");
    if (!public_numbers(jwk, &first, &second, err))
        return false;
    bool is_okp = jwk->kind == JWK_OKP_ED25519;
    if (jwk->kind == JWK_RSA
            ? !json_build(&json, err, "{s:s,s:s,s:s}", "kty", "RSA", "n", first, "e", second)
            : !json_build(&json, err, "{s:s,s:s,s:s,s:s*}", "kty", is_okp ? "OKP" : "EC", "crv",
                  jwk_curve(jwk->kind), "x", first, "y", second))
        return false;
    if (!set_label(json, "alg", alg ? alg : jwk->alg, err) ||
        !set_label(json, "kid", jwk->kid, err))
        return false;
    *ret_json = take_ptr(json);
    return true;
}

bool jwk_thumbprint(const struct jwk *jwk, char ret_text[44], struct err *err)
{
    auto_free char *first = NULL, *second = NULL;
    auto_secret *octets = NULL;
    struct bytes pieces[7];
    size_t count = 0;
#define PIECE(text) pieces[count++] = bytes_str(text)
    if (jwk->kind == JWK_OCT) {
        struct bytes key = jwk_octets(jwk);
        size_t len = b64_encoded_len(B64_URL, key.len);
        if (!secret_new(len + 1, &octets, err) ||
            !b64_encode_to(B64_URL, key, (char *)secret_data(octets), len + 1, err))
            return false;
        PIECE("{\"k\":\"");
        pieces[count++] = bytes_of(secret_data(octets), len);
        PIECE("\",\"kty\":\"oct\"}");
    } else if (!public_numbers(jwk, &first, &second, err)) {
        return false;
    } else if (jwk->kind == JWK_RSA) {
        PIECE("{\"e\":\"");
        PIECE(second);
        PIECE("\",\"kty\":\"RSA\",\"n\":\"");
        PIECE(first);
        PIECE("\"}");
    } else if (jwk->kind == JWK_OKP_ED25519) { /* RFC 8037 section 2 */
        PIECE("{\"crv\":\"");
        PIECE(jwk_curve(jwk->kind));
        PIECE("\",\"kty\":\"OKP\",\"x\":\"");
        PIECE(first);
        PIECE("\"}");
    } else {
        PIECE("{\"crv\":\"");
        PIECE(jwk_curve(jwk->kind));
        PIECE("\",\"kty\":\"EC\",\"x\":\"");
        PIECE(first);
        PIECE("\",\"y\":\"");
        PIECE(second);
        PIECE("\"}");
    }
#undef PIECE
    struct hash hash;
    return hash_pieces(HASH_SHA256, pieces, count, &hash, err) &&
           b64_encode_to(B64_URL, hash_view(&hash), ret_text, 44, err);
}

/* Text that grows inside one locked secret. */
struct locked_text {
    struct secret *secret;
    size_t used;
};

static bool text_add(struct locked_text *text, const char *piece, struct err *err)
{
    size_t len = strlen(piece);
    if (len > secret_len(text->secret) - text->used)
        return err_set(err, ERR_INTERNAL, "private JWK longer than %zu", secret_len(text->secret));
    memcpy(secret_data(text->secret) + text->used, piece, len);
    text->used += len;
    return true;
}

/* Appends ,"name":"<base64url>". */
static bool text_add_number(
    struct locked_text *text, const char *name, struct bytes number, struct err *err)
{
    if (!text_add(text, ",\"", err) || !text_add(text, name, err) || !text_add(text, "\":\"", err))
        return false;
    if (!b64_encode_to(B64_URL, number, (char *)secret_data(text->secret) + text->used,
            secret_len(text->secret) - text->used, err))
        return false;
    text->used += b64_encoded_len(B64_URL, number.len);
    return text_add(text, "\"", err);
}

/* OpenSSL writes the number little-endian over all of `room` (locked); turned around here. */
static bool text_add_param(struct locked_text *text, const struct jwk *jwk, const char *name,
    const char *param, uint8_t *room, size_t width, struct err *err)
{
    size_t size = width ? width : NUMBER_MAX;
    OSSL_PARAM params[] = {OSSL_PARAM_construct_BN(param, room, size), OSSL_PARAM_construct_end()};
    if (EVP_PKEY_get_params(jwk->pkey, params) != 1 || !OSSL_PARAM_modified(params) ||
        params[0].return_size > size)
        return err_set(err, ERR_INTERNAL, "reading a private key: %s", ossl_reason());
    size_t len = params[0].return_size;
    for (size_t i = 0; i < len / 2; i++) {
        uint8_t byte = room[i];
        room[i] = room[len - 1 - i];
        room[len - 1 - i] = byte;
    }
    size_t skip = 0;
    while (width == 0 && skip + 1 < len && room[skip] == 0)
        skip++;
    return text_add_number(text, name, bytes_of(room + skip, len - skip), err);
}

static bool text_add_private(struct locked_text *text, const struct jwk *jwk, struct err *err)
{
    static const struct {
        const char *name, *param;
    } rsa[] = {{"d", OSSL_PKEY_PARAM_RSA_D}, {"p", OSSL_PKEY_PARAM_RSA_FACTOR1},
        {"q", OSSL_PKEY_PARAM_RSA_FACTOR2}, {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1},
        {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2}, {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1}};
    if (jwk->kind == JWK_OCT)
        return text_add_number(text, "k", jwk_octets(jwk), err);
    auto_secret *room = NULL;
    if (!secret_new(NUMBER_MAX, &room, err))
        return false;
    if (jwk->kind == JWK_OKP_ED25519)
        return jwk_okp_private(jwk->pkey, secret_data(room), err) &&
               text_add_number(text, "d", bytes_of(secret_data(room), JWK_ED25519_SIZE), err);
    if (jwk->kind != JWK_RSA)
        return text_add_param(text, jwk, "d", OSSL_PKEY_PARAM_PRIV_KEY, secret_data(room),
            jwk_field_size(jwk->kind), err);
    for (size_t i = 0; i < ARRAY_LEN(rsa); i++)
        if (!text_add_param(text, jwk, rsa[i].name, rsa[i].param, secret_data(room), 0, err))
            return false;
    return true;
}

/* All members that are no secret, as JSON text without its last bracket. */
static bool public_text(const struct jwk *jwk, char **ret_text, struct err *err)
{
    auto_json *json = NULL;
    if (jwk->kind == JWK_OCT
            ? !json_build(&json, err, "{s:s}", "kty", "oct") ||
                  !set_label(json, "alg", jwk->alg, err) || !set_label(json, "kid", jwk->kid, err)
            : !jwk_public_json(jwk, NULL, &json, err))
        return false;
    if (!set_label(json, "use", jwk->use, err))
        return false;
    char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    text[strlen(text) - 1] = '\0';
    *ret_text = text;
    return true;
}

bool jwk_private_text(const struct jwk *jwk, struct secret **ret_text, struct err *err)
{
    auto_free char *start = NULL;
    auto_secret *secret = NULL;
    if (!jwk->is_private)
        return err_set(err, ERR_FORMAT, "this key has no private part");
    if (!public_text(jwk, &start, err) || !secret_new(JWK_TEXT_MAX, &secret, err))
        return false;
    struct locked_text text = {.secret = secret};
    if (!text_add(&text, start, err) || !text_add_private(&text, jwk, err) ||
        !text_add(&text, "}", err))
        return false;
    secret_truncate(secret, text.used);
    *ret_text = take_ptr(secret);
    return true;
}
