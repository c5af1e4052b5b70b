/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to /attest and what its JWT says about itself (protocol.md A.2, D.1). */
#include "kbs/proto.h"

#include <string.h>

#include "crypt/base/b64.h"

bool proto_token_encode(const char *token, int64_t attest_in_s, char **ret_text, struct err *err)
{
    auto_json *json = NULL;
    if (!json_build(&json, err, "{s:s}", "token", token))
        return false;
    if (attest_in_s > 0 && json_object_set_new(json, "attest-in", json_integer(attest_in_s)) != 0)
        return err_nomem(err);
    char *text = json_text(json);
    if (!text)
        return err_nomem(err);
    *ret_text = text;
    return true;
}

/* header.payload.signature in base64url. The token becomes a header of later requests, so nothing
 * else may be in it. */
static bool check_shape(const char *token, struct err *err)
{
    size_t dots = 0;
    for (const char *at = token; *at; at++) {
        bool text = (*at >= '0' && *at <= '9') || (*at >= 'A' && *at <= 'Z') ||
                    (*at >= 'a' && *at <= 'z') || *at == '-' || *at == '_';
        if (*at != '.' && !text)
            return err_set(err, ERR_FORMAT,
                "/attest answer: the token is no JWT (a character outside base64url)");
        if (*at == '.' && (dots++ == 0 ? at == token : at[-1] == '.'))
            return err_set(err, ERR_FORMAT, "/attest answer: the token is no JWT (an empty part)");
    }
    if (dots != 2)
        return err_set(
            err, ERR_FORMAT, "/attest answer: the token is no JWT (%zu dots, not 2)", dots);
    return true;
}

bool proto_token_decode(
    struct bytes body, char **ret_token, int64_t *ret_attest_in_s, struct err *err)
{
    struct message {
        const char *token;
        int64_t attest_in_s;
    } in = {0};
    static const struct json_field fields[] = {
        {"token", JSON_FIELD_TEXT, offsetof(struct message, token), .max = PROTO_TOKEN_MAX,
            .required = true},
        {"attest-in", JSON_FIELD_INT, offsetof(struct message, attest_in_s), .min = 0,
            .max = PROTO_ATTEST_IN_MAX},
    };
    auto_json *json = NULL;
    if (!json_load_strict(body, PROTO_BODY_MAX, "/attest answer", &json, err) ||
        !json_decode(json, fields, ARRAY_LEN(fields), true, "/attest answer", &in, err) ||
        !check_shape(in.token, err))
        return false;
    char *token = strdup(in.token);
    if (!token)
        return err_nomem(err);
    *ret_token = token;
    *ret_attest_in_s = in.attest_in_s;
    return true;
}

/* A NumericDate (RFC 7519 section 2): a number, perhaps with a fraction. 0 when absent. */
static bool date_claim(const json_t *claims, const char *name, int64_t *ret_date, struct err *err)
{
    const json_t *value = json_object_get(claims, name);
    double seconds = json_number_value(value);
    if (value && (!json_is_number(value) || !(seconds >= 0 && seconds < 1e12)))
        return err_set(err, ERR_FORMAT, "token: \"%s\" is no time", name);
    *ret_date = (int64_t)seconds;
    return true;
}

/* EAR (D.1): at least one submodule, and each of them affirming. */
static bool all_affirming(const json_t *claims)
{
    json_t *submods = json_object_get(claims, "submods");
    const char *name;
    json_t *submod;
    json_object_foreach(submods, name, submod)
    {
        const char *status = json_member_text(submod, "ear.status");
        if (!status || strcmp(status, "affirming") != 0)
            return false;
    }
    return json_object_size(submods) > 0;
}

bool proto_token_claims(const char *token, struct proto_token_claims *ret_claims, struct err *err)
{
    auto_json *json = NULL;
    auto_buf payload = BUF_INIT(PROTO_TOKEN_MAX);
    struct proto_token_claims claims = {0};
    if (!check_shape(token, err))
        return false;
    const char *from = strchr(token, '.') + 1;
    struct bytes part = bytes_of(from, strcspn(from, "."));
    if (!b64_decode(B64_URL, part, "token payload", &payload, err) ||
        !json_load_strict(buf_bytes(&payload), PROTO_TOKEN_MAX, "token payload", &json, err) ||
        !date_claim(json, "iat", &claims.issued_at, err) ||
        !date_claim(json, "nbf", &claims.not_before, err) ||
        !date_claim(json, "exp", &claims.expires_at, err))
        return false;
    claims.affirming = all_affirming(json);
    *ret_claims = claims;
    return true;
}
