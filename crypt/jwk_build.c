/* SPDX-License-Identifier: Apache-2.0 */
/* From the members of a JWK, wherever they were read, to a checked key. Private numbers go from
 * text to OpenSSL through locked memory only. */
#include "crypt/jwk_internal.h"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "crypt/base/b64.h"

#define NUMBER_MAX   512 /* bytes: RSA-4096 */
#define PUBLIC_ROOM  544 /* n and e, or a point */
#define PRIVATE_ROOM 4096
#define OCT_MIN      16

static const char *const member_names[JWK_MEMBER_COUNT] = {
    [JWK_KTY] = "kty",
    [JWK_CRV] = "crv",
    [JWK_X] = "x",
    [JWK_Y] = "y",
    [JWK_N] = "n",
    [JWK_E] = "e",
    [JWK_D] = "d",
    [JWK_P] = "p",
    [JWK_Q] = "q",
    [JWK_DP] = "dp",
    [JWK_DQ] = "dq",
    [JWK_QI] = "qi",
    [JWK_OTH] = "oth",
    [JWK_K] = "k",
    [JWK_KID] = "kid",
    [JWK_ALG] = "alg",
    [JWK_USE] = "use",
};

const char *jwk_member_name(enum jwk_member member)
{
    return member_names[member];
}

enum jwk_member jwk_member_find(struct bytes name)
{
    for (int i = 0; i < JWK_MEMBER_COUNT; i++)
        if (bytes_equal(name, bytes_str(member_names[i])))
            return (enum jwk_member)i;
    return JWK_MEMBER_COUNT;
}

void jwk_members_done(struct jwk_members *members)
{
    free(members->kid);
    free(members->alg);
    free(members->use);
    *members = (struct jwk_members){0};
}

/* Room for the numbers of one key: on the stack for a public key, locked for a private one. */
struct arena {
    uint8_t *data;
    size_t used, size;
};

static uint8_t *arena_take(struct arena *arena, size_t len)
{
    if (len > arena->size - arena->used)
        return NULL;
    uint8_t *place = arena->data + arena->used;
    arena->used += len;
    return place;
}

static bool need_member(const struct jwk_members *members, enum jwk_member which, struct err *err)
{
    if (members->text[which].data)
        return true;
    return err_set(err, ERR_FORMAT, "member \"%s\" is missing", member_names[which]);
}

/* `want` 0: any length up to NUMBER_MAX, without leading zeros (RFC 7518 section 2, Base64urlUInt).
 */
static bool get_number(struct arena *arena, const struct jwk_members *members,
    enum jwk_member which, size_t want, struct bytes *ret_number, struct err *err)
{
    if (!need_member(members, which, err))
        return false;
    struct bytes text = members->text[which];
    size_t len = text.len / 4 * 3 + text.len % 4 * 3 / 4;
    if (want != 0 && text.len != b64_encoded_len(B64_URL, want))
        return err_set(err, ERR_FORMAT,
            "member \"%s\" has %zu characters; %zu bytes of full width in base64url without "
            "padding are %zu",
            member_names[which], text.len, want, b64_encoded_len(B64_URL, want));
    if (len == 0 || len > NUMBER_MAX)
        return err_set(err, ERR_FORMAT, "member \"%s\" has %zu bytes; 1 to %d are taken",
            member_names[which], len, NUMBER_MAX);
    uint8_t *place = arena_take(arena, len);
    if (!place)
        return err_set(err, ERR_FORMAT, "the numbers of the key are too long");
    if (!b64_decode_exact(B64_URL, text, member_names[which], place, len, err))
        return false;
    if (want == 0 && place[0] == 0)
        return err_set(
            err, ERR_FORMAT, "member \"%s\" begins with a zero byte", member_names[which]);
    *ret_number = bytes_of(place, len);
    return true;
}

static bool decode_ec(struct arena *arena, const struct jwk_members *members, bool with_private,
    struct jwk_numbers *numbers, struct err *err)
{
    if (!need_member(members, JWK_CRV, err))
        return false;
    struct bytes crv = members->text[JWK_CRV];
    for (numbers->kind = JWK_EC_P256; numbers->kind <= JWK_EC_P521; numbers->kind++)
        if (bytes_equal(crv, bytes_str(jwk_curve(numbers->kind))))
            break;
    if (numbers->kind > JWK_EC_P521)
        return err_set(err, ERR_FORMAT, "curve (crv) \"%.*s\"; P-256, P-384 and P-521 are taken",
            crv.len < 32 ? (int)crv.len : 32, (const char *)crv.data);
    size_t width = jwk_field_size(numbers->kind);
    return get_number(arena, members, JWK_X, width, &numbers->x, err) &&
           get_number(arena, members, JWK_Y, width, &numbers->y, err) &&
           (!with_private || get_number(arena, members, JWK_D, width, &numbers->d, err));
}

