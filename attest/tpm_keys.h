/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TPM keys are made and accepted here.
 *
 *   EK    template L-1 of the TCG EK Credential Profile (RSA-2048, policy PolicySecret(endorsement)), a transient primary
 *   AK    RSA-2048, RSASSA with SHA-256, restricted, sign, fixedTPM, fixedParent, sensitiveDataOrigin, userWithAuth: what
 *         `tpm2_createak -G rsa -g sha256 -s rsassa` makes. Ours is a primary of the endorsement hierarchy: derived from the
 *         TPM's endorsement seed, so a handle that was evicted by mistake gets the same, still enrolled, key again.
 *   salt  ECC P-256 storage primary of the null hierarchy, made in milliseconds, needs no password and no provisioning
 */
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "crypt/base/buf.h"

extern const TPM2B_PUBLIC tpm_template_ek;
extern const TPM2B_PUBLIC tpm_template_ak;
extern const TPM2B_PUBLIC tpm_template_salt;

/* ERR_ATTEST naming `handle`, what is wrong with the key there, and what to run. */
bool tpm_ak_check(const TPM2B_PUBLIC *key, uint32_t handle, struct err *err) MUST_CHECK;
/* DER SubjectPublicKeyInfo of a key that tpm_ak_check() has passed, appended. */
bool tpm_ak_spki(const TPM2B_PUBLIC *key, struct buf *out, struct err *err) MUST_CHECK;
