/* SPDX-License-Identifier: Apache-2.0 */
/* POST /attest, judged: the primary evidence, that of devices (additional_evidence), and init-data. */
#include <stdio.h>

#include "attest/runtime.h"
#include "kbs/server/verifier/init_data.h"
#include "kbs/server/verifier/judge_ground.h"

struct judge {
    struct judge_ground ground;
    struct verifier_answer *answer;
    struct proto_attest attest;
    /* what the evidence must be bound to */
    json_t *tee_pubkey;
    struct hash report_data, device_data, init_data;
};

static void judge_done(struct judge *judge)
{
    judge_ground_done(&judge->ground);
    proto_attest_done(&judge->attest);
    json_unref(judge->tee_pubkey);
}

/* -- around the evidence ------------------------------------------------------------------------ */

static bool check_init_data(struct judge *judge, struct err *err)
{
    if (!judge->attest.init_data || init_data_read(judge->attest.init_data, &judge->init_data,
                                        &judge->answer->init_data_claims, err))
        return true;
    return judge_note(&judge->ground.verdict, "init-data",
        "TOML with version, algorithm (sha256, sha384 or sha512) and a table [data] of texts", err);
}

static bool check_tee_pubkey(struct judge *judge, struct err *err)
{
    auto_jwk *key = NULL;
    if (runtime_tee_pubkey_check(judge->attest.tee_pubkey, &judge->tee_pubkey, &key, err))
        return true;
    return judge_note(&judge->ground.verdict, "tee-pubkey",
        "an EC P-256 or P-521 (ECDH-ES+A256KW) or RSA (RSA-OAEP-256) JWK", err);
}

/* judge->tee_pubkey is set unless it was refused; then there is nothing that evidence could be bound to. */
static bool check_frame(struct judge *judge, struct err *err)
{
    auto_free char *primary = NULL, *device = NULL;
    const char *nonce = judge->ground.request->nonce;
    if (strcmp(judge->attest.nonce, nonce) != 0)
        verdict_fail(&judge->ground.verdict, "nonce", judge->attest.nonce, nonce);
    if (!check_init_data(judge, err) || !check_tee_pubkey(judge, err))
        return false;
    return !judge->tee_pubkey || (runtime_data(nonce, judge->tee_pubkey, judge->attest.additional,
                                      HASH_SHA384, &primary, &judge->report_data, err) &&
                                     runtime_data(nonce, judge->tee_pubkey, NULL, HASH_SHA384,
                                         &device, &judge->device_data, err));
}

/* -- pieces of evidence -------------------------------------------------------------------------- */

/* A device alone says nothing of the guest that asks. */
static bool verify_primary(struct judge *judge, const struct verifier *verifier, struct err *err)
{
    struct verifier_answer *answer = judge->answer;
    const struct judge_piece piece = {.verifier = verifier,
        .evidence = judge->attest.evidence,
        .report_data = hash_view(&judge->report_data),
        .init_data = hash_view(&judge->init_data)};
    if (!judge_piece(&judge->ground, &piece, answer->class_name, &answer->claims, err))
        return false;
    if (answer->claims && strcmp(answer->class_name, "cpu") != 0)
        verdict_fail(&judge->ground.verdict, "evidence", judge->ground.request->tee,
            "primary evidence of the guest itself; a device's is additional_evidence");
    return true;
}

static bool verify_device(
    struct judge *judge, const char *tee, const json_t *evidence, struct err *err)
{
    struct verifier_answer *answer = judge->answer;
    struct verifier_device *device = &answer->devices[answer->device_count];
    const struct verifier *verifier =
        verifier_tee_listed(judge->ground.request->device_tees, tee) ? verifier_find(tee) : NULL;
    if (!verifier) {
        verdict_fail(&judge->ground.verdict, "additional-evidence", tee,
            "a TEE that this server takes ([attestation] tees)");
        return true;
    }
    *device = (struct verifier_device){0};
    snprintf(device->tee, sizeof device->tee, "%s", tee);
    answer->device_count++;
    const struct judge_piece piece = {
        .verifier = verifier, .evidence = evidence, .report_data = hash_view(&judge->device_data)};
    return judge_piece(&judge->ground, &piece, device->class_name, &device->claims, err);
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
        return judge_note(&judge->ground.verdict, "additional-evidence", shape, err);
    if (!json_is_object(devices) || json_object_size(devices) > VERIFIER_DEVICES_MAX) {
        verdict_fail(&judge->ground.verdict, "additional-evidence",
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
    if (!judge_settle(&judge->ground, judge->answer))
        judge->answer->tee_pubkey = take_ptr(judge->tee_pubkey);
}

bool judge_evidence(
    const struct verifier_request *request, struct verifier_answer *answer, struct err *err)
{
    AUTO_DONE(judge_done) struct judge judge = {.ground = {.request = request}, .answer = answer};
    const struct verifier *verifier = verifier_find(request->tee);
    if (!verifier)
        return err_set(err, ERR_CONFIG, "no verifier for tee \"%s\"", request->tee);
    if (!proto_attest_decode(request->body, &judge.attest, err)) {
        if (!judge_note(&judge.ground.verdict, "request", "a request of /attest (RCAR 0.4.0)", err))
            return false;
        conclude(&judge);
        return true;
    }
    if (!judge_ground_read(&judge.ground, err) || !check_frame(&judge, err))
        return false;
    if (judge.tee_pubkey &&
        (!verify_primary(&judge, verifier, err) || !verify_devices(&judge, err)))
        return false;
    conclude(&judge);
    return true;
}
