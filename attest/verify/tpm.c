/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TPM 2.0 evidence (CoCo's `tpm`):
 *     {"ak_public":std64 DER SubjectPublicKeyInfo,
 *      "tpm_quote":{"message":std64 TPMS_ATTEST,"signature":std64 TPMT_SIGNATURE,"pcrs":[24 times
 * 64 hex digits]}} What it proves: the holder of ak_public signed a quote over all 24 PCRs of the
 * SHA-256 bank, made for this report data. Claims are named by position in `pcrs`, so the signed
 * selection must be exactly PCR 0..23 of one bank: with another selection a genuine TPM could show
 * a PCR that software may reset (16, 23) under the name of one that it may not. That the
 * attestation key lives in a TPM is not proven here but by enrolment; the caller looks `ak_public`
 * up. An optional member "event_log" (tpm_log.h) says how the PCRs came about.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>

#include "attest/verify/check.h"
#include "attest/verify/tpm_log.h"
#include "attest/verify/tpm_quote.h"
#include "crypt/base/b64.h"

#define NONCE_SIZE   32
#define TEXT_MAX     8192 /* base64 of message, signature or key */
#define LOG_TEXT_MAX ((EVENTLOG_MAX + 2) / 3 * 4)

struct evidence {
    const char *ak_public;
    json_t *tpm_quote;
    const char *event_log; /* NULL: none was sent */
};

static const struct json_field evidence_fields[] = {
    {"ak_public", JSON_FIELD_TEXT, offsetof(struct evidence, ak_public), .max = TEXT_MAX,
        .required = true},
    {"tpm_quote", JSON_FIELD_OBJECT, offsetof(struct evidence, tpm_quote), .required = true},
    {"event_log", JSON_FIELD_TEXT, offsetof(struct evidence, event_log), .max = LOG_TEXT_MAX},
};

struct parts {
    const char *message, *signature;
    json_t *pcrs;
};

static const struct json_field part_fields[] = {
    {"message", JSON_FIELD_TEXT, offsetof(struct parts, message), .max = TEXT_MAX,
        .required = true},
    {"signature", JSON_FIELD_TEXT, offsetof(struct parts, signature), .max = TEXT_MAX,
        .required = true},
    {"pcrs", JSON_FIELD_ARRAY, offsetof(struct parts, pcrs), .required = true},
};

/* One verification: what could be read so far, and the verdict. */
struct check {
    const struct verify_input *input;
    struct verdict *verdict;
    struct evidence evidence;
    struct parts parts;
    EVP_PKEY *ak; /* NULL: unusable */
    struct buf message, log;
    bool have_signature;
    struct tpm_signature signature;
    struct tpm_quote quote;
};

static void check_done(struct check *check)
{
    EVP_PKEY_free(check->ak);
    buf_done(&check->message);
    buf_done(&check->log);
    ERR_clear_error();
}

static bool decode_evidence(struct check *check, bool *ret_ok, struct err *err)
{
    static const char shape[] =
        "{\"ak_public\",\"tpm_quote\":{\"message\",\"signature\",\"pcrs\"}}";
    *ret_ok = json_is_object(check->input->evidence) &&
              json_decode(check->input->evidence, evidence_fields, ARRAY_LEN(evidence_fields), true,
                  "TPM evidence", &check->evidence, err) &&
              json_decode(check->evidence.tpm_quote, part_fields, ARRAY_LEN(part_fields), true,
                  "tpm_quote", &check->parts, err);
    if (!*ret_ok && !json_is_object(check->input->evidence))
        verdict_fail(check->verdict, "tpm.evidence", "not a JSON object", shape);
    else if (!*ret_ok)
        return check_error(check->verdict, "tpm.evidence", shape, err);
    return true;
}

/* The RSAPublicKey in a SubjectPublicKeyInfo: behind SEQUENCE, AlgorithmIdentifier {rsaEncryption,
 * NULL} and BIT STRING, which for keys of 2048 to 4096 bits have these lengths. d2i_PUBKEY would try
 * every decoder that OpenSSL has: 108 us against 1, more than all else here together. */
static struct bytes rsa_part(struct bytes spki)
{
    static const uint8_t algorithm[] = {
        0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
    struct bytes found = bytes_slice(spki, 4, sizeof algorithm);
    return bytes_equal(found, bytes_of(algorithm, sizeof algorithm))
               ? bytes_slice(spki, 24, spki.len)
               : BYTES_EMPTY;
}

/* In the one DER encoding it has: the text must identify the key, since enrolment is looked up by it. */
static bool is_encoding_of(EVP_PKEY *key, struct bytes spki)
{
    unsigned char *again = NULL;
    int len = i2d_PUBKEY(key, &again);
    bool same = len >= 0 && bytes_equal(bytes_of(again, (size_t)len), spki);
    OPENSSL_free(again);
    return same;
}

static EVP_PKEY *ak_from_spki(struct bytes spki, const char **ret_problem)
{
    struct bytes rsa = rsa_part(spki);
    const unsigned char *at = rsa.data;
    EVP_PKEY *key = rsa.len ? d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)rsa.len) : NULL;
    *ret_problem = NULL;
    if (!key)
        *ret_problem = "no DER SubjectPublicKeyInfo of an RSA key of this size";
    else if ((*ret_problem = tpm_ak_problem(key)) == NULL && !is_encoding_of(key, spki))
        *ret_problem = "DER with trailing bytes or not canonical";
    if (!*ret_problem)
        return key;
    EVP_PKEY_free(key);
    return NULL;
}

