/* SPDX-License-Identifier: Apache-2.0 */
#include "attest/verify/ear.h"

#include <inttypes.h>
#include <stdio.h>

#include "attest/verify/eventlog_trim.h"

#define EAR_PROFILE    "tag:github.com,2024:confidential-containers/Trustee"
#define EAR_DEVELOPER  "sealedfs"
#define EAR_BUILD      "sealed-kbs " SEALED_VERSION
#define EAR_POLICY     "default"
#define LEEWAY_S       60
#define SUBMODS_MAX    EAR_PIECES_MAX
#define PATH_DEPTH_MAX 5
#define TIME_MAX       INT64_C(253402300799) /* end of the year 9999 */

/* Where a token may keep the guest's key, first hit wins (protocol.md A.3). */
static const char *const tee_key_paths[][PATH_DEPTH_MAX] = {
    {"tdx", "attester_runtime_data", "tee-pubkey"},
    {"tdx", "attester_user_data", "tee-pubkey"},
    {"customized_claims", "runtime_data", "tee-pubkey"},
    {"submods", "cpu0", "ear.veraison.annotated-evidence", "runtime_data_claims", "tee-pubkey"},
    {"tee-pubkey"},
};

/* --- making
 * ---------------------------------------------------------------------------------------------------
 */

static bool put(json_t *object, const char *name, const json_t *value, struct err *err)
{
    return json_object_set_new(object, name, value ? json_deep_copy(value) : json_null()) == 0 ||
           err_nomem(err);
}

bool ear_shape_claims(const struct ear_piece *piece, json_t **ret_shaped, struct err *err)
{
    const json_t *init_data = json_object_get(piece->claims, "init_data");
    const json_t *report_data = json_object_get(piece->claims, "report_data");
    auto_json *shaped = json_object();
    auto_json *own = json_deep_copy(piece->claims);
    if (!shaped || !own)
        return err_nomem(err);
    json_object_del(own, "init_data");
    json_object_del(own, "report_data");
    if (init_data && !(put(shaped, "init_data", init_data, err) &&
                         put(shaped, "init_data_claims", piece->init_data_claims, err)))
        return false;
    if (report_data && !(put(shaped, "report_data", report_data, err) &&
                           put(shaped, "runtime_data_claims", piece->runtime_data, err)))
        return false;
    if (json_object_set(shaped, piece->tee, own) != 0)
        return err_nomem(err);
    *ret_shaped = take_ptr(shaped);
    return true;
}

/* Walks `path` (names, ends with NULL) from each container of the agent policy; a list of what is found there. */
static bool list_of_containers(
    const json_t *containers, const char *const *path, json_t **ret_list, struct err *err)
{
    size_t index;
    const json_t *container;
    auto_json *list = json_array();
    if (!list)
        return err_nomem(err);
    json_array_foreach(containers, index, container)
    {
        const json_t *at = container;
        for (const char *const *name = path; at && *name; name++)
            at = json_object_get(at, *name);
        if (at && json_array_append_new(list, json_deep_copy(at)) != 0)
            return err_nomem(err);
    }
    *ret_list = take_ptr(list);
    return true;
}

/* {"validated":{…}}: images and users of the containers that the guest's policy allows, as Trustee's default policy lists them. Empty
 * lists are left out. */
static bool make_identifiers(const json_t *shaped, json_t **ret_identifiers, struct err *err)
{
    static const struct {
        const char *name;
        const char *path[5];
    } lists[] = {
        {"container_images", {"OCI", "Annotations", "io.kubernetes.cri.image-name"}},
        {"container_uids", {"OCI", "Process", "User", "UID"}},
    };
    const json_t *policy =
        json_object_get(json_object_get(shaped, "init_data_claims"), "agent_policy_claims");
    const json_t *containers = json_object_get(policy, "containers");
    auto_json *validated = json_object();
    if (!validated)
        return err_nomem(err);
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        auto_json *list = NULL;
        if (!list_of_containers(containers, lists[i].path, &list, err))
            return false;
        if (json_array_size(list) > 0 && json_object_set(validated, lists[i].name, list) != 0)
            return err_nomem(err);
    }
    return json_build(ret_identifiers, err, "{s:O}", "validated", validated);
}

static bool make_submod(const struct ear_piece *piece, json_t **ret_submod, struct err *err)
{
    auto_json *shaped = NULL, *submod = NULL, *identifiers = NULL;
    if (!ear_shape_claims(piece, &shaped, err) ||
        !eventlog_trim(json_object_get(shaped, piece->tee), EAR_EVENTLOG_MAX, err) ||
        !json_build(&submod, err, "{s:s, s:O, s:s, s:O}", "ear.status",
            appraisal_status_name(piece->appraisal->status), "ear.trustworthiness-vector",
            piece->appraisal->vector, "ear.appraisal-policy-id", EAR_POLICY,
            "ear.veraison.annotated-evidence", shaped))
        return false;
    if (strcmp(piece->class_name, "cpu") == 0 &&
        !(make_identifiers(shaped, &identifiers, err) &&
            put(submod, "ear.trustee.identifiers", identifiers, err)))
        return false;
    if (piece->appraisal->extensions &&
        json_object_update(submod, piece->appraisal->extensions) != 0)
        return err_nomem(err);
    *ret_submod = take_ptr(submod);
    return true;
}

