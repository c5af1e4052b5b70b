/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/verifier_wire.h"

#include <stdio.h>

#include "attest/verify/eventlog_trim.h"
#include "crypt/base/pack.h"

#define CODE_MAX                 32
#define INIT_DATA_LEVELS         20 /* as init_data.h promises */
#define FLAG_COLLATERAL_OPTIONAL 1u
#define FLAG_EXPIRED_OK          2u

void verifier_answer_done(struct verifier_answer *answer)
{
    json_unref(answer->claims);
    json_unref(answer->tee_pubkey);
    json_unref(answer->init_data_claims);
    answer->claims = answer->tee_pubkey = answer->init_data_claims = NULL;
    for (size_t i = 0; i < answer->device_count; i++) {
        json_unref(answer->devices[i].claims);
        json_unref(answer->devices[i].runtime_data);
        json_unref(answer->devices[i].init_data_claims);
    }
    answer->device_count = 0;
}

bool verifier_tee_listed(const char *list, const char *tee)
{
    size_t len = strlen(tee);
    while (*list != '\0') {
        size_t word = strcspn(list, " ");
        if (word == len && memcmp(list, tee, len) == 0)
            return true;
        list += word + (list[word] == ' ');
    }
    return false;
}

void verifier_answer_refuse_needs(struct verifier_answer *answer, const struct collateral *have)
{
    struct verdict verdict = {0};
    struct bytes body;
    if (answer->status != VERIFIER_NEEDS)
        return;
    for (size_t i = 0; i < answer->need_count; i++)
        verdict_fail(&verdict, "collateral",
            collateral_get(have, answer->needs[i], &body, NULL) ? "of no use" : "not available",
            answer->needs[i]);
    answer->status = VERIFIER_REFUSED;
    answer->need_count = 0;
    answer->reason_count = verdict.reason_count;
    memcpy(answer->reasons, verdict.reasons, sizeof answer->reasons);
}

/* -- requests ---------------------------------------------------------------------------------- */

bool verifier_request_encode(
    const struct verifier_request *request, struct buf *out, struct err *err)
{
    struct pack_writer pack = pack_writer(out);
    pack_put_u8(&pack, VERIFIER_WIRE_VERSION);
    pack_put_u8(&pack, request->kind);
    if (request->kind != VERIFIER_ENROL) {
        pack_put_text(&pack, request->tee);
        pack_put_text(&pack, request->nonce);
        pack_put_u64(&pack, (uint64_t)request->now);
        pack_put_u8(&pack, (request->collateral_optional ? FLAG_COLLATERAL_OPTIONAL : 0) |
                               (request->collateral_expired_ok ? FLAG_EXPIRED_OK : 0));
        pack_put_text(&pack, request->device_tees);
        pack_put_block(&pack, request->anchors);
        pack_put_block(&pack, request->collateral);
    } else {
        pack_put_block(&pack, request->roots);
    }
    pack_put_block(&pack, request->body);
    return pack_written(&pack, "verifier request", err);
}

bool verifier_request_decode(
    struct bytes message, struct verifier_request *ret_request, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    struct verifier_request request = {0};
    unsigned version = pack_get_u8(&in);
    unsigned kind = pack_get_u8(&in);
    if (version != VERIFIER_WIRE_VERSION || kind < VERIFIER_EVIDENCE || kind > VERIFIER_REST)
        return err_set(err, ERR_FORMAT, "verifier request of version %u, kind %u", version, kind);
    request.kind = kind;
    if (kind != VERIFIER_ENROL) {
        pack_get_text(&in, request.tee, sizeof request.tee);
        pack_get_text(&in, request.nonce, sizeof request.nonce);
        request.now = (int64_t)pack_get_u64(&in);
        unsigned flags = pack_get_u8(&in);
        request.collateral_optional = flags & FLAG_COLLATERAL_OPTIONAL;
        request.collateral_expired_ok = flags & FLAG_EXPIRED_OK;
        pack_get_text(&in, request.device_tees, sizeof request.device_tees);
        request.anchors = pack_get_block(&in, ANCHORS_PEM_MAX);
        request.collateral = pack_get_block(&in, COLLATERAL_TOTAL_MAX);
    } else {
        request.roots = pack_get_block(&in, VERIFIER_REQUEST_MAX);
    }
    request.body = pack_get_block(&in, PROTO_BODY_MAX);
    if (!pack_finish(&in, "verifier request", err))
        return false;
    *ret_request = request;
    return true;
}

