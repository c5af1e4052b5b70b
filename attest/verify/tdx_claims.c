/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tdx_claims.h"

#include "crypt/base/b64.h"
#include "crypt/base/clock.h"
#include "crypt/hash.h"

#define FIELD_MAX 64 /* bytes */

/* Each writes into an object and is false when memory is out. */

static bool put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

static bool put_text(json_t *object, const char *name, const char *text)
{
    return put(object, name, json_string(text));
}

static bool put_hex(json_t *object, const char *name, struct bytes value)
{
    char text[2 * FIELD_MAX + 1];
    hex_encode(bytes_slice(value, 0, FIELD_MAX), text);
    return put_text(object, name, text);
}

static bool put_date(json_t *object, const char *name, int64_t unix_s)
{
    char text[CLOCK_TEXT_SIZE];
    clock_rfc3339(unix_s, text);
    return put_text(object, name, text);
}

/* A number that does not fit is left out rather than bent. */
static bool put_number(json_t *object, const char *name, bool have, uint64_t number)
{
    return !have || number > UINT32_MAX || put(object, name, json_integer((json_int_t)number));
}

/* -- the quote --------------------------------------------------------------------------------- */

static bool put_header(json_t *header, const struct tdx_quote *quote)
{
    bool done = true;
    for (size_t i = 0; done && i < TDX_HEADER_FIELDS; i++) {
        const char *name = NULL;
        struct bytes value = tdx_quote_header(quote, i, &name);
        done = put_hex(header, name, value);
    }
    return done;
}

static bool put_body(json_t *body, const struct tdx_quote *quote)
{
    bool done = true;
    for (int i = 0; done && i < TDX_FIELD_COUNT; i++) {
        struct bytes value = tdx_quote_field(quote, (enum tdx_field)i);
        done = value.len == 0 || put_hex(body, tdx_field_name((enum tdx_field)i), value);
    }
    return done;
}

/* A member that is an object, put in first and filled by whoever asked for it. NULL: out of memory. */
static json_t *put_object(json_t *object, const char *name)
{
    json_t *made = json_object();
    return made && put(object, name, made) ? made : NULL;
}

static bool put_quote(json_t *claims, const struct tdx_quote *quote)
{
    json_t *whole = put_object(claims, "quote");
    json_t *header = whole ? put_object(whole, "header") : NULL;
    json_t *body = whole ? put_object(whole, "body") : NULL;
    if (!header || !body || !put_header(header, quote) || !put_body(body, quote))
        return false;
    return quote->version != 5 ||
           (put_hex(whole, "type", quote->type) && put_hex(whole, "size", quote->size));
}

static bool put_attributes(json_t *claims, const struct tdx_quote *quote)
{
    static const struct {
        const char *name;
        unsigned bit;
    } flags[] = {{"debug", 0}, {"septve_disable", 28}, {"protection_keys", 30}, {"key_locker", 31},
        {"perfmon", 63}};
    struct bytes value = tdx_quote_field(quote, TDX_TD_ATTRIBUTES);
    json_t *object = put_object(claims, "td_attributes");
    bool done = object != NULL;
    for (size_t i = 0; done && i < ARRAY_LEN(flags); i++)
        done = put(object, flags[i].name,
            json_boolean(value.data[flags[i].bit / 8] >> flags[i].bit % 8 & 1));
    return done;
}

/* -- the platform -------------------------------------------------------------------------------- */

/* Intel's own tools show the id with its bytes in the reverse order, and so does Trustee. */
static bool put_instance_id(json_t *claims, const struct pck_extension *pck)
{
    uint8_t reversed[sizeof pck->instance_id];
    for (size_t i = 0; i < sizeof reversed; i++)
        reversed[i] = pck->instance_id[sizeof reversed - 1 - i];
    return !pck->has_instance_id ||
           put_hex(claims, "platform_instance_id", bytes_of(reversed, sizeof reversed));
}

