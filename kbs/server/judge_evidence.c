/* SPDX-License-Identifier: Apache-2.0 */
/* POST /attest, judged: the primary evidence, that of devices (additional_evidence), and init-data. */
#include <stdio.h>

#include "attest/runtime.h"
#include "kbs/server/init_data.h"
#include "kbs/server/verifier_judge.h"

struct judge {
    const struct verifier_request *request;
    struct verifier_answer *answer;
    struct proto_attest attest;
    struct verdict verdict; /* reasons and needs of all pieces; no claims */
    /* what the evidence must be bound to */
    json_t *tee_pubkey;
    struct hash report_data, device_data, init_data;
    /* what the front gave to judge by: the operator's anchors beside the pins, and collateral */
    struct anchors *anchors;
    struct collateral *collateral;
};

static void judge_done(struct judge *judge)
{
    proto_attest_done(&judge->attest);
    verdict_done(&judge->verdict);
    json_unref(judge->tee_pubkey);
    anchors_free(judge->anchors);
    collateral_free(judge->collateral);
}

static bool read_ground(struct judge *judge, struct err *err)
{
    const struct verifier_request *request = judge->request;
    if ((request->anchors.len > 0 && !anchors_new(request->anchors, true, &judge->anchors, err)) ||
        (request->collateral.len > 0 &&
            !collateral_decode(request->collateral, &judge->collateral, err)))
        return err_wrap(err, "what the front gave");
    return true;
}

/* -- around the evidence ------------------------------------------------------------------------ */

static bool check_init_data(struct judge *judge, struct err *err)
{
    if (!judge->attest.init_data || init_data_read(judge->attest.init_data, &judge->init_data,
                                        &judge->answer->init_data_claims, err))
        return true;
    return judge_note(&judge->verdict, "init-data",
        "TOML with version, algorithm (sha256, sha384 or sha512) and a table [data] of texts", err);
}

static bool check_tee_pubkey(struct judge *judge, struct err *err)
{
    auto_jwk *key = NULL;
    if (runtime_tee_pubkey_check(judge->attest.tee_pubkey, &judge->tee_pubkey, &key, err))
        return true;
    return judge_note(&judge->verdict, "tee-pubkey",
        "an EC P-256 or P-521 (ECDH-ES+A256KW) or RSA (RSA-OAEP-256) JWK", err);
}

/* judge->tee_pubkey is set unless it was refused; then there is nothing that evidence could be bound to. */
static bool check_frame(struct judge *judge, struct err *err)
{
    auto_free char *primary = NULL, *device = NULL;
    const char *nonce = judge->request->nonce;
    if (strcmp(judge->attest.nonce, nonce) != 0)
        verdict_fail(&judge->verdict, "nonce", judge->attest.nonce, nonce);
    if (!check_init_data(judge, err) || !check_tee_pubkey(judge, err))
        return false;
    return !judge->tee_pubkey || (runtime_data(nonce, judge->tee_pubkey, judge->attest.additional,
                                      HASH_SHA384, &primary, &judge->report_data, err) &&
                                     runtime_data(nonce, judge->tee_pubkey, NULL, HASH_SHA384,
                                         &device, &judge->device_data, err));
}

/* -- pieces of evidence -------------------------------------------------------------------------- */

static void merge(struct verdict *all, const struct verdict *one)
{
    for (size_t i = 0; i < one->reason_count; i++)
        verdict_fail(all, one->reasons[i].check, one->reasons[i].got, one->reasons[i].expected);
    for (size_t i = 0; i < one->need_count; i++)
        verdict_need(all, "%s", one->needs[i]);
}

/* *ret_claims NULL: refused or undecided, as judge->verdict says then. */
static bool verify_piece(struct judge *judge, const struct verifier *verifier,
    const json_t *evidence, struct bytes report_data, struct bytes init_data,
    char ret_class[VERIFIER_CLASS_MAX], json_t **ret_claims, struct err *err)
{
    auto_verdict verdict = {0};
    const struct verify_input input = {.evidence = evidence,
        .report_data = report_data,
        .init_data = init_data,
        .now = judge->request->now,
        .anchors = judge->anchors,
        .collateral = judge->collateral,
        .collateral_optional = judge->request->collateral_optional,
        .collateral_expired_ok = judge->request->collateral_expired_ok};
    if (!verify_evidence(verifier, &input, &verdict, err))
        return false;
    merge(&judge->verdict, &verdict);
    if (verdict.class_name)
        snprintf(ret_class, VERIFIER_CLASS_MAX, "%s", verdict.class_name);
    *ret_claims = take_ptr(verdict.claims);
    return true;
}