/* -- answers: the verifier's side -------------------------------------------------------------- */

/* Reasons quote what the guest sent: only printable ASCII leaves the verifier, cut to what the front takes. */
static void put_words(struct pack_writer *out, const char *text, size_t size)
{
    char words[ERR_MESSAGE_SIZE];
    size_t len = 0;
    for (; text[len] != '\0' && len + 1 < size && len + 1 < sizeof words; len++)
        words[len] = text[len] >= ' ' && text[len] <= '~' ? text[len] : '?';
    pack_put_block(out, bytes_of(words, len));
}

static bool put_json(
    struct pack_writer *out, const json_t *json, size_t max, const char *what, struct err *err)
{
    auto_free char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    if (strlen(text) > max)
        return err_set(
            err, ERR_FORMAT, "%s of %zu bytes; at most %zu are taken", what, strlen(text), max);
    pack_put_block(out, bytes_str(text));
    return true;
}

/* Nothing is an empty block. */
static bool put_optional(
    struct pack_writer *out, const json_t *json, size_t max, const char *what, struct err *err)
{
    if (json)
        return put_json(out, json, max, what, err);
    pack_put_block(out, BYTES_EMPTY);
    return true;
}

static bool put_device(
    const struct verifier_device *device, struct pack_writer *out, struct err *err)
{
    pack_put_text(out, device->tee);
    pack_put_text(out, device->class_name);
    return eventlog_trim(device->claims, VERIFIER_EVENTLOG_MAX, err) &&
           put_json(out, device->claims, VERIFIER_CLAIMS_MAX, "claims of a device", err);
}

static bool put_rest(const struct verifier_answer *answer, struct pack_writer *out, struct err *err)
{
    pack_put_u8(out, (uint8_t)answer->device_count);
    for (size_t i = 0; i < answer->device_count; i++) {
        const struct verifier_device *piece = &answer->devices[i];
        auto_json *runtime = NULL;
        if (piece->runtime_data && !json_build(&runtime, err, "[O]", piece->runtime_data))
            return false;
        if (!put_device(piece, out, err) ||
            !put_optional(out, runtime, VERIFIER_RUNTIME_MAX, "runtime data", err) ||
            !put_optional(
                out, piece->init_data_claims, VERIFIER_INIT_DATA_MAX, "init-data claims", err))
            return false;
    }
    return true;
}

static bool put_evidence(
    const struct verifier_answer *answer, struct pack_writer *out, struct err *err)
{
    pack_put_text(out, answer->class_name);
    if (!eventlog_trim(answer->claims, VERIFIER_EVENTLOG_MAX, err) ||
        !put_json(out, answer->claims, VERIFIER_CLAIMS_MAX, "claims", err) ||
        !put_json(out, answer->tee_pubkey, VERIFIER_PUBKEY_MAX, "tee-pubkey", err))
        return false;
    if (!put_optional(
            out, answer->init_data_claims, VERIFIER_INIT_DATA_MAX, "init-data claims", err))
        return false;
    pack_put_u8(out, (uint8_t)answer->device_count);
    for (size_t i = 0; i < answer->device_count; i++)
        if (!put_device(&answer->devices[i], out, err))
            return false;
    return true;
}

static bool put_accepted(enum verifier_kind kind, const struct verifier_answer *answer,
    struct pack_writer *out, struct err *err)
{
    if (kind == VERIFIER_EVIDENCE)
        return put_evidence(answer, out, err);
    if (kind == VERIFIER_REST)
        return put_rest(answer, out, err);
    pack_put_text(out, answer->ek_sha256);
    pack_put_block(out, answer->ak_spki);
    pack_put_block(out, answer->id_object);
    pack_put_block(out, answer->encrypted_secret);
    return true;
}