/* <class><n>, n counting within the class. */
static bool make_submods(const struct ear_input *input, json_t **ret_submods, struct err *err)
{
    auto_json *submods = json_object();
    if (!submods)
        return err_nomem(err);
    for (size_t i = 0; i < input->count; i++) {
        auto_json *submod = NULL;
        char name[40];
        int number = 0;
        for (size_t j = 0; j < i; j++)
            number += strcmp(input->pieces[j].class_name, input->pieces[i].class_name) == 0;
        snprintf(name, sizeof name, "%.24s%d", input->pieces[i].class_name, number);
        if (!make_submod(&input->pieces[i], &submod, err))
            return false;
        if (json_object_set(submods, name, submod) != 0)
            return err_nomem(err);
    }
    *ret_submods = take_ptr(submods);
    return true;
}

static bool make_payload(const struct ear_signer *signer, const struct ear_input *input,
    json_t **ret_payload, struct err *err)
{
    auto_json *submods = NULL;
    if (!make_submods(input, &submods, err))
        return false;
    return json_build(ret_payload, err, "{s:s, s:I, s:{s:s, s:s}, s:O, s:I, s:s, s:s*}",
        "eat_profile", EAR_PROFILE, "iat", (json_int_t)input->issued_at, "ear.verifier-id",
        "developer", EAR_DEVELOPER, "build", EAR_BUILD, "submods", submods, "exp",
        (json_int_t)(input->issued_at + signer->lifetime_s), "iss", signer->issuer, EAR_FRESHNESS,
        input->unasked ? "unchecked" : NULL);
}

static bool make_header(const struct ear_signer *signer, json_t **ret_header, struct err *err)
{
    auto_json *jwk = NULL;
    if (!jwk_public_json(signer->key, "ES256", &jwk, err))
        return err_wrap(err, "token signing key");
    if (signer->x5c && !put(jwk, "x5c", signer->x5c, err))
        return false;
    return json_build(ret_header, err, "{s:s, s:O}", "typ", "JWT", "jwk", jwk);
}

bool ear_issue(const struct ear_signer *signer, const struct ear_input *input, char **ret_token,
    struct err *err)
{
    auto_json *payload = NULL, *header = NULL;
    if (jwk_kind(signer->key) != JWK_EC_P256 || !jwk_is_private(signer->key))
        return err_set(err, ERR_CONFIG,
            "the token signing key must be a private P-256 key (Trustee takes ES256 only)");
    if (input->count == 0 || input->count > EAR_PIECES_MAX)
        return err_set(err, ERR_INTERNAL, "a token of %zu pieces of evidence", input->count);
    if (!make_payload(signer, input, &payload, err) || !make_header(signer, &header, err))
        return false;
    auto_free char *text = json_text(payload);
    if (!text)
        return err_nomem(err);
    return jws_sign(signer->key, header, bytes_str(text), ret_token, err);
}

/* --- checking
 * -------------------------------------------------------------------------------------------------
 */

void ear_done(struct ear *ear)
{
    json_unref(ear->payload);
    jwk_unref(ear->tee_key);
    ear->payload = NULL;
    ear->tee_key = NULL;
}

struct times {
    int64_t issued, expires, not_before;
};

static const struct json_field time_fields[] = {
    {"iat", JSON_FIELD_INT, offsetof(struct times, issued), .min = 0, .max = TIME_MAX,
        .required = true},
    {"exp", JSON_FIELD_INT, offsetof(struct times, expires), .min = 0, .max = TIME_MAX,
        .required = true},
    {"nbf", JSON_FIELD_INT, offsetof(struct times, not_before), .min = 0, .max = TIME_MAX},
};

static bool check_times(const json_t *payload, int64_t now, struct ear *ear, struct err *err)
{
    struct times times = {0};
    if (!json_decode(payload, time_fields, ARRAY_LEN(time_fields), true, "token", &times, err))
        return false;
    if (times.issued > now + LEEWAY_S || times.not_before > now + LEEWAY_S)
        return err_set(err, ERR_CRYPTO,
            "token is not valid yet: it was issued %" PRId64 " s in the future; compare the clocks",
            (times.issued > times.not_before ? times.issued : times.not_before) - now);
    if (times.expires <= now)
        return err_set(
            err, ERR_STALE, "token expired %" PRId64 " s ago; attest again", now - times.expires);
    ear->expires_at = times.expires;
    return true;
}

