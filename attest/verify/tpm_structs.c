/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tpm_structs.h"

#include <stdlib.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tpm2_types.h>

_Static_assert(TPM_MAGIC == TPM2_GENERATED_VALUE && TPM_TYPE_QUOTE == TPM2_ST_ATTEST_QUOTE,
    "Part 2, 6.9 and 6.2");
_Static_assert(TPM_BANKS_MAX == TPM2_NUM_PCR_BANKS, "TPML_PCR_SELECTION");
_Static_assert(TPM_DIGEST_MAX == sizeof((TPM2B_DIGEST *)NULL)->buffer, "TPM2B_DIGEST");
_Static_assert(TPM_DATA_MAX == sizeof((TPM2B_DATA *)NULL)->buffer, "TPM2B_DATA");
_Static_assert(TPM_RSA_BYTES_MAX == TPM2_MAX_RSA_KEY_BYTES, "TPM2B_PUBLIC_KEY_RSA");
_Static_assert(TPM_OBJECT_FIXED_TPM == TPMA_OBJECT_FIXEDTPM &&
                   TPM_OBJECT_FIXED_PARENT == TPMA_OBJECT_FIXEDPARENT &&
                   TPM_OBJECT_OWN_SENSITIVE == TPMA_OBJECT_SENSITIVEDATAORIGIN &&
                   TPM_OBJECT_USER_AUTH == TPMA_OBJECT_USERWITHAUTH &&
                   TPM_OBJECT_ADMIN_POLICY == TPMA_OBJECT_ADMINWITHPOLICY &&
                   TPM_OBJECT_RESTRICTED == TPMA_OBJECT_RESTRICTED &&
                   TPM_OBJECT_DECRYPT == TPMA_OBJECT_DECRYPT &&
                   TPM_OBJECT_SIGN == TPMA_OBJECT_SIGN_ENCRYPT,
    "Part 2, 8.3.2");

void tpm_structs_silence(void)
{
    (void)setenv("TSS2_LOG", "all+none", 0); /* without memory there is noise, nothing worse */
}

/* What tss2-mu read must have been all of the message, and must marshal to the same bytes again:
 * that also catches inner lengths that disagree with the outer one and booleans other than 0 and 1.
 */
static bool check_whole(
    TSS2_RC rc, size_t used, struct bytes message, const char *what, struct err *err)
{
    if (rc != TSS2_RC_SUCCESS)
        return err_set(
            err, ERR_FORMAT, "%s of %zu bytes is malformed (tss2-mu 0x%x)", what, message.len, rc);
    if (used != message.len)
        return err_set(err, ERR_FORMAT, "%s has %zu bytes after its end", what, message.len - used);
    return true;
}

static bool check_same(
    TSS2_RC rc, struct bytes again, struct bytes message, const char *what, struct err *err)
{
    if (rc != TSS2_RC_SUCCESS || !bytes_equal(again, message))
        return err_set(err, ERR_FORMAT, "%s is not in its canonical encoding", what);
    return true;
}

static void copy_selections(const TPML_PCR_SELECTION *list, struct tpm_attest *attest)
{
    attest->selection_count = list->count;
    for (size_t i = 0; i < list->count && i < TPM_BANKS_MAX; i++) {
        const TPMS_PCR_SELECTION *from = &list->pcrSelections[i];
        struct tpm_selection *to = &attest->selections[i];
        to->hash = from->hash;
        to->size = from->sizeofSelect;
        memcpy(to->bits, from->pcrSelect, sizeof to->bits);
    }
}

static void copy_quote(const TPMS_ATTEST *from, struct tpm_attest *to)
{
    const TPMS_QUOTE_INFO *quote = &from->attested.quote;
    to->extra_len = from->extraData.size;
    memcpy(to->extra_data, from->extraData.buffer, from->extraData.size);
    to->clock = from->clockInfo.clock;
    to->reset_count = from->clockInfo.resetCount;
    to->restart_count = from->clockInfo.restartCount;
    to->clock_safe = from->clockInfo.safe != 0;
    to->firmware = from->firmwareVersion;
    copy_selections(&quote->pcrSelect, to);
    to->pcr_digest_len = quote->pcrDigest.size;
    memcpy(to->pcr_digest, quote->pcrDigest.buffer, quote->pcrDigest.size);
}

