/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel's TD quote, versions 4 and 5 (Intel TDX DCAP Quote Generation Library, appendix 3), from
 * untrusted bytes into views of its parts. Integers are little-endian. Every length is checked
 * against what contains it; what follows a part inside its container must be zero, since vendors pad.
 *
 *     header 48 | v5: u16 body type, u32 body size | body 584 (TD 1.0) or 648 (TD 1.5)
 *     u32 size | r||s 64 | attestation key x||y 64 | u16 6, u32 size
 *         | QE report 384 | r||s 64 | u16 size, QE authentication data | u16 5, u32 size | PCK chain, PEM
 *     anything (padding: clouds hand out quotes of a fixed size)
 *
 * Signed by the attestation key: everything before the first size. Nothing here is verified.
 */
#pragma once

#include "crypt/base/bytes.h"
#include "crypt/base/err.h"

#define TDX_QUOTE_MAX (64u * 1024)

enum tdx_field {
    TDX_TCB_SVN,
    TDX_MR_SEAM,
    TDX_MRSIGNER_SEAM,
    TDX_SEAM_ATTRIBUTES,
    TDX_TD_ATTRIBUTES,
    TDX_XFAM,
    TDX_MR_TD,
    TDX_MR_CONFIG_ID,
    TDX_MR_OWNER,
    TDX_MR_OWNER_CONFIG,
    TDX_RTMR_0,
    TDX_RTMR_1,
    TDX_RTMR_2,
    TDX_RTMR_3,
    TDX_REPORT_DATA,
    TDX_TEE_TCB_SVN2, /* this and the next: TD 1.5 only */
    TDX_MR_SERVICETD,
    TDX_FIELD_COUNT
};

/* Views into the quote that was parsed. */
struct tdx_quote {
    uint16_t version;             /* 4 or 5 */
    struct bytes header;          /* 48 */
    struct bytes type, size;      /* 2 and 4 bytes; empty in version 4 */
    struct bytes body;            /* 584 or 648 */
    struct bytes signed_part;     /* header to body */
    struct bytes signature;       /* r||s, big-endian, 64 */
    struct bytes attestation_key; /* x||y, big-endian, 64 */
    struct bytes qe_report;       /* 384 */
    struct bytes qe_signature;    /* r||s, 64 */
    struct bytes qe_auth;
    struct bytes pck_chain; /* without the NULs that end it */
};

/* ERR_FORMAT: not a quote, or of a kind that is not taken (SGX, another key type, another body). */
bool tdx_quote_parse(struct bytes raw, struct tdx_quote *ret_quote, struct err *err) MUST_CHECK;

/* Name as in the claims (verifiers.md 2). */
const char *tdx_field_name(enum tdx_field field);
/* Empty when this body does not have it. */
struct bytes tdx_quote_field(const struct tdx_quote *quote, enum tdx_field field);
/* Header fields by name: att_key_type, tee_type, reserved, vendor_id, user_data, version. */
#define TDX_HEADER_FIELDS 6
struct bytes tdx_quote_header(const struct tdx_quote *quote, size_t index, const char **ret_name);

/* Parts of the QE's report (an SGX report body). */
#define QE_MISCSELECT_OFFSET 16
#define QE_ATTRIBUTES_OFFSET 48
#define QE_MRSIGNER_OFFSET   128
#define QE_PRODID_OFFSET     256
#define QE_SVN_OFFSET        258
#define QE_REPORTDATA_OFFSET 320

static inline uint16_t bytes_u16le(struct bytes data, size_t offset)
{
    return offset + 2 > data.len ? 0 : (uint16_t)(data.data[offset] | data.data[offset + 1] << 8);
}