static void put_needs(struct pack_writer *out, const struct verifier_answer *answer)
{
    pack_put_u8(out, (uint8_t)answer->need_count);
    for (size_t i = 0; i < answer->need_count; i++)
        pack_put_text(out, answer->needs[i]);
}

static void put_reasons(struct pack_writer *out, const struct verifier_answer *answer)
{
    pack_put_u8(out, (uint8_t)answer->reason_count);
    for (size_t i = 0; i < answer->reason_count; i++) {
        const struct verify_reason *reason = &answer->reasons[i];
        put_words(out, reason->check, sizeof reason->check);
        put_words(out, reason->got, sizeof reason->got);
        put_words(out, reason->expected, sizeof reason->expected);
    }
}

bool verifier_answer_encode(
    enum verifier_kind kind, const struct verifier_answer *answer, struct buf *out, struct err *err)
{
    struct pack_writer pack = pack_writer(out);
    pack_put_u8(&pack, VERIFIER_WIRE_VERSION);
    pack_put_u8(&pack, answer->status);
    switch (answer->status) {
    case VERIFIER_ACCEPTED:
        if (!put_accepted(kind, answer, &pack, err))
            return false;
        break;
    case VERIFIER_REFUSED:
        put_reasons(&pack, answer);
        break;
    case VERIFIER_FAILED:
        pack_put_text(&pack, err_info(answer->cause.code)->name);
        put_words(&pack, answer->cause.message, sizeof answer->cause.message);
        break;
    case VERIFIER_NEEDS:
        put_needs(&pack, answer);
        break;
    }
    return pack_written(&pack, "verifier answer", err);
}

/* -- answers: the front's side ----------------------------------------------------------------- */

/* No deeper and no more than what verifiers make of evidence; *left counts values down. The loader has bounded bytes and depth before. */
static bool claims_ok(const json_t *json, int levels, size_t *left)
{
    const char *name;
    const json_t *value;
    size_t index;
    if (*left == 0)
        return false;
    --*left;
    if (!json_is_object(json) && !json_is_array(json))
        return true;
    if (levels == 0)
        return false;
    json_object_foreach((json_t *)(uintptr_t)json, name, value)
    {
        if (!claims_ok(value, levels - 1, left))
            return false;
    }
    json_array_foreach(json, index, value)
    {
        if (!claims_ok(value, levels - 1, left))
            return false;
    }
    return true;
}

static bool pubkey_ok(const json_t *json)
{
    static const char *const forms[][5] = {
        {"alg", "crv", "kty", "x", "y"}, {"alg", "e", "kty", "n", NULL}};
    for (size_t form = 0; form < ARRAY_LEN(forms); form++) {
        size_t count = 0;
        while (count < ARRAY_LEN(forms[form]) && forms[form][count] &&
               json_member_text(json, forms[form][count]))
            count++;
        if ((count == ARRAY_LEN(forms[form]) || !forms[form][count]) &&
            json_object_size(json) == count)
            return true;
    }
    return false;
}

static bool get_json(
    struct pack_reader *in, size_t max, const char *what, json_t **ret_json, struct err *err)
{
    struct bytes text = pack_get_block(in, max);
    return json_load_strict(text, max, what, ret_json, err);
}

static bool get_claims(
    struct pack_reader *in, const char *what, json_t **ret_claims, struct err *err)
{
    size_t left = VERIFIER_CLAIM_COUNT;
    if (!get_json(in, VERIFIER_CLAIMS_MAX, what, ret_claims, err))
        return false;
    if (!json_is_object(*ret_claims) || !claims_ok(*ret_claims, VERIFIER_CLAIM_LEVELS, &left))
        return err_set(err, ERR_FORMAT, "claims that no verifier makes");
    return true;
}

