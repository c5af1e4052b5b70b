/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel TDX evidence (CoCo's `tdx`):
 *     {"quote":std64 TD quote,"cc_eventlog":null | "" | std64 CCEL table}
 * What it proves: a quoting enclave of Intel's, on a machine that Intel certified (the PCK), vouches for
 * an attestation key, and that for the TD's measurements and for this report data. How good the
 * machine's firmware is says Intel's collateral only. The event log is not signed: it counts because it
 * replays to the quote's RTMRs.
 */
#include "attest/verify/tdx.h"

#include <stdio.h>

#include "attest/verify/check.h"
#include "attest/verify/ecdsa_raw.h"
#include "attest/verify/eventlog_details.h"
#include "attest/verify/tdx_claims.h"
#include "attest/verify/tdx_qe.h"
#include "attest/verify/tdx_tcb.h"
#include "crypt/base/b64.h"

#define POINT_HALF 32

DEFINE_AUTO(EVP_PKEY, EVP_PKEY_free);

/* One verification of a quote. */
struct check {
    const struct verify_input *input;
    struct verdict *verdict;
    struct tdx_quote quote;
    struct validity validity;
    struct pck pck;
    struct tdx_collateral collateral;
    struct tcb_rating launch, current;
    bool rated;
};

static void check_done(struct check *check)
{
    pck_done(&check->pck);
    tdx_collateral_done(&check->collateral);
    tcb_rating_done(&check->launch);
    tcb_rating_done(&check->current);
}

/* -- who signed it --------------------------------------------------------------------------------- */

static bool check_signature(struct check *check, EVP_PKEY *key, struct bytes message,
    struct bytes signature, const char *name, const char *expected, struct err *err)
{
    bool good = false;
    if (!ecdsa_raw_verify(key, ECDSA_P256, message, bytes_slice(signature, 0, POINT_HALF),
            bytes_slice(signature, POINT_HALF, POINT_HALF), ECDSA_BIG_ENDIAN, &good, err))
        return false;
    if (!good)
        check_fail(check->verdict, name, expected, "does not verify");
    return true;
}

/* The quoting enclave says in its report data whose attestation key this is: SHA-256 of key and
 * authentication data, then 32 zero bytes. */
static bool check_qe_report_data(struct check *check, struct err *err)
{
    const struct tdx_quote *quote = &check->quote;
    uint8_t expected[64] = {0};
    struct hash hash;
    struct bytes got = bytes_slice(quote->qe_report, QE_REPORTDATA_OFFSET, sizeof expected);
    if (!hash_pieces(
            HASH_SHA256, (struct bytes[]){quote->attestation_key, quote->qe_auth}, 2, &hash, err))
        return false;
    memcpy(expected, hash.data, hash.len);
    if (!bytes_equal(got, bytes_of(expected, sizeof expected)))
        check_fail_hex(
            check->verdict, "tdx.qe-report-data", got, bytes_of(expected, sizeof expected));
    return true;
}

static bool check_signatures(struct check *check, struct err *err)
{
    const struct tdx_quote *quote = &check->quote;
    AUTO(EVP_PKEY_free) EVP_PKEY *key = NULL;
    EVP_PKEY *pck = check->pck.leaf ? X509_get0_pubkey(check->pck.leaf) : NULL;
    if (pck && ecdsa_key_is(pck, ECDSA_P256) &&
        !check_signature(check, pck, quote->qe_report, quote->qe_signature, "tdx.qe-signature",
            "ECDSA P-256 of the QE report by the PCK", err))
        return false;
    if (!check_qe_report_data(check, err))
        return false;
    if (!ecdsa_key_from_point(ECDSA_P256, quote->attestation_key, &key, err))
        return check_error(
            check->verdict, "tdx.attestation-key", "x and y of a point on P-256", err);
    return check_signature(check, key, quote->signed_part, quote->signature, "tdx.signature",
        "ECDSA P-256 of header and body by the attestation key", err);
}

/* -- how good the platform is ---------------------------------------------------------------------- */

static void check_status(struct check *check, const struct tcb_rating *rating)
{
    if (rating->status == TCB_REVOKED)
        check_fail(check->verdict, "tdx.tcb-status", "a TCB that is not revoked", "%s",
            tcb_status_name(rating->status));
}

/* Intel's library rates a 1.5 quote twice: the module that launched the TD, and the one that has
 * replaced it since without the TD being launched anew. */
static bool rate(struct check *check, const struct tcb_level *qe, struct err *err)
{
    const json_t *info = check->collateral.tcb_info.json;
    const struct pck_extension *pck = &check->pck.extension;
    struct bytes svn = tdx_quote_field(&check->quote, TDX_TCB_SVN);
    struct bytes svn_now = tdx_quote_field(&check->quote, TDX_TEE_TCB_SVN2);
    bool launch = false, current = false;
    if (!tdx_tcb_rate(info, pck, svn, qe, check->verdict, &check->launch, &launch, err))
        return false;
    if (launch && !tdx_tcb_rate(info, pck, svn_now.len ? svn_now : svn, qe, check->verdict,
                      &check->current, &current, err))
        return false;
    check->rated = launch && current;
    if (!check->rated)
        return true;
    check_status(check, &check->launch);
    if (check->launch.status != TCB_REVOKED)
        check_status(check, &check->current);
    check->launch.status = tcb_status_relaunch(check->launch.status, check->current.status);
    return true;
}

static bool check_platform(struct check *check, struct err *err)
{
    const struct tdx_collateral *collateral = &check->collateral;
    struct tcb_level qe;
    bool qe_found = false;
    if (collateral->tcb_info.json && !tdx_tcb_check(collateral->tcb_info.json,
                                         &check->pck.extension, &check->quote, check->verdict, err))
        return false;
    if (collateral->qe_identity.json &&
        !tdx_qe_check(collateral->qe_identity.json, check->quote.qe_report, check->verdict, &qe,
            &qe_found, err))
        return false;
    return !collateral->tcb_info.json || !qe_found || rate(check, &qe, err);
}

/* Without collateral nothing says whose quoting enclave and TDX module these are; on a platform that Intel
 * itself certified it is known all the same: each that it has published has this signer and these zeros. */
static void check_intel(struct check *check)
{
    static const uint8_t zero[48];
    static const enum tdx_field zeros[] = {TDX_MRSIGNER_SEAM, TDX_SEAM_ATTRIBUTES};
    if (!check->collateral.qe_identity.json)
        tdx_qe_check_intel(check->quote.qe_report, check->verdict);
    for (size_t i = 0; !check->collateral.tcb_info.json && i < ARRAY_LEN(zeros); i++) {
        struct bytes got = tdx_quote_field(&check->quote, zeros[i]);
        if (!bytes_equal(got, bytes_of(zero, got.len)))
            check_fail_hex(check->verdict, "tdx.module", got, bytes_of(zero, got.len));
    }
}

static bool check_collateral(struct check *check, struct err *err)
{
    if (!check->pck.good)
        return true;
    if (!tdx_collateral_check(
            check->input, &check->pck, &check->validity, check->verdict, &check->collateral, err))
        return false;
    if (!check->collateral.complete && check->pck.intel)
        check_intel(check);
    return check_platform(check, err);
}

static bool make_claims(struct check *check, json_t **ret_claims, struct err *err)
{
    bool verified = check->collateral.complete && check->rated;
    struct tdx_facts facts = {.quote = &check->quote,
        .pck = &check->pck,
        .validity = &check->validity,
        .collateral = &check->collateral,
        .launch = verified ? &check->launch : NULL,
        .current = verified ? &check->current : NULL};
    return tdx_claims_make(&facts, ret_claims, err);
}

bool tdx_check_quote(const struct verify_input *input, struct bytes raw, struct verdict *verdict,
    struct tdx_quote *ret_quote, json_t **ret_claims, struct err *err)
{
    AUTO_DONE(check_done)
    struct check check = {.input = input,
        .verdict = verdict,
        .validity = validity_at("tdx.date", input->now, input->collateral_expired_ok)};
    *ret_quote = (struct tdx_quote){0};
    *ret_claims = NULL;
    if (!tdx_quote_parse(raw, &check.quote, err))
        return check_error(
            verdict, "tdx.quote-format", "a TD quote of version 4 or 5, ECDSA P-256", err);
    *ret_quote = check.quote;
    if (!pck_check(input, check.quote.pck_chain, &check.validity, verdict, &check.pck, err) ||
        !check_signatures(&check, err) || !check_collateral(&check, err))
        return false;
    return verdict->reason_count > 0 || verdict->need_count > 0 ||
           make_claims(&check, ret_claims, err);
}

/* -- the evidence ------------------------------------------------------------------------------------ */

struct evidence {
    const char *quote;
    json_t *eventlog; /* NULL, null or text */
    json_t *old_log;
};

#define QUOTE_TEXT_MAX (TDX_QUOTE_MAX / 3 * 4 + 8)

static const struct json_field evidence_fields[] = {
    {"quote", JSON_FIELD_TEXT, offsetof(struct evidence, quote), .max = QUOTE_TEXT_MAX,
        .required = true},
    {"cc_eventlog", JSON_FIELD_ANY, offsetof(struct evidence, eventlog)},
    /* Of older guests, beside the registers' own log: not looked at. */
    {"aa_eventlog", JSON_FIELD_ANY, offsetof(struct evidence, old_log)},
};

/* Members that are not known here are ignored, as CoCo's verifier does: guests are newer than their broker. But a guest of CoCo's always
 * sends "cc_eventlog", null when it has none. Without it, an unknown member may be it, misspelt on the way: evidence would seem to have
 * no log, and a policy that asks for the absence of an event would not know. */
static bool has_lost_its_log(const json_t *json, const struct evidence *evidence)
{
    size_t known = 1 + (evidence->old_log != NULL);
    return !json_object_get(json, "cc_eventlog") && json_object_size(json) > known;
}

static bool read_evidence(const json_t *json, struct evidence *evidence, struct err *err)
{
    if (!json_decode(
            json, evidence_fields, ARRAY_LEN(evidence_fields), true, "TDX evidence", evidence, err))
        return false;
    if (has_lost_its_log(json, evidence))
        return err_set(err, ERR_FORMAT,
            "TDX evidence: no \"cc_eventlog\" (null when there is none), but members that are not "
            "known here");
    return !evidence->eventlog || json_is_null(evidence->eventlog) ||
           json_is_string(evidence->eventlog) ||
           err_set(err, ERR_FORMAT, "TDX evidence: \"cc_eventlog\" must be text or null");
}

static void check_bound(
    const struct verify_input *input, const struct tdx_quote *quote, struct verdict *verdict)
{
    struct bytes report_data = tdx_quote_field(quote, TDX_REPORT_DATA);
    if (!input->unbound && input->report_data.len == 0)
        check_fail(verdict, "tdx.report-data", "report data to compare with", "none was given");
    else if (!input->unbound)
        check_padded(verdict, "tdx.report-data", report_data, input->report_data);
    if (input->init_data.len > 0)
        check_padded(
            verdict, "tdx.init-data", tdx_quote_field(quote, TDX_MR_CONFIG_ID), input->init_data);
}

/* Nothing in a log is signed: it must replay to the quote's RTMRs, all four of them. */
static bool check_replay(const struct eventlog *log, const struct tdx_quote *quote,
    struct verdict *verdict, bool *ret_true, struct err *err)
{
    struct hash rtmrs[EVENTLOG_RTMRS];
    bool all = true;
    if (!eventlog_replay_rtmrs(log, rtmrs, err))
        return check_error(verdict, "tdx.eventlog", "a log that can be replayed", err);
    for (int i = 0; i < EVENTLOG_RTMRS; i++) {
        char got[2 * HASH_SIZE_MAX + 1], expected[2 * HASH_SIZE_MAX + 1];
        struct bytes quoted = tdx_quote_field(quote, (enum tdx_field)(TDX_RTMR_0 + i));
        if (bytes_equal(hash_view(&rtmrs[i]), quoted))
            continue;
        hex_encode(hash_view(&rtmrs[i]), got);
        hex_encode(quoted, expected);
        all = check_fail(verdict, "tdx.eventlog", expected, "RTMR %d of the log: %s", i, got);
    }
    *ret_true = all;
    return true;
}

/* *ret_claims stays NULL when the log is not the quote's. */
static bool check_eventlog(const char *text, const struct tdx_quote *quote, struct verdict *verdict,
    json_t **ret_claims, struct err *err)
{
    static const char expected[] = "a CCEL table in standard base64";
    auto_buf table = BUF_INIT(EVENTLOG_MAX);
    auto_eventlog log = {0};
    bool replayed = false;
    if (!b64_decode(B64_STD, bytes_str(text), "cc_eventlog", &table, err) ||
        !eventlog_parse(buf_bytes(&table), &log, err))
        return check_error(verdict, "tdx.eventlog", expected, err);
    return check_replay(&log, quote, verdict, &replayed, err) &&
           (!replayed || eventlog_rtmr_claims(&log, ret_claims, err));
}

static bool tdx_verify(const struct verify_input *input, struct verdict *verdict, struct err *err)
{
    static const char shape[] =
        "{\"quote\":standard base64,\"cc_eventlog\":null or standard base64}";
    struct evidence evidence = {0};
    struct tdx_quote quote;
    auto_json *claims = NULL, *events = NULL;
    auto_buf raw = BUF_INIT(TDX_QUOTE_MAX);
    verdict->class_name = "cpu";
    if (!json_is_object(input->evidence)) {
        check_fail(verdict, "tdx.evidence", shape, "not a JSON object");
        return true;
    }
    if (!read_evidence(input->evidence, &evidence, err) ||
        !b64_decode(B64_STD, bytes_str(evidence.quote), "quote", &raw, err))
        return check_error(verdict, "tdx.evidence", shape, err);
    if (!tdx_check_quote(input, buf_bytes(&raw), verdict, &quote, &claims, err))
        return false;
    if (quote.body.len > 0)
        check_bound(input, &quote, verdict);
    if (quote.body.len > 0 && json_string_length(evidence.eventlog) > 0 &&
        !check_eventlog(json_string_value(evidence.eventlog), &quote, verdict, &events, err))
        return false;
    if (verdict->reason_count > 0 || verdict->need_count > 0)
        return true;
    if (events && json_object_set_new(claims, "uefi_event_logs", take_ptr(events)) != 0)
        return err_nomem(err);
    verdict->claims = take_ptr(claims);
    return true;
}

const struct verifier verifier_tdx = {.tee = "tdx", .verify = tdx_verify};
