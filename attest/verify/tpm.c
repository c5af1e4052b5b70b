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
#include "attest/verify/tpm_structs.h"
#include "crypt/base/b64.h"

#define PCR_COUNT       24
#define PCR_SIZE        32
#define NONCE_SIZE      32
#define AK_BITS_MIN     2048
#define AK_BITS_MAX     4096
#define AK_EXPONENT_MIN 65537u /* a TPM's exponent has 32 bits */
#define TEXT_MAX        8192   /* base64 of message, signature or key */
#define INIT_DATA_PCR   8
#define LOG_TEXT_MAX    ((EVENTLOG_MAX + 2) / 3 * 4)

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

struct quote {
    const char *message, *signature;
    json_t *pcrs;
};

static const struct json_field quote_fields[] = {
    {"message", JSON_FIELD_TEXT, offsetof(struct quote, message), .max = TEXT_MAX,
        .required = true},
    {"signature", JSON_FIELD_TEXT, offsetof(struct quote, signature), .max = TEXT_MAX,
        .required = true},
    {"pcrs", JSON_FIELD_ARRAY, offsetof(struct quote, pcrs), .required = true},
};

/* One verification: what could be read so far, and the verdict. */
struct check {
    const struct verify_input *input;
    struct verdict *verdict;
    struct evidence evidence;
    struct quote quote;
    EVP_PKEY *ak; /* NULL: unusable */
    struct buf message, log;
    bool have_attest, have_signature, have_pcrs;
    struct tpm_attest attest;
    struct tpm_signature signature;
    uint8_t pcrs[PCR_COUNT][PCR_SIZE];
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
              json_decode(check->evidence.tpm_quote, quote_fields, ARRAY_LEN(quote_fields), true,
                  "tpm_quote", &check->quote, err);
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

static bool has_good_exponent(EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool good = EVP_PKEY_get_bn_param(key, "e", &exponent) && BN_num_bits(exponent) <= 32 &&
                BN_is_odd(exponent) && BN_get_word(exponent) >= AK_EXPONENT_MIN;
    BN_free(exponent);
    return good;
}

static EVP_PKEY *ak_from_spki(struct bytes spki, const char **ret_problem)
{
    struct bytes rsa = rsa_part(spki);
    const unsigned char *at = rsa.data;
    EVP_PKEY *key = rsa.len ? d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, (long)rsa.len) : NULL;
    *ret_problem = NULL;
    if (!key)
        *ret_problem = "no DER SubjectPublicKeyInfo of an RSA key of this size";
    else if (EVP_PKEY_get_bits(key) < AK_BITS_MIN || EVP_PKEY_get_bits(key) > AK_BITS_MAX)
        *ret_problem = "RSA key too short or too long";
    else if (!has_good_exponent(key))
        *ret_problem = "RSA key with an exponent that is even or not from 65537 to 2^32-1";
    else if (!is_encoding_of(key, spki))
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
    static const char expected[] = "standard base64 of a TPMS_ATTEST with nothing after it";
    if (!b64_decode(
            B64_STD, bytes_str(check->quote.message), "tpm_quote.message", &check->message, err) ||
        !tpm_attest_parse(buf_bytes(&check->message), &check->attest, err))
        return check_error(check->verdict, "tpm.quote-format", expected, err);
    char got[16], wanted[16];
    if (check->attest.magic != TPM_MAGIC) {
        snprintf(got, sizeof got, "%08x", check->attest.magic);
        snprintf(wanted, sizeof wanted, "%08x", TPM_MAGIC);
        verdict_fail(check->verdict, "tpm.magic", got, wanted);
    }
    if (check->attest.type != TPM_TYPE_QUOTE) {
        snprintf(got, sizeof got, "%04x", check->attest.type);
        snprintf(wanted, sizeof wanted, "%04x (quote)", TPM_TYPE_QUOTE);
        verdict_fail(check->verdict, "tpm.type", got, wanted);
    }
    check->have_attest = check->attest.magic == TPM_MAGIC && check->attest.type == TPM_TYPE_QUOTE;
    return true;
}

