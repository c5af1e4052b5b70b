/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PEM keys (RFC 7468) from locked memory: SubjectPublicKeyInfo, PKCS #8 (RFC 5958), EC (RFC 5915), Ed25519 (RFC 8410)
 * and RSA (RFC 8017 A.1.2) private keys. OpenSSL's own readers leave unwiped copies of the DER in
 * the heap; the few structures that are needed are read in place instead.
 */
#include "crypt/base/b64.h"
#include "crypt/jwk_internal.h"

enum {
    DER_INTEGER = 0x02,
    DER_BITS = 0x03,
    DER_OCTETS = 0x04,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30
};
#define DER_CONTEXT(n) (0xa0 | (n))

static const char remedy[] =
    "write it again with: openssl pkcs8 -topk8 -nocrypt -in OLD.pem -out NEW.pem";

/* Takes one element with this tag off the front; lengths in the shortest form, at most 64 KiB. */
static bool der_take(struct bytes *in, int tag, struct bytes *ret_content)
{
    struct bytes at = *in;
    if (at.len < 2 || at.data[0] != tag)
        return false;
    size_t head = 2, len = at.data[1];
    if (len > 0x80 && len <= 0x82) {
        head += len - 0x80;
        if (at.len < head)
            return false;
        len = head == 3 ? at.data[2] : (size_t)at.data[2] << 8 | at.data[3];
        if (len < (head == 3 ? 0x80u : 0x100u))
            return false;
    } else if (len >= 0x80) {
        return false;
    }
    if (len > at.len - head)
        return false;
    *ret_content = bytes_of(at.data + head, len);
    *in = bytes_of(at.data + head + len, at.len - head - len);
    return true;
}

/* A non-negative integer without its sign byte. */
static bool der_take_number(struct bytes *in, struct bytes *ret_number)
{
    struct bytes number;
    if (!der_take(in, DER_INTEGER, &number) || number.len == 0 || number.data[0] & 0x80)
        return false;
    *ret_number =
        number.len > 1 && number.data[0] == 0 ? bytes_slice(number, 1, number.len) : number;
    return true;
}

static bool der_take_small(struct bytes *in, uint8_t wanted)
{
    struct bytes number;
    return der_take_number(in, &number) && number.len == 1 && number.data[0] == wanted;
}

