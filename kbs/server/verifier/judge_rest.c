/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POST /attestation of the attestation service's REST interface (protocol.md D.3), judged: any number of pieces of evidence, each with
 * its own runtime data and init data,
 *
 *     {"verification_requests":[{"tee":NAME,"evidence":url of JSON,
 *                                "runtime_data":{"structured":JSON}|{"raw":url}|null,
 *                                "init_data":{"init_data_toml":text}|{"init_data_digest":url}|null,
 *                                "runtime_data_hash_algorithm":"sha256"|"sha384"|"sha512"|null}],
 *      "policy_ids":[text]}
 *
 * Structured runtime data is hashed in its canonical form (RFC 8785), raw data is compared as it is. Without runtime data nothing binds
 * the evidence: the relying party that asked knows what that is worth.
 */
#include <stdio.h>

#include "crypt/base/b64.h"
#include "kbs/server/verifier/init_data.h"
#include "kbs/server/verifier/judge_ground.h"

#define RAW_MAX  512
#define SHA384   "sha384"
#define SHAPE    "a request of POST /attestation (attestation service, REST)"
#define EVIDENCE "base64url of a JSON object"

struct asked {
    const char *tee, *evidence, *algorithm;
    json_t *runtime_data, *init_data;
};

static const struct json_field asked_fields[] = {
    {"tee", JSON_FIELD_TEXT, offsetof(struct asked, tee), .max = PROTO_TEE_MAX - 1,
        .required = true},
    {"evidence", JSON_FIELD_TEXT, offsetof(struct asked, evidence), .required = true},
    {"runtime_data", JSON_FIELD_OBJECT, offsetof(struct asked, runtime_data)},
    {"init_data", JSON_FIELD_OBJECT, offsetof(struct asked, init_data)},
    {"runtime_data_hash_algorithm", JSON_FIELD_TEXT, offsetof(struct asked, algorithm), .max = 16},
};

/* One piece on its way; the buffers hold what `piece` points to. */
struct rest_piece {
    struct asked asked;
    struct judge_piece piece;
    struct buf raw_report, raw_init;
    struct hash report, init;
    json_t *evidence;
};

static void rest_piece_done(struct rest_piece *rest)
{
    buf_done(&rest->raw_report);
    buf_done(&rest->raw_init);
    json_unref(rest->evidence);
}

static bool note(
    struct judge_ground *ground, const char *check, const char *expected, struct err *err)
{
    if (!judge_note(&ground->verdict, check, expected, err))
        return false;
    err_clear(err);
    return true;
}

static bool read_evidence(struct rest_piece *rest, struct err *err)
{
    auto_buf text = BUF_INIT(VERIFY_EVIDENCE_MAX);
    return b64_decode(B64_URL, bytes_str(rest->asked.evidence), "evidence", &text, err) &&
           json_load_strict(
               buf_bytes(&text), VERIFY_EVIDENCE_MAX, "evidence", &rest->evidence, err);
}

static bool hash_structured(
    const struct asked *asked, const json_t *data, struct hash *ret_hash, struct err *err)
{
    enum hash_alg alg;
    auto_free char *canonical = NULL;
    if (!hash_alg_parse(asked->algorithm ? asked->algorithm : SHA384, &alg))
        return err_set(err, ERR_FORMAT, "runtime_data_hash_algorithm \"%.16s\" is not known here",
            asked->algorithm);
    return json_canonical(data, &canonical, err) &&
           hash_bytes(alg, bytes_str(canonical), ret_hash, err);
}

/* *ret_claims: what a policy sees as runtime_data_claims; NULL for none. */
static bool read_runtime(struct rest_piece *rest, json_t **ret_claims, struct err *err)
{
    const json_t *data = rest->asked.runtime_data;
    const json_t *structured = json_object_get(data, "structured");
    const char *raw = json_member_text(data, "raw");
    rest->piece.unbound = data == NULL;
    if (!data)
        return true;
    if (json_object_size(data) != 1 || (!structured && !raw))
        return err_set(err, ERR_FORMAT, "runtime_data is neither {\"structured\"} nor {\"raw\"}");
    if (raw) {
        if (!b64_decode(B64_URL, bytes_str(raw), "runtime_data.raw", &rest->raw_report, err))
            return false;
        rest->piece.report_data = buf_bytes(&rest->raw_report);
        return true;
    }
    if (!hash_structured(&rest->asked, structured, &rest->report, err))
        return false;
    rest->piece.report_data = hash_view(&rest->report);
    *ret_claims = json_deep_copy(structured);
    return *ret_claims || err_nomem(err);
}

