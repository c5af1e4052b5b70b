/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/tpm_quote.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>

#include "attest/verify/check.h"
#include "crypt/base/b64.h"

#define INIT_DATA_PCR 8
#define CHECK_MAX     48

/* FAMILY.thing in a buffer of the caller's. */
static const char *name_of(const struct tpm_quote *quote, const char *thing, char out[CHECK_MAX])
{
    snprintf(out, CHECK_MAX, "%s.%s", quote->family, thing);
    return out;
}

bool tpm_quote_message(struct tpm_quote *quote, struct bytes message, struct err *err)
{
    char name[CHECK_MAX];
    if (!tpm_attest_parse(message, &quote->attest, err))
        return check_error(quote->verdict, name_of(quote, "quote-format", name),
            "a TPMS_ATTEST with nothing after it", err);
    const struct tpm_attest *attest = &quote->attest;
    char wanted[16];
    if (attest->magic != TPM_MAGIC) {
        snprintf(wanted, sizeof wanted, "%08x", TPM_MAGIC);
        check_fail(quote->verdict, name_of(quote, "magic", name), wanted, "%08x", attest->magic);
    }
    if (attest->type != TPM_TYPE_QUOTE) {
        snprintf(wanted, sizeof wanted, "%04x (quote)", TPM_TYPE_QUOTE);
        check_fail(quote->verdict, name_of(quote, "type", name), wanted, "%04x", attest->type);
    }
    quote->have_attest = attest->magic == TPM_MAGIC && attest->type == TPM_TYPE_QUOTE;
    quote->message = message;
    return true;
}

bool tpm_pcr_hex(const json_t *value, const char *what, uint8_t out[TPM_PCR_SIZE], struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ERR_FORMAT, "%s is no text", what);
    return hex_decode(bytes_of(json_string_value(value), json_string_length(value)), what, out,
        TPM_PCR_SIZE, err);
}

bool tpm_quote_pcrs(struct tpm_quote *quote, const json_t *list, tpm_pcr_fn *read, struct err *err)
{
    static const char expected[] = "24 PCR values of 32 bytes";
    char name[CHECK_MAX], what[32];
    size_t count = json_array_size(list);
    name_of(quote, "pcrs", name);
    if (count != TPM_PCR_COUNT) {
        check_fail(quote->verdict, name, expected, "%zu values", count);
        return true;
    }
    for (size_t i = 0; i < TPM_PCR_COUNT; i++) {
        snprintf(what, sizeof what, "pcrs[%zu]", i);
        if (!read(json_array_get(list, i), what, quote->pcrs[i], err))
            return check_error(quote->verdict, name, expected, err);
    }
    quote->have_pcrs = true;
    return true;
}

bool tpm_quote_signature(struct tpm_quote *quote, EVP_PKEY *key, struct bytes signature,
    const char *signer, struct err *err)
{
    char name[CHECK_MAX], expected[96];
    EVP_PKEY_CTX *rsa = NULL;
    if (quote->message.len == 0)
        return true;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || EVP_DigestVerifyInit(ctx, &rsa, EVP_sha256(), NULL, key) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(rsa, RSA_PKCS1_PADDING) != 1) {
        EVP_MD_CTX_free(ctx);
        return err_nomem(err);
    }
    int done = EVP_DigestVerify(
        ctx, signature.data, signature.len, quote->message.data, quote->message.len);
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    snprintf(expected, sizeof expected, "RSASSA-SHA256 of the quote by %s", signer);
    if (done != 1)
        verdict_fail(
            quote->verdict, name_of(quote, "signature", name), "does not verify", expected);
    return true;
}

void tpm_quote_nonce(struct tpm_quote *quote, struct bytes expected)
{
    char name[CHECK_MAX];
    struct bytes got = bytes_of(quote->attest.extra_data, quote->attest.extra_len);
    if (quote->have_attest && (expected.len == 0 || !bytes_equal(got, expected)))
        check_fail_hex(quote->verdict, name_of(quote, "nonce", name), got, expected);
}

