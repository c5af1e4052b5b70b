/* SPDX-License-Identifier: Apache-2.0 */
/* TPM evidence (protocol.md C.1): a quote over PCR 0..23 and the PCR values that it covers. CoCo's verifiers ignore the one member
 * more, "event_log" (attest/verify/tpm_log.h says what ours makes of it). */
#include <string.h>

#include "attest/attester.h"
#include "attest/enrol_tpm.h"
#include "attest/tpm.h"
#include "attest/tpm_keys.h"
#include "crypt/base/b64.h"
#include "crypt/base/json.h"
#include "crypt/base/pack.h"

/* The qualifying data is the first 32 bytes of the digest (protocol.md B). */
#define QUALIFYING_SIZE 32
/* Something that extends PCRs all the time is not a state that could be appraised: give up soon. */
#define QUOTES_MAX 3
#define READS_MAX  3

#define QUOTE_MESSAGE_MAX   2048
#define QUOTE_SIGNATURE_MAX 1024

struct quote {
    struct buf message;   /* TPMS_ATTEST */
    struct buf signature; /* TPMT_SIGNATURE */
    struct tpm_pcrs pcrs;
};

static void quote_done(struct quote *quote)
{
    buf_done(&quote->message);
    buf_done(&quote->signature);
}

/*
 * Reads what the TPM says that it signed (part 2, 10.12.12). Whoever sits on the bus could have asked it for something else, and a
 * TPM could be broken: better to notice here than to be refused by the KBS without a reason.
 */
static bool quote_digest(
    struct bytes message, struct bytes qualifying, struct bytes *ret_digest, struct err *err)
{
    static const uint8_t all_pcrs[] = {0xff, 0xff, 0xff};
    struct pack_reader in = pack_reader(message);
    uint32_t magic = pack_get_u32(&in);
    uint16_t type = pack_get_u16(&in);
    pack_get_block16(&in, QUOTE_MESSAGE_MAX); /* qualified name of the signer */
    struct bytes extra = pack_get_block16(&in, QUOTE_MESSAGE_MAX);
    pack_get_fixed(&in, 8 + 4 + 4 + 1); /* clock, reset and restart count, safe */
    pack_get_fixed(&in, 8);             /* firmware version */
    uint32_t banks = pack_get_u32(&in);
    uint16_t bank = pack_get_u16(&in);
    uint8_t select_size = pack_get_u8(&in);
    struct bytes select = pack_get_fixed(&in, sizeof all_pcrs);
    struct bytes digest = pack_get_block16(&in, TPM_PCR_SIZE);
    if (!pack_finish(&in, "TPMS_ATTEST", err))
        return err_set(err, ERR_ATTEST, "the TPM returned a malformed quote");
    if (magic != TPM2_GENERATED_VALUE || type != TPM2_ST_ATTEST_QUOTE)
        return err_set(err, ERR_ATTEST, "the TPM returned something else than a quote");
    if (!bytes_equal(extra, qualifying))
        return err_set(err, ERR_ATTEST, "the TPM's quote is not bound to this request");
    if (banks != 1 || bank != TPM2_ALG_SHA256 || select_size != sizeof all_pcrs ||
        !bytes_equal(select, bytes_of(all_pcrs, sizeof all_pcrs)) || digest.len != TPM_PCR_SIZE)
        return err_set(err, ERR_ATTEST,
            "the TPM's quote does not cover PCR 0 to 23 of the SHA-256 bank; see tpm2_pcrallocate");
    *ret_digest = digest;
    return true;
}

/* The values are read after the quote and may have changed meanwhile. */
static bool read_matching(
    struct tpm *tpm, struct bytes digest, struct tpm_pcrs *pcrs, bool *ret_matched, struct err *err)
{
    bool matched = false;
    for (int i = 0; i < READS_MAX && !matched; i++) {
        struct hash hash;
        if (!tpm_pcr_read(tpm, pcrs, err) ||
            !hash_bytes(HASH_SHA256, bytes_of(pcrs->values, sizeof pcrs->values), &hash, err))
            return false;
        matched = bytes_equal(hash_view(&hash), digest);
    }
    *ret_matched = matched;
    return true;
}