static bool get_init_data(struct pack_reader *in, json_t **ret_claims, struct err *err)
{
    struct bytes text = pack_get_block(in, VERIFIER_INIT_DATA_MAX);
    size_t left = VERIFIER_CLAIM_COUNT;
    if (text.len == 0)
        return true;
    if (!json_load_strict(text, VERIFIER_INIT_DATA_MAX, "init-data claims", ret_claims, err))
        return false;
    if (!json_is_object(*ret_claims) || !claims_ok(*ret_claims, INIT_DATA_LEVELS, &left))
        return err_set(err, ERR_FORMAT, "init-data claims that no verifier makes");
    return true;
}

static bool get_device(struct pack_reader *in, struct verifier_answer *answer, struct err *err)
{
    struct verifier_device *device = &answer->devices[answer->device_count];
    *device = (struct verifier_device){0};
    pack_get_text(in, device->tee, sizeof device->tee);
    pack_get_text(in, device->class_name, sizeof device->class_name);
    answer->device_count++;
    if (!get_claims(in, "claims of a device", &device->claims, err))
        return false;
    if (device->tee[0] == '\0' ||
        (strcmp(device->class_name, "cpu") != 0 && strcmp(device->class_name, "gpu") != 0))
        return err_set(err, ERR_FORMAT, "a device of an unknown class");
    return true;
}

/* In an array of one, since the value may be of any type. */
static bool get_runtime(struct pack_reader *in, json_t **ret_data, struct err *err)
{
    struct bytes text = pack_get_block(in, VERIFIER_RUNTIME_MAX);
    auto_json *array = NULL;
    size_t left = VERIFIER_CLAIM_COUNT;
    if (text.len == 0)
        return true;
    if (!json_load_strict(text, VERIFIER_RUNTIME_MAX, "runtime data", &array, err))
        return false;
    if (!json_is_array(array) || json_array_size(array) != 1 ||
        !claims_ok(array, INIT_DATA_LEVELS, &left))
        return err_set(err, ERR_FORMAT, "runtime data that no verifier tells");
    *ret_data = json_incref(json_array_get(array, 0));
    return true;
}

static bool get_rest(struct pack_reader *in, struct verifier_answer *answer, struct err *err)
{
    size_t count = pack_get_u8(in);
    if (count == 0 || count > VERIFIER_DEVICES_MAX)
        return err_set(
            err, ERR_FORMAT, "%zu pieces; 1 to %d are told", count, VERIFIER_DEVICES_MAX);
    for (size_t i = 0; i < count; i++) {
        struct verifier_device *piece = &answer->devices[i];
        if (!get_device(in, answer, err) || !get_runtime(in, &piece->runtime_data, err) ||
            !get_init_data(in, &piece->init_data_claims, err))
            return false;
    }
    return true;
}

static bool get_evidence(struct pack_reader *in, struct verifier_answer *answer, struct err *err)
{
    pack_get_text(in, answer->class_name, sizeof answer->class_name);
    if (!get_claims(in, "claims", &answer->claims, err) ||
        !get_json(in, VERIFIER_PUBKEY_MAX, "tee-pubkey", &answer->tee_pubkey, err))
        return false;
    if (strcmp(answer->class_name, "cpu") != 0)
        return err_set(err, ERR_FORMAT, "evidence of an unknown class");
    if (!pubkey_ok(answer->tee_pubkey))
        return err_set(err, ERR_FORMAT, "no tee-pubkey of its wire form");
    if (!get_init_data(in, &answer->init_data_claims, err))
        return false;
    size_t count = pack_get_u8(in);
    if (count > VERIFIER_DEVICES_MAX)
        return err_set(
            err, ERR_FORMAT, "%zu devices; at most %d are told", count, VERIFIER_DEVICES_MAX);
    for (size_t i = 0; i < count; i++)
        if (!get_device(in, answer, err))
            return false;
    return true;
}

