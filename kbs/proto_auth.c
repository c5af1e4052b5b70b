/* SPDX-License-Identifier: Apache-2.0 */
/* POST /kbs/v0/auth and its answer (protocol.md A.1). */
#include "kbs/proto.h"

#include <string.h>

bool proto_auth_encode(const struct proto_auth *auth, char **ret_text, struct err *err)
{
    auto_json *json = NULL;
    if (!json_build(&json, err, "{s:s,s:s,s:{s:[s,s,s]}}", "version", auth->version, "tee",
            auth->tee, "extra-params", "supported-hash-algorithms", "sha256", "sha384", "sha512"))
        return false;
    char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}

bool proto_auth_decode(struct bytes body, struct proto_auth *ret_auth, struct err *err)
{
    struct message {
        const char *version;
        const char *tee;
        json_t *extra;
    } in = {0};
    static const struct json_field fields[] = {
        {"version", JSON_FIELD_TEXT, offsetof(struct message, version),
            .max = sizeof ret_auth->version - 1, .required = true},
        {"tee", JSON_FIELD_TEXT, offsetof(struct message, tee), .max = PROTO_TEE_MAX - 1,
            .required = true},
        {"extra-params", JSON_FIELD_ANY, offsetof(struct message, extra), .required = true},
    };
    auto_json *json = NULL;
    if (!json_load_strict(body, PROTO_BODY_MAX, "/auth request", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "/auth request", &in, err))
        return false;
    struct proto_auth auth = {0};
    memcpy(auth.version, in.version, strlen(in.version));
    memcpy(auth.tee, in.tee, strlen(in.tee));
    *ret_auth = auth;
    return true;
}

/* What "extra-params" carries for each digest; Trustee writes "" for the default one. */
static const char *const hash_names[] = {
    [HASH_SHA256] = "sha256", [HASH_SHA384] = NULL, [HASH_SHA512] = "sha512"};

bool proto_challenge_encode(
    const struct proto_challenge *challenge, char **ret_text, struct err *err)
{
    auto_json *json = NULL;
    const char *hash = hash_names[challenge->hash];
    bool built =
        hash ? json_build(&json, err, "{s:s,s:{s:s}}", "nonce", challenge->nonce, "extra-params",
                   "selected-hash-algorithm", hash)
             : json_build(&json, err, "{s:s,s:s}", "nonce", challenge->nonce, "extra-params", "");
    if (!built)
        return false;
    char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}

/* Any extra-params without the member means the default; with it, it must name a digest that we
 * have. */
static bool selected_hash(const json_t *extra, enum hash_alg *ret_hash, struct err *err)
{
    const json_t *member = json_object_get(extra, "selected-hash-algorithm");
    const char *name = json_string_value(member);
    *ret_hash = HASH_SHA384;
    if (!member)
        return true;
    if (!name)
        return err_set(err, ERR_FORMAT, "/auth answer: selected-hash-algorithm is not text");
    if (!hash_alg_parse(name, ret_hash))
        return err_set(err, ERR_FORMAT,
            "/auth answer: the KBS selects the hash \"%.16s\"; this client has sha256, sha384 and "
            "sha512",
            name);
    return true;
}

bool proto_challenge_decode(
    struct bytes body, struct proto_challenge *ret_challenge, struct err *err)
{
    struct message {
        const char *nonce;
        json_t *extra;
    } in = {0};
    static const struct json_field fields[] = {
        {"nonce", JSON_FIELD_TEXT, offsetof(struct message, nonce), .max = PROTO_NONCE_MAX,
            .required = true},
        {"extra-params", JSON_FIELD_ANY, offsetof(struct message, extra), .required = true},
    };
    auto_json *json = NULL;
    struct proto_challenge challenge = {0};
    if (!json_load_strict(body, PROTO_BODY_MAX, "/auth answer", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "/auth answer", &in, err) ||
        !selected_hash(in.extra, &challenge.hash, err))
        return false;
    if (in.nonce[0] == '\0')
        return err_set(err, ERR_FORMAT, "/auth answer: the nonce is empty");
    memcpy(challenge.nonce, in.nonce, strlen(in.nonce));
    *ret_challenge = challenge;
    return true;
}
