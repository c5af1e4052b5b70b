/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/azure.h"

#include <stdio.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

#define MESSAGE_MAX   TPM_ATTEST_MAX
#define SIGNATURE_MAX TPM_RSA_BYTES_MAX
#define VERSION_MAX   2
#define RUNTIME_HASH  32u

/* -- bytes in JSON ------------------------------------------------------------------------------ */

enum coding { CODING_HEX, CODING_URL, CODING_NUMBERS, CODING_TEXT };

static bool read_numbers(const json_t *value, const char *what, struct buf *out, struct err *err)
{
    size_t index, count = json_array_size(value);
    const json_t *entry;
    uint8_t *room = NULL;
    if (!json_is_array(value) || count == 0 || count > out->max)
        return err_set(err, ERR_FORMAT, "%s is no array of 1 to %zu bytes", what, out->max);
    if (!buf_reserve(out, count, &room, err))
        return false;
    json_array_foreach(value, index, entry)
    {
        json_int_t number = json_integer_value(entry);
        if (!json_is_integer(entry) || number < 0 || number > UINT8_MAX)
            return err_set(err, ERR_FORMAT, "%s[%zu] is no byte", what, index);
        room[index] = (uint8_t)number;
    }
    buf_commit(out, count);
    return true;
}

static bool read_hex(struct bytes text, const char *what, struct buf *out, struct err *err)
{
    uint8_t *room = NULL;
    if (text.len == 0 || text.len / 2 > out->max)
        return err_set(err, ERR_FORMAT, "%s has %zu hex digits; 2 to %zu are taken", what, text.len,
            2 * out->max);
    if (!buf_reserve(out, text.len / 2, &room, err) ||
        !hex_decode(text, what, room, text.len / 2, err))
        return false;
    buf_commit(out, text.len / 2);
    return true;
}

static bool read_text(
    const json_t *value, enum coding coding, const char *what, struct buf *out, struct err *err)
{
    struct bytes text = bytes_of(json_string_value(value), json_string_length(value));
    if (!json_is_string(value) || text.len == 0)
        return err_set(err, ERR_FORMAT, "%s is no text or empty", what);
    if (coding == CODING_HEX)
        return read_hex(text, what, out, err);
    if (coding == CODING_TEXT)
        return text.len <= out->max
                   ? buf_append(out, text, err)
                   : err_set(err, ERR_FORMAT, "%s of %zu characters; at most %zu are taken", what,
                         text.len, out->max);
    return b64_decode(B64_URL_PAD, text, what, out, err);
}

/* A member as bytes into `out`, or the failed check `check`. */
static bool read_member(struct azure *azure, const json_t *object, const char *member,
    enum coding coding, const char *check, struct buf *out, struct err *err)
{
    static const char *const expected[] = {
        [CODING_HEX] = "hexadecimal digits",
        [CODING_URL] = "base64url with padding",
        [CODING_NUMBERS] = "an array of bytes as numbers",
        [CODING_TEXT] = "text",
    };
    const json_t *value = json_object_get(object, member);
    bool done = coding == CODING_NUMBERS ? read_numbers(value, member, out, err)
                                         : read_text(value, coding, member, out, err);
    if (done)
        return true;
    buf_truncate(out, 0);
    return check_error(azure->verdict, check, expected[coding], err);
}

static bool pcr_of_numbers(
    const json_t *value, const char *what, uint8_t out[TPM_PCR_SIZE], struct err *err)
{
    auto_buf raw = BUF_INIT(TPM_PCR_SIZE);
    if (!read_numbers(value, what, &raw, err))
        return false;
    if (raw.len != TPM_PCR_SIZE)
        return err_set(err, ERR_FORMAT, "%s has %zu bytes", what, raw.len);
    memcpy(out, raw.data, TPM_PCR_SIZE);
    return true;
}

/* -- the members --------------------------------------------------------------------------------- */

/* False: no version that is known, which is a failed check already. */
static bool read_version(struct azure *azure)
{
    const json_t *version = json_object_get(azure->input->evidence, "version");
    if (!version)
        return true;
    json_int_t number = json_integer_value(version);
    if (!json_is_integer(version) || number < 1 || number > VERSION_MAX) {
        auto_free char *text = json_text(version);
        return check_fail(
            azure->verdict, "az.version", "1, 2, or no such member", "%s", text ? text : "another");
    }
    azure->version = (int)number;
    return true;
}

static bool read_quote(
    struct azure *azure, const json_t *object, enum coding coding, struct err *err)
{
    if (!json_is_object(object)) {
        verdict_fail(
            azure->verdict, "az.quote-format", "no object", "{\"signature\",\"message\",\"pcrs\"}");
        return true;
    }
    if (!read_member(azure, object, "message", coding, "az.quote-format", &azure->message, err) ||
        !read_member(
            azure, object, "signature", coding, "az.signature-format", &azure->signature, err) ||
        !tpm_quote_pcrs(&azure->quote, json_object_get(object, "pcrs"),
            coding == CODING_HEX ? tpm_pcr_hex : pcr_of_numbers, err))
        return false;
    return azure->message.len == 0 ||
           tpm_quote_message(&azure->quote, buf_bytes(&azure->message), err);
}