static bool get_enrolment(struct pack_reader *in, struct verifier_answer *answer, struct err *err)
{
    pack_get_text(in, answer->ek_sha256, sizeof answer->ek_sha256);
    answer->ak_spki = pack_get_block(in, VERIFIER_SPKI_MAX);
    answer->id_object = pack_get_block(in, VERIFIER_BLOB_MAX);
    answer->encrypted_secret = pack_get_block(in, VERIFIER_BLOB_MAX);
    if (strspn(answer->ek_sha256, "0123456789abcdef") != sizeof answer->ek_sha256 - 1)
        return err_set(err, ERR_FORMAT, "the EK's hash is no SHA-256 in hex");
    if (answer->ak_spki.len == 0 || answer->id_object.len == 0 || answer->encrypted_secret.len == 0)
        return err_set(err, ERR_FORMAT, "an empty enrolment");
    return true;
}

/* As put_words() writes them. */
static void get_words(struct pack_reader *in, char *out, size_t size)
{
    pack_get_text(in, out, size);
    for (char *at = out; *at; at++)
        if (*at < ' ' || *at > '~')
            in->failed = true;
}

static void get_reasons(struct pack_reader *in, struct verifier_answer *answer)
{
    size_t count = pack_get_u8(in);
    if (count == 0 || count > VERIFY_REASONS_MAX)
        in->failed = true;
    for (size_t i = 0; i < count && !in->failed; i++) {
        struct verify_reason *reason = &answer->reasons[i];
        get_words(in, reason->check, sizeof reason->check);
        get_words(in, reason->got, sizeof reason->got);
        get_words(in, reason->expected, sizeof reason->expected);
        answer->reason_count = i + 1;
    }
}

/* Names become paths and URLs in the front. */
static void get_needs(struct pack_reader *in, struct verifier_answer *answer)
{
    size_t count = pack_get_u8(in);
    if (count == 0 || count > VERIFY_NEEDS_MAX)
        in->failed = true;
    for (size_t i = 0; i < count && !in->failed; i++) {
        pack_get_text(in, answer->needs[i], sizeof answer->needs[i]);
        if (!collateral_name_ok(answer->needs[i]))
            in->failed = true;
        answer->need_count = i + 1;
    }
}

static void get_failure(struct pack_reader *in, struct verifier_answer *answer)
{
    char code[CODE_MAX] = "", message[ERR_MESSAGE_SIZE] = "";
    get_words(in, code, sizeof code);
    get_words(in, message, sizeof message);
    if (err_code_from_name(code) == ERR_OK) /* a failure without one would go unlogged */
        in->failed = true;
    err_set(&answer->cause, err_code_from_name(code), "%s", message);
}

bool verifier_answer_decode(enum verifier_kind kind, struct bytes message,
    struct verifier_answer *ret_answer, struct err *err)
{
    struct pack_reader in = pack_reader(message);
    auto_verifier_answer answer = {0};
    unsigned version = pack_get_u8(&in);
    unsigned status = pack_get_u8(&in);
    bool done = true;
    if (version != VERIFIER_WIRE_VERSION || status > VERIFIER_NEEDS ||
        (status == VERIFIER_NEEDS && kind == VERIFIER_ENROL))
        return err_set(
            err, ERR_FORMAT, "verifier answer of version %u, status %u", version, status);
    answer.status = status;
    if (status == VERIFIER_REFUSED)
        get_reasons(&in, &answer);
    else if (status == VERIFIER_FAILED)
        get_failure(&in, &answer);
    else if (status == VERIFIER_NEEDS)
        get_needs(&in, &answer);
    else if (kind == VERIFIER_EVIDENCE)
        done = get_evidence(&in, &answer, err);
    else if (kind == VERIFIER_REST)
        done = get_rest(&in, &answer, err);
    else
        done = get_enrolment(&in, &answer, err);
    if (!done)
        return err_wrap(err, "verifier answer");
    if (!pack_finish(&in, "verifier answer", err))
        return false;
    *ret_answer = answer;
    answer = (struct verifier_answer){0};
    return true;
}
