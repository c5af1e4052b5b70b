/* SPDX-License-Identifier: Apache-2.0 */
#include "kbs/server/verifier/init_data.h"

#include <stdio.h>

#include "crypt/base/toml.h"

#define WHAT        "init-data"
#define POLICY      "policy.rego"
#define POLICY_DATA "policy_data := "

struct document {
    const char *version, *algorithm;
    json_t *data;
};

static const struct json_field document_fields[] = {
    {"version", JSON_FIELD_TEXT, offsetof(struct document, version), .max = 64, .required = true},
    {"algorithm", JSON_FIELD_TEXT, offsetof(struct document, algorithm), .required = true},
    {"data", JSON_FIELD_OBJECT, offsetof(struct document, data), .required = true},
};

static bool choose_hash(const char *name, enum hash_alg *ret_alg, struct err *err)
{
    static const char *const names[] = {"sha256", "sha384", "sha512"};
    if (strcmp(name, "sm3") == 0)
        return err_set(err, ERR_FORMAT,
            WHAT ": algorithm = \"sm3\" is not taken: no TEE of this server measures with it");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(name, names[i]) == 0)
            return hash_alg_parse(name, ret_alg) || err_set(err, ERR_INTERNAL, "hash %s", name);
    return err_set(
        err, ERR_FORMAT, WHAT ": algorithm must be \"sha256\", \"sha384\" or \"sha512\"");
}

static bool put_text(json_t *claims, const char *name, const char *text, struct err *err)
{
    return json_object_set_new(claims, name, json_string(text)) == 0 || err_nomem(err);
}

/* Configuration of the guest's own services: text that is TOML again. */
static bool put_toml(json_t *claims, const char *name, const char *text, struct err *err)
{
    char what[64];
    auto_json *value = NULL;
    snprintf(what, sizeof what, WHAT ": %s", name);
    if (!toml_load(bytes_str(text), INIT_DATA_MAX, what, &value, err))
        return false;
    return json_object_set(claims, name, value) == 0 || err_nomem(err);
}

/* The JSON behind `policy_data := ` at the beginning of a line, if it is there once, an object and the end of the text. */
static bool find_policy_data(const char *policy, json_t **ret_data, struct err *err)
{
    struct err ignored = ERR_INIT;
    const char *found = strstr(policy, POLICY_DATA "{");
    if (!found || strstr(found + 1, POLICY_DATA "{") || (found > policy && found[-1] != '\n'))
        return true;
    struct bytes text = bytes_trim(bytes_str(found + strlen(POLICY_DATA)));
    if (json_load_strict(text, INIT_DATA_MAX, POLICY, ret_data, &ignored) ||
        ignored.code == ERR_FORMAT) /* Rego takes objects that JSON does not: then it stays text */
        return true;
    *err = ignored;
    return false;
}

static bool put_policy(json_t *claims, const char *name, const char *text, struct err *err)
{
    auto_json *data = NULL;
    if (!find_policy_data(text, &data, err))
        return false;
    if (data)
        return json_object_set(claims, "agent_policy_claims", data) == 0 || err_nomem(err);
    return put_text(claims, name, text, err);
}

static bool put_member(json_t *claims, const char *name, const char *text, struct err *err)
{
    static const struct {
        const char *name;
        bool (*put)(json_t *claims, const char *name, const char *text, struct err *err);
    } kinds[] = {{"aa.toml", put_toml}, {"cdh.toml", put_toml}, {POLICY, put_policy}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (strcmp(name, kinds[i].name) == 0)
            return kinds[i].put(claims, name, text, err);
    return put_text(claims, name, text, err);
}

/* A member of the text's own must not pass for what we make of another. */
static bool check_member(const char *name, const json_t *value, struct err *err)
{
    if (!json_is_string(value))
        return err_set(err, ERR_FORMAT, WHAT ": [data] holds a member that is no text");
    if (strcmp(name, "agent_policy_claims") == 0)
        return err_set(
            err, ERR_FORMAT, WHAT ": [data] names agent_policy_claims, which is made of " POLICY);
    return true;
}

static bool make_claims(const json_t *data, json_t **ret_claims, struct err *err)
{
    const char *name;
    json_t *value;
    auto_json *claims = json_object();
    if (!claims)
        return err_nomem(err);
    json_object_foreach((json_t *)(uintptr_t)data, name, value)
    {
        if (!check_member(name, value, err) ||
            !put_member(claims, name, json_string_value(value), err))
            return false;
    }
    if (json_is_deeper(claims, INIT_DATA_DEPTH_MAX))
        return err_set(
            err, ERR_FORMAT, WHAT ": claims nested deeper than %d levels", INIT_DATA_DEPTH_MAX);
    auto_free char *text = json_text(claims);
    if (!text)
        return err_nomem(err);
    if (strlen(text) > INIT_DATA_CLAIMS_MAX)
        return err_set(err, ERR_FORMAT,
            WHAT ": claims of %zu bytes; a token holds at most %u (shorten " POLICY ")",
            strlen(text), INIT_DATA_CLAIMS_MAX);
    *ret_claims = take_ptr(claims);
    return true;
}

bool init_data_read(const char *text, struct hash *ret_digest, json_t **ret_claims, struct err *err)
{
    struct document document = {0};
    enum hash_alg alg;
    struct hash digest;
    auto_json *toml = NULL, *claims = NULL;
    if (!toml_load(bytes_str(text), INIT_DATA_MAX, WHAT, &toml, err) ||
        !json_decode(
            toml, document_fields, ARRAY_LEN(document_fields), true, WHAT, &document, err) ||
        !choose_hash(document.algorithm, &alg, err) || !make_claims(document.data, &claims, err) ||
        !hash_bytes(alg, bytes_str(text), &digest, err))
        return false;
    *ret_digest = digest;
    *ret_claims = take_ptr(claims);
    return true;
}