/* A device alone says nothing of the guest that asks. */
static bool verify_primary(struct judge *judge, const struct verifier *verifier, struct err *err)
{
    struct verifier_answer *answer = judge->answer;
    if (!verify_piece(judge, verifier, judge->attest.evidence, hash_view(&judge->report_data),
            hash_view(&judge->init_data), answer->class_name, &answer->claims, err))
        return false;
    if (answer->claims && strcmp(answer->class_name, "cpu") != 0)
        verdict_fail(&judge->verdict, "evidence", judge->request->tee,
            "primary evidence of the guest itself; a device's is additional_evidence");
    return true;
}

static bool verify_device(
    struct judge *judge, const char *tee, const json_t *evidence, struct err *err)
{
    struct verifier_answer *answer = judge->answer;
    struct verifier_device *device = &answer->devices[answer->device_count];
    const struct verifier *verifier =
        verifier_tee_listed(judge->request->device_tees, tee) ? verifier_find(tee) : NULL;
    if (!verifier) {
        verdict_fail(&judge->verdict, "additional-evidence", tee,
            "a TEE that this server takes ([attestation] tees)");
        return true;
    }
    *device = (struct verifier_device){0};
    snprintf(device->tee, sizeof device->tee, "%s", tee);
    answer->device_count++;
    return verify_piece(judge, verifier, evidence, hash_view(&judge->device_data), BYTES_EMPTY,
        device->class_name, &device->claims, err);
}

/* additional_evidence: "" or the text of {"<tee>":evidence,…}. The primary evidence is bound to that text. */
static bool verify_devices(struct judge *judge, struct err *err)
{
    static const char shape[] = "\"\", or the text of an object {\"<tee>\":evidence,…}";
    const char *tee;
    json_t *evidence;
    auto_json *devices = NULL;
    struct bytes text = bytes_str(judge->attest.additional);
    if (text.len == 0)
        return true;
    if (!json_load_strict(text, PROTO_BODY_MAX, "additional_evidence", &devices, err))
        return judge_note(&judge->verdict, "additional-evidence", shape, err);
    if (!json_is_object(devices) || json_object_size(devices) > VERIFIER_DEVICES_MAX) {
        verdict_fail(&judge->verdict, "additional-evidence",
            json_is_object(devices) ? "too many devices" : "no object", shape);
        return true;
    }
    json_object_foreach(devices, tee, evidence)
    {
        if (!verify_device(judge, tee, evidence, err))
            return false;
    }
    return true;
}

static void conclude(struct judge *judge)
{
    struct verifier_answer *answer = judge->answer;
    if (judge->verdict.reason_count > 0) {
        judge_refuse(answer, &judge->verdict);
    } else if (judge->verdict.need_count > 0) {
        answer->status = VERIFIER_NEEDS;
        answer->need_count = judge->verdict.need_count;
        memcpy(answer->needs, judge->verdict.needs, sizeof answer->needs);
    } else {
        answer->tee_pubkey = take_ptr(judge->tee_pubkey);
    }
}

bool judge_evidence(
    const struct verifier_request *request, struct verifier_answer *answer, struct err *err)
{
    AUTO_DONE(judge_done) struct judge judge = {.request = request, .answer = answer};
    const struct verifier *verifier = verifier_find(request->tee);
    if (!verifier)
        return err_set(err, ERR_CONFIG, "no verifier for tee \"%s\"", request->tee);
    if (!proto_attest_decode(request->body, &judge.attest, err)) {
        if (!judge_note(&judge.verdict, "request", "a request of /attest (RCAR 0.4.0)", err))
            return false;
        conclude(&judge);
        return true;
    }
    if (!read_ground(&judge, err) || !check_frame(&judge, err))
        return false;
    if (judge.tee_pubkey &&
        (!verify_primary(&judge, verifier, err) || !verify_devices(&judge, err)))
        return false;
    conclude(&judge);
    return true;
}
