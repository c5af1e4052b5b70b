/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_qe.h"

#include "attest/verify/check.h"
#include "attest/verify/tdx_quote.h"
#include "crypt/base/b64.h"

#define WHAT            "QE identity"
#define CHECK           "tdx.qe-identity"
#define MISCSELECT_SIZE 4
#define ATTRIBUTES_SIZE 16
#define MRSIGNER_SIZE   32
#define ATTRIBUTE_DEBUG 0x02 /* of the first byte */
#define INTEL_PRODID    2

/* MRSIGNER of the TD quoting enclave in each identity that Intel has published so far. */
static const uint8_t intel_signer[MRSIGNER_SIZE] = {0xdc, 0x9e, 0x2a, 0x7c, 0x6f, 0x94, 0x8f, 0x17,
    0x47, 0x4e, 0x34, 0xa7, 0xfc, 0x43, 0xed, 0x03, 0x0f, 0x7c, 0x15, 0x63, 0xf1, 0xba, 0xbd, 0xdf,
    0x63, 0x40, 0xc8, 0x2e, 0x0e, 0x54, 0xa8, 0xc5};

struct identity {
    const char *id, *miscselect, *miscselect_mask, *attributes, *attributes_mask, *mrsigner;
    int64_t version, prodid;
    json_t *levels;
};

#define HEX(name, field)                                                                     \
    {                                                                                        \
        name, JSON_FIELD_TEXT, offsetof(struct identity, field), .max = 64, .required = true \
    }

static const struct json_field identity_fields[] = {
    HEX("id", id),
    HEX("miscselect", miscselect),
    HEX("miscselectMask", miscselect_mask),
    HEX("attributes", attributes),
    HEX("attributesMask", attributes_mask),
    HEX("mrsigner", mrsigner),
    {"version", JSON_FIELD_INT, offsetof(struct identity, version), .max = INT32_MAX,
        .required = true},
    {"isvprodid", JSON_FIELD_INT, offsetof(struct identity, prodid), .max = UINT16_MAX,
        .required = true},
    {"tcbLevels", JSON_FIELD_ARRAY, offsetof(struct identity, levels), .required = true},
};

/* (own & mask) == published, of a size of at most 16. */
static bool check_masked(struct verdict *verdict, struct bytes own, const char *published_hex,
    const char *mask_hex, const char *what, struct err *err)
{
    uint8_t published[ATTRIBUTES_SIZE], mask[ATTRIBUTES_SIZE];
    if (!hex_decode(bytes_str(published_hex), what, published, own.len, err) ||
        !hex_decode(bytes_str(mask_hex), what, mask, own.len, err))
        return false;
    for (size_t i = 0; i < own.len; i++)
        mask[i] &= own.data[i];
    if (memcmp(mask, published, own.len) != 0)
        check_fail_hex(verdict, CHECK, bytes_of(mask, own.len), bytes_of(published, own.len));
    return true;
}

static bool check_identity(
    const struct identity *identity, struct bytes report, struct verdict *verdict, struct err *err)
{
    uint8_t signer[MRSIGNER_SIZE];
    struct bytes own_signer = bytes_slice(report, QE_MRSIGNER_OFFSET, MRSIGNER_SIZE);
    uint16_t prodid = bytes_u16le(report, QE_PRODID_OFFSET);
    if (strcmp(identity->id, "TD_QE") != 0 || identity->version != 2)
        check_fail(verdict, CHECK, "id TD_QE, version 2", "id %s, version %lld", identity->id,
            (long long)identity->version);
    if (!check_masked(verdict, bytes_slice(report, QE_MISCSELECT_OFFSET, MISCSELECT_SIZE),
            identity->miscselect, identity->miscselect_mask, WHAT ": miscselect", err) ||
        !check_masked(verdict, bytes_slice(report, QE_ATTRIBUTES_OFFSET, ATTRIBUTES_SIZE),
            identity->attributes, identity->attributes_mask, WHAT ": attributes", err) ||
        !hex_decode(bytes_str(identity->mrsigner), WHAT ": mrsigner", signer, sizeof signer, err))
        return false;
    if (!bytes_equal(own_signer, bytes_of(signer, sizeof signer)))
        check_fail_hex(verdict, CHECK, own_signer, bytes_of(signer, sizeof signer));
    if (prodid != identity->prodid)
        check_fail(verdict, CHECK, "the identity's ISVPRODID", "ISVPRODID %u, identity %lld",
            prodid, (long long)identity->prodid);
    return true;
}

static bool check(const json_t *json, struct bytes report, struct verdict *verdict,
    struct tcb_level *ret_level, bool *ret_found, struct err *err)
{
    struct identity identity = {0};
    struct tcb_level level;
    bool found = false;
    uint16_t svn = bytes_u16le(report, QE_SVN_OFFSET);
    if (!json_decode(
            json, identity_fields, ARRAY_LEN(identity_fields), true, WHAT, &identity, err) ||
        !check_identity(&identity, report, verdict, err) ||
        !tcb_level_of_svn(identity.levels, svn, WHAT, &level, &found, err))
        return false;
    if (!found)
        check_fail(verdict, CHECK, "at least the lowest level of the identity", "ISVSVN %u", svn);
    *ret_level = level;
    *ret_found = found;
    return true;
}

bool tdx_qe_check(const json_t *identity, struct bytes qe_report, struct verdict *verdict,
    struct tcb_level *ret_level, bool *ret_found, struct err *err)
{
    *ret_found = false;
    return check(identity, qe_report, verdict, ret_level, ret_found, err) ||
           check_error(verdict, CHECK, "identity TD_QE, version 2", err);
}

void tdx_qe_check_intel(struct bytes qe_report, struct verdict *verdict)
{
    struct bytes signer = bytes_slice(qe_report, QE_MRSIGNER_OFFSET, MRSIGNER_SIZE);
    uint16_t prodid = bytes_u16le(qe_report, QE_PRODID_OFFSET);
    if (!bytes_equal(signer, bytes_of(intel_signer, sizeof intel_signer)))
        check_fail_hex(verdict, CHECK, signer, bytes_of(intel_signer, sizeof intel_signer));
    if (prodid != INTEL_PRODID)
        check_fail(verdict, CHECK, "ISVPRODID 2", "ISVPRODID %u", prodid);
    if (bytes_slice(qe_report, QE_ATTRIBUTES_OFFSET, 1).data[0] & ATTRIBUTE_DEBUG)
        check_fail(verdict, CHECK, "no debug enclave", "a debug enclave");
}
