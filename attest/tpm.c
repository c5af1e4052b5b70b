/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/tpm.h"

#include <string.h>
#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_rc.h>
#include <tss2/tss2_tctildr.h>

/* A TPM without a resource manager has three slots for objects and three for sessions. */
#define LOADED_MAX  8
#define MARSHAL_MAX 4096
#define NV_CHUNK    512 /* every TPM takes this much; TPM_PT_NV_BUFFER_MAX is larger on most */
/* Part 2, 7.4. The library's own macros shift into the sign bit. */
#define TRANSIENT_FIRST      0x80000000u
#define LOADED_SESSION_FIRST 0x02000000u
#define PCR_READ_MAX         8 /* turns; a TPM gives 8 values at a time */

struct tpm {
    TSS2_TCTI_CONTEXT *tcti;
    ESYS_CONTEXT *esys;
    ESYS_TR loaded[LOADED_MAX]; /* ESYS_TR_NONE: free slot */
};

static void esys_free(void *slot)
{
    Esys_Free(*(void **)slot);
}
#define auto_esys __attribute__((cleanup(esys_free)))

/* -- errors ------------------------------------------------------------------------------------ */

/* Format-one codes carry the number of the handle or parameter in further bits (part 2, 6.6). */
static TSS2_RC code_of(TSS2_RC rc)
{
    TSS2_RC layer = rc & TSS2_RC_LAYER_MASK;
    if (layer != TSS2_TPM_RC_LAYER && layer != TSS2_RESMGR_TPM_RC_LAYER)
        return rc;
    rc &= ~TSS2_RC_LAYER_MASK;
    return rc & TPM2_RC_FMT1 ? rc & (TPM2_RC_FMT1 | 0x3f) : rc;
}

static const struct {
    TSS2_RC code;
    enum err_code meaning;
    const char *remedy;
} remedies[] = {
    {TPM2_RC_HANDLE, ERR_NOTFOUND, "nothing is at that handle"},
    {TPM2_RC_BAD_AUTH, ERR_ATTEST,
        "the hierarchy or key has a password; this program uses the empty one"},
    {TPM2_RC_AUTH_FAIL, ERR_ATTEST, "the key has a password; this program uses the empty one"},
    {TPM2_RC_LOCKOUT, ERR_ATTEST,
        "the TPM is locked after wrong passwords: wait, or run tpm2_dictionarylockout "
        "--clear-lockout"},
    {TPM2_RC_OBJECT_MEMORY, ERR_ATTEST,
        "other programs left objects in the TPM: use /dev/tpmrm0, or run tpm2_flushcontext -t"},
    {TPM2_RC_SESSION_MEMORY, ERR_ATTEST,
        "other programs left sessions in the TPM: use /dev/tpmrm0, or run tpm2_flushcontext -l"},
    {TPM2_RC_SESSION_HANDLES, ERR_ATTEST,
        "other programs saved as many sessions as the TPM can tell apart: end them, or run "
        "tpm2_flushcontext -s"},
    {TPM2_RC_CONTEXT_GAP, ERR_ATTEST,
        "a session that another program saved is too old for the TPM to begin a new one: end it, "
        "or run tpm2_flushcontext -s"},
    {TPM2_RC_INITIALIZE, ERR_ATTEST,
        "the TPM was reset and not started, which firmware does: run tpm2_startup -c, or restart"},
    {TPM2_RC_FAILURE, ERR_ATTEST,
        "the TPM failed its self test and refuses everything: restart the machine"},
    {TPM2_RC_INTEGRITY, ERR_CRYPTO, "the credential was made for another TPM or another key"},
    {TPM2_RC_VALUE, ERR_ATTEST, "the TPM does not take this value"},
    {TPM2_RC_RETRY, ERR_BUSY, "the TPM is busy"},
    {TPM2_RC_NV_RATE, ERR_BUSY, "the TPM limits writes for now"},
};

static bool failed(TSS2_RC rc, const char *command, struct err *err)
{
    TSS2_RC code = code_of(rc);
    for (size_t i = 0; i < ARRAY_LEN(remedies); i++)
        if (remedies[i].code == code)
            return err_set(err, remedies[i].meaning, "%s: %s (0x%x, %s)", command,
                remedies[i].remedy, rc, Tss2_RC_Decode(rc));
    return err_set(err, ERR_ATTEST, "%s: 0x%x, %s", command, rc, Tss2_RC_Decode(rc));
}