/* RFC 8037 section 2 */
static bool decode_okp(struct arena *arena, const struct jwk_members *members, bool with_private,
    struct jwk_numbers *numbers, struct err *err)
{
    numbers->kind = JWK_OKP_ED25519;
    if (!need_member(members, JWK_CRV, err))
        return false;
    struct bytes crv = members->text[JWK_CRV];
    if (!bytes_equal(crv, bytes_str(jwk_curve(JWK_OKP_ED25519))))
        return err_set(err, ERR_FORMAT,
            "curve (crv) \"%.*s\" of key type OKP; only Ed25519 is taken",
            crv.len < 32 ? (int)crv.len : 32, (const char *)crv.data);
    return get_number(arena, members, JWK_X, JWK_ED25519_SIZE, &numbers->x, err) &&
           (!with_private || get_number(arena, members, JWK_D, JWK_ED25519_SIZE, &numbers->d, err));
}

static bool decode_rsa(struct arena *arena, const struct jwk_members *members, bool with_private,
    struct jwk_numbers *numbers, struct err *err)
{
    numbers->kind = JWK_RSA;
    if (with_private && members->text[JWK_OTH].data)
        return err_set(err, ERR_FORMAT, "RSA key of more than two primes (member \"oth\")");
    if (!get_number(arena, members, JWK_N, 0, &numbers->n, err) ||
        !get_number(arena, members, JWK_E, 0, &numbers->e, err))
        return false;
    if (!with_private)
        return true;
    const struct {
        enum jwk_member which;
        struct bytes *number;
    } parts[] = {{JWK_D, &numbers->d}, {JWK_P, &numbers->p}, {JWK_Q, &numbers->q},
        {JWK_DP, &numbers->dp}, {JWK_DQ, &numbers->dq}, {JWK_QI, &numbers->qi}};
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        if (!get_number(arena, members, parts[i].which, 0, parts[i].number, err))
            return false;
    return true;
}

/* By key type (kty): what goes from members to numbers. */
static const struct decoder {
    const char *kty;
    bool (*decode)(struct arena *arena, const struct jwk_members *members, bool with_private,
        struct jwk_numbers *numbers, struct err *err);
} decoders[] = {{"EC", decode_ec}, {"OKP", decode_okp}, {"RSA", decode_rsa}};

static const struct decoder *find_decoder(struct bytes kty)
{
    for (size_t i = 0; i < ARRAY_LEN(decoders); i++)
        if (bytes_equal(kty, bytes_str(decoders[i].kty)))
            return &decoders[i];
    return NULL;
}

static bool build_asymmetric(const struct jwk_members *members, const struct decoder *decoder,
    bool with_private, struct jwk **ret_jwk, struct err *err)
{
    uint8_t room[PUBLIC_ROOM];
    struct arena arena = {room, 0, sizeof room};
    auto_secret *locked = NULL;
    if (with_private) {
        if (!secret_new(PRIVATE_ROOM, &locked, err))
            return false;
        arena = (struct arena){secret_data(locked), 0, PRIVATE_ROOM};
    }
    struct jwk_numbers numbers = {0};
    return decoder->decode(&arena, members, with_private, &numbers, err) &&
           jwk_build_numbers(&numbers, ret_jwk, err);
}

static bool build_octets(const struct jwk_members *members, struct jwk **ret_jwk, struct err *err)
{
    auto_secret *octets = NULL;
    if (!need_member(members, JWK_K, err) ||
        !b64_decode_secret(B64_URL, members->text[JWK_K], "k", &octets, err))
        return false;
    if (secret_len(octets) < OCT_MIN)
        return err_set(err, ERR_FORMAT, "symmetric key of %zu bytes; at least %d are needed",
            secret_len(octets), OCT_MIN);
    return jwk_wrap_octets(octets, ret_jwk, err);
}

bool jwk_build(
    struct jwk_members *members, bool with_private, struct jwk **ret_jwk, struct err *err)
{
    auto_jwk *jwk = NULL;
    if (!need_member(members, JWK_KTY, err))
        return false;
    struct bytes kty = members->text[JWK_KTY];
    const struct decoder *decoder = find_decoder(kty);
    if (decoder) {
        if (!build_asymmetric(members, decoder, with_private, &jwk, err))
            return false;
    } else if (with_private && bytes_equal(kty, bytes_str("oct"))) {
        if (!build_octets(members, &jwk, err))
            return false;
    } else {
        return err_set(err, ERR_FORMAT, "key type (kty) \"%.*s\"; EC, OKP%s RSA%s are taken",
            kty.len < 32 ? (int)kty.len : 32, (const char *)kty.data, with_private ? "," : " and",
            with_private ? " and oct" : "");
    }
    jwk->kid = take_ptr(members->kid);
    jwk->alg = take_ptr(members->alg);
    jwk->use = take_ptr(members->use);
    *ret_jwk = take_ptr(jwk);
    return true;
}

/* OpenSSL's parameter list; numbers in it are little-endian copies in the arena. */
struct params {
    OSSL_PARAM list[10];
    size_t count;
    struct arena arena;
};