bool tpm_attest_parse(struct bytes message, struct tpm_attest *ret_attest, struct err *err)
{
    static const char what[] = "TPMS_ATTEST";
    if (message.len < 6 || message.len > TPM_ATTEST_MAX)
        return err_set(
            err, ERR_FORMAT, "%s of %zu bytes; it has 6 to %d", what, message.len, TPM_ATTEST_MAX);
    const uint8_t *data = message.data;
    struct tpm_attest attest = {
        .magic =
            (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3],
        .type = (uint16_t)(data[4] << 8 | data[5]),
    };
    if (attest.magic != TPM_MAGIC || attest.type != TPM_TYPE_QUOTE) {
        *ret_attest = attest;
        return true;
    }
    TPMS_ATTEST read = {0};
    size_t used = 0, written = 0;
    TSS2_RC rc = Tss2_MU_TPMS_ATTEST_Unmarshal(data, message.len, &used, &read);
    if (!check_whole(rc, used, message, what, err))
        return false;
    uint8_t again[TPM_ATTEST_MAX];
    rc = Tss2_MU_TPMS_ATTEST_Marshal(&read, again, sizeof again, &written);
    if (!check_same(rc, bytes_of(again, written), message, what, err))
        return false;
    if (read.clockInfo.safe > 1)
        return err_set(err, ERR_FORMAT, "%s: clockInfo.safe is %u, not a TPMI_YES_NO", what,
            read.clockInfo.safe);
    copy_quote(&read, &attest);
    *ret_attest = attest;
    return true;
}

bool tpm_signature_parse(struct bytes message, struct tpm_signature *ret_signature, struct err *err)
{
    static const char what[] = "TPMT_SIGNATURE";
    TPMT_SIGNATURE read = {0};
    size_t used = 0, written = 0;
    if (message.len == 0)
        return err_set(err, ERR_FORMAT, "%s is empty", what);
    TSS2_RC rc = Tss2_MU_TPMT_SIGNATURE_Unmarshal(message.data, message.len, &used, &read);
    if (!check_whole(rc, used, message, what, err))
        return false;
    uint8_t again[sizeof(TPMT_SIGNATURE)];
    rc = Tss2_MU_TPMT_SIGNATURE_Marshal(&read, again, sizeof again, &written);
    if (!check_same(rc, bytes_of(again, written), message, what, err))
        return false;
    struct tpm_signature signature = {.alg = read.sigAlg};
    if (read.sigAlg == TPM2_ALG_RSASSA) {
        signature.hash = read.signature.rsassa.hash;
        signature.len = read.signature.rsassa.sig.size;
        memcpy(signature.data, read.signature.rsassa.sig.buffer, signature.len);
    }
    *ret_signature = signature;
    return true;
}

static void copy_rsa(const TPMT_PUBLIC *from, struct tpm_public *to)
{
    const TPMS_RSA_PARMS *rsa = &from->parameters.rsaDetail;
    to->symmetric = rsa->symmetric.algorithm;
    if (rsa->symmetric.algorithm == TPM2_ALG_AES) {
        to->symmetric_bits = rsa->symmetric.keyBits.aes;
        to->symmetric_mode = rsa->symmetric.mode.aes;
    }
    to->scheme = rsa->scheme.scheme;
    if (rsa->scheme.scheme == TPM2_ALG_RSASSA)
        to->scheme_hash = rsa->scheme.details.rsassa.hashAlg;
    to->key_bits = rsa->keyBits;
    to->exponent = rsa->exponent == 0 ? 65537 : rsa->exponent;
    to->modulus_len = from->unique.rsa.size;
    memcpy(to->modulus, from->unique.rsa.buffer, to->modulus_len);
}

bool tpm_public_parse(struct bytes message, struct tpm_public *ret_public, struct err *err)
{
    static const char what[] = "TPM2B_PUBLIC";
    TPM2B_PUBLIC read = {0};
    size_t used = 0, written = 0;
    if (message.len == 0)
        return err_set(err, ERR_FORMAT, "%s is empty", what);
    TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Unmarshal(message.data, message.len, &used, &read);
    if (!check_whole(rc, used, message, what, err))
        return false;
    uint8_t again[sizeof(TPM2B_PUBLIC)];
    rc = Tss2_MU_TPM2B_PUBLIC_Marshal(&read, again, sizeof again, &written);
    if (!check_same(rc, bytes_of(again, written), message, what, err))
        return false;
    const TPMT_PUBLIC *area = &read.publicArea;
    struct tpm_public public = {
        .type = area->type,
        .name_alg = area->nameAlg,
        .attributes = area->objectAttributes,
        .policy_len = area->authPolicy.size,
    };
    memcpy(public.policy, area->authPolicy.buffer, public.policy_len);
    if (area->type == TPM2_ALG_RSA)
        copy_rsa(area, &public);
    *ret_public = public;
    return true;
}