static bool read_members(struct azure *azure, const struct azure_kind *kind, struct err *err)
{
    const json_t *evidence = azure->input->evidence;
    bool old = azure->version == 0;
    const char *quote = old ? kind->old_quote : "tpm_quote";
    const char *report = old ? kind->old_report : "hcl_report";
    enum coding blob = old ? CODING_NUMBERS : CODING_URL;
    char check[32];
    snprintf(check, sizeof check, "az.%s", kind->part);
    return read_quote(
               azure, json_object_get(evidence, quote), old ? CODING_NUMBERS : CODING_HEX, err) &&
           read_member(azure, evidence, report, blob, "az.hcl", &azure->report, err) &&
           read_member(azure, evidence, kind->part, old && kind->part_is_text ? CODING_TEXT : blob,
               check, &azure->part, err);
}

/* -- the paravisor's report ------------------------------------------------------------------------ */

static bool read_runtime(struct azure *azure, struct err *err)
{
    if (!hash_bytes(HASH_SHA256, azure->hcl.runtime_data, &azure->runtime_hash, err))
        return false;
    azure->have_hcl = true;
    if (hcl_runtime_parse(azure->hcl.runtime_data, &azure->runtime, err))
        return true;
    return check_error(azure->verdict, "az.runtime-data",
        "JSON with \"keys\", one of them the RSA key HCLAkPub", err);
}

static bool read_hcl(struct azure *azure, const struct azure_kind *kind, struct err *err)
{
    if (azure->report.len == 0)
        return true;
    if (!hcl_report_parse(buf_bytes(&azure->report), &azure->hcl, err))
        return check_error(azure->verdict, "az.hcl", "an HCL report and its runtime data", err);
    if (azure->hcl.report_type != (uint32_t)kind->report_type)
        check_fail(azure->verdict, "az.hcl-report-type",
            kind->report_type == HCL_SNP ? "2 (SNP)" : "4 (TDX)", "%u", azure->hcl.report_type);
    if (azure->hcl.hash_type != 1) {
        check_fail(azure->verdict, "az.hcl-hash-type", "1 (SHA-256)", "%u", azure->hcl.hash_type);
        return true;
    }
    return read_runtime(azure, err);
}

void azure_check_binding(struct azure *azure, struct bytes report_data)
{
    struct bytes got = bytes_slice(report_data, 0, RUNTIME_HASH);
    if (azure->have_hcl && !bytes_equal(got, hash_view(&azure->runtime_hash)))
        check_fail_hex(azure->verdict, "az.hcl-binding", got, hash_view(&azure->runtime_hash));
}

/* -- what the evidence is bound to ------------------------------------------------------------------ */

static void check_user_data(struct azure *azure, struct bytes expected)
{
    struct bytes got = bytes_of(azure->runtime.user_data, HCL_USER_DATA_SIZE);
    if (azure->version < 2 || !azure->runtime.ak)
        return;
    if (!azure->runtime.has_user_data)
        check_fail(azure->verdict, "az.user-data", "128 hex digits that begin with the report data",
            "no such member, or none of that form");
    else
        check_padded(azure->verdict, "az.user-data", got, expected);
}

static void check_report_data(struct azure *azure)
{
    struct bytes expected = azure->input->report_data;
    if (azure->input->unbound || expected.len == 0) {
        verdict_fail(azure->verdict, "az.nonce", "no report data to compare with",
            "report data: this evidence is verified only against what it was made for");
        return;
    }
    tpm_quote_nonce(&azure->quote, expected);
    check_user_data(azure, expected);
}

static bool check_quote(struct azure *azure, struct err *err)
{
    return (!azure->runtime.ak || azure->signature.len == 0 ||
               tpm_quote_signature(&azure->quote, azure->runtime.ak, buf_bytes(&azure->signature),
                   "HCLAkPub", err)) &&
           tpm_quote_selection(&azure->quote, err) &&
           tpm_quote_init_data(&azure->quote, azure->input->init_data, err);
}

bool azure_check(struct azure *azure, const struct azure_kind *kind,
    const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    *azure = (struct azure){
        .input = input,
        .verdict = verdict,
        .message = BUF_INIT(MESSAGE_MAX),
        .signature = BUF_INIT(SIGNATURE_MAX),
        .report = BUF_INIT(HCL_REPORT_MAX),
        .part = BUF_INIT(kind->part_max),
        .quote = {.family = "az", .verdict = verdict},
    };
    verdict->class_name = "cpu";
    if (!json_is_object(input->evidence)) {
        verdict_fail(verdict, "az.evidence", "not a JSON object",
            "an object with a TPM quote, an HCL report and what vouches for the hardware's");
        return true;
    }
    if (!read_version(azure))
        return true;
    if (!read_members(azure, kind, err) || !read_hcl(azure, kind, err))
        return false;
    check_report_data(azure);
    return check_quote(azure, err);
}

void azure_done(struct azure *azure)
{
    buf_done(&azure->message);
    buf_done(&azure->signature);
    buf_done(&azure->report);
    buf_done(&azure->part);
    hcl_runtime_done(&azure->runtime);
}

bool azure_claims(const struct azure *azure, json_t *claims, struct err *err)
{
    auto_json *pcrs = json_object();
    if (!pcrs)
        return err_nomem(err);
    if (!tpm_quote_claims(&azure->quote, pcrs, claims, err))
        return false;
    return json_object_set(claims, "tpm", pcrs) == 0 || err_nomem(err);
}