static bool add_number(struct params *params, const char *name, struct bytes big_endian)
{
    uint8_t *copy = arena_take(&params->arena, big_endian.len);
    if (!copy || params->count + 1 >= ARRAY_LEN(params->list))
        return false;
    for (size_t i = 0; i < big_endian.len; i++)
        copy[i] = big_endian.data[big_endian.len - 1 - i];
    params->list[params->count++] = OSSL_PARAM_construct_BN(name, copy, big_endian.len);
    return true;
}

/* SEC 1 section 2.3.3, uncompressed. */
static bool make_point(
    struct arena *arena, const struct jwk_numbers *numbers, struct bytes *ret_point)
{
    size_t len = 1 + numbers->x.len + numbers->y.len;
    uint8_t *point = arena_take(arena, len);
    if (!point)
        return false;
    point[0] = 4;
    memcpy(point + 1, numbers->x.data, numbers->x.len);
    memcpy(point + 1 + numbers->x.len, numbers->y.data, numbers->y.len);
    *ret_point = bytes_of(point, len);
    return true;
}

static bool add_ec(struct params *params, const struct jwk_numbers *numbers)
{
    struct bytes point;
    if (!make_point(&params->arena, numbers, &point))
        return false;
    /* The provider copies the name; its parameter is only not const. */
    char *curve = (char *)(uintptr_t)jwk_curve(numbers->kind);
    params->list[params->count++] =
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
    params->list[params->count++] = OSSL_PARAM_construct_octet_string(
        OSSL_PKEY_PARAM_PUB_KEY, (uint8_t *)(uintptr_t)point.data, point.len);
    return add_number(params, OSSL_PKEY_PARAM_PRIV_KEY, numbers->d);
}

static bool add_rsa(struct params *params, const struct jwk_numbers *numbers)
{
    if (!add_number(params, OSSL_PKEY_PARAM_RSA_N, numbers->n) ||
        !add_number(params, OSSL_PKEY_PARAM_RSA_E, numbers->e))
        return false;
    return numbers->d.len == 0 ||
           (add_number(params, OSSL_PKEY_PARAM_RSA_D, numbers->d) &&
               add_number(params, OSSL_PKEY_PARAM_RSA_FACTOR1, numbers->p) &&
               add_number(params, OSSL_PKEY_PARAM_RSA_FACTOR2, numbers->q) &&
               add_number(params, OSSL_PKEY_PARAM_RSA_EXPONENT1, numbers->dp) &&
               add_number(params, OSSL_PKEY_PARAM_RSA_EXPONENT2, numbers->dq) &&
               add_number(params, OSSL_PKEY_PARAM_RSA_COEFFICIENT1, numbers->qi));
}

static bool build_point(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
{
    uint8_t room[PUBLIC_ROOM];
    struct arena arena = {room, 0, sizeof room};
    struct bytes point;
    auto_pkey *pkey = NULL;
    if (!make_point(&arena, numbers, &point))
        return err_set(err, ERR_FORMAT, "the numbers of the key are too long");
    /* Taking the point in has compared its coordinates with the field and found it on the curve: not once more. */
    return jwk_group_point(numbers->kind, point, &pkey, err) &&
           jwk_wrap(pkey, false, true, ret_jwk, err);
}

bool jwk_build_numbers(const struct jwk_numbers *numbers, struct jwk **ret_jwk, struct err *err)
{
    bool is_private = numbers->d.len > 0;
    if (numbers->kind == JWK_OKP_ED25519)
        return jwk_okp_build(numbers, ret_jwk, err);
    if (!is_private && numbers->kind != JWK_RSA)
        return build_point(numbers, ret_jwk, err);
    uint8_t room[PUBLIC_ROOM];
    auto_secret *locked = NULL;
    if (is_private && !secret_new(PRIVATE_ROOM, &locked, err))
        return false;
    struct params params = {.arena = {is_private ? secret_data(locked) : room, 0,
                                is_private ? PRIVATE_ROOM : sizeof room}};
    if (!(numbers->kind == JWK_RSA ? add_rsa : add_ec)(&params, numbers))
        return err_set(err, ERR_FORMAT, "the numbers of the key are too long");
    params.list[params.count] = OSSL_PARAM_construct_end();

    auto_pkey_ctx *ctx =
        EVP_PKEY_CTX_new_from_name(NULL, numbers->kind == JWK_RSA ? "RSA" : "EC", NULL);
    auto_pkey *pkey = NULL;
    if (!ctx || EVP_PKEY_fromdata_init(ctx) != 1)
        return err_set(err, ERR_INTERNAL, "importing a key: %s", ossl_reason());
    if (EVP_PKEY_fromdata(
            ctx, &pkey, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, params.list) != 1)
        return err_set(err, ERR_CRYPTO, "the numbers are no key: %s", ossl_reason());
    return jwk_wrap(pkey, is_private, false, ret_jwk, err);
}