/* -- connection -------------------------------------------------------------------------------- */

static ESYS_TR *slot_of(struct tpm *tpm, ESYS_TR ref)
{
    for (size_t i = 0; i < LOADED_MAX; i++)
        if (tpm->loaded[i] == ref)
            return &tpm->loaded[i];
    return NULL;
}

/* Takes over a loaded object or session. Without a free slot it is flushed at once. */
static bool keep(struct tpm *tpm, ESYS_TR ref, struct err *err)
{
    ESYS_TR *slot = slot_of(tpm, ESYS_TR_NONE);
    if (slot) {
        *slot = ref;
        return true;
    }
    (void)Esys_FlushContext(tpm->esys, ref);
    return err_set(err, ERR_INTERNAL, "more than %d objects in the TPM at once", LOADED_MAX);
}

void tpm_flush(struct tpm *tpm, tpm_ref ref)
{
    ESYS_TR *slot = ref == ESYS_TR_NONE ? NULL : slot_of(tpm, ref);
    if (!slot)
        return;
    (void)Esys_FlushContext(tpm->esys, ref);
    *slot = ESYS_TR_NONE;
}

void tpm_close(struct tpm *tpm)
{
    if (!tpm)
        return;
    for (size_t i = 0; i < LOADED_MAX; i++)
        tpm_flush(tpm, tpm->loaded[i]);
    if (tpm->esys)
        Esys_Finalize(&tpm->esys);
    if (tpm->tcti)
        Tss2_TctiLdr_Finalize(&tpm->tcti);
    free(tpm);
}

/* swtpm and the raw device have one client at a time: whatever is loaded when we come was left by a program that has gone. */
static bool is_exclusive(const char *tcti)
{
    return strncmp(tcti, "swtpm", 5) == 0 ||
           (strncmp(tcti, "device:/dev/tpm", 15) == 0 && strncmp(tcti + 15, "rm", 2) != 0);
}

/* Failures are left to the command that then finds no room, which says so. */
static void reclaim(struct tpm *tpm, TPM2_HANDLE first)
{
    auto_esys TPMS_CAPABILITY_DATA *found = NULL;
    if (Esys_GetCapability(tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, TPM2_CAP_HANDLES,
            first, TPM2_MAX_CAP_HANDLES, NULL, &found) != TSS2_RC_SUCCESS)
        return;
    for (UINT32 i = 0; i < found->data.handles.count; i++) {
        ESYS_TR stray = ESYS_TR_NONE;
        if (Esys_TR_FromTPMPublic(tpm->esys, found->data.handles.handle[i], ESYS_TR_NONE,
                ESYS_TR_NONE, ESYS_TR_NONE, &stray) == TSS2_RC_SUCCESS)
            (void)Esys_FlushContext(tpm->esys, stray);
    }
}

bool tpm_open(const char *tcti, struct tpm **ret_tpm, struct err *err)
{
    auto_tpm *tpm = calloc(1, sizeof *tpm);
    if (!tpm)
        return err_nomem(err);
    for (size_t i = 0; i < LOADED_MAX; i++)
        tpm->loaded[i] = ESYS_TR_NONE;
    TSS2_RC rc = Tss2_TctiLdr_Initialize(tcti, &tpm->tcti);
    if (rc != TSS2_RC_SUCCESS)
        return err_set(err, ERR_ATTEST,
            "no TPM at %s (0x%x, %s); check that it exists and that this user may open it", tcti,
            rc, Tss2_RC_Decode(rc));
    rc = Esys_Initialize(&tpm->esys, tpm->tcti, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "Esys_Initialize", err);
    if (is_exclusive(tcti)) {
        reclaim(tpm, TRANSIENT_FIRST);
        reclaim(tpm, LOADED_SESSION_FIRST);
    }
    *ret_tpm = take_ptr(tpm);
    return true;
}

/* -- keys -------------------------------------------------------------------------------------- */

