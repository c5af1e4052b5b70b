/* SPDX-License-Identifier: Apache-2.0 */
/* Enrolment of the TPM's attestation key, the TPM's side. The KBS's side is attest/verify/credential.h. */
#pragma once

#include "attest/attester.h"
#include "attest/tpm.h"

/* The key at conf->ak_handle, checked. ERR_ATTEST naming the handle and what to run when it is missing or unfit. */
bool tpm_ak_open(struct tpm *tpm, const struct attester_conf *conf, tpm_ref *ret_key,
    TPM2B_PUBLIC *ret_public, struct err *err) MUST_CHECK;
bool tpm_enrol(const struct attester_conf *conf, bool create, struct attester_enrolment *out,
    struct err *err) MUST_CHECK;
bool tpm_activate_credential(const struct attester_conf *conf, struct bytes credential,
    struct bytes secret, struct secret **ret_credential, struct err *err) MUST_CHECK;