static bool put_platform(json_t *claims, const struct pck_extension *pck)
{
    static const char *const types[] = {"Standard", "Scalable", "Scalable with Integrity"};
    char other[24];
    snprintf(other, sizeof other, "Unknown (%u)", pck->sgx_type);
    if (!put_hex(claims, "platform_provider_id", bytes_of(pck->ppid, sizeof pck->ppid)) ||
        !put_text(
            claims, "sgx_type", pck->sgx_type < ARRAY_LEN(types) ? types[pck->sgx_type] : other))
        return false;
    return pck->sgx_type == PCK_SGX_TYPE_STANDARD ||
           (put(claims, "is_dynamic_platform", json_boolean(pck->dynamic_platform)) &&
               put(claims, "is_cached_keys", json_boolean(pck->cached_keys)) &&
               put(claims, "is_smt_enabled", json_boolean(pck->smt_enabled)));
}

/* SHA-384 of the root's public key as an uncompressed point. */
static bool put_root_key_id(json_t *claims, X509 *root, struct err *err)
{
    const ASN1_BIT_STRING *key = X509_get0_pubkey_bitstr(root);
    struct hash hash;
    struct bytes point = bytes_of(ASN1_STRING_get0_data(key), (size_t)ASN1_STRING_length(key));
    return hash_bytes(HASH_SHA384, point, &hash, err) &&
           (put_hex(claims, "root_key_id", hash_view(&hash)) || err_nomem(err));
}

/* -- the TCB ---------------------------------------------------------------------------------------- */

static bool put_rating(json_t *claims, const struct tcb_rating *rating, const char *status,
    const char *date, const char *advisories)
{
    return put_text(claims, status, tcb_status_name(rating->status)) &&
           put_date(claims, date, rating->date) &&
           put(claims, advisories, json_deep_copy(rating->advisories));
}

static bool put_documents(json_t *claims, const struct tdx_collateral *collateral)
{
    int64_t tcb = collateral->tcb_info.evaluation, qe = collateral->qe_identity.evaluation;
    return put_number(claims, "tcb_eval_num", true, (uint64_t)(tcb < qe ? tcb : qe)) &&
           put_number(
               claims, "pck_crl_num", collateral->has_pck_crl_number, collateral->pck_crl_number) &&
           put_number(claims, "root_ca_crl_num", collateral->has_root_crl_number,
               collateral->root_crl_number);
}

static bool put_dates(json_t *claims, const struct validity *validity)
{
    return put_date(claims, "earliest_issue_date", validity->earliest_issue) &&
           put_date(claims, "latest_issue_date", validity->latest_issue) &&
           put_date(claims, "earliest_expiration_date", validity->earliest_expiration) &&
           put_text(claims, "collateral_expiration_status", validity_expired(validity) ? "1" : "0");
}

static bool put_verified(json_t *claims, const struct tdx_facts *facts, struct err *err)
{
    return (put_rating(claims, facts->launch, "tcb_status", "tcb_date", "advisory_ids") &&
               put_rating(claims, facts->current, "tcb_status_current", "tcb_date_current",
                   "advisory_ids_current") &&
               put_dates(claims, facts->validity) && put_documents(claims, facts->collateral) &&
               put_platform(claims, &facts->pck->extension)) ||
           err_nomem(err);
}

/* Nothing else is said about the TCB then, but that a certificate of the quote's own chain is past its date. */
static bool put_unverified(json_t *claims, const struct tdx_facts *facts)
{
    return put_text(claims, "tcb_status", "Unverified") &&
           (!validity_expired(facts->validity) ||
               put_text(claims, "collateral_expiration_status", "1"));
}

bool tdx_claims_make(const struct tdx_facts *facts, json_t **ret_claims, struct err *err)
{
    const struct tdx_quote *quote = facts->quote;
    auto_json *claims = json_object();
    if (!claims || !put_quote(claims, quote) || !put_attributes(claims, quote) ||
        !put_hex(claims, "report_data", tdx_quote_field(quote, TDX_REPORT_DATA)) ||
        !put_hex(claims, "init_data", tdx_quote_field(quote, TDX_MR_CONFIG_ID)) ||
        !put_instance_id(claims, &facts->pck->extension))
        return err_nomem(err);
    if (facts->launch &&
        (!put_verified(claims, facts, err) || !put_root_key_id(claims, facts->pck->root, err)))
        return false;
    if (!facts->launch && !put_unverified(claims, facts))
        return err_nomem(err);
    *ret_claims = take_ptr(claims);
    return true;
}