/* For joining submods, one that makes no claim is worse than one that affirms: nothing vouches for
 * it. */
static int badness(enum appraisal_status status)
{
    static const int order[] = {
        [APPRAISAL_AFFIRMING] = 0,
        [APPRAISAL_NONE] = 1,
        [APPRAISAL_WARNING] = 2,
        [APPRAISAL_CONTRAINDICATED] = 3,
    };
    return order[status];
}

/* A status better than its own vector says is not believed: the worst value of the vector counts then. */
static bool check_vector(
    const json_t *submod, const char *name, enum appraisal_status *status, struct err *err)
{
    const json_t *vector = json_object_get(submod, "ear.trustworthiness-vector");
    const char *claim;
    const json_t *value;
    if (!vector)
        return true;
    if (!json_is_object(vector))
        return err_set(
            err, ERR_FORMAT, "token: the trust vector of submod \"%.32s\" is no object", name);
    json_object_foreach((json_t *)(uintptr_t)vector, claim, value)
    {
        if (!json_is_integer(value))
            return err_set(err, ERR_FORMAT,
                "token: the trust vector of submod \"%.32s\" holds what is no integer", name);
        enum appraisal_status tier = appraisal_tier(json_integer_value(value));
        if (tier != APPRAISAL_NONE && badness(tier) > badness(*status))
            *status = tier;
    }
    return true;
}

static bool check_submods(const json_t *payload, struct ear *ear, struct err *err)
{
    const json_t *submods = json_object_get(payload, "submods");
    size_t count = json_object_size(submods);
    const char *name;
    const json_t *submod;
    if (!json_is_object(submods) || count == 0 || count > SUBMODS_MAX)
        return err_set(err, ERR_FORMAT, "token: \"submods\" must be an object of 1 to %d members",
            SUBMODS_MAX);
    enum appraisal_status worst = APPRAISAL_AFFIRMING;
    json_object_foreach((json_t *)(uintptr_t)submods, name, submod)
    {
        const char *text = json_is_object(submod) ? json_member_text(submod, "ear.status") : NULL;
        enum appraisal_status status;
        if (!text || !appraisal_status_parse(text, &status))
            return err_set(
                err, ERR_FORMAT, "token: submod \"%.32s\" has no known \"ear.status\"", name);
        if (!check_vector(submod, name, &status, err))
            return false;
        if (badness(status) > badness(worst))
            worst = status;
    }
    ear->status = worst;
    return true;
}

static const json_t *walk(const json_t *at, const char *const *path)
{
    for (size_t i = 0; at && i < PATH_DEPTH_MAX && path[i]; i++)
        at = json_object_get(at, path[i]);
    return at;
}

static bool find_tee_key(const json_t *payload, struct ear *ear, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(tee_key_paths); i++) {
        const json_t *key = walk(payload, tee_key_paths[i]);
        if (!key)
            continue;
        if (!jwk_from_json(key, false, &ear->tee_key, err))
            return err_wrap(err, "token: tee-pubkey");
        return true;
    }
    return err_set(err, ERR_FORMAT, "token: no tee-pubkey in its runtime data");
}

/* What a token says, once its signature is known to be good. */
static bool read_payload(
    struct bytes text, bool any_profile, int64_t now, struct ear *ret_ear, struct err *err)
{
    auto_ear ear = {0};
    if (!json_load_strict(text, JWS_TEXT_MAX, "token payload", &ear.payload, err))
        return false;
    const char *profile =
        json_is_object(ear.payload) ? json_member_text(ear.payload, "eat_profile") : NULL;
    if (!profile || (!any_profile && strcmp(profile, EAR_PROFILE) != 0))
        return err_set(err, ERR_FORMAT, "token: \"eat_profile\" is not %s", EAR_PROFILE);
    if (!check_times(ear.payload, now, &ear, err) || !check_submods(ear.payload, &ear, err) ||
        !find_tee_key(ear.payload, &ear, err))
        return false;
    *ret_ear = ear;
    ear = (struct ear){0};
    return true;
}

bool ear_verify(
    struct bytes token, const struct jwk *signer, int64_t now, struct ear *ret_ear, struct err *err)
{
    auto_jws *jws = NULL;
    struct bytes text;
    if (!jws_parse(token, &jws, err) || !jws_verify(jws, signer, JWS_ALLOW(JWS_ES256), &text, err))
        return err_wrap(err, "attestation token");
    return read_payload(text, false, now, ret_ear, err);
}

bool ear_verify_foreign(const struct jws *token, const struct jwk *signer, unsigned algs,
    int64_t now, struct ear *ret_ear, struct err *err)
{
    struct bytes text;
    if (!jws_verify(token, signer, algs, &text, err))
        return err_wrap(err, "attestation token");
    return read_payload(text, true, now, ret_ear, err);
}