static bool read_ak(struct check *check, struct err *err)
{
    static const char expected[] = "standard base64 of a DER RSA public key of 2048 to 4096 bits";
    auto_buf der = BUF_INIT(TEXT_MAX);
    const char *problem = NULL;
    if (!b64_decode(B64_STD, bytes_str(check->evidence.ak_public), "ak_public", &der, err))
        return check_error(check->verdict, "tpm.ak", expected, err);
    check->ak = ak_from_spki(buf_bytes(&der), &problem);
    if (!check->ak)
        verdict_fail(check->verdict, "tpm.ak", problem, expected);
    return true;
}

static bool read_message(struct check *check, struct err *err)
{
    if (!b64_decode(
            B64_STD, bytes_str(check->parts.message), "tpm_quote.message", &check->message, err))
        return check_error(check->verdict, "tpm.quote-format",
            "standard base64 of a TPMS_ATTEST with nothing after it", err);
    return tpm_quote_message(&check->quote, buf_bytes(&check->message), err);
}

static bool read_signature(struct check *check, struct err *err)
{
    static const char expected[] =
        "standard base64 of a TPMT_SIGNATURE, RSASSA (0014) with SHA-256 (000b)";
    auto_buf raw = BUF_INIT(TEXT_MAX);
    if (!b64_decode(B64_STD, bytes_str(check->parts.signature), "tpm_quote.signature", &raw, err) ||
        !tpm_signature_parse(buf_bytes(&raw), &check->signature, err))
        return check_error(check->verdict, "tpm.signature-format", expected, err);
    check->have_signature =
        check->signature.alg == TPM_ALG_SIGN_RSASSA && check->signature.hash == TPM_ALG_HASH_SHA256;
    if (!check->have_signature) {
        char got[64];
        snprintf(got, sizeof got, "signature algorithm %04x, hash %04x", check->signature.alg,
            check->signature.hash);
        verdict_fail(check->verdict, "tpm.signature-format", got, expected);
    }
    return true;
}

/* What the log says is judged in tpm_log.c; here only that it is one text of base64. */
static bool read_log(struct check *check, struct err *err)
{
    if (!check->evidence.event_log ||
        b64_decode(B64_STD, bytes_str(check->evidence.event_log), "event_log", &check->log, err))
        return true;
    return check_error(check->verdict, "tpm.event-log", "standard base64 of a TCG event log", err);
}

/* The qualifying data is the report data's first 32 bytes, padded with zeros: all of it, and nothing else. Without any there is nothing
 * that the quote could be fresh for. */
static void check_nonce(struct check *check)
{
    uint8_t padded[NONCE_SIZE] = {0};
    struct bytes expected = bytes_slice(check->input->report_data, 0, NONCE_SIZE);
    if (check->input->unbound)
        return;
    if (expected.len > 0)
        memcpy(padded, expected.data, expected.len);
    tpm_quote_nonce(
        &check->quote, expected.len > 0 ? bytes_of(padded, sizeof padded) : BYTES_EMPTY);
}

static bool check_quote(struct check *check, struct err *err)
{
    check_nonce(check);
    return (!check->ak || !check->have_signature ||
               tpm_quote_signature(&check->quote, check->ak,
                   bytes_of(check->signature.data, check->signature.len), "ak_public", err)) &&
           tpm_quote_selection(&check->quote, err) &&
           tpm_quote_init_data(&check->quote, check->input->init_data, err);
}

static bool make_claims(struct check *check, struct err *err)
{
    auto_json *claims = json_object();
    if (!claims ||
        json_object_set_new(claims, "ak_public", json_string(check->evidence.ak_public)) != 0)
        return err_nomem(err);
    if (!tpm_quote_claims(&check->quote, claims, claims, err))
        return false;
    if (check->evidence.event_log &&
        !tpm_log_claims(
            buf_bytes(&check->log), (const uint8_t(*)[TPM_PCR_SIZE])check->quote.pcrs, claims, err))
        return false;
    check->verdict->claims = take_ptr(claims);
    return true;
}

static bool tpm_verify(const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    AUTO_DONE(check_done)
    struct check check = {.input = input,
        .verdict = verdict,
        .message = BUF_INIT(TEXT_MAX),
        .quote = {.family = "tpm", .verdict = verdict},
        .log = BUF_INIT(EVENTLOG_MAX)};
    bool shaped = false;
    if (!decode_evidence(&check, &shaped, err))
        return false;
    if (!shaped)
        return true;
    if (!read_ak(&check, err) || !read_message(&check, err) || !read_signature(&check, err) ||
        !tpm_quote_pcrs(&check.quote, check.parts.pcrs, tpm_pcr_hex, err) ||
        !read_log(&check, err) || !check_quote(&check, err))
        return false;
    verdict->class_name = "cpu";
    return verdict->reason_count > 0 || make_claims(&check, err);
}

const struct verifier verifier_tpm = {.tee = "tpm", .verify = tpm_verify};