static void check_selection(struct tpm_quote *quote)
{
    char name[CHECK_MAX];
    const struct tpm_attest *attest = &quote->attest;
    const struct tpm_selection *first = &attest->selections[0];
    bool all = first->bits[0] == 0xff && first->bits[1] == 0xff && first->bits[2] == 0xff;
    if (attest->selection_count == 1 && first->hash == TPM_ALG_HASH_SHA256 && first->size == 3 &&
        all)
        return;
    check_fail(quote->verdict, name_of(quote, "pcr-selection", name),
        "one selection, hash 000b (SHA-256), 3 bytes, ffffff (PCR 0 to 23)",
        "%zu selections; the first: hash %04x, %u bytes, %02x%02x%02x%02x", attest->selection_count,
        first->hash, first->size, first->bits[0], first->bits[1], first->bits[2], first->bits[3]);
}

bool tpm_quote_selection(struct tpm_quote *quote, struct err *err)
{
    char name[CHECK_MAX];
    struct hash digest;
    if (!quote->have_attest)
        return true;
    check_selection(quote);
    if (!quote->have_pcrs)
        return true;
    if (!hash_bytes(HASH_SHA256, bytes_of(quote->pcrs, sizeof quote->pcrs), &digest, err))
        return false;
    struct bytes wanted = bytes_of(quote->attest.pcr_digest, quote->attest.pcr_digest_len);
    if (!bytes_equal(hash_view(&digest), wanted))
        check_fail_hex(
            quote->verdict, name_of(quote, "pcr-digest", name), hash_view(&digest), wanted);
    return true;
}

bool tpm_quote_init_data(struct tpm_quote *quote, struct bytes digest, struct err *err)
{
    static const uint8_t zero[TPM_PCR_SIZE];
    char name[CHECK_MAX];
    struct hash extended;
    name_of(quote, "init-data", name);
    if (digest.len == 0)
        return true;
    if (digest.len != TPM_PCR_SIZE) {
        check_fail(quote->verdict, name,
            "32 bytes: init data with algorithm = \"sha256\" (PCR 8 is in the SHA-256 bank)",
            "a digest of %zu bytes", digest.len);
        return true;
    }
    if (!hash_pieces(
            HASH_SHA256, (struct bytes[]){bytes_of(zero, sizeof zero), digest}, 2, &extended, err))
        return false;
    struct bytes pcr = bytes_of(quote->pcrs[INIT_DATA_PCR], TPM_PCR_SIZE);
    if (quote->have_pcrs && !bytes_equal(pcr, hash_view(&extended)))
        check_fail_hex(quote->verdict, name, pcr, hash_view(&extended));
    return true;
}

static bool put_hex(json_t *claims, const char *name, struct bytes value)
{
    char text[2 * TPM_DATA_MAX + 1];
    hex_encode(value, text);
    return json_object_set_new(claims, name, json_string(text)) == 0;
}

bool tpm_quote_claims(const struct tpm_quote *quote, json_t *pcrs, json_t *claims, struct err *err)
{
    for (size_t i = 0; i < TPM_PCR_COUNT; i++) {
        char name[16];
        snprintf(name, sizeof name, "pcr%02zu", i);
        if (!put_hex(pcrs, name, bytes_of(quote->pcrs[i], TPM_PCR_SIZE)))
            return err_nomem(err);
    }
    bool done =
        put_hex(claims, "init_data", bytes_of(quote->pcrs[INIT_DATA_PCR], TPM_PCR_SIZE)) &&
        put_hex(claims, "report_data", bytes_of(quote->attest.extra_data, quote->attest.extra_len));
    return done || err_nomem(err);
}

static bool has_good_exponent(EVP_PKEY *key)
{
    BIGNUM *exponent = NULL;
    bool good = EVP_PKEY_get_bn_param(key, "e", &exponent) && BN_num_bits(exponent) <= 32 &&
                BN_is_odd(exponent) && BN_get_word(exponent) >= TPM_AK_EXPONENT_MIN;
    BN_free(exponent);
    return good;
}

const char *tpm_ak_problem(EVP_PKEY *key)
{
    if (EVP_PKEY_get_bits(key) < TPM_AK_BITS_MIN || EVP_PKEY_get_bits(key) > TPM_AK_BITS_MAX)
        return "RSA key too short or too long";
    if (!has_good_exponent(key))
        return "RSA key with an exponent that is even or not from 65537 to 2^32-1";
    return NULL;
}
