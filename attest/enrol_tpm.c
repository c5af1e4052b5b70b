/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/enrol_tpm.h"

#include "attest/tpm_keys.h"

/* Certificate of the RSA-2048 EK (TCG EK Credential Profile, 2.2.1.4). */
#define EK_CERTIFICATE_INDEX 0x01c00002

bool tpm_ak_open(struct tpm *tpm, const struct attester_conf *conf, tpm_ref *ret_key,
    TPM2B_PUBLIC *ret_public, struct err *err)
{
    uint32_t handle = (uint32_t)conf->ak_handle;
    tpm_ref key = 0;
    TPM2B_PUBLIC public;
    if (!tpm_key_at(tpm, handle, &key, &public, err)) {
        if (err->code != ERR_NOTFOUND)
            return err_wrap(err, "attestation key at handle 0x%08x", handle);
        return err_set(err, ERR_ATTEST,
            "no attestation key at handle 0x%08x; run `sealed attest enroll --create-key`", handle);
    }
    if (!tpm_ak_check(&public, handle, err))
        return false;
    *ret_key = key;
    *ret_public = public;
    return true;
}

/* A key that is there already is kept, fit or not: what it is for is not ours to judge. */
static bool create_ak(struct tpm *tpm, const struct attester_conf *conf, struct err *err)
{
    uint32_t handle = (uint32_t)conf->ak_handle;
    tpm_ref key = 0;
    TPM2B_PUBLIC public;
    if (tpm_key_at(tpm, handle, &key, &public, err))
        return true;
    if (err->code != ERR_NOTFOUND)
        return err_wrap(err, "handle 0x%08x", handle);
    err_clear(err);
    if (!tpm_primary(tpm, TPM_ENDORSEMENT, &tpm_template_ak, &key, &public, err) ||
        !tpm_persist(tpm, key, handle, err))
        return err_wrap(err, "attestation key for handle 0x%08x", handle);
    tpm_flush(tpm, key);
    return true;
}

/* Manufacturers pad the index: the certificate ends where its outer SEQUENCE says (always 30 82 hh ll, X.690). */
static bool trim_certificate(struct buf *certificate, struct err *err)
{
    const uint8_t *data = certificate->data;
    if (certificate->len == 0)
        return true;
    if (certificate->len < 4 || data[0] != 0x30 || data[1] != 0x82)
        return err_set(
            err, ERR_ATTEST, "NV index 0x%08x holds no DER certificate", EK_CERTIFICATE_INDEX);
    size_t len = 4 + ((size_t)data[2] << 8 | data[3]);
    if (len > certificate->len)
        return err_set(
            err, ERR_ATTEST, "NV index 0x%08x holds a cut certificate", EK_CERTIFICATE_INDEX);
    certificate->len = len;
    return true;
}

static bool read_certificate(struct tpm *tpm, struct buf *out, struct err *err)
{
    if (tpm_nv_read(tpm, EK_CERTIFICATE_INDEX, out, err))
        return trim_certificate(out, err);
    if (err->code != ERR_NOTFOUND)
        return err_wrap(err, "EK certificate");
    err_clear(err);
    return true;
}

bool tpm_enrol(
    const struct attester_conf *conf, bool create, struct attester_enrolment *out, struct err *err)
{
    auto_tpm *tpm = NULL;
    tpm_ref ek = 0, ak = 0;
    TPM2B_PUBLIC ek_public, ak_public;
    if (!tpm_open(conf->tcti, &tpm, err))
        return false;
    if (create && !create_ak(tpm, conf, err))
        return false;
    if (!tpm_ak_open(tpm, conf, &ak, &ak_public, err))
        return false;
    if (!tpm_primary(tpm, TPM_ENDORSEMENT, &tpm_template_ek, &ek, &ek_public, err))
        return err_wrap(err, "endorsement key");
    return tpm_public_marshal(&ek_public, &out->ek_public, err) &&
           read_certificate(tpm, &out->ek_certificate, err) &&
           tpm_public_marshal(&ak_public, &out->ak_public, err) &&
           tpm_ak_spki(&ak_public, &out->ak_spki, err);
}

bool tpm_activate_credential(const struct attester_conf *conf, struct bytes credential,
    struct bytes secret, struct secret **ret_credential, struct err *err)
{
    auto_tpm *tpm = NULL;
    tpm_ref ek = 0, ak = 0, session = 0;
    TPM2B_PUBLIC public;
    if (!tpm_open(conf->tcti, &tpm, err) || !tpm_ak_open(tpm, conf, &ak, &public, err))
        return false;
    if (!tpm_primary(tpm, TPM_ENDORSEMENT, &tpm_template_ek, &ek, &public, err))
        return err_wrap(err, "endorsement key");
    /* Salted with the EK itself: only the TPM that can recover the credential can read the session. */
    return tpm_session(tpm, ek, TPM_SESSION_POLICY, &session, err) &&
           tpm_policy_endorsement(tpm, session, err) &&
           tpm_activate(tpm, ak, ek, session, credential, secret, ret_credential, err);
}