static const uint8_t oid_p256[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t oid_p384[] = {0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t oid_p521[] = {0x2b, 0x81, 0x04, 0x00, 0x23};
static const uint8_t oid_ec[] = {0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_ed25519[] = {0x2b, 0x65, 0x70};
#define OID(bytes) bytes_of(bytes, sizeof bytes)

static bool take_curve(struct bytes *in, enum jwk_kind *ret_kind)
{
    struct bytes oid;
    if (!der_take(in, DER_OID, &oid))
        return false;
    *ret_kind = bytes_equal(oid, OID(oid_p256))   ? JWK_EC_P256
                : bytes_equal(oid, OID(oid_p384)) ? JWK_EC_P384
                : bytes_equal(oid, OID(oid_p521)) ? JWK_EC_P521
                                                  : JWK_OCT;
    return *ret_kind != JWK_OCT;
}

/* ECPrivateKey; `kind` is known from PKCS #8 or JWK_OCT. The public point is optional in the
 * format, not here. */
static bool read_ec(struct bytes der, enum jwk_kind kind, struct jwk **ret_jwk, struct err *err)
{
    struct jwk_numbers numbers = {0};
    struct bytes seq, part, bits;
    if (!der_take(&der, DER_SEQUENCE, &seq) || der.len != 0 || !der_take_small(&seq, 1) ||
        !der_take(&seq, DER_OCTETS, &numbers.d))
        return err_set(err, ERR_FORMAT, "no EC private key (RFC 5915)");
    if (der_take(&seq, DER_CONTEXT(0), &part)) {
        enum jwk_kind own;
        if (!take_curve(&part, &own) || (kind != JWK_OCT && own != kind))
            return err_set(err, ERR_FORMAT, "EC key on a curve other than P-256, P-384 and P-521");
        kind = own;
    }
    size_t width = jwk_field_size(kind);
    if (width == 0)
        return err_set(err, ERR_FORMAT, "EC key that names no curve; %s", remedy);
    if (!der_take(&seq, DER_CONTEXT(1), &part) || !der_take(&part, DER_BITS, &bits))
        return err_set(err, ERR_FORMAT, "EC key without its public point; %s", remedy);
    /* BIT STRING: no unused bits; SEC 1 section 2.3.3: uncompressed. */
    if (numbers.d.len != width || bits.len != 2 + 2 * width || bits.data[0] != 0 ||
        bits.data[1] != 4)
        return err_set(err, ERR_FORMAT, "EC key whose numbers have not the width of its curve");
    numbers.kind = kind;
    numbers.x = bytes_slice(bits, 2, width);
    numbers.y = bytes_slice(bits, 2 + width, width);
    return jwk_build_numbers(&numbers, ret_jwk, err);
}

static bool read_sec1(struct bytes der, struct jwk **ret_jwk, struct err *err)
{
    return read_ec(der, JWK_OCT, ret_jwk, err);
}

static bool read_rsa(struct bytes der, struct jwk **ret_jwk, struct err *err)
{
    struct jwk_numbers numbers = {.kind = JWK_RSA};
    struct bytes seq;
    if (!der_take(&der, DER_SEQUENCE, &seq) || der.len != 0 || !der_take_small(&seq, 0) ||
        !der_take_number(&seq, &numbers.n) || !der_take_number(&seq, &numbers.e) ||
        !der_take_number(&seq, &numbers.d) || !der_take_number(&seq, &numbers.p) ||
        !der_take_number(&seq, &numbers.q) || !der_take_number(&seq, &numbers.dp) ||
        !der_take_number(&seq, &numbers.dq) || !der_take_number(&seq, &numbers.qi) || seq.len != 0)
        return err_set(err, ERR_FORMAT, "no RSA private key of two primes (RFC 8017)");
    return jwk_build_numbers(&numbers, ret_jwk, err);
}

/* RFC 8410 sections 3 and 7: no parameters, and the key in an OCTET STRING of its own. */
static bool read_ed25519(
    struct bytes parameters, struct bytes key, struct jwk **ret_jwk, struct err *err)
{
    struct jwk_numbers numbers = {.kind = JWK_OKP_ED25519};
    if (parameters.len != 0 || !der_take(&key, DER_OCTETS, &numbers.d) || key.len != 0 ||
        numbers.d.len != JWK_ED25519_SIZE)
        return err_set(err, ERR_FORMAT, "no Ed25519 private key of 32 bytes (RFC 8410)");
    return jwk_okp_build(&numbers, ret_jwk, err);
}

static bool read_pkcs8(struct bytes der, struct jwk **ret_jwk, struct err *err)
{
    struct bytes seq, algorithm, oid, key;
    if (!der_take(&der, DER_SEQUENCE, &seq) || der.len != 0 || !der_take_small(&seq, 0) ||
        !der_take(&seq, DER_SEQUENCE, &algorithm) || !der_take(&algorithm, DER_OID, &oid) ||
        !der_take(&seq, DER_OCTETS, &key))
        return err_set(err, ERR_FORMAT, "no PKCS #8 private key");
    if (bytes_equal(oid, OID(oid_rsa)))
        return read_rsa(key, ret_jwk, err);
    if (bytes_equal(oid, OID(oid_ed25519)))
        return read_ed25519(algorithm, key, ret_jwk, err);
    enum jwk_kind kind;
    if (!bytes_equal(oid, OID(oid_ec)))
        return err_set(err, ERR_FORMAT, "private key that is neither EC, Ed25519 nor RSA");
    if (!take_curve(&algorithm, &kind))
        return err_set(err, ERR_FORMAT, "EC key on a curve other than P-256, P-384 and P-521");
    return read_ec(key, kind, ret_jwk, err);
}

static const struct {
    const char *label;
    bool (*read)(struct bytes der, struct jwk **ret_jwk, struct err *err);
} pem_kinds[] = {
    {"PUBLIC KEY", jwk_from_spki},
    {"PRIVATE KEY", read_pkcs8},
    {"EC PRIVATE KEY", read_sec1},
    {"RSA PRIVATE KEY", read_rsa},
};

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Splits "-----BEGIN label-----body-----END label-----blanks"; one block and nothing else. */
static bool split_pem(struct bytes text, struct bytes *ret_label, struct bytes *ret_body)
{
    static const char begin[] = "-----BEGIN ", end[] = "-----END ", dashes[] = "-----";
    struct bytes rest = bytes_slice(text, sizeof begin - 1, text.len);
    const uint8_t *close = rest.len ? memmem(rest.data, rest.len, dashes, 5) : NULL;
    if (!close)
        return false;
    struct bytes label = bytes_of(rest.data, (size_t)(close - rest.data));
    rest = bytes_slice(rest, label.len + 5, rest.len);
    const uint8_t *last = rest.len ? memmem(rest.data, rest.len, end, sizeof end - 1) : NULL;
    if (!last)
        return false;
    struct bytes body = bytes_of(rest.data, (size_t)(last - rest.data));
    rest = bytes_slice(rest, body.len + sizeof end - 1, rest.len);
    if (rest.len < label.len + 5 || !bytes_equal(bytes_slice(rest, 0, label.len), label) ||
        memcmp(rest.data + label.len, dashes, 5) != 0)
        return false;
    for (size_t i = label.len + 5; i < rest.len; i++)
        if (!is_blank(rest.data[i]))
            return false;
    *ret_label = label;
    *ret_body = body;
    return true;
}

static bool decode_body(struct bytes body, struct secret **ret_der, struct err *err)
{
    auto_secret *text = NULL;
    if (!secret_new(body.len, &text, err))
        return false;
    uint8_t *out = secret_data(text);
    size_t len = 0;
    for (size_t i = 0; i < body.len; i++)
        if (!is_blank(body.data[i]))
            out[len++] = body.data[i];
    return b64_decode_secret(B64_STD, bytes_of(out, len), "body", ret_der, err);
}

bool jwk_from_pem(struct bytes text, struct jwk **ret_jwk, struct err *err)
{
    struct bytes label, body;
    auto_secret *der = NULL;
    if (!split_pem(text, &label, &body))
        return err_set(err, ERR_FORMAT,
            "not one block from \"-----BEGIN\" to the same \"-----END\" with nothing after it; %s",
            remedy);
    for (size_t i = 0; i < ARRAY_LEN(pem_kinds); i++)
        if (bytes_equal(label, bytes_str(pem_kinds[i].label)))
            return decode_body(body, &der, err) &&
                   pem_kinds[i].read(secret_bytes(der), ret_jwk, err);
    return err_set(err, ERR_FORMAT, "a \"%.*s\" is not taken here; for a private key, %s",
        label.len < 40 ? (int)label.len : 40, (const char *)label.data, remedy);
}
