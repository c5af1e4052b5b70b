/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/signed_json.h"

#include "attest/verify/check.h"
#include "attest/verify/ecdsa_raw.h"
#include "attest/verify/raw_json.h"
#include "crypt/base/b64.h"
#include "crypt/base/clock.h"

#define SIGNATURE_SIZE 64
#define DATE_MAX       64

struct head {
    const char *issued, *next;
    int64_t evaluation;
};

static const struct json_field head_fields[] = {
    {"issueDate", JSON_FIELD_TEXT, offsetof(struct head, issued), .max = DATE_MAX,
        .required = true},
    {"nextUpdate", JSON_FIELD_TEXT, offsetof(struct head, next), .max = DATE_MAX, .required = true},
    {"tcbEvaluationDataNumber", JSON_FIELD_INT, offsetof(struct head, evaluation),
        .max = UINT32_MAX, .required = true},
};

void signed_json_done(struct signed_json *document)
{
    json_unref(document->json);
    document->json = NULL;
}

/* The member's text, compact, and the signature. */
static bool take_apart(const struct signed_json_kind *kind, struct bytes body, struct buf *text,
    uint8_t signature[SIGNATURE_SIZE], struct err *err)
{
    auto_json *whole = NULL;
    struct bytes raw;
    if (!json_load_strict(body, COLLATERAL_OBJECT_MAX, kind->what, &whole, err))
        return false;
    const char *hex = json_member_text(whole, "signature");
    if (!hex || !raw_json_member(body, kind->member, &raw))
        return err_set(
            err, ERR_FORMAT, "%s: not {\"%s\":{…},\"signature\":text}", kind->what, kind->member);
    return hex_decode(bytes_str(hex), "signature", signature, SIGNATURE_SIZE, err) &&
           raw_json_compact(raw, text, err);
}

static bool read_text(const struct signed_json_kind *kind, struct bytes text,
    struct signed_json *ret_document, struct err *err)
{
    auto_signed_json document = {0};
    struct head head = {0};
    if (!json_load_strict(text, COLLATERAL_OBJECT_MAX, kind->what, &document.json, err))
        return false;
    if (!json_is_object(document.json))
        return err_set(err, ERR_FORMAT, "%s: \"%s\" must be an object", kind->what, kind->member);
    if (!json_decode(
            document.json, head_fields, ARRAY_LEN(head_fields), true, kind->what, &head, err) ||
        !clock_parse_rfc3339(bytes_str(head.issued), "issueDate", &document.issued_at, err) ||
        !clock_parse_rfc3339(bytes_str(head.next), "nextUpdate", &document.next_update, err))
        return false;
    document.evaluation = head.evaluation;
    *ret_document = document;
    document.json = NULL;
    return true;
}

bool signed_json_open(const struct signed_json_kind *kind, struct bytes body, EVP_PKEY *signer,
    struct verdict *verdict, struct signed_json *ret_document, struct err *err)
{
    static const char expected[] = "a document as Intel publishes it";
    auto_buf text = BUF_INIT(COLLATERAL_OBJECT_MAX);
    uint8_t signature[SIGNATURE_SIZE];
    bool good = false;
    if (!take_apart(kind, body, &text, signature, err))
        return check_error(verdict, kind->check, expected, err);
    if (!ecdsa_raw_verify(signer, ECDSA_P256, buf_bytes(&text), bytes_of(signature, 32),
            bytes_of(signature + 32, 32), ECDSA_BIG_ENDIAN, &good, err))
        return false;
    if (!good) {
        check_fail(verdict, kind->signature,
            "ECDSA P-256 by the TCB signing key, of the text as it was sent",
            "the signature of the %s does not verify", kind->what);
        return true;
    }
    return read_text(kind, buf_bytes(&text), ret_document, err) ||
           check_error(verdict, kind->check, expected, err);
}
