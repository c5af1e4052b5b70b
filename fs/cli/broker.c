/* SPDX-License-Identifier: Apache-2.0 */
#include "fs/cli/broker.h"

#include <stdio.h>
#include <string.h>

#include "crypt/base/clock.h"
#include "crypt/base/conf.h"
#include "crypt/jws.h"
#include "kbs/proto.h"

#define PREFIX     "/kbs/v0"
#define TIMEOUT_MS 60000

struct profile {
    char *url, *ca_file, *pinned_key, *admin_key, *issuer, *subject, *audience, *role;
    bool allow_plain;
};

struct broker {
    struct profile profile;
    char *url; /* without a slash at its end */
    const char *key_path;
    struct jwk *key;
    struct http_conf http;
};

#define AT(member) offsetof(struct profile, member)

static const struct conf_field profile_fields[] = {
    {"client", "url", CONF_TEXT, AT(url), .help = "the key broker, https://HOST:PORT"},
    {"client", "ca_file", CONF_PATH, AT(ca_file), .help = "its certificate authority, PEM"},
    {"client", "pinned_key", CONF_TEXT, AT(pinned_key), .help = "sha256//... of its public key"},
    {"client", "allow_plain", CONF_BOOL, AT(allow_plain), .text_default = "no",
        .help = "allow http:// to another machine"},
    {"client", "admin_key", CONF_CREDENTIAL, AT(admin_key),
        .help = "the administrator's private key"},
    {"client", "issuer", CONF_TEXT, AT(issuer), .text_default = "sealed-admin",
        .help = "iss of the administrator's tokens"},
    {"client", "subject", CONF_TEXT, AT(subject), .text_default = "sealed",
        .help = "sub of the administrator's tokens: who appears in the broker's log"},
    {"client", "audience", CONF_TEXT, AT(audience), .help = "aud of the administrator's tokens"},
    {"client", "role", CONF_TEXT, AT(role), .text_default = "admin",
        .help = "role of the administrator's tokens"},
};

/* The default profile may be absent; one that was named may not. */
static bool load_profile(const char *named, struct profile *ret_profile, struct err *err)
{
    const char *path = named ? named : BROKER_PROFILE_DEFAULT;
    bool absent = !named && access(path, F_OK) != 0 && errno == ENOENT;
    return conf_load(
        absent ? NULL : path, profile_fields, ARRAY_LEN(profile_fields), ret_profile, err);
}

static const char *first_of(const char *option, const char *configured)
{
    return option ? option : configured;
}

static bool load_key(const char *path, struct jwk **ret_key, struct err *err)
{
    auto_secret *text = NULL;
    auto_jwk *key = NULL;
    if (!path)
        return err_set(err, ERR_CONFIG,
            "no administrator's key: give --admin-key FILE, or admin_key in section [client] of "
            "%s (`sealed kbs init` makes both)",
            BROKER_PROFILE_DEFAULT);
    if (!conf_credential(path, JWK_TEXT_MAX, false, &text, err) ||
        !jwk_from_secret(text, &key, err))
        return err_wrap(err, "administrator's key %s", path);
    if (!jwk_is_private(key) || jwk_kind(key) == JWK_OCT)
        return err_set(err, ERR_CONFIG,
            "%s is not a private key; the administrator signs with the private half", path);
    *ret_key = take_ptr(key);
    return true;
}

bool broker_open(const struct broker_args *args, struct broker **ret_broker, struct err *err)
{
    auto_broker *broker = calloc(1, sizeof *broker);
    if (!broker)
        return err_nomem(err);
    struct profile *profile = &broker->profile;
    if (!load_profile(args->profile, profile, err))
        return false;
    const char *url = first_of(args->url, profile->url);
    broker->url = strdup(url ? url : BROKER_URL_DEFAULT);
    if (!broker->url)
        return err_nomem(err);
    size_t len = strlen(broker->url);
    while (len > 0 && broker->url[len - 1] == '/')
        broker->url[--len] = '\0';
    broker->http = (struct http_conf){
        .ca_file = first_of(args->ca_file, profile->ca_file),
        .pinned_key = first_of(args->pinned_key, profile->pinned_key),
        .allow_plain = args->allow_plain || profile->allow_plain,
    };
    broker->key_path = first_of(args->admin_key, profile->admin_key);
    if (!load_key(broker->key_path, &broker->key, err))
        return false;
    *ret_broker = take_ptr(broker);
    return true;
}

void broker_free(struct broker *broker)
{
    if (!broker)
        return;
    conf_done(&broker->profile, profile_fields, ARRAY_LEN(profile_fields));
    jwk_unref(broker->key);
    free(broker->url);
    free(broker);
}

bool broker_token(const struct jwk *key, const struct broker_identity *identity, int64_t now,
    char **ret_token, struct err *err)
{
    auto_json *claims = NULL, *header = NULL;
    if (!json_build(&claims, err, "{s:s,s:s,s:s*,s:s,s:I,s:I}", "iss",
            first_of(identity->issuer, "sealed-admin"), "sub",
            first_of(identity->subject, "sealed"), "aud", identity->audience, "role",
            first_of(identity->role, "admin"), "iat", (json_int_t)now, "exp",
            (json_int_t)now + BROKER_TOKEN_LIFE_S) ||
        !json_build(&header, err, "{s:s}", "typ", "JWT"))
        return false;
    auto_free char *text = json_text(claims);
    return text ? jws_sign(key, header, bytes_str(text), ret_token, err) : err_nomem(err);
}

struct meaning {
    const char *name;
    enum err_code code;
    const char *hint;
};