static bool read_signature(struct check *check, struct err *err)
{
    static const char expected[] =
        "standard base64 of a TPMT_SIGNATURE, RSASSA (0014) with SHA-256 (000b)";
    auto_buf raw = BUF_INIT(TEXT_MAX);
    if (!b64_decode(B64_STD, bytes_str(check->quote.signature), "tpm_quote.signature", &raw, err) ||
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

static bool read_pcrs(struct check *check, struct err *err)
{
    static const char expected[] = "24 PCR values of 64 hex digits";
    size_t count = json_array_size(check->quote.pcrs);
    char text[64];
    if (count != PCR_COUNT) {
        snprintf(text, sizeof text, "%zu values", count);
        verdict_fail(check->verdict, "tpm.pcrs", text, expected);
        return true;
    }
    for (size_t i = 0; i < PCR_COUNT; i++) {
        const json_t *value = json_array_get(check->quote.pcrs, i);
        snprintf(text, sizeof text, "pcrs[%zu]", i);
        if (!json_is_string(value)) {
            verdict_fail(check->verdict, "tpm.pcrs", text, expected);
            return true;
        }
        struct bytes hex = bytes_of(json_string_value(value), json_string_length(value));
        if (!hex_decode(hex, text, check->pcrs[i], PCR_SIZE, err))
            return check_error(check->verdict, "tpm.pcrs", expected, err);
    }
    check->have_pcrs = true;
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

static bool check_signature(struct check *check, struct err *err)
{
    if (!check->ak || !check->have_signature || check->message.len == 0)
        return true;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *rsa = NULL;
    if (!ctx || EVP_DigestVerifyInit(ctx, &rsa, EVP_sha256(), NULL, check->ak) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING) != 1) {
        EVP_MD_CTX_free(ctx);
        return err_nomem(err);
    }
    int done = EVP_DigestVerify(
        ctx, check->signature.data, check->signature.len, check->message.data, check->message.len);
    EVP_MD_CTX_free(ctx);
    if (done != 1)
        verdict_fail(check->verdict, "tpm.signature", "does not verify",
            "RSASSA-SHA256 of the quote by ak_public");
    return true;
}

static void check_selection(struct check *check)
{
    const struct tpm_attest *attest = &check->attest;
    const struct tpm_selection *first = &attest->selections[0];
    bool all = first->bits[0] == 0xff && first->bits[1] == 0xff && first->bits[2] == 0xff;
    if (attest->selection_count == 1 && first->hash == TPM_ALG_HASH_SHA256 && first->size == 3 &&
        all)
        return;
    char got[128];
    snprintf(got, sizeof got, "%zu selections; the first: hash %04x, %u bytes, %02x%02x%02x%02x",
        attest->selection_count, first->hash, first->size, first->bits[0], first->bits[1],
        first->bits[2], first->bits[3]);
    verdict_fail(check->verdict, "tpm.pcr-selection", got,
        "one selection, hash 000b (SHA-256), 3 bytes, ffffff (PCR 0 to 23)");
}

static bool check_pcr_digest(struct check *check, struct err *err)
{
    struct hash digest;
    if (!check->have_pcrs)
        return true;
    if (!hash_bytes(HASH_SHA256, bytes_of(check->pcrs, sizeof check->pcrs), &digest, err))
        return false;
    struct bytes signed_digest = bytes_of(check->attest.pcr_digest, check->attest.pcr_digest_len);
    if (!bytes_equal(hash_view(&digest), signed_digest))
        check_fail_hex(check->verdict, "tpm.pcr-digest", hash_view(&digest), signed_digest);
    return true;
}

/* The quote carries the first 32 bytes of the report data, and nothing else; shorter report data
 * would bind less: refused. */
static void check_nonce(struct check *check)
{
    struct bytes expected = bytes_slice(check->input->report_data, 0, NONCE_SIZE);
    struct bytes got = bytes_of(check->attest.extra_data, check->attest.extra_len);
    if (check->input->unbound)
        return;
    if (expected.len != NONCE_SIZE || !bytes_equal(got, expected))
        check_fail_hex(check->verdict, "tpm.nonce", got, expected);
}

/* Init data is extended once into PCR 8 from its reset value, as CoCo's guest does. */
static bool check_init_data(struct check *check, struct err *err)
{
    static const uint8_t zero[PCR_SIZE];
    struct bytes digest = check->input->init_data;
    if (digest.len == 0)
        return true;
    if (digest.len != PCR_SIZE) {
        char got[64];
        snprintf(got, sizeof got, "a digest of %zu bytes", digest.len);
        verdict_fail(check->verdict, "tpm.init-data", got,
            "32 bytes: init data with algorithm = \"sha256\" (PCR 8 is in the SHA-256 bank)");
        return true;
    }
    struct hash extended;
    if (!hash_pieces(
            HASH_SHA256, (struct bytes[]){bytes_of(zero, sizeof zero), digest}, 2, &extended, err))
        return false;
    struct bytes pcr = bytes_of(check->pcrs[INIT_DATA_PCR], PCR_SIZE);
    if (check->have_pcrs && !bytes_equal(pcr, hash_view(&extended)))
        check_fail_hex(check->verdict, "tpm.init-data", pcr, hash_view(&extended));
    return true;
}

static bool put_hex(json_t *claims, const char *name, struct bytes value)
{
    char text[2 * TPM_DATA_MAX + 1];
    hex_encode(value, text);
    return json_object_set_new(claims, name, json_string(text)) == 0;
}

static bool make_claims(struct check *check, struct err *err)
{
    auto_json *claims = json_object();
    bool done = claims != NULL;
    for (size_t i = 0; done && i < PCR_COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "pcr%02zu", i);
        done = put_hex(claims, name, bytes_of(check->pcrs[i], PCR_SIZE));
    }
    done =
        done &&
        json_object_set_new(claims, "ak_public", json_string(check->evidence.ak_public)) == 0 &&
        put_hex(claims, "init_data", bytes_of(check->pcrs[INIT_DATA_PCR], PCR_SIZE)) &&
        put_hex(claims, "report_data", bytes_of(check->attest.extra_data, check->attest.extra_len));
    if (!done)
        return err_nomem(err);
    if (check->evidence.event_log && !tpm_log_claims(buf_bytes(&check->log),
                                         (const uint8_t(*)[PCR_SIZE])check->pcrs, claims, err))
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
        .log = BUF_INIT(EVENTLOG_MAX)};
    bool shaped = false;
    if (!decode_evidence(&check, &shaped, err))
        return false;
    if (!shaped)
        return true;
    if (!read_ak(&check, err) || !read_message(&check, err) || !read_signature(&check, err) ||
        !read_pcrs(&check, err) || !read_log(&check, err) || !check_signature(&check, err))
        return false;
    if (check.have_attest) {
        check_selection(&check);
        check_nonce(&check);
        if (!check_pcr_digest(&check, err))
            return false;
    }
    if (!check_init_data(&check, err))
        return false;
    verdict->class_name = "cpu";
    return verdict->reason_count > 0 || make_claims(&check, err);
}

const struct verifier verifier_tpm = {.tee = "tpm", .verify = tpm_verify};
