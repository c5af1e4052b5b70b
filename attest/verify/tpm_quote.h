/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A TPM quote over PCR 0 to 23 of the SHA-256 bank, as the evidence of several TEEs has one in it. A genuine TPM that quotes another
 * selection could show a PCR that software may reset (16, 23) under the name of one that it may not, so the signed selection must be
 * exactly these. What the signing key is worth is the caller's to find out.
 *
 * Each function adds failed checks to the verdict, named FAMILY.thing, looks only at what could be read so far, and returns false with
 * err for trouble of our own.
 */
#pragma once

#include <openssl/types.h>

#include "attest/verify/tpm_structs.h"
#include "attest/verify/verify.h"

#define TPM_PCR_COUNT 24
#define TPM_PCR_SIZE  32

struct tpm_quote {
    const char *family; /* "tpm", "az" */
    struct verdict *verdict;
    bool have_attest, have_pcrs;
    struct bytes message; /* borrowed */
    struct tpm_attest attest;
    uint8_t pcrs[TPM_PCR_COUNT][TPM_PCR_SIZE];
};

/* A bare TPMS_ATTEST of a quote; `message` must stay. */
bool tpm_quote_message(struct tpm_quote *quote, struct bytes message, struct err *err) MUST_CHECK;
/* One value of the list: 32 bytes, or an error about it. */
typedef bool tpm_pcr_fn(
    const json_t *value, const char *what, uint8_t out[TPM_PCR_SIZE], struct err *err);
bool tpm_pcr_hex(const json_t *value, const char *what, uint8_t out[TPM_PCR_SIZE], struct err *err)
    MUST_CHECK;
bool tpm_quote_pcrs(struct tpm_quote *quote, const json_t *list, tpm_pcr_fn *read, struct err *err)
    MUST_CHECK;
/* RSASSA-PKCS1-v1_5 with SHA-256 over the message; `signer` names the key in the failed check. */
bool tpm_quote_signature(struct tpm_quote *quote, EVP_PKEY *key, struct bytes signature,
    const char *signer, struct err *err) MUST_CHECK;
/* extraData is exactly `expected`, and that is not empty. */
void tpm_quote_nonce(struct tpm_quote *quote, struct bytes expected);
/* The selection, and the digest over the listed PCRs. */
bool tpm_quote_selection(struct tpm_quote *quote, struct err *err) MUST_CHECK;
/* Init data is extended once into PCR 8 from its reset value, as CoCo's guest does; empty: none was sent. */
bool tpm_quote_init_data(struct tpm_quote *quote, struct bytes digest, struct err *err) MUST_CHECK;
/* Adds pcr00 to pcr23 to `pcrs`, and init_data (PCR 8) and report_data (extraData) to `claims`; all hex. */
bool tpm_quote_claims(const struct tpm_quote *quote, json_t *pcrs, json_t *claims, struct err *err)
    MUST_CHECK;

#define TPM_AK_BITS_MIN     2048
#define TPM_AK_BITS_MAX     4096
#define TPM_AK_EXPONENT_MIN 65537u /* a TPM's exponent has 32 bits */
/* NULL, or what is wrong with it as an attestation key: size, exponent. */
const char *tpm_ak_problem(EVP_PKEY *key);