/* protocol.md A.4: every refusal but two has status 401, so the name is what tells. */
static const struct meaning meanings[] = {
    {"AdminAuthAccess", ERR_DENIED_POLICY,
        "is the public half of this key among `keys` in section [admin] of the broker's "
        "configuration, and does `acl` let its role do this?"},
    {"AdminAuthInitialization", ERR_DENIED_POLICY,
        "is the public half of this key configured there as an administrator's?"},
    {"TokenNotFound", ERR_DENIED_POLICY,
        "this broker wants a guest's token here: resources are released to attested guests "
        "(`sealed "
        "get` on a guest)"},
    {"TokenVerifierError", ERR_DENIED_POLICY,
        "this broker wants a guest's token here: resources are released to attested guests "
        "(`sealed "
        "get` on a guest)"},
    {"PolicyDeny", ERR_DENIED_POLICY, NULL},
    {"PluginNotFound", ERR_NOTFOUND, "this broker does not offer that call; is it a sealed-kbs?"},
    {"InvalidRequestPath", ERR_NOTFOUND, "is the URL that of a key broker, without any path?"},
    {"ParsePolicyError", ERR_FORMAT, NULL},
    {"PolicyEngineError", ERR_FORMAT, NULL},
    {"SerdeError", ERR_FORMAT, NULL},
};

bool broker_refusal(const char *method, const char *where, long status, struct bytes body,
    const char *key_path, bool stores, struct err *err)
{
    struct proto_error error;
    /* What the table does not name failed inside the broker: on the way in it could not take the thing, else it has none. */
    struct meaning meaning = {NULL, stores ? ERR_IO : ERR_NOTFOUND, NULL};
    proto_error_decode(body, &error);
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (strcmp(meanings[i].name, error.name) == 0)
            meaning = meanings[i];
    if (!error.name[0])
        meaning = (struct meaning){NULL, ERR_UNREACH, "is this the URL of a key broker?"};
    bool key = meaning.hint && strncmp(error.name, "AdminAuth", strlen("AdminAuth")) == 0;
    err_set(err, meaning.code, "%s %s: %ld %s%s%s%s%s%s%s%s", method, where, status, error.name,
        error.name[0] ? ": " : "", error.detail, key ? " (signed with " : "",
        key && key_path ? key_path : "", key ? ")" : "", meaning.hint ? "; " : "",
        meaning.hint ? meaning.hint : "");
    proto_error_ref(&error, err->ref);
    return false;
}

static bool ask(const struct broker *broker, struct http_request *request, const char *path,
    struct buf *answer, struct err *err)
{
    const struct broker_identity identity = {broker->profile.issuer, broker->profile.subject,
        broker->profile.audience, broker->profile.role};
    auto_free char *url = NULL;
    char *token = NULL;
    struct http_response response = {0};
    size_t before = answer->len;
    if (asprintf(&url, "%s" PREFIX "%s", broker->url, path) < 0) {
        url = NULL;
        return err_nomem(err);
    }
    if (!broker_token(broker->key, &identity, clock_wall_s(), &token, err))
        return false;
    request->url = url;
    request->bearer = token;
    request->timeout_ms = TIMEOUT_MS;
    request->response_max = BROKER_ANSWER_MAX;
    bool done = http_ask(&broker->http, request, answer, &response, err);
    secret_wipe(token, strlen(token));
    free(token);
    if (!done)
        return false;
    if (response.status == 200)
        return true;
    struct bytes body = bytes_slice(buf_bytes(answer), before, answer->len - before);
    bool stores = (request->body.len > 0 || request->secret_body) &&
                  strncmp(path, "/resource-data/", strlen("/resource-data/")) != 0;
    broker_refusal(request->method, url, response.status, body, broker->key_path, stores, err);
    buf_truncate(answer, before);
    return false;
}

bool broker_call(const struct broker *broker, const char *method, const char *path,
    struct bytes body, struct buf *answer, struct err *err)
{
    struct http_request request = {.method = method, .body = body};
    return ask(broker, &request, path, answer, err);
}

bool broker_upload(
    const struct broker *broker, const char *path, const struct secret *body, struct err *err)
{
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    struct http_request request = {
        .method = "POST", .secret_body = body, .content_type = "application/octet-stream"};
    return ask(broker, &request, path, &answer, err);
}

/* json_load_strict takes objects and arrays only; a bare value is read as the one item of an array. */
static bool load_any(const struct buf *text, const char *path, json_t **ret_json, struct err *err)
{
    auto_buf wrapped = BUF_INIT(BROKER_ANSWER_MAX + 2);
    auto_json *list = NULL;
    if (!buf_append_str(&wrapped, "[", err) || !buf_append(&wrapped, buf_bytes(text), err) ||
        !buf_append_str(&wrapped, "]", err))
        return false;
    if (!json_load_strict(
            buf_bytes(&wrapped), BROKER_ANSWER_MAX + 2, "answer of the key broker", &list, err))
        return err_wrap(err, "%s", path);
    if (json_array_size(list) != 1)
        return err_set(err, ERR_FORMAT, "%s: the key broker's answer is not one JSON value", path);
    *ret_json = json_incref(json_array_get(list, 0));
    return true;
}

bool broker_get_json(
    const struct broker *broker, const char *path, json_t **ret_json, struct err *err)
{
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    return broker_call(broker, "GET", path, BYTES_EMPTY, &answer, err) &&
           load_any(&answer, path, ret_json, err);
}

bool broker_post_json(const struct broker *broker, const char *path, const json_t *body,
    json_t **ret_json, struct err *err)
{
    auto_buf answer = BUF_INIT(BROKER_ANSWER_MAX);
    auto_free char *text = json_text(body);
    if (!text)
        return err_nomem(err);
    if (!broker_call(broker, "POST", path, bytes_str(text), &answer, err))
        return false;
    return answer.len == 0 ? json_build(ret_json, err, "{}")
                           : load_any(&answer, path, ret_json, err);
}