static bool read_init(struct rest_piece *rest, json_t **ret_claims, struct err *err)
{
    const json_t *data = rest->asked.init_data;
    const char *toml = json_member_text(data, "init_data_toml");
    const char *digest = json_member_text(data, "init_data_digest");
    if (!data)
        return true;
    if (json_object_size(data) != 1 || (!toml && !digest))
        return err_set(err, ERR_FORMAT,
            "init_data is neither {\"init_data_toml\"} nor {\"init_data_digest\"}");
    if (digest) {
        if (!b64_decode(B64_URL, bytes_str(digest), "init_data_digest", &rest->raw_init, err))
            return false;
        rest->piece.init_data = buf_bytes(&rest->raw_init);
        return true;
    }
    if (!init_data_read(toml, &rest->init, ret_claims, err))
        return false;
    rest->piece.init_data = hash_view(&rest->init);
    return true;
}

static bool find_verifier(struct judge_ground *ground, struct rest_piece *rest)
{
    const char *tee = rest->asked.tee;
    bool taken = verifier_tee_listed(ground->request->device_tees, tee);
    rest->piece.verifier = taken ? verifier_find(tee) : NULL;
    return rest->piece.verifier || verdict_fail(&ground->verdict, "tee", tee,
                                       "a TEE that this server takes ([attestation] tees)");
}

static bool judge_one(struct judge_ground *ground, const json_t *json,
    struct verifier_answer *answer, struct err *err)
{
    AUTO_DONE(rest_piece_done)
    struct rest_piece rest = {.raw_report = BUF_INIT(RAW_MAX), .raw_init = BUF_INIT(RAW_MAX)};
    struct verifier_device *out = &answer->devices[answer->device_count];
    *out = (struct verifier_device){0};
    if (!json_decode(json, asked_fields, ARRAY_LEN(asked_fields), true, "verification request",
            &rest.asked, err))
        return note(ground, "request", SHAPE, err);
    if (!find_verifier(ground, &rest))
        return true;
    answer->device_count++;
    snprintf(out->tee, sizeof out->tee, "%s", rest.asked.tee);
    if (!read_evidence(&rest, err))
        return note(ground, "evidence", EVIDENCE, err);
    if (!read_runtime(&rest, &out->runtime_data, err))
        return note(ground, "runtime-data", "{\"structured\":JSON} or {\"raw\":base64url}", err);
    if (!read_init(&rest, &out->init_data_claims, err))
        return note(ground, "init-data",
            "{\"init_data_toml\":text} or {\"init_data_digest\":base64url}", err);
    rest.piece.evidence = rest.evidence;
    return judge_piece(ground, &rest.piece, out->class_name, &out->claims, err);
}

static bool judge_all(struct judge_ground *ground, struct verifier_answer *answer, struct err *err)
{
    auto_json *body = NULL;
    size_t index;
    const json_t *one;
    if (!json_load_strict(ground->request->body, PROTO_BODY_MAX, "/attestation", &body, err))
        return note(ground, "request", SHAPE, err);
    const json_t *list = json_object_get(body, "verification_requests");
    size_t count = json_array_size(list);
    if (count == 0 || count > VERIFIER_DEVICES_MAX) {
        verdict_fail(&ground->verdict, "request",
            count == 0 ? "no verification_requests" : "too many",
            SHAPE ": 1 to 7 verification_requests");
        return true;
    }
    json_array_foreach(list, index, one)
    {
        if (!judge_one(ground, one, answer, err))
            return false;
    }
    return true;
}

bool judge_rest(
    const struct verifier_request *request, struct verifier_answer *answer, struct err *err)
{
    AUTO_DONE(judge_ground_done) struct judge_ground ground = {.request = request};
    if (!judge_ground_read(&ground, err) || !judge_all(&ground, answer, err))
        return false;
    (void)judge_settle(&ground, answer);
    return true;
}