bool tpm_key_at(
    struct tpm *tpm, uint32_t handle, tpm_ref *ret_key, TPM2B_PUBLIC *ret_public, struct err *err)
{
    ESYS_TR key = ESYS_TR_NONE;
    auto_esys TPM2B_PUBLIC *public = NULL;
    TSS2_RC rc =
        Esys_TR_FromTPMPublic(tpm->esys, handle, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &key);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_ReadPublic(
            tpm->esys, key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_ReadPublic", err);
    *ret_key = key;
    *ret_public = *public;
    return true;
}

static ESYS_TR hierarchy_ref(enum tpm_hierarchy hierarchy)
{
    static const ESYS_TR refs[] = {
        [TPM_OWNER] = ESYS_TR_RH_OWNER,
        [TPM_ENDORSEMENT] = ESYS_TR_RH_ENDORSEMENT,
        [TPM_NULL] = ESYS_TR_RH_NULL,
    };
    return refs[hierarchy];
}

bool tpm_primary(struct tpm *tpm, enum tpm_hierarchy hierarchy, const TPM2B_PUBLIC *template,
    tpm_ref *ret_key, TPM2B_PUBLIC *ret_public, struct err *err)
{
    static const TPM2B_SENSITIVE_CREATE no_auth;
    static const TPM2B_DATA no_data;
    static const TPML_PCR_SELECTION no_pcrs;
    ESYS_TR key = ESYS_TR_NONE;
    auto_esys TPM2B_PUBLIC *public = NULL;
    TSS2_RC rc =
        Esys_CreatePrimary(tpm->esys, hierarchy_ref(hierarchy), ESYS_TR_PASSWORD, ESYS_TR_NONE,
            ESYS_TR_NONE, &no_auth, template, &no_data, &no_pcrs, &key, &public, NULL, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_CreatePrimary", err);
    if (!keep(tpm, key, err))
        return false;
    *ret_key = key;
    *ret_public = *public;
    return true;
}

bool tpm_persist(struct tpm *tpm, tpm_ref key, uint32_t handle, struct err *err)
{
    ESYS_TR persistent = ESYS_TR_NONE;
    TSS2_RC rc = Esys_EvictControl(tpm->esys, ESYS_TR_RH_OWNER, key, ESYS_TR_PASSWORD, ESYS_TR_NONE,
        ESYS_TR_NONE, handle, &persistent);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_EvictControl", err);
    return true;
}

bool tpm_public_marshal(const TPM2B_PUBLIC *public, struct buf *out, struct err *err)
{
    uint8_t data[MARSHAL_MAX];
    size_t len = 0;
    TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(public, data, sizeof data, &len);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2B_PUBLIC", err);
    return buf_append(out, bytes_of(data, len), err);
}

/* -- sessions ---------------------------------------------------------------------------------- */

bool tpm_session(struct tpm *tpm, tpm_ref salt_key, enum tpm_session_kind kind,
    tpm_ref *ret_session, struct err *err)
{
    static const TPMT_SYM_DEF aes = {
        .algorithm = TPM2_ALG_AES, .keyBits.aes = 128, .mode.aes = TPM2_ALG_CFB};
    const TPMA_SESSION attributes =
        TPMA_SESSION_CONTINUESESSION | TPMA_SESSION_DECRYPT | TPMA_SESSION_ENCRYPT;
    ESYS_TR session = ESYS_TR_NONE;
    TSS2_RC rc =
        Esys_StartAuthSession(tpm->esys, salt_key, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
            ESYS_TR_NONE, NULL, kind == TPM_SESSION_POLICY ? TPM2_SE_POLICY : TPM2_SE_HMAC, &aes,
            TPM2_ALG_SHA256, &session);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_StartAuthSession", err);
    if (!keep(tpm, session, err))
        return false;
    rc = Esys_TRSess_SetAttributes(tpm->esys, session, attributes, 0xff);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "attributes of a session", err);
    *ret_session = session;
    return true;
}

bool tpm_policy_endorsement(struct tpm *tpm, tpm_ref session, struct err *err)
{
    TSS2_RC rc = Esys_PolicySecret(tpm->esys, ESYS_TR_RH_ENDORSEMENT, session, ESYS_TR_PASSWORD,
        ESYS_TR_NONE, ESYS_TR_NONE, NULL, NULL, NULL, 0, NULL, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_PolicySecret on the endorsement hierarchy", err);
    return true;
}

/* -- quotes and PCRs --------------------------------------------------------------------------- */

static TPML_PCR_SELECTION all_pcrs(void)
{
    return (TPML_PCR_SELECTION){.count = 1,
        .pcrSelections[0] = {
            .hash = TPM2_ALG_SHA256, .sizeofSelect = 3, .pcrSelect = {0xff, 0xff, 0xff}}};
}

static bool append_signature(const TPMT_SIGNATURE *signature, struct buf *out, struct err *err)
{
    uint8_t data[MARSHAL_MAX];
    size_t len = 0;
    TSS2_RC rc = Tss2_MU_TPMT_SIGNATURE_Marshal(signature, data, sizeof data, &len);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPMT_SIGNATURE", err);
    return buf_append(out, bytes_of(data, len), err);
}

bool tpm_quote(struct tpm *tpm, tpm_ref key, tpm_ref session, struct bytes qualifying,
    struct buf *message, struct buf *signature, struct err *err)
{
    const TPMT_SIG_SCHEME scheme = {
        .scheme = TPM2_ALG_RSASSA, .details.rsassa.hashAlg = TPM2_ALG_SHA256};
    const TPML_PCR_SELECTION pcrs = all_pcrs();
    TPM2B_DATA data = {.size = (UINT16)qualifying.len};
    auto_esys TPM2B_ATTEST *quoted = NULL;
    auto_esys TPMT_SIGNATURE *made = NULL;
    if (qualifying.len > sizeof data.buffer)
        return err_set(err, ERR_INTERNAL, "qualifying data of %zu bytes", qualifying.len);
    memcpy(data.buffer, qualifying.data, qualifying.len);
    TSS2_RC rc = Esys_Quote(
        tpm->esys, key, session, ESYS_TR_NONE, ESYS_TR_NONE, &data, &scheme, &pcrs, &quoted, &made);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_Quote", err);
    return buf_append(message, bytes_of(quoted->attestationData, quoted->size), err) &&
           append_signature(made, signature, err);
}

/* Takes the values of one answer and strikes them off `wanted`. They come in rising order of the PCRs in `got`. */
static bool take_pcrs(const TPML_PCR_SELECTION *got, const TPML_DIGEST *digests,
    TPMS_PCR_SELECTION *wanted, struct tpm_pcrs *pcrs)
{
    UINT32 next = 0;
    if (got->count != 1 || got->pcrSelections[0].hash != TPM2_ALG_SHA256)
        return false;
    for (unsigned i = 0; i < TPM_PCR_COUNT; i++) {
        BYTE bit = (BYTE)(1u << (i % 8));
        if (i / 8 >= got->pcrSelections[0].sizeofSelect ||
            !(got->pcrSelections[0].pcrSelect[i / 8] & bit))
            continue;
        if (next >= digests->count || digests->digests[next].size != TPM_PCR_SIZE)
            return false;
        memcpy(pcrs->values[i], digests->digests[next++].buffer, TPM_PCR_SIZE);
        wanted->pcrSelect[i / 8] &= (BYTE)~bit;
    }
    return next > 0;
}

bool tpm_pcr_read(struct tpm *tpm, struct tpm_pcrs *ret_pcrs, struct err *err)
{
    TPML_PCR_SELECTION wanted = all_pcrs();
    TPMS_PCR_SELECTION *left = &wanted.pcrSelections[0];
    struct tpm_pcrs pcrs;
    for (int turn = 0; turn < PCR_READ_MAX; turn++) {
        auto_esys TPML_PCR_SELECTION *got = NULL;
        auto_esys TPML_DIGEST *digests = NULL;
        TSS2_RC rc = Esys_PCR_Read(
            tpm->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &wanted, NULL, &got, &digests);
        if (rc != TSS2_RC_SUCCESS)
            return failed(rc, "TPM2_PCR_Read", err);
        if (!take_pcrs(got, digests, left, &pcrs))
            break;
        if (!(left->pcrSelect[0] | left->pcrSelect[1] | left->pcrSelect[2])) {
            *ret_pcrs = pcrs;
            return true;
        }
    }
    return err_set(err, ERR_ATTEST,
        "the TPM does not have PCR 0 to 23 in its SHA-256 bank; enable it in the firmware, or run "
        "tpm2_pcrallocate sha256:all and restart");
}

/* -- non-volatile storage ---------------------------------------------------------------------- */

static bool nv_read_all(
    struct tpm *tpm, ESYS_TR index, const TPMS_NV_PUBLIC *area, struct buf *out, struct err *err)
{
    ESYS_TR auth = area->attributes & TPMA_NV_AUTHREAD ? index : ESYS_TR_RH_OWNER;
    for (UINT16 offset = 0; offset < area->dataSize;) {
        UINT16 want = area->dataSize - offset < NV_CHUNK ? area->dataSize - offset : NV_CHUNK;
        auto_esys TPM2B_MAX_NV_BUFFER *data = NULL;
        TSS2_RC rc = Esys_NV_Read(tpm->esys, auth, index, ESYS_TR_PASSWORD, ESYS_TR_NONE,
            ESYS_TR_NONE, want, offset, &data);
        if (rc != TSS2_RC_SUCCESS)
            return failed(rc, "TPM2_NV_Read", err);
        if (data->size != want)
            return err_set(err, ERR_ATTEST, "TPM2_NV_Read: %u bytes of %u", data->size, want);
        if (!buf_append(out, bytes_of(data->buffer, data->size), err))
            return false;
        offset = (UINT16)(offset + want);
    }
    return true;
}

bool tpm_nv_read(struct tpm *tpm, uint32_t index, struct buf *out, struct err *err)
{
    ESYS_TR ref = ESYS_TR_NONE;
    auto_esys TPM2B_NV_PUBLIC *public = NULL;
    TSS2_RC rc =
        Esys_TR_FromTPMPublic(tpm->esys, index, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &ref);
    if (rc == TSS2_RC_SUCCESS)
        rc = Esys_NV_ReadPublic(
            tpm->esys, ref, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &public, NULL);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_NV_ReadPublic", err);
    return nv_read_all(tpm, ref, &public->nvPublic, out, err);
}

/* -- credential activation --------------------------------------------------------------------- */

static bool unmarshal_credential(struct bytes credential, struct bytes secret,
    TPM2B_ID_OBJECT *ret_object, TPM2B_ENCRYPTED_SECRET *ret_secret, struct err *err)
{
    size_t object_end = 0, secret_end = 0;
    if (Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(
            credential.data, credential.len, &object_end, ret_object) != TSS2_RC_SUCCESS ||
        object_end != credential.len)
        return err_set(err, ERR_FORMAT, "credential blob is no TPM2B_ID_OBJECT");
    if (Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(
            secret.data, secret.len, &secret_end, ret_secret) != TSS2_RC_SUCCESS ||
        secret_end != secret.len)
        return err_set(err, ERR_FORMAT, "encrypted secret is no TPM2B_ENCRYPTED_SECRET");
    return true;
}

bool tpm_activate(struct tpm *tpm, tpm_ref key, tpm_ref ek, tpm_ref ek_session,
    struct bytes credential, struct bytes secret, struct secret **ret_credential, struct err *err)
{
    TPM2B_ID_OBJECT object = {0};
    TPM2B_ENCRYPTED_SECRET encrypted = {0};
    TPM2B_DIGEST *recovered = NULL;
    if (!unmarshal_credential(credential, secret, &object, &encrypted, err))
        return false;
    TSS2_RC rc = Esys_ActivateCredential(tpm->esys, key, ek, ESYS_TR_PASSWORD, ek_session,
        ESYS_TR_NONE, &object, &encrypted, &recovered);
    if (rc != TSS2_RC_SUCCESS)
        return failed(rc, "TPM2_ActivateCredential", err);
    bool copied = secret_copy(bytes_of(recovered->buffer, recovered->size), ret_credential, err);
    secret_wipe(recovered, sizeof *recovered);
    Esys_Free(recovered);
    return copied;
}
