/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Enrolment of an attestation key, server side: proves in software that the AK lives in the TPM
 * whose EK certificate was shown (TPM 2.0 part 1, "Credential Protection": TPM2_MakeCredential;
 * KDFa with "STORAGE" and "INTEGRITY", OAEP label "IDENTITY"). EK: the RSA-2048 template L-1 of the
 * TCG EK Credential Profile. The TPM structures are read by attest/verify/tpm_structs.h.
 */
#pragma once

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

/* Checks the AK's public area: RSA >= 2048 with RSASSA-SHA256, or refused; fixedTPM, fixedParent,
 * sensitiveDataOrigin, restricted, sign, not decrypt (ERR_DENIED_POLICY). Gives its name (nameAlg
 * || digest, marshalled) and its DER SPKI (appended). */
bool credential_check_ak(
    struct bytes ak_public, struct buf *ret_name, struct buf *ret_spki, struct err *err) MUST_CHECK;
/* Checks that the EK public area is the L-1 RSA-2048 template and that `certificate` (DER)
 * certifies exactly this key and chains to one of the PEM roots in `roots_pem` (the EK profile's
 * EKU, basic constraints, dates; attest/verify/ek_cert.h has the rules). Gives the SHA-256 of the
 * EK's DER SubjectPublicKeyInfo in hex. An empty certificate is ERR_DENIED_POLICY. */
bool credential_check_ek(struct bytes ek_public, struct bytes certificate, struct bytes roots_pem,
    char ret_ek_sha256[65], struct err *err) MUST_CHECK;
/* TPM2_MakeCredential in software: marshalled TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET for
 * `credential` (1 to 32 bytes), appended. `ak_name` is from credential_check_ak. */
bool credential_make(struct bytes ek_public, struct bytes ak_name, const struct secret *credential,
    struct buf *ret_id_object, struct buf *ret_encrypted_secret, struct err *err) MUST_CHECK;