static bool take_quote(struct tpm *tpm, tpm_ref key, tpm_ref session, struct bytes qualifying,
    struct quote *quote, struct err *err)
{
    for (int i = 0; i < QUOTES_MAX; i++) {
        struct bytes digest = BYTES_EMPTY;
        bool matched = false;
        quote->message.len = quote->signature.len = 0;
        if (!tpm_quote(tpm, key, session, qualifying, &quote->message, &quote->signature, err) ||
            !quote_digest(buf_bytes(&quote->message), qualifying, &digest, err) ||
            !read_matching(tpm, digest, &quote->pcrs, &matched, err))
            return false;
        if (matched)
            return true;
    }
    return err_set(err, ERR_ATTEST,
        "PCR values changed during each of %d quotes; something extends PCRs all the time",
        QUOTES_MAX);
}

static bool salted_session(struct tpm *tpm, tpm_ref *ret_session, struct err *err)
{
    tpm_ref salt_key = 0;
    TPM2B_PUBLIC public;
    if (!tpm_primary(tpm, TPM_NULL, &tpm_template_salt, &salt_key, &public, err) ||
        !tpm_session(tpm, salt_key, TPM_SESSION_HMAC, ret_session, err))
        return err_wrap(err, "session with the TPM");
    tpm_flush(tpm, salt_key);
    return true;
}

static bool pcrs_json(const struct tpm_pcrs *pcrs, json_t **ret_json, struct err *err)
{
    auto_json *array = json_array();
    if (!array)
        return err_nomem(err);
    for (size_t i = 0; i < TPM_PCR_COUNT; i++) {
        char hex[2 * TPM_PCR_SIZE + 1];
        hex_encode(bytes_of(pcrs->values[i], TPM_PCR_SIZE), hex);
        if (json_array_append_new(array, json_string(hex)) != 0)
            return err_nomem(err);
    }
    *ret_json = take_ptr(array);
    return true;
}

static bool put_log(json_t *evidence, struct bytes log, struct err *err)
{
    if (log.len == 0)
        return true;
    auto_free char *text = b64_encode(B64_STD, log);
    return (text && json_object_set_new(evidence, "event_log", json_string(text)) == 0) ||
           err_nomem(err);
}

static bool write_evidence(const struct quote *quote, struct bytes spki, struct bytes log,
    struct buf *out, struct err *err)
{
    auto_free char *signature = b64_encode(B64_STD, buf_bytes(&quote->signature));
    auto_free char *message = b64_encode(B64_STD, buf_bytes(&quote->message));
    auto_free char *key = b64_encode(B64_STD, spki);
    auto_json *pcrs = NULL, *evidence = NULL;
    if (!signature || !message || !key)
        return err_nomem(err);
    if (!pcrs_json(&quote->pcrs, &pcrs, err) ||
        !json_build(&evidence, err, "{s:{s:s, s:s, s:O}, s:s}", "tpm_quote", "signature", signature,
            "message", message, "pcrs", pcrs, "ak_public", key) ||
        !put_log(evidence, log, err))
        return false;
    auto_free char *text = json_text(evidence);
    return text ? buf_append_str(out, text, err) : err_nomem(err);
}

static bool tpm_evidence(const struct attester_conf *conf, const struct hash *report_data,
    struct buf *out, struct err *err)
{
    AUTO_DONE(quote_done)
    struct quote quote = {
        .message = BUF_INIT(QUOTE_MESSAGE_MAX), .signature = BUF_INIT(QUOTE_SIGNATURE_MAX)};
    auto_buf spki = BUF_INIT(1024);
    auto_tpm *tpm = NULL;
    tpm_ref key = 0, session = 0;
    TPM2B_PUBLIC public;
    struct bytes qualifying = bytes_slice(hash_view(report_data), 0, QUALIFYING_SIZE);
    if (!tpm_open(conf->tcti, &tpm, err) || !tpm_ak_open(tpm, conf, &key, &public, err) ||
        !tpm_ak_spki(&public, &spki, err) || !salted_session(tpm, &session, err) ||
        !take_quote(tpm, key, session, qualifying, &quote, err))
        return false;
    return write_evidence(&quote, buf_bytes(&spki), conf->boot_log, out, err);
}

const struct attester attester_tpm = {
    .tee = "tpm",
    .evidence = tpm_evidence,
    .enrol = tpm_enrol,
    .activate = tpm_activate_credential,
};
