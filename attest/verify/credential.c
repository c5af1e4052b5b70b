/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/credential.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <time.h>

#include "attest/verify/ek_cert.h"
#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"
#include "crypt/base/pack.h"
#include "crypt/hash.h"

#define SEED_SIZE      32 /* the size of the EK's nameAlg digest (part 1, B.10.3) */
#define SYM_SIZE       16 /* AES-128 */
#define CREDENTIAL_MAX 32
#define SPKI_MAX       1024
#define NAME_MAX_BYTES (2 + 32)
#define AK_BITS_MIN    2048
#define EK_BITS        2048

/* PolicySecret(TPM_RH_ENDORSEMENT): the policy of every L-1 EK (EK Credential Profile, B.3.3). */
static const uint8_t ek_policy[32] = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90,
    0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1,
    0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

#define EK_ATTRIBUTES                                                            \
    (TPM_OBJECT_FIXED_TPM | TPM_OBJECT_FIXED_PARENT | TPM_OBJECT_OWN_SENSITIVE | \
        TPM_OBJECT_ADMIN_POLICY | TPM_OBJECT_RESTRICTED | TPM_OBJECT_DECRYPT)
#define AK_ATTRIBUTES                                                            \
    (TPM_OBJECT_FIXED_TPM | TPM_OBJECT_FIXED_PARENT | TPM_OBJECT_OWN_SENSITIVE | \
        TPM_OBJECT_RESTRICTED | TPM_OBJECT_SIGN)

DEFINE_AUTO(EVP_PKEY, EVP_PKEY_free);
DEFINE_AUTO(EVP_PKEY_CTX, EVP_PKEY_CTX_free);
DEFINE_AUTO(EVP_CIPHER_CTX, EVP_CIPHER_CTX_free);
DEFINE_AUTO(OSSL_PARAM_BLD, OSSL_PARAM_BLD_free);
DEFINE_AUTO(OSSL_PARAM, OSSL_PARAM_free);
DEFINE_AUTO(BIGNUM, BN_free);

/* --- public areas
 * --------------------------------------------------------------------------------------------- */

static bool rsa_key(const struct tpm_public *public, EVP_PKEY **ret_key, struct err *err)
{
    AUTO(BN_free) BIGNUM *modulus = BN_bin2bn(public->modulus, (int)public->modulus_len, NULL);
    AUTO(BN_free) BIGNUM *exponent = BN_new();
    AUTO(OSSL_PARAM_BLD_free) OSSL_PARAM_BLD *build = OSSL_PARAM_BLD_new();
    AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
    AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
    if (!modulus || !exponent || !build || !ctx || BN_set_word(exponent, public->exponent) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, modulus) != 1 ||
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, exponent) != 1)
        return err_nomem(err);
    if (BN_num_bits(modulus) != public->key_bits || !BN_is_odd(modulus) || !BN_is_odd(exponent) ||
        public->exponent < 65537)
        return err_set(err, ERR_FORMAT,
            "RSA modulus of %d bits and exponent %u are no key of %u bits", BN_num_bits(modulus),
            public->exponent, public->key_bits);
    AUTO(OSSL_PARAM_free) OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(build);
    if (!params || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        return err_set(err, ERR_FORMAT, "OpenSSL does not take this RSA public key");
    *ret_key = take_ptr(key);
    return true;
}

static bool append_spki(EVP_PKEY *key, struct buf *out, struct err *err)
{
    unsigned char *der = NULL;
    int len = i2d_PUBKEY(key, &der);
    if (len < 0)
        return err_nomem(err);
    bool done = buf_append(out, bytes_of(der, (size_t)len), err);
    OPENSSL_free(der);
    return done;
}

/* Requirements on a public area, each with what to say when it does not hold. */
struct rule {
    bool holds;
    const char *otherwise;
};

static bool check_rules(
    const char *what, const char *remedy, const struct rule *rules, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!rules[i].holds)
            return err_set(err, ERR_DENIED_POLICY, "%s %s; %s", what, rules[i].otherwise, remedy);
    return true;
}

static bool check_ak_area(const struct tpm_public *ak, struct err *err)
{
    const struct rule rules[] = {
        {ak->type == TPM_ALG_KEY_RSA, "is no RSA key"},
        {ak->name_alg == TPM_ALG_HASH_SHA256, "has a name algorithm other than SHA-256"},
        {ak->attributes & TPM_OBJECT_FIXED_TPM, "is not fixedTPM: it could leave its TPM"},
        {ak->attributes & TPM_OBJECT_FIXED_PARENT, "is not fixedParent"},
        {ak->attributes & TPM_OBJECT_OWN_SENSITIVE,
            "was not made by the TPM itself (sensitiveDataOrigin)"},
        {ak->attributes & TPM_OBJECT_RESTRICTED,
            "is not restricted: it would sign quotes made outside the TPM"},
        {ak->attributes & TPM_OBJECT_SIGN, "is no signing key"},
        {!(ak->attributes & TPM_OBJECT_DECRYPT), "may also decrypt"},
        {ak->scheme == TPM_ALG_SIGN_RSASSA && ak->scheme_hash == TPM_ALG_HASH_SHA256,
            "does not sign by RSASSA with SHA-256"},
        {ak->key_bits >= AK_BITS_MIN, "is shorter than 2048 bits"},
    };
    return check_rules("attestation key", "make one by `tpm2_createak -G rsa -g sha256 -s rsassa`",
        rules, ARRAY_LEN(rules), err);
}

