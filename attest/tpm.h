/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0 commands (TCG TPM 2.0 Library, part 3): what attestation and enrolment need and no more. tpm.c is the only
 * includer of ESYS and tctildr; above it only the structures of the specification are seen.
 *
 * One struct tpm is one connection, made for one request and used by one thread: swtpm serves one client at a time and has no
 * resource manager. Every transient object and session is flushed by tpm_close() at the latest, on every path. What a killed
 * predecessor left loaded is flushed by tpm_open() on a TCTI that has no resource manager in front of it.
 *
 * Failures are ERR_ATTEST with the command, the TPM's own words and, where there is one, the remedy; an empty handle or index
 * is ERR_NOTFOUND.
 */
#pragma once

#include <tss2/tss2_tpm2_types.h>

#include "crypt/base/buf.h"
#include "crypt/base/secret.h"

#define TPM_PCR_COUNT 24
#define TPM_PCR_SIZE  32 /* the SHA-256 bank */

struct tpm;
typedef uint32_t tpm_ref; /* a loaded object or session of this connection */

/* Owner, endorsement and null hierarchy; an owner or endorsement password is not supported and named in the error. */
enum tpm_hierarchy { TPM_OWNER, TPM_ENDORSEMENT, TPM_NULL };
enum tpm_session_kind { TPM_SESSION_HMAC, TPM_SESSION_POLICY };

struct tpm_pcrs {
    uint8_t values[TPM_PCR_COUNT][TPM_PCR_SIZE];
};

/* `tcti` as tss2-tctildr(7) takes it: "device:/dev/tpmrm0", "swtpm:path=/run/swtpm.sock". */
bool tpm_open(const char *tcti, struct tpm **ret_tpm, struct err *err) MUST_CHECK;
void tpm_close(struct tpm *tpm);
DEFINE_AUTO(struct tpm, tpm_close);
#define auto_tpm AUTO(tpm_close) struct tpm

bool tpm_key_at(struct tpm *tpm, uint32_t handle, tpm_ref *ret_key, TPM2B_PUBLIC *ret_public,
    struct err *err) MUST_CHECK;
bool tpm_primary(struct tpm *tpm, enum tpm_hierarchy hierarchy, const TPM2B_PUBLIC *template,
    tpm_ref *ret_key, TPM2B_PUBLIC *ret_public, struct err *err) MUST_CHECK;
/* Makes a transient key persistent under owner authorization. */
bool tpm_persist(struct tpm *tpm, tpm_ref key, uint32_t handle, struct err *err) MUST_CHECK;
void tpm_flush(struct tpm *tpm, tpm_ref ref);

/* A session salted to `salt_key` (a decryption key), with AES-128-CFB encryption of the first parameter both ways. */
bool tpm_session(struct tpm *tpm, tpm_ref salt_key, enum tpm_session_kind kind,
    tpm_ref *ret_session, struct err *err) MUST_CHECK;
/* Satisfies the policy of a TCG endorsement key: PolicySecret(TPM_RH_ENDORSEMENT). */
bool tpm_policy_endorsement(struct tpm *tpm, tpm_ref session, struct err *err) MUST_CHECK;

/* RSASSA/SHA-256 over PCR 0..23 of the SHA-256 bank in one selection. Appends the bare TPMS_ATTEST and the marshalled TPMT_SIGNATURE. */
bool tpm_quote(struct tpm *tpm, tpm_ref key, tpm_ref session, struct bytes qualifying,
    struct buf *message, struct buf *signature, struct err *err) MUST_CHECK;
bool tpm_pcr_read(struct tpm *tpm, struct tpm_pcrs *ret_pcrs, struct err *err) MUST_CHECK;
/* All of an NV index that is readable with its own empty authorization or the owner's; at most `out`'s maximum. */
bool tpm_nv_read(struct tpm *tpm, uint32_t index, struct buf *out, struct err *err) MUST_CHECK;
/* TPM2_ActivateCredential: `credential` and `secret` are marshalled TPM2B_ID_OBJECT and TPM2B_ENCRYPTED_SECRET. */
bool tpm_activate(struct tpm *tpm, tpm_ref key, tpm_ref ek, tpm_ref ek_session,
    struct bytes credential, struct bytes secret, struct secret **ret_credential, struct err *err)
    MUST_CHECK;
/* Appends a marshalled TPM2B_PUBLIC. */
bool tpm_public_marshal(const TPM2B_PUBLIC *public, struct buf *out, struct err *err) MUST_CHECK;
