/* SPDX-License-Identifier: Apache-2.0 */
/* POST /kbs/v0/attest (protocol.md A.2). */
#include "kbs/proto.h"

#include <string.h>

void proto_attest_done(struct proto_attest *attest)
{
    json_unref(attest->tee_pubkey);
    json_unref(attest->evidence);
    free(attest->additional);
    free(attest->init_data);
    *attest = (struct proto_attest){0};
}

bool proto_attest_encode(const char *nonce, const json_t *tee_pubkey, struct bytes evidence_text,
    char **ret_text, struct err *err)
{
    auto_json *evidence = NULL;
    auto_json *runtime = NULL;
    if (strlen(nonce) > PROTO_NONCE_MAX)
        return err_set(err, ERR_FORMAT, "nonce of %zu bytes; at most %d are sent", strlen(nonce),
            PROTO_NONCE_MAX);
    /* Parsed only to be sure that it is one JSON value: it goes out byte for byte as attestd wrote
     * it. */
    if (!json_load_strict(evidence_text, PROTO_BODY_MAX, "evidence", &evidence, err))
        return false;
    if (!json_build(&runtime, err, "{s:s,s:O}", "nonce", nonce, "tee-pubkey", tee_pubkey))
        return false;
    auto_free char *runtime_text = json_text(runtime);
    if (!runtime_text)
        return err_nomem(err);
    auto_buf body = BUF_INIT(PROTO_BODY_MAX);
    if (!buf_append_str(&body, "{\"init-data\":null,\"runtime-data\":", err) ||
        !buf_append_str(&body, runtime_text, err) ||
        !buf_append_str(&body, ",\"tee-evidence\":{\"primary_evidence\":", err) ||
        !buf_append(&body, evidence_text, err) ||
        !buf_append_str(&body, ",\"additional_evidence\":\"\"}}", err))
        return false;
    char *text = buf_take_text(&body);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}

static bool decode_init_data(const json_t *init_data, char **ret_body, struct err *err)
{
    struct message {
        const char *format;
        const char *body;
    } in = {0};
    static const struct json_field fields[] = {
        {"format", JSON_FIELD_TEXT, offsetof(struct message, format), .required = true},
        {"body", JSON_FIELD_TEXT, offsetof(struct message, body), .required = true},
    };
    if (!init_data || json_is_null(init_data))
        return true;
    if (!json_decode(
            init_data, fields, ARRAY_LEN(fields), true, "/attest request: init-data", &in, err))
        return false;
    if (strcmp(in.format, "toml") != 0)
        return err_set(err, ERR_FORMAT,
            "/attest request: init-data of format \"%.16s\"; only \"toml\" is taken", in.format);
    *ret_body = strdup(in.body);
    return *ret_body || err_nomem(err);
}

static bool decode_runtime(const json_t *runtime, struct proto_attest *attest, struct err *err)
{
    struct message {
        const char *nonce;
        json_t *tee_pubkey;
    } in = {0};
    static const struct json_field fields[] = {
        {"nonce", JSON_FIELD_TEXT, offsetof(struct message, nonce), .max = PROTO_NONCE_MAX,
            .required = true},
        {"tee-pubkey", JSON_FIELD_OBJECT, offsetof(struct message, tee_pubkey), .required = true},
    };
    if (!json_decode(
            runtime, fields, ARRAY_LEN(fields), true, "/attest request: runtime-data", &in, err))
        return false;
    memcpy(attest->nonce, in.nonce, strlen(in.nonce) + 1);
    attest->tee_pubkey = json_incref(in.tee_pubkey);
    return true;
}

static bool decode_evidence(const json_t *evidence, struct proto_attest *attest, struct err *err)
{
    struct message {
        json_t *primary;
        const char *additional;
    } in = {0};
    static const struct json_field fields[] = {
        {"primary_evidence", JSON_FIELD_OBJECT, offsetof(struct message, primary),
            .required = true},
        {"additional_evidence", JSON_FIELD_TEXT, offsetof(struct message, additional),
            .required = true},
    };
    if (!json_decode(
            evidence, fields, ARRAY_LEN(fields), true, "/attest request: tee-evidence", &in, err))
        return false;
    attest->evidence = json_incref(in.primary);
    attest->additional = strdup(in.additional);
    return attest->additional || err_nomem(err);
}

bool proto_attest_decode(struct bytes body, struct proto_attest *ret_attest, struct err *err)
{
    struct message {
        json_t *init_data;
        json_t *runtime;
        json_t *evidence;
    } in = {0};
    static const struct json_field fields[] = {
        {"init-data", JSON_FIELD_ANY, offsetof(struct message, init_data)},
        {"runtime-data", JSON_FIELD_OBJECT, offsetof(struct message, runtime), .required = true},
        {"tee-evidence", JSON_FIELD_OBJECT, offsetof(struct message, evidence), .required = true},
    };
    auto_json *json = NULL;
    AUTO_DONE(proto_attest_done) struct proto_attest attest = {0};
    if (!json_load_strict(body, PROTO_BODY_MAX, "/attest request", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "/attest request", &in, err) ||
        !decode_init_data(in.init_data, &attest.init_data, err) ||
        !decode_runtime(in.runtime, &attest, err) || !decode_evidence(in.evidence, &attest, err))
        return false;
    *ret_attest = attest;
    attest = (struct proto_attest){0};
    return true;
}