static bool check_ek_area(const struct tpm_public *ek, struct err *err)
{
    const struct rule rules[] = {
        {ek->type == TPM_ALG_KEY_RSA, "is no RSA key"},
        {ek->name_alg == TPM_ALG_HASH_SHA256, "has a name algorithm other than SHA-256"},
        {ek->attributes == EK_ATTRIBUTES, "has other attributes than the template"},
        {bytes_equal(bytes_of(ek->policy, ek->policy_len), bytes_of(ek_policy, sizeof ek_policy)),
            "has another policy than PolicySecret on the endorsement hierarchy"},
        {ek->symmetric == TPM_ALG_CIPHER_AES && ek->symmetric_bits == 128 &&
                ek->symmetric_mode == TPM_ALG_MODE_CFB,
            "has another symmetric algorithm than AES-128-CFB"},
        {ek->scheme == TPM_ALG_NONE, "has a scheme"},
        {ek->key_bits == EK_BITS && ek->modulus_len == EK_BITS / 8, "is not of 2048 bits"},
    };
    return check_rules("endorsement key",
        "it must be the RSA-2048 key of template L-1 of the EK Credential Profile", rules,
        ARRAY_LEN(rules), err);
}

bool credential_check_ak(
    struct bytes ak_public, struct buf *ret_name, struct buf *ret_spki, struct err *err)
{
    struct tpm_public ak;
    struct hash digest;
    AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
    auto_buf spki = BUF_INIT(SPKI_MAX);
    if (!tpm_public_parse(ak_public, &ak, err))
        return err_wrap(err, "attestation key");
    if (!check_ak_area(&ak, err))
        return false;
    if (!rsa_key(&ak, &key, err))
        return err_wrap(err, "attestation key");
    /* Part 1, 16: the name is nameAlg followed by the digest of the TPMT_PUBLIC, which follows the
     * size. */
    if (!append_spki(key, &spki, err) ||
        !hash_bytes(HASH_SHA256, bytes_slice(ak_public, 2, ak_public.len), &digest, err))
        return false;
    size_t before = ret_name->len;
    struct pack_writer out = pack_writer(ret_name);
    pack_put_u16(&out, TPM_ALG_HASH_SHA256);
    pack_put_fixed(&out, hash_view(&digest));
    if (pack_written(&out, "name of the attestation key", err) &&
        buf_append(ret_spki, buf_bytes(&spki), err))
        return true;
    ret_name->len = before;
    return false;
}

bool credential_check_ek(struct bytes ek_public, struct bytes certificate, struct bytes roots_pem,
    char ret_ek_sha256[65], struct err *err)
{
    struct tpm_public ek;
    struct hash digest;
    AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
    auto_buf spki = BUF_INIT(SPKI_MAX);
    if (!tpm_public_parse(ek_public, &ek, err))
        return err_wrap(err, "endorsement key");
    if (!check_ek_area(&ek, err))
        return false;
    if (!rsa_key(&ek, &key, err))
        return err_wrap(err, "endorsement key");
    if (!ek_cert_check(certificate, key, roots_pem, (int64_t)time(NULL), err) ||
        !append_spki(key, &spki, err) || !hash_bytes(HASH_SHA256, buf_bytes(&spki), &digest, err))
        return false;
    hex_encode(hash_view(&digest), ret_ek_sha256);
    return true;
}

/* --- TPM2_MakeCredential (part 1, 24; part 3, 12.6)
 * ------------------------------------------------------------- */

struct keys {
    uint8_t sym[32]; /* of which the first SYM_SIZE count */
    uint8_t hmac[32];
};

static void keys_wipe(struct keys *keys)
{
    secret_wipe(keys, sizeof *keys);
}

/* KDFa with SHA-256 (part 1, 11.4.10.2) for at most one block: HMAC(key, 1 || label || 00 ||
 * context || bits). */
static bool kdfa(struct bytes key, const char *label, struct bytes context, uint32_t bits,
    uint8_t ret_block[32], struct err *err)
{
    auto_buf message = BUF_INIT(256);
    struct pack_writer out = pack_writer(&message);
    pack_put_u32(&out, 1);
    pack_put_fixed(&out, bytes_of(label, strlen(label) + 1));
    pack_put_fixed(&out, context);
    pack_put_u32(&out, bits);
    return pack_written(&out, "KDFa input", err) &&
           hash_hmac_sha256(key, buf_bytes(&message), ret_block, err);
}

