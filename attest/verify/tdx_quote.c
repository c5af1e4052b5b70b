/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_quote.h"

#include <stdio.h>

#define HEADER_SIZE    48
#define BODY_1_0_SIZE  584
#define BODY_1_5_SIZE  648
#define BODY_TYPE_SGX  1
#define BODY_TYPE_1_0  2
#define BODY_TYPE_1_5  3
#define KEY_TYPE_P256  2
#define TEE_TYPE_TDX   0x81u
#define POINT_SIZE     64
#define QE_REPORT_SIZE 384
#define CERT_PCK_CHAIN 5
#define CERT_QE_REPORT 6

static const uint8_t intel_vendor[16] = {
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};

static const struct {
    const char *name;
    uint16_t offset, size;
} fields[TDX_FIELD_COUNT] = {
    [TDX_TCB_SVN] = {"tcb_svn", 0, 16},
    [TDX_MR_SEAM] = {"mr_seam", 16, 48},
    [TDX_MRSIGNER_SEAM] = {"mrsigner_seam", 64, 48},
    [TDX_SEAM_ATTRIBUTES] = {"seam_attributes", 112, 8},
    [TDX_TD_ATTRIBUTES] = {"td_attributes", 120, 8},
    [TDX_XFAM] = {"xfam", 128, 8},
    [TDX_MR_TD] = {"mr_td", 136, 48},
    [TDX_MR_CONFIG_ID] = {"mr_config_id", 184, 48},
    [TDX_MR_OWNER] = {"mr_owner", 232, 48},
    [TDX_MR_OWNER_CONFIG] = {"mr_owner_config", 280, 48},
    [TDX_RTMR_0] = {"rtmr_0", 328, 48},
    [TDX_RTMR_1] = {"rtmr_1", 376, 48},
    [TDX_RTMR_2] = {"rtmr_2", 424, 48},
    [TDX_RTMR_3] = {"rtmr_3", 472, 48},
    [TDX_REPORT_DATA] = {"report_data", 520, 64},
    [TDX_TEE_TCB_SVN2] = {"tee_tcb_svn2", 584, 16},
    [TDX_MR_SERVICETD] = {"mr_servicetd", 600, 48},
};

enum { HEADER_VERSION, HEADER_KEY_TYPE, HEADER_TEE_TYPE, HEADER_RESERVED, HEADER_VENDOR };

static const struct {
    const char *name;
    uint16_t offset, size;
} header_fields[TDX_HEADER_FIELDS] = {
    [HEADER_VERSION] = {"version", 0, 2},
    [HEADER_KEY_TYPE] = {"att_key_type", 2, 2},
    [HEADER_TEE_TYPE] = {"tee_type", 4, 4},
    [HEADER_RESERVED] = {"reserved", 8, 4},
    [HEADER_VENDOR] = {"vendor_id", 12, 16},
    {"user_data", 28, 20},
};

/* What is left of a part, and how it is called when it turns out too short. */
struct cursor {
    struct bytes rest;
    const char *what;
    const char *missing; /* NULL: nothing so far */
};

static struct bytes take(struct cursor *in, size_t len, const char *what)
{
    if (in->missing || len > in->rest.len) {
        if (!in->missing)
            in->missing = what;
        in->rest = BYTES_EMPTY;
        return BYTES_EMPTY;
    }
    struct bytes taken = bytes_of(in->rest.data, len);
    in->rest = bytes_slice(in->rest, len, in->rest.len);
    return taken;
}

static uint16_t take_u16(struct cursor *in, const char *what)
{
    return bytes_u16le(take(in, 2, what), 0);
}

static uint32_t take_u32(struct cursor *in, const char *what)
{
    struct bytes data = take(in, 4, what);
    return (uint32_t)bytes_u16le(data, 2) << 16 | bytes_u16le(data, 0);
}

static bool finish(const struct cursor *in, struct err *err)
{
    if (in->missing)
        return err_set(err, ERR_FORMAT, "%s ends within its %s", in->what, in->missing);
    for (size_t i = 0; i < in->rest.len; i++)
        if (in->rest.data[i] != 0)
            return err_set(err, ERR_FORMAT,
                "%s has %zu bytes more than its parts, and they are not zero", in->what,
                in->rest.len);
    return true;
}

static bool check_header(const struct tdx_quote *quote, struct err *err)
{
    uint16_t key_type = bytes_u16le(quote->header, 2);
    uint32_t tee_type =
        (uint32_t)bytes_u16le(quote->header, 6) << 16 | bytes_u16le(quote->header, 4);
    if (quote->version == 3)
        return err_set(err, ERR_FORMAT, "version 3 is a quote of an SGX enclave, not of a TD");
    if (quote->version != 4 && quote->version != 5)
        return err_set(err, ERR_FORMAT, "quote version %u; 4 and 5 are taken", quote->version);
    if (key_type != KEY_TYPE_P256)
        return err_set(
            err, ERR_FORMAT, "attestation key type %u; only 2 (ECDSA P-256) is taken", key_type);
    if (tee_type != TEE_TYPE_TDX)
        return err_set(err, ERR_FORMAT, "TEE type %08x; only 00000081 (TDX) is taken", tee_type);
    if (!bytes_equal(bytes_slice(quote->header, 12, 16), bytes_of(intel_vendor, 16)))
        return err_set(err, ERR_FORMAT, "the quoting enclave's vendor is not Intel");
    return true;
}

