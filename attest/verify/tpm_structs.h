/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0 structures (TPM 2.0 Library, Part 2) from untrusted bytes into plain structs: the only
 * includer of the TSS type headers and of tss2-mu. Each parser insists on full consumption and on
 * the canonical encoding: what was read is marshalled again and must give back the same bytes.
 * Whether the values are acceptable is the caller's judgement.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define TPM_MAGIC           0xff544347u /* TPM_GENERATED_VALUE */
#define TPM_TYPE_QUOTE      0x8018
#define TPM_ALG_KEY_RSA     0x0001
#define TPM_ALG_HASH_SHA256 0x000b
#define TPM_ALG_SIGN_RSASSA 0x0014
#define TPM_ALG_NONE        0x0010 /* TPM_ALG_NULL */
#define TPM_ALG_CIPHER_AES  0x0006
#define TPM_ALG_MODE_CFB    0x0043

/* TPMA_OBJECT bits (Part 2, 8.3.2) */
#define TPM_OBJECT_FIXED_TPM     (1u << 1)
#define TPM_OBJECT_FIXED_PARENT  (1u << 4)
#define TPM_OBJECT_OWN_SENSITIVE (1u << 5) /* sensitiveDataOrigin */
#define TPM_OBJECT_USER_AUTH     (1u << 6)
#define TPM_OBJECT_ADMIN_POLICY  (1u << 7)
#define TPM_OBJECT_RESTRICTED    (1u << 16)
#define TPM_OBJECT_DECRYPT       (1u << 17)
#define TPM_OBJECT_SIGN          (1u << 18)

#define TPM_BANKS_MAX     16
#define TPM_DIGEST_MAX    64
#define TPM_DATA_MAX      64
#define TPM_RSA_BYTES_MAX 512
#define TPM_ATTEST_MAX    2304

struct tpm_selection {
    uint16_t hash;
    uint8_t size;    /* bytes of `bits` that count */
    uint8_t bits[4]; /* PCR 0 is bit 0 of byte 0 */
};

struct tpm_attest {
    uint32_t magic;
    uint16_t type;
    /* From here on only when magic and type are those of a quote. */
    uint8_t extra_data[TPM_DATA_MAX];
    size_t extra_len;
    uint64_t clock;
    uint32_t reset_count, restart_count;
    bool clock_safe;
    uint64_t firmware;
    struct tpm_selection selections[TPM_BANKS_MAX];
    size_t selection_count;
    uint8_t pcr_digest[TPM_DIGEST_MAX];
    size_t pcr_digest_len;
};

struct tpm_signature {
    uint16_t alg;
    /* From here on only for RSASSA. */
    uint16_t hash;
    uint8_t data[TPM_RSA_BYTES_MAX];
    size_t len;
};

struct tpm_public {
    uint16_t type;
    uint16_t name_alg;
    uint32_t attributes; /* TPMA_OBJECT */
    uint8_t policy[TPM_DIGEST_MAX];
    size_t policy_len;
    /* From here on only for RSA. */
    uint16_t symmetric, symmetric_bits,
        symmetric_mode;           /* bits and mode only when symmetric is AES */
    uint16_t scheme, scheme_hash; /* hash only when the scheme is RSASSA */
    uint16_t key_bits;
    uint32_t exponent; /* 65537 when the structure says 0, its default */
    uint8_t modulus[TPM_RSA_BYTES_MAX];
    size_t modulus_len;
};

/* tss2-mu writes a line to stderr for each malformed structure, so hostile evidence could fill a log. This turns it off unless the
 * environment already has TSS2_LOG. First thing in main, before threads (it sets an environment variable). */
void tpm_structs_silence(void);

/* A bare TPMS_ATTEST. When magic or type is not that of a quote, only these two are read and the
 * rest stays zero. ERR_FORMAT. */
bool tpm_attest_parse(struct bytes message, struct tpm_attest *ret_attest, struct err *err)
    MUST_CHECK;
/* TPMT_SIGNATURE. ERR_FORMAT. */
bool tpm_signature_parse(struct bytes message, struct tpm_signature *ret_signature, struct err *err)
    MUST_CHECK;
/* TPM2B_PUBLIC: u16 size, then the TPMT_PUBLIC over which an object's name is computed. ERR_FORMAT.
 */
bool tpm_public_parse(struct bytes message, struct tpm_public *ret_public, struct err *err)
    MUST_CHECK;