static bool encrypt_seed(EVP_PKEY *ek, struct bytes seed, struct buf *out, struct err *err)
{
    static const char label[] = "IDENTITY"; /* with its NUL (part 1, B.10.4) */
    uint8_t encrypted[EK_BITS / 8];
    size_t len = sizeof encrypted;
    AUTO(EVP_PKEY_CTX_free) EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new(ek, NULL);
    void *owned = OPENSSL_memdup(label, sizeof label);
    if (!ctx || !owned || EVP_PKEY_encrypt_init(ctx) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) != 1 ||
        EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_CTX_set_rsa_mgf1_md(ctx, EVP_sha256()) != 1 ||
        EVP_PKEY_CTX_set0_rsa_oaep_label(ctx, owned, sizeof label) != 1) {
        OPENSSL_free(owned);
        return err_nomem(err);
    }
    if (EVP_PKEY_encrypt(ctx, encrypted, &len, seed.data, seed.len) != 1)
        return err_set(err, ERR_CRYPTO, "the seed cannot be encrypted to the endorsement key");
    struct pack_writer packed = pack_writer(out);
    pack_put_block16(&packed, bytes_of(encrypted, len));
    return pack_written(&packed, "TPM2B_ENCRYPTED_SECRET", err);
}

/* encIdentity: the TPM2B_DIGEST of the credential under AES-128-CFB with a zero IV. The plaintext
 * passes through locked memory. */
static bool encrypt_identity(const uint8_t key[SYM_SIZE], const struct secret *credential,
    uint8_t *out, size_t len, struct err *err)
{
    static const uint8_t zero_iv[16];
    struct bytes value = secret_bytes(credential);
    auto_secret *plain = NULL;
    if (!secret_new(len, &plain, err))
        return false;
    uint8_t *at = secret_data(plain);
    at[0] = (uint8_t)(value.len >> 8);
    at[1] = (uint8_t)value.len;
    memcpy(at + 2, value.data, value.len);
    int done = 0;
    AUTO(EVP_CIPHER_CTX_free) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    if (!ctx || EVP_EncryptInit_ex2(ctx, EVP_aes_128_cfb128(), key, zero_iv, NULL) != 1 ||
        EVP_EncryptUpdate(ctx, out, &done, at, (int)len) != 1 || (size_t)done != len)
        return err_set(err, ERR_CRYPTO, "AES-128-CFB failed");
    return true;
}

static bool derive_keys(struct bytes seed, struct bytes name, struct keys *keys, struct err *err)
{
    return kdfa(seed, "STORAGE", name, SYM_SIZE * 8, keys->sym, err) &&
           kdfa(seed, "INTEGRITY", BYTES_EMPTY, 256, keys->hmac, err);
}

/* TPM2B_ID_OBJECT: size, TPM2B_DIGEST HMAC(encIdentity || name), encIdentity. */
static bool seal_identity(const struct keys *keys, struct bytes name,
    const struct secret *credential, struct buf *out, struct err *err)
{
    uint8_t identity[2 + CREDENTIAL_MAX + NAME_MAX_BYTES], mac[32];
    size_t len = 2 + secret_len(credential);
    if (!encrypt_identity(keys->sym, credential, identity, len, err))
        return false;
    memcpy(identity + len, name.data, name.len);
    if (!hash_hmac_sha256(
            bytes_of(keys->hmac, sizeof keys->hmac), bytes_of(identity, len + name.len), mac, err))
        return false;
    struct pack_writer packed = pack_writer(out);
    pack_put_u16(&packed, (uint16_t)(2 + sizeof mac + len));
    pack_put_block16(&packed, bytes_of(mac, sizeof mac));
    pack_put_fixed(&packed, bytes_of(identity, len));
    return pack_written(&packed, "TPM2B_ID_OBJECT", err);
}

bool credential_make(struct bytes ek_public, struct bytes ak_name, const struct secret *credential,
    struct buf *ret_id_object, struct buf *ret_encrypted_secret, struct err *err)
{
    struct tpm_public ek;
    AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
    auto_secret *seed = NULL;
    AUTO_DONE(keys_wipe) struct keys keys = {0};
    if (ak_name.len != NAME_MAX_BYTES || secret_len(credential) == 0 ||
        secret_len(credential) > CREDENTIAL_MAX)
        return err_set(err, ERR_FORMAT,
            "a credential of 1 to %d bytes for a name of %d bytes is wanted, not %zu for %zu",
            CREDENTIAL_MAX, NAME_MAX_BYTES, secret_len(credential), ak_name.len);
    if (!tpm_public_parse(ek_public, &ek, err) || !check_ek_area(&ek, err) ||
        !rsa_key(&ek, &key, err))
        return err_wrap(err, "endorsement key");
    size_t before = ret_id_object->len;
    if (!secret_random(SEED_SIZE, &seed, err) ||
        !derive_keys(secret_bytes(seed), ak_name, &keys, err) ||
        !seal_identity(&keys, ak_name, credential, ret_id_object, err))
        return false;
    if (encrypt_seed(key, secret_bytes(seed), ret_encrypted_secret, err))
        return true;
    ret_id_object->len = before;
    return false;
}