static bool take_body(struct cursor *in, struct tdx_quote *quote, struct err *err)
{
    size_t size = BODY_1_0_SIZE;
    if (quote->version == 5) {
        struct cursor head = *in;
        quote->type = take(in, 2, "body type");
        quote->size = take(in, 4, "body size");
        uint16_t type = take_u16(&head, "body type");
        uint32_t claimed = take_u32(&head, "body size");
        if (head.missing)
            return finish(&head, err);
        if (type != BODY_TYPE_1_0 && type != BODY_TYPE_1_5)
            return err_set(err, ERR_FORMAT, "body type %u%s; 2 (TD 1.0) and 3 (TD 1.5) are taken",
                type, type == BODY_TYPE_SGX ? " (SGX)" : "");
        size = type == BODY_TYPE_1_0 ? BODY_1_0_SIZE : BODY_1_5_SIZE;
        if (claimed != size)
            return err_set(err, ERR_FORMAT, "body of type %u has %zu bytes, not the %u it claims",
                type, size, claimed);
    }
    quote->body = take(in, size, "body");
    return true;
}

/* The container named `what` that starts with its length; `type` 0: it has no type. */
static bool take_container(
    struct cursor *in, uint16_t type, const char *what, struct cursor *ret_inner, struct err *err)
{
    uint16_t got = type ? take_u16(in, what) : 0;
    uint32_t size = take_u32(in, what);
    if (in->missing)
        return finish(in, err);
    if (got != type)
        return err_set(err, ERR_FORMAT, "certification data of type %u, where %u (%s) belongs", got,
            type, what);
    if (size > in->rest.len)
        return err_set(err, ERR_FORMAT, "%s claims %u bytes; %zu are left in %s", what, size,
            in->rest.len, in->what);
    *ret_inner = (struct cursor){.rest = take(in, size, what), .what = what};
    return true;
}

static bool parse_qe_data(struct cursor *in, struct tdx_quote *quote, struct err *err)
{
    struct cursor chain;
    quote->qe_report = take(in, QE_REPORT_SIZE, "QE report");
    quote->qe_signature = take(in, POINT_SIZE, "QE report signature");
    quote->qe_auth = take(in, take_u16(in, "QE authentication data"), "QE authentication data");
    if (!take_container(in, CERT_PCK_CHAIN, "PCK certificate chain", &chain, err) ||
        !finish(in, err))
        return false;
    while (chain.rest.len > 0 && chain.rest.data[chain.rest.len - 1] == 0)
        chain.rest.len--;
    quote->pck_chain = chain.rest;
    return true;
}

bool tdx_quote_parse(struct bytes raw, struct tdx_quote *ret_quote, struct err *err)
{
    struct tdx_quote quote = {0};
    struct cursor in = {.rest = raw, .what = "quote"}, signatures, qe;
    if (raw.len > TDX_QUOTE_MAX)
        return err_set(
            err, ERR_FORMAT, "quote of %zu bytes; at most %u are taken", raw.len, TDX_QUOTE_MAX);
    quote.header = take(&in, HEADER_SIZE, "header");
    if (in.missing)
        return finish(&in, err);
    quote.version = bytes_u16le(quote.header, 0);
    if (!check_header(&quote, err) || !take_body(&in, &quote, err))
        return false;
    quote.signed_part = bytes_slice(raw, 0, raw.len - in.rest.len);
    if (!take_container(&in, 0, "signature data", &signatures, err))
        return false;
    quote.signature = take(&signatures, POINT_SIZE, "signature");
    quote.attestation_key = take(&signatures, POINT_SIZE, "attestation key");
    if (!take_container(&signatures, CERT_QE_REPORT, "QE report certification data", &qe, err) ||
        !finish(&signatures, err) || !parse_qe_data(&qe, &quote, err))
        return false;
    *ret_quote = quote;
    return true;
}

const char *tdx_field_name(enum tdx_field field)
{
    return fields[field].name;
}

struct bytes tdx_quote_field(const struct tdx_quote *quote, enum tdx_field field)
{
    struct bytes found = bytes_slice(quote->body, fields[field].offset, fields[field].size);
    return found.len == fields[field].size ? found : BYTES_EMPTY;
}

struct bytes tdx_quote_header(const struct tdx_quote *quote, size_t index, const char **ret_name)
{
    *ret_name = header_fields[index].name;
    return bytes_slice(quote->header, header_fields[index].offset, header_fields[index].size);
}
