/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm_keys.h"

#define RSA_BITS     2048
#define RSA_BYTES    (RSA_BITS / 8)
#define RSA_EXPONENT 65537 /* 0 in a public area means this one (part 2, 12.2.3.5) */

#define FIXED (TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT | TPMA_OBJECT_SENSITIVEDATAORIGIN)

/* What an AK must have; a key without userWithAuth would need a policy that we do not know. */
#define AK_SET \
    (FIXED | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT)
#define AK_CLEAR (TPMA_OBJECT_DECRYPT | TPMA_OBJECT_ADMINWITHPOLICY)

/* The policy digest is PolicyA of the profile: PolicySecret(TPM_RH_ENDORSEMENT), SHA-256. */
const TPM2B_PUBLIC tpm_template_ek = {
    .publicArea = {
        .type = TPM2_ALG_RSA,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes =
            FIXED | TPMA_OBJECT_ADMINWITHPOLICY | TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .authPolicy = {.size = 32,
            .buffer = {0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46,
                0xa5, 0xd7, 0x24, 0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda,
                0x1b, 0x33, 0x14, 0x69, 0xaa}},
        .parameters.rsaDetail =
            {.symmetric = {.algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB},
                .scheme.scheme = TPM2_ALG_NULL,
                .keyBits = RSA_BITS},
        .unique.rsa.size = RSA_BYTES, /* of zeros, as L-1 says */
    }};

/*
 * noDA: the key has no password that could be guessed, and without it wrong passwords for other keys (somebody's PIN) would stop
 * attestation, and every power cut after a quote would count as one of them (part 1, 19.8).
 */
const TPM2B_PUBLIC tpm_template_ak = {
    .publicArea = {
        .type = TPM2_ALG_RSA,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = AK_SET | TPMA_OBJECT_NODA,
        .parameters.rsaDetail = {.symmetric.algorithm = TPM2_ALG_NULL,
            .scheme = {.scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256},
            .keyBits = RSA_BITS},
    }};

const TPM2B_PUBLIC tpm_template_salt = {
    .publicArea = {
        .type = TPM2_ALG_ECC,
        .nameAlg = TPM2_ALG_SHA256,
        .objectAttributes = FIXED | TPMA_OBJECT_USERWITHAUTH | TPMA_OBJECT_NODA |
                            TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT,
        .parameters.eccDetail = {.symmetric = {.algorithm = TPM2_ALG_AES,
                                     .keyBits.aes = 128,
                                     .mode.aes = TPM2_ALG_CFB},
            .scheme.scheme = TPM2_ALG_NULL,
            .curveID = TPM2_ECC_NIST_P256,
            .kdf.scheme = TPM2_ALG_NULL},
    }};

/* NULL when the key fits. */
static const char *ak_fault(const TPMT_PUBLIC *area)
{
    const TPMS_RSA_PARMS *rsa = &area->parameters.rsaDetail;
    if (area->type != TPM2_ALG_RSA)
        return "is not an RSA key";
    if (rsa->keyBits != RSA_BITS || area->unique.rsa.size != RSA_BYTES)
        return "is not an RSA key of 2048 bits";
    if (rsa->exponent != 0 && rsa->exponent != RSA_EXPONENT)
        return "has another public exponent than 65537";
    if ((area->objectAttributes & AK_SET) != AK_SET || (area->objectAttributes & AK_CLEAR))
        return "is not a restricted signing key that the TPM made and keeps, usable without a "
               "policy";
    if (rsa->scheme.scheme != TPM2_ALG_RSASSA ||
        rsa->scheme.details.rsassa.hashAlg != TPM2_ALG_SHA256)
        return "does not sign with RSASSA and SHA-256";
    return NULL;
}

bool tpm_ak_check(const TPM2B_PUBLIC *key, uint32_t handle, struct err *err)
{
    const char *fault = ak_fault(&key->publicArea);
    if (!fault)
        return true;
    return err_set(err, ERR_ATTEST,
        "the key at handle 0x%08x %s; configure another ak_handle, or free this one "
        "(tpm2_evictcontrol -c 0x%08x) and run `sealed attest enroll --create-key`",
        handle, fault, handle);
}

bool tpm_ak_spki(const TPM2B_PUBLIC *key, struct buf *out, struct err *err)
{
    /* RFC 8017 A.1: everything before the modulus and after it is the same for every such key. */
    static const uint8_t head[] = {0x30, 0x82, 0x01, 0x22, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48,
        0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00, 0x03, 0x82, 0x01, 0x0f, 0x00, 0x30, 0x82,
        0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00};
    static const uint8_t tail[] = {0x02, 0x03, 0x01, 0x00, 0x01};
    const TPM2B_PUBLIC_KEY_RSA *modulus = &key->publicArea.unique.rsa;
    if (modulus->size != RSA_BYTES || !(modulus->buffer[0] & 0x80))
        return err_set(err, ERR_ATTEST, "the TPM gave an RSA modulus that has not 2048 bits");
    return buf_append(out, bytes_of(head, sizeof head), err) &&
           buf_append(out, bytes_of(modulus->buffer, modulus->size), err) &&
           buf_append(out, bytes_of(tail, sizeof tail), err);
}
